"""Masking of values under the masks of one decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import TypeVar

from hoopcli.masking import numbers, secrets
from hoopcli.masking.batch import mask_all
from hoopcli.masking.detectors import by_name
from hoopcli.masking.keeping import Edit, exact, find_all_edits, find_edits, keeping_stream
from hoopcli.masking.methods import mask as masked_form
from hoopcli.masking.methods import masked_by, strictness
from hoopcli.masking.patterns import field_matches, resource_matcher, segments, text_matcher
from hoopcli.masking.prefilter import Prefilter
from hoopcli.masking.scan import StreamMasker, Watch, mask_whole
from hoopcli.masking.textfilter import TextFilter
from hoopcli.model.decision import Mask

__all__ = ["DETECTORS", "JSON_PATH", "Masking", "StreamMasker", "about", "could_mask", "names_column"]

Stream = TypeVar("Stream")

#: Every detector that a mask may name.
DETECTORS = (*numbers.detectors(), *secrets.detectors())
#: What a column of a mask begins with that is a path into JSON rather than a name.
JSON_PATH = "$"
_CACHED_PLANS = 256


class _Plan:
    """What can be prepared of some masks before any value is seen."""

    def __init__(self, masks: tuple[Mask, ...]) -> None:
        self.strictest_first = tuple(sorted(masks, key=lambda mask: strictness(mask.method)))
        self.by_column = tuple(mask for mask in self.strictest_first if mask.fields or mask.columns or mask.by_label)
        self.watches = tuple(self._watches())
        self.gates = tuple(dict.fromkeys((watch.detector.quick, watch.detector.folds) for watch in self.watches))

    @cached_property
    def prefilter(self) -> Prefilter:
        return Prefilter(watch.detector for watch in self.watches)

    @cached_property
    def textfilter(self) -> TextFilter:
        return TextFilter(watch.detector for watch in self.watches)

    def _watches(self) -> Iterable[Watch]:
        """Each detector once, under the strictest mask that names it."""
        seen = set()
        for mask in self.strictest_first:
            for detector in by_name(DETECTORS, mask.detectors):
                if detector.name not in seen:
                    seen.add(detector.name)
                    yield Watch(detector, mask)


_plan = lru_cache(maxsize=_CACHED_PLANS)(_Plan)


class Masking:
    """The masks of one decision, ready to apply to values. Pure, and cheap to make.

    ``key`` is the key of the ``hash`` method. Raises UsageError for an unknown detector.
    """

    def __init__(self, masks: Sequence[Mask], key: bytes) -> None:
        self._plan = _plan(tuple(masks))
        self._watches = self._plan.watches
        self._gates = self._plan.gates
        self._key = key
        self.detects = bool(self._watches)

    @property
    def by_column(self) -> tuple[Mask, ...]:
        """The masks that name fields, columns or labels, strictest first."""
        return self._plan.by_column

    def for_field(
        self, names: Iterable[str], labels: Iterable[str] = (), information_types: Iterable[str] = ()
    ) -> Mask | None:
        """The strictest mask that covers a column by any of its names, labels or information types, None if none does.

        A name is dotted and as fully qualified as is known (``shop.dbo.customers.ssn``); a segment ``*`` is one that
        is not known. Where name or pattern is the shorter, they match if they do as far as both go.
        """
        names, labels, types = tuple(names), tuple(labels), tuple(information_types)
        return next((m for m in self._plan.by_column if _covers(m, names) or _labelled(m, names, labels, types)), None)

    def could_match(self, resource: str) -> bool:
        """Whether some column of a table (``*``: of any) could be masked by its name or label. Errs on True."""
        return could_mask(self._plan.by_column, resource)

    def apply(self, mask: Mask, value: str, width: int | None = None) -> str | None:
        """The masked form of a value: ASCII, at most ``width`` characters; None (NULL) where nothing fits.

        It is never the value itself nor holds more than half of it. An empty value stays empty.
        """
        return masked_form(mask.method, value, width, self._key)

    def apply_all(self, mask: Mask, values: Iterable[str], width: int | None = None) -> list[str | None]:
        """``apply`` to each of many values, with less work for each."""
        return list(map(masked_by(mask.method, width, self._key), values))

    def detect(self, value: str) -> tuple[str, dict[str, int]]:
        """The value with everything masked that a detector finds in it, and how many values by the id of the mask.

        The result is never longer than the value.
        """
        for quick, folds in self._gates:
            if quick(value) or (folds and not value.isascii()):
                return mask_whole(self._watches, value, self._key)
        return value, {}

    def detect_all(self, values: Sequence[str]) -> tuple[Sequence[str], dict[str, int]]:
        """``detect`` in each of many values, with less work for each. A value with nothing found is the same object."""
        return mask_all(self._watches, values, self._key)

    def suspect(self, data: bytes | memoryview) -> bool:
        """Whether ``detect`` may find something in text cells of UTF-16LE or 8 bits anywhere among these bytes.

        Never False where it would find something. Cells in a double-byte code page are not covered.
        """
        return self.detects and self._plan.prefilter.suspect(data)

    def suspect_text(self, data: bytes) -> bool:
        """``suspect`` for bytes that are text in UTF-8 and hold nothing else; it costs less."""
        return self.detects and self._plan.textfilter.suspect(data)

    def stream(self) -> StreamMasker:
        """A masker for one text that comes in pieces."""
        return StreamMasker(self._watches, self._key)

    def streamed_by(self, make: Callable[[Sequence[Watch], bytes], Stream]) -> Stream:
        """A masker of one's own making for one text in pieces: it is given what to look for, and the key."""
        return make(self._watches, self._key)

    def exact(self, mask: Mask, value: str, room: int) -> str:
        """The masked form of a value in exactly ``room`` bytes, all ASCII: filled with stars, redacted where NULL."""
        return exact(mask.method, value, room, self._key)

    def edits(self, value: str) -> tuple[list[Edit], dict[str, int]]:
        """What ``detect`` would mask: parts of the value in order, for who writes it in a form of his own; and counts.

        A value inside another is counted too.
        """
        for quick, folds in self._gates:
            if quick(value) or (folds and not value.isascii()):
                return find_edits(self._watches, value, self._key)
        return [], {}

    def edits_all(self, values: Sequence[str]) -> Iterator[tuple[int, list[Edit], dict[str, int]]]:
        """``edits`` in each of many values, with less work for each: those in which something is found, by place."""
        return find_all_edits(self._watches, values, self._key)

    def keeping_stream(self, context: str = "") -> StreamMasker:
        """A masker for one text in pieces whose result has exactly its length in UTF-8.

        ``context`` is the end of what came before, in which nothing was found that reaches beyond it.
        """
        return keeping_stream(self._watches, self._key, context)


