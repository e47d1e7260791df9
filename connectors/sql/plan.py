"""Which cells of a result are masked: the columns' sources, as the classifier told them, against the masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace

from connectors.sql.catalog import Catalog
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.masks import BlockedError
from connectors.sql.tds.tokens_login import UNLABELLED, Labels
from connectors.sql.tds.types import Layout
from connectors.sql.tsql.classify import Batch, Output
from connectors.sql.tsql.names import segment
from connectors.sql.tsql.outputs import Outputs
from hoopcli.masking.masker import Masking, StreamMasker
from hoopcli.model.decision import Mask, Method

_TELLING = frozenset({"keep_first", "keep_last", "hash"})
#: SET TEXTSIZE cuts such values short: what is last of them is then what the client likes.
_CUT_BY_TEXTSIZE = frozenset({Layout.PLP, Layout.TEXT})
#: For a result of a batch that returns none: a trigger's, of which nobody knows what it holds.
_UNANNOUNCED = Mask("unannounced", fields=("*",))
HIDDEN = "the text of this message is hidden, because the statement reads masked columns"


@dataclass(frozen=True, slots=True)
class FieldMask:
    """One mask of the policy, as it applies to the cells of a column."""

    mask: Mask
    masking: Masking

    @property
    def id(self) -> str:
        """The mask's id, to count by."""
        return self.mask.id

    def apply(self, value: str, max_chars: int | None) -> str | None:
        """The masked form of a value, at most ``max_chars`` long; None for NULL."""
        return self.masking.apply(self.mask, value, max_chars)

    def apply_all(self, values: Sequence[str], max_chars: int | None) -> Sequence[str | None]:
        """The same for each of many values."""
        return self.masking.apply_all(self.mask, values, max_chars)


class ResultPlan:
    """The masks of one decision for the results of one request."""

    def __init__(self, masking: Masking, batches: Sequence[Batch], catalog: Catalog | None = None) -> None:
        self.masking = masking
        self._catalog = catalog
        self._batches = batches
        self._results = batches[0].results if len(batches) == 1 else None
        self._variables = [batch.variables for batch in batches]
        self._tables = frozenset(below for batch in batches for table in batch.reads for below in self._under(table))
        unknown = {"*"} if any(batch.facts["reads_unknown"] for batch in batches) else set()
        self._touched = any(masking.could_match(table) for table in self._tables | unknown)

    @property
    def detects(self) -> bool:
        """Whether any detectors are on."""
        return self.masking.detects

    def suspect(self, data: bytes) -> bool:
        """Whether a detector may find something in these bytes."""
        return self.masking.suspect(data)

    def columns(self, columns: Sequence[Column], labels: Sequence[Labels] = ()) -> Sequence[FieldMask | None]:
        """The mask of each column. Raises BlockedError if the result is not what the statement said."""
        if self._results == () and self.masking.by_column:
            return [FieldMask(_UNANNOUNCED, self.masking)] * len(columns)
        self._touched |= any(self.masking.for_field((), *astuple(each)) for each in labels)
        if not self._touched:
            return [None] * len(columns)
        said = labels or [UNLABELLED] * len(columns)
        origins = self._origins([column.name for column in columns])
        return [
            self._field(names, plain=plain and column.type.layout not in _CUT_BY_TEXTSIZE, labels=each)
            for column, each, (names, plain) in zip(columns, said, origins, strict=True)
        ]

    def return_value(self, name: str) -> FieldMask | None:
        """The mask of an output parameter, which may hold whatever a variable of the texts does."""
        if not self._touched:
            return None
        if None in self._variables:
            return FieldMask(_UNANNOUNCED, self.masking)
        held = (column for sources in self._variables for column in sources or ())
        return self._field({*self._anything(name), *held}, plain=False)

    def message(self, text: str) -> tuple[str, Mapping[str, int]]:
        """An error or info text as the client may see it, and what was masked in it."""
        if self._touched:
            return HIDDEN, {}
        return self.masking.detect(text)

    def text(self, value: str) -> tuple[str, Mapping[str, int]]:
        """A value with what the detectors find in it masked, and the counts."""
        return self.masking.detect(value)

    def texts(self, values: Sequence[str]) -> tuple[Sequence[str], Mapping[str, int]]:
        """The same for each of many values."""
        return self.masking.detect_all(values)

    def stream(self) -> StreamMasker:
        """The same for a value that comes in pieces."""
        return self.masking.stream()

    def _under(self, table: str) -> Iterable[str]:
        """A table with all that it stands on, as far as that is known."""
        return (self._catalog and self._catalog.tables(table)) or (table,)

    def _field(self, names: Iterable[str], plain: bool, labels: Labels = UNLABELLED) -> FieldMask | None:
        if self._catalog is not None:
            origins = [self._catalog.origin(name) for name in names]
            plain = plain and all(origin.plain for origin in origins)
            names = frozenset[str]().union(*(origin.columns for origin in origins))
        mask = self.masking.for_field(names, labels.labels, labels.information_types)
        if mask is None:
            return None
        if not plain and mask.method.name in _TELLING:  # of an expression, each time of another part
            mask = replace(mask, method=Method("redact"))
        return FieldMask(mask, self.masking)

    def _origins(self, names: Sequence[str]) -> list[tuple[set[str], bool]]:
        """The qualified columns that each column of a result may come from, and whether it is one of them as it is."""
        if self._results is None:
            return [(self._anything(name), False) for name in names]
        found = [origins for origins in (self._origins_in(outputs, names) for outputs in self._results) if origins]
        if names and not found:
            raise BlockedError(f"the result has {len(names)} columns, as no statement returns")
        return [
            (set[str]().union(*(sources for sources, _ in column)), all(plain for _, plain in column))
            for column in zip(*found, strict=True)
        ]

    def _origins_in(self, outputs: Outputs, names: Sequence[str]) -> list[tuple[set[str], bool]]:
        """The same if it is a certain one of the results; empty if it is not."""
        if outputs is None:
            return [(self._anything(name), False) for name in names]
        stars = [at for at, output in enumerate(outputs) if output.star]
        if not stars:
            if len(outputs) != len(names):
                return []
            return [_of(output, name) for output, name in zip(outputs, names, strict=True)]
        before, after = outputs[: stars[0]], outputs[stars[-1] + 1 :]
        if len(names) < len(before) + len(after):
            return []
        middle = names[len(before) : len(names) - len(after)]
        starred = outputs[stars[0] : stars[-1] + 1]
        return [
            *(_of(output, name) for output, name in zip(before, names, strict=False)),
            *(_of_all(starred, name) for name in middle),
            *(_of(output, name) for output, name in zip(after, names[len(names) - len(after) :], strict=True)),
        ]

    def _anything(self, name: str) -> set[str]:
        """What a column of this name may come from when the statement does not tell."""
        return {f"{table}.{segment(name)}" for table in self._tables} | {segment(name)}


def _of(output: Output, name: str) -> tuple[set[str], bool]:
    sources = set(output.sources or ())
    if output.star:
        sources.update(f"{table}.{segment(name)}" for table in output.tables)
    return sources, output.plain


def _of_all(outputs: Sequence[Output], name: str) -> tuple[set[str], bool]:
    """What a column may come from that could belong to any of these."""
    origins = [_of(output, name) for output in outputs]
    return set[str]().union(*(sources for sources, _ in origins)), all(plain for _, plain in origins)
