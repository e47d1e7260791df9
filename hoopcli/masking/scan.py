"""Masking of what detectors find in a text: of a whole, or of a stream in any pieces, with the same result.

Each detector finds its own spans from left to right; spans of several detectors may overlap. Text is written out once
no span can begin in it any more: a hit is at most ``limit`` characters, so that much is held back, and twice that where
a hit is near. A secret of any length is masked by at most ten stars, the rest of it vanishes: nothing of it is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hoopcli.masking.detectors import Detector, Hit
from hoopcli.masking.folding import Folded, fold, plain
from hoopcli.masking.methods import mask, redact
from hoopcli.model.decision import Mask

_MOST_STARS = 10
# Characters kept before the place where a scan goes on: what a look behind may need.
_CONTEXT = 80


@dataclass(frozen=True, slots=True)
class Watch:
    """A detector, and the mask that asks for it."""

    detector: Detector
    mask: Mask


@dataclass(slots=True)
class Span:
    """A found value, by places in the text itself. ``open`` says that stars stand for it, from ``secret`` on."""

    start: int
    secret: int
    end: int
    watch: Watch
    open: bool
    counted: bool = False


@dataclass(slots=True)
class _State:
    """How far one detector has come, and the span whose tail has not ended yet."""

    watch: Watch
    resume: int = 0
    growing: Span | None = None
    tail: Hit | None = None


class Writer:
    """Writes text with its spans masked. ``done`` is how far it has come."""

    def __init__(self, key: bytes) -> None:
        self.counts: dict[str, int] = {}
        self.done = 0
        self._key = key

    def write(self, text: str, spans: list[Span], safe: int) -> str:
        """The masked text up to ``safe``, or up to the first span that ends after it. Drops the spans it is done with.

        ``spans`` are in order. Where two overlap, each part is masked once, and redacted.
        """
        pieces: list[str] = []
        while spans and spans[0].start < safe:
            span = spans[0]
            if span.end > safe and not (span.open and span.secret < safe):
                break
            if span.end > self.done:
                beside = len(spans) > 1 and spans[1].start < span.end
                pieces.append(self._piece(text, span, min(span.end, safe), beside=beside))
            if span.end > safe:
                return "".join(pieces)
            del spans[0]
        until = min(safe, spans[0].start) if spans else safe
        if until > self.done:
            pieces.append(text[self.done : until])
            self.done = until
        return "".join(pieces)

    def _piece(self, text: str, span: Span, until: int, *, beside: bool) -> str:
        """What stands for the part of a span from where the writer is to ``until``, with the text before the span."""
        if not span.counted:
            span.counted = True
            self.counts[span.watch.mask.id] = self.counts.get(span.watch.mask.id, 0) + 1
        begin = max(self.done, span.secret)
        before = text[self.done : begin]
        overlaps = beside or self.done > span.start
        self.done = max(begin, until)
        secret = text[begin:until]
        if span.open:
            return before + "*" * (min(until, span.secret + _MOST_STARS) - begin)
        return before + (
            (redact(secret, len(secret)) or "") if overlaps else _masked(span.watch.mask, secret, self._key)
        )


def mask_whole(watches: Sequence[Watch], text: str, key: bytes) -> tuple[str, dict[str, int]]:
    """A text with every found value masked, and how many by the id of the mask."""
    if text.isascii():
        hits = first_hits(watches, text)
        if not hits:
            return text, {}
        if len(hits) == 1 and hits[0][1].tail is None:
            watch, hit = hits[0]
            masked = _masked(watch.mask, text[hit.secret : hit.end], key)
            return text[: hit.secret] + masked + text[hit.end :], {watch.mask.id: 1}
    writer = Writer(key)
    return writer.write(text, find_spans(watches, text), len(text)), writer.counts


def find_spans(watches: Sequence[Watch], text: str) -> list[Span]:
    """Every found value of a whole text, in the order that a writer takes them. They may overlap."""
    as_is, folded = _views(watches, text)
    spans: list[Span] = []
    for watch in watches:
        view = folded if watch.detector.folds else as_is
        if watch.detector.quick(view.text):
            spans.extend(_advance(_State(watch), view, len(view.text) + 1))
    spans.sort(key=_order)
    return spans


def _masked(rule: Mask, secret: str, key: bytes) -> str:
    """What stands for a part of a text: a part cannot be NULL, so it is redacted then."""
    return mask(rule.method, secret, len(secret), key) or redact(secret, len(secret)) or ""


def first_hits(watches: Sequence[Watch], text: str) -> list[tuple[Watch, Hit]]:
    """The first hits in a text that folds to itself: all of them if there is no more than one, else at least two."""
    found: list[tuple[Watch, Hit]] = []
    for watch in watches:
        detector = watch.detector
        if not detector.quick(text) or (hit := detector.find(text, 0)) is None:
            continue
        found.append((watch, hit))
        if len(found) > 1 or hit.tail is not None:
            break
        if (another := detector.find(text, max(hit.end, hit.start + 1))) is not None:
            found.append((watch, another))
            break
    return found


class StreamMasker:
    """Masks a text that comes in pieces; what it returns, joined, is what ``Masking.detect`` makes of the whole.

    It holds back at most twice the longest ``limit`` of its detectors (about 700 characters with ``email``), and of
    invisible characters among digits four times that. ``context`` is the end of a text that came before, in which
    nothing was found that reaches beyond it; ``writer`` is given where masked values take another form.
    """

    def __init__(
        self, watches: Sequence[Watch], key: bytes, *, context: str = "", writer: Writer | None = None
    ) -> None:
        self._watches = watches
        self._hold = max((watch.detector.limit for watch in watches), default=0) + 2
        self._states = [_State(watch, resume=len(context)) for watch in watches]
        self._spans: list[Span] = []
        self._writer = writer or Writer(key)
        self._writer.done = len(context)
        self._text = context

    @property
    def counts(self) -> dict[str, int]:
        """How many values were masked so far, by the id of the mask."""
        return self._writer.counts

    def feed(self, text: str) -> str:
        """Take a piece of text; return what of all so far can be delivered."""
        if not self._watches:
            return text
        self._text += text
        as_is, folded = _views(self._watches, self._text)
        if len(folded.text) <= self._hold:
            return ""
        delivered = self._scan(as_is, folded, folded.at(len(folded.text) - self._hold))
        self._cut(folded)
        return delivered

    def release(self) -> tuple[str, str] | None:
        """The last characters of the text before, and the text held back; None while a value is pending.

        With these the text can go on without this stream.
        """
        if self._spans or any(state.growing for state in self._states):
            return None
        return self._text[: self._writer.done], self._text[self._writer.done :]

    def flush(self) -> str:
        """End the text; return the rest of it."""
        as_is, folded = _views(self._watches, self._text)
        delivered = self._scan(as_is, folded, len(self._text), final=True)
        self._text = ""
        return delivered

    def _scan(self, as_is: Folded, folded: Folded, safe: int, *, final: bool = False) -> str:
        for state in self._states:
            view = folded if state.watch.detector.folds else as_is
            if state.growing and all(span is not state.growing for span in self._spans):
                self._spans.append(state.growing)
            self._spans.extend(_advance(state, view, len(view.text) + 1 if final else view.find(safe)))
        self._spans.sort(key=_order)
        return self._writer.write(self._text, self._spans, safe)

    def _cut(self, folded: Folded) -> None:
        """Forget what was delivered but for the context, and count all places from there."""
        by = folded.at(max(0, folded.find(self._writer.done) - _CONTEXT))
        self._text = self._text[by:]
        self._writer.done -= by
        growing = [state.growing for state in self._states if state.growing]
        for span in {id(span): span for span in [*self._spans, *growing]}.values():
            span.start -= by
            span.secret -= by
            span.end -= by
        for state in self._states:
            state.resume = max(0, state.resume - by)


def _views(watches: Sequence[Watch], text: str) -> tuple[Folded, Folded]:
    """The text as it is, and folded if a detector wants it."""
    as_is = plain(text)
    return as_is, fold(text) if any(watch.detector.folds for watch in watches) else as_is


def _order(span: Span) -> tuple[int, int, bool]:
    return span.start, -span.end, not span.open


def _advance(state: _State, view: Folded, safe: int) -> list[Span]:
    """The further spans of a detector that begin before ``safe``, a position of the view."""
    found: list[Span] = []
    if state.growing and not _grow(state, state.growing, view, safe):
        return found
    while hit := state.watch.detector.find(view.text, view.find(state.resume)):
        if hit.start >= safe:
            break
        span = Span(view.at(hit.start), view.at(hit.secret), view.end(hit.end), state.watch, hit.tail is not None)
        found.append(span)
        state.resume = max(span.end, span.start + 1)
        if hit.tail:
            state.growing, state.tail = span, hit
            if not _grow(state, span, view, safe):
                return found
    # Whatever begins before is found: looking again, with less before it to see, could find what is not there.
    state.resume = max(state.resume, view.at(min(safe, len(view.text))))
    return found


def _grow(state: _State, span: Span, view: Folded, safe: int) -> bool:
    """Follow the tail of a span. Returns whether it has ended before ``safe``."""
    position = view.find(state.resume)
    end = state.tail.tail(view.text, position) if state.tail and state.tail.tail else position
    ended = end < safe
    span.end = max(span.end, view.end(end) if ended else view.at(min(end, safe)))
    state.resume = span.end
    if ended:
        state.growing = state.tail = None
    return ended