def about(masks: Iterable[Mask], resource: str) -> tuple[Mask, ...]:
    """The masks that hold for what comes from one resource, whose name is known in full."""
    return tuple(
        mask
        for mask in masks
        if not mask.resources or any(resource_matcher(pattern)(resource) for pattern in mask.resources)
    )


def could_mask(masks: Iterable[Mask], resource: str) -> bool:
    """Whether some column of a table (``*``: of any) could be masked by its name or label. Errs on True."""
    return any(could_be_labelled(mask, resource) or _covers(mask, (f"{resource}.*",)) for mask in masks)


def names_column(mask: Mask, name: str) -> bool:
    """Whether a mask covers a column of this qualified name (``*`` for a part that is not known). Errs on True."""
    return could_be_labelled(mask, _parent(name)) or _covers(mask, (name,))


def could_be_labelled(mask: Mask, resource: str) -> bool:
    """Whether a column of a table may have a label of the mask, that is not among its fields. Errs on True."""
    return mask.by_label and resource not in mask.located and _about(mask, resource)


def _labelled(mask: Mask, names: Sequence[str], labels: Sequence[str], information_types: Sequence[str]) -> bool:
    """Whether a column has a label of the mask, and may be of a resource that the mask is about."""
    found = any(text_matcher(pattern)(label) for pattern in mask.labels for label in labels) or any(
        text_matcher(pattern)(kind) for pattern in mask.information_types for kind in information_types
    )
    return found and (not names or any(_about(mask, _parent(name)) for name in names))


def _covers(mask: Mask, names: Sequence[str]) -> bool:
    patterns = (*mask.fields, *(column for column in mask.columns if not column.startswith(JSON_PATH)))
    return any(field_matches(pattern, name) and _about(mask, _parent(name)) for pattern in patterns for name in names)


def _about(mask: Mask, resource: str) -> bool:
    """Whether a mask is about a resource, whose name may be known in part. Errs on True."""
    return not mask.resources or any(field_matches(pattern, resource) for pattern in mask.resources)


def _parent(name: str) -> str:
    """What a column is of; empty where that is not known."""
    return ".".join(segments(name)[:-1])
