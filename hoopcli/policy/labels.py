"""Masks by sensitivity label, once a connector says which columns have which labels.

The fact ``labels`` gives the labelled columns of the tables in ``labels_known``: by qualified name an object with
``label`` and ``information_type``. What a connector does not say is not known, and any column may have any label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hoopcli.masking.masker import Masking, could_be_labelled
from hoopcli.model.decision import Json, Mask


def located(masks: Sequence[Mask], facts: Mapping[str, Json]) -> tuple[Mask, ...]:
    """The masks; those by label with the columns among their fields that have one of theirs, as far as is known."""
    known, labels = facts.get("labels_known"), facts.get("labels")
    if not isinstance(known, list | tuple) or not isinstance(labels, Mapping):
        return tuple(masks)
    tables = tuple(map(str, known))
    return tuple(_located(mask, tables, labels) if mask.by_label else mask for mask in masks)


def unlocated(masks: Sequence[Mask], facts: Mapping[str, Json]) -> bool:
    """Whether a table that a statement names may have columns with a mask's label, and nobody knows which."""
    tables = facts.get("tables", ())
    named = map(str, tables) if isinstance(tables, list | tuple) else ("*",)
    return any(could_be_labelled(mask, table) for table in named for mask in masks)


def _located(mask: Mask, tables: tuple[str, ...], labels: Mapping[str, Json]) -> Mask:
    masking = Masking([replace(mask, fields=(), columns=(), detectors=())], b"")
    found = tuple(sorted(column for column, said in labels.items() if _has(masking, column, said)))
    return replace(mask, fields=(*mask.fields, *found), located=tables)


def _has(masking: Masking, column: str, said: Json) -> bool:
    label, kind = (said.get("label"), said.get("information_type")) if isinstance(said, Mapping) else (None, None)
    return masking.for_field((column,), [str(label)] if label else (), [str(kind)] if kind else ()) is not None
