"""Small changes that masking makes to objects, besides masking values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from connectors.kubectl.objects.sentinel import MARK
from hoopcli.masking.keeping import Edit
from hoopcli.masking.masker import Masking

_GROUP = 64
_IDENTITIES = (
    ("resourceVersion", re.compile(r"[0-9]{1,20}")),
    ("uid", re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")),
)


def found_in(masking: Masking, texts: Sequence[str]) -> Iterator[tuple[int, list[Edit], dict[str, int]]]:
    """What detectors find, by the place of the text. Most groups of texts are passed over as a whole."""
    for start in range(0, len(texts), _GROUP):
        group = texts[start : start + _GROUP]
        if masking.suspect_text("\n".join(group).encode("utf-8", "surrogatepass")):
            for place, edits, counts in masking.edits_all(group):
                yield start + place, edits, counts


def identities(metadata: dict[str, Any]) -> dict[str, str]:
    """Take out what the server gives an object, without which it cannot be watched or changed."""
    held = {}
    for name, form in _IDENTITIES:
        value = metadata.get(name)
        if isinstance(value, str) and form.fullmatch(value):
            held[name] = value
            metadata[name] = None
    return held


def mark(root: dict[str, Any]) -> None:
    """Say in the annotations of an object that it has numbers that are masked."""
    metadata = root.setdefault("metadata", {})
    if isinstance(metadata, dict):
        annotations = metadata.get("annotations")
        metadata["annotations"] = {**(annotations if isinstance(annotations, dict) else {}), MARK[0]: MARK[1]}


def rename(holder: dict[str, Any], key: str, shown: str) -> None:
    """Give a key another name, at its place. One that is taken gets a number."""
    name, number = shown, 1
    while name in holder:
        number += 1
        name = f"{shown}-{number}"
    items = [(name if old == key else old, value) for old, value in holder.items()]
    holder.clear()
    holder.update(items)
