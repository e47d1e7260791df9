"""Masking that keeps the length in bytes: each masked value takes exactly the bytes of the value it stands for.

Lengths, offsets and ranges of a text stay true then. A masked form is filled up with stars, before what it keeps of the
end of a value, else after.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hoopcli.masking.methods import mask as masked_form
from hoopcli.masking.methods import redact
from hoopcli.masking.scan import Span, StreamMasker, Watch, Writer, find_spans, first_hits
from hoopcli.model.decision import Mask, Method


@dataclass(frozen=True, slots=True)
class Edit:
    """``text[begin:end]`` is masked: by the method of ``mask``, or by stars alone where ``plain``."""

    begin: int
    end: int
    mask: Mask
    plain: bool


def exact(method: Method, value: str, room: int, key: bytes) -> str:
    """The masked form of a value in exactly ``room`` bytes of ASCII. What cannot be NULL is redacted."""
    if room <= 0:
        return ""
    form = masked_form(method, value, room, key) or redact(value, room) or ""
    return form.rjust(room, "*") if method.name == "keep_last" else form.ljust(room, "*")


def find_edits(watches: Sequence[Watch], text: str, key: bytes) -> tuple[list[Edit], dict[str, int]]:
    """What to mask of a whole text, in order and without overlap, and how many values by the id of the mask."""
    if text.isascii():
        hits = first_hits(watches, text)
        if not hits:
            return [], {}
        if len(hits) == 1 and hits[0][1].tail is None:
            ((watch, hit),) = hits
            return [Edit(hit.secret, hit.end, watch.mask, plain=False)], {watch.mask.id: 1}
    collector = _Collector(key)
    if spans := find_spans(watches, text):
        collector.write(text, spans, len(text))
    return collector.edits, collector.counts


def find_all_edits(
    watches: Sequence[Watch], texts: Sequence[str], key: bytes
) -> Iterator[tuple[int, list[Edit], dict[str, int]]]:
    """``find_edits`` in each of many texts: those in which something is found, by their place."""
    joined = "\n".join(texts)
    foreign = not joined.isascii()
    awake = [watch for watch in watches if watch.detector.quick(joined) or (watch.detector.folds and foreign)]
    quicks = [watch.detector.quick for watch in awake]
    if not quicks:
        return
    for place, text in enumerate(texts):
        if any(quick(text) for quick in quicks) or (foreign and not text.isascii()):
            edits, counts = find_edits(awake, text, key)
            if edits:
                yield place, edits, counts


class _EditWriter(Writer):
    """Works out the parts that are masked. Every value is counted, also one inside another."""

    def write(self, text: str, spans: list[Span], safe: int) -> str:
        for span in spans:
            if span.start < safe and not span.counted:
                span.counted = True
                self.counts[span.watch.mask.id] = self.counts.get(span.watch.mask.id, 0) + 1
        return super().write(text, spans, safe)

    def _piece(self, text: str, span: Span, until: int, *, beside: bool) -> str:
        overlaps = beside or self.done > span.start
        begin = max(self.done, span.secret)
        before = text[self.done : begin]
        self.done = max(begin, until)
        return before + self._stand_in(text, Edit(begin, self.done, span.watch.mask, span.open or overlaps))

    def _stand_in(self, text: str, edit: Edit) -> str:
        raise NotImplementedError


class _Collector(_EditWriter):
    """Collects the edits."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self.edits: list[Edit] = []

    def _stand_in(self, text: str, edit: Edit) -> str:
        self.edits.append(edit)
        return text[edit.begin : edit.end]


class _KeepingWriter(_EditWriter):
    """Writes text with its spans masked, of the same length in UTF-8."""

    def _stand_in(self, text: str, edit: Edit) -> str:
        value = text[edit.begin : edit.end]
        room = len(value.encode("utf-8", "surrogatepass"))
        return "*" * room if edit.plain else exact(edit.mask.method, value, room, self._key)


def keeping_stream(watches: Sequence[Watch], key: bytes, context: str) -> StreamMasker:
    """A masker of a text in pieces whose result has the length of the text in UTF-8."""
    return StreamMasker(watches, key, context=context, writer=_KeepingWriter(key))
