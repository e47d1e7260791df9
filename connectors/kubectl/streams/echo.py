"""Masking of a terminal's output, without holding back what a person types.

``StreamMasker`` holds back the last few hundred characters, for a secret may begin in them. On a terminal that would be
the prompt. So after a moment of quiet ``show`` gives them but for a tail that looks like the begin of a secret
(``prefixes``), and what is found later to have begun in the shown part is masked from there on. In any other respect
the result is that of ``StreamMasker``: without a ``show`` in between, the very same. A secret that a program encodes,
or that escape sequences interrupt, is not found: what may run is for the policy to say, not for a detector.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import replace

from connectors.kubectl.streams.prefixes import held_from
from hoopcli.masking.detectors import Detector
from hoopcli.masking.folding import Folded, fold, plain
from hoopcli.masking.prefilter import Prefilter
from hoopcli.masking.scan import Span, StreamMasker, Watch, Writer

_ESCAPED = "surrogateescape"
# Masked at once: where there is something to find, no more than this is looked at closely.
_SLICE = 4 * 1024
# How many characters of a text one of its folded form may stand for, and how many of those a look behind may need.
_MOST_FOLDED = 5
_CONTEXT = 80


class _EchoWriter(Writer):
    """Counts a value once though it is found again after a ``show``; can keep the length of the text in bytes."""

    def __init__(self, key: bytes, *, same_length: bool) -> None:
        super().__init__(key)
        self._same_length = same_length
        self._told: set[tuple[str, int]] = set()

    def _piece(self, text: str, span: Span, until: int, *, beside: bool) -> str:
        name = (span.watch.detector.name, span.start)
        span.counted = span.counted or name in self._told
        self._told.add(name)
        begin = self.done
        piece = super()._piece(text, span, until, beside=beside)
        if self._same_length:
            piece += "*" * (_size(text[begin : self.done]) - _size(piece))
        return piece

    def restart(self) -> None:
        """Another text begins."""
        self.done = 0
        self._told.clear()

    def forget(self, characters: int) -> None:
        """So many characters of the text were cut off its begin."""
        self._told = {(name, start - characters) for name, start in self._told if start >= characters}


class EchoMasker(StreamMasker):
    """Masks a text that comes in pieces, and gives at ``show`` what it can of that which it holds back.

    Bytes that are no UTF-8 are lone surrogates in it, as ``surrogateescape`` makes them. Where nothing can be found the
    text is passed over, at a fraction of the cost of looking for everything.

    With ``same_length`` the masked text has as many bytes of UTF-8 as the text, so that formats with lengths (a tar
    archive) stay whole.
    """

    def __init__(self, watches: Sequence[Watch], key: bytes, *, same_length: bool = False) -> None:
        super().__init__(watches, key)
        self._echo = _EchoWriter(key, same_length=same_length)
        self._writer = self._echo
        self._prefilter = Prefilter(watch.detector for watch in watches)

    @property
    def pending(self) -> bool:
        """Whether some text is held back."""
        return self._echo.done < len(self._text)

    def show(self) -> str:
        """What is held back, but for a tail that may be the begin of a secret."""
        as_is = plain(self._text)
        folded = fold(self._text)
        until = held_from(self._watches, as_is, folded)
        if until <= self._echo.done:
            return ""
        growing = (state.growing for state in self._states if state.growing)
        copies = {id(span): replace(span) for span in (*self._spans, *growing)}
        states = [replace(state, growing=copies.get(id(state.growing))) for state in self._states]
        spans = [copies[id(span)] for span in self._spans]
        shown = self._scan(as_is, folded, until, final=True)
        # as if nothing had been looked for: what was found may grow, or turn out to be something else
        self._states, self._spans = states, spans
        return shown

    def flush(self) -> str:
        """End the text; return the rest of it. What is fed after that is another text."""
        rest = super().flush()
        for state in self._states:
            state.resume, state.growing, state.tail = 0, None, None
        self._spans.clear()
        self._echo.restart()
        return rest

    def feed(self, text: str) -> str:
        """Take a piece of text; return what of all so far can be delivered."""
        if not self._watches:
            return text
        self._text += text
        return self._pass_over() if self._is_harmless() else super().feed("")

    def _is_harmless(self) -> bool:
        """Whether nothing can be found in all the text at hand."""
        busy = self._spans or any(state.growing for state in self._states)
        return not busy and not self._prefilter.suspect(self._text.encode("utf-8", _ESCAPED))

    def _pass_over(self) -> str:
        """Deliver what ``feed`` would of a harmless text, without looking for anything."""
        begin = max(0, len(self._text) - _MOST_FOLDED * self._hold)
        tail = fold(self._text[begin:])
        if len(tail.text) <= self._hold:
            return ""
        shown = self._skip(begin + tail.at(len(tail.text) - self._hold))
        self._cut(plain(self._text), context=_MOST_FOLDED * _CONTEXT)
        return shown

    def _skip(self, safe: int) -> str:
        for state in self._states:
            state.resume = max(state.resume, safe)
        return self._echo.write(self._text, [], safe)

    def _scan(self, as_is: Folded, folded: Folded, safe: int, *, final: bool = False) -> str:
        if self._is_harmless():
            return self._skip(safe)

        def may_find(detector: Detector) -> object:
            return detector.quick(folded.text if detector.folds else as_is.text)

        every = self._states
        self._states = [state for state in every if state.growing or may_find(state.watch.detector)]
        shown = super()._scan(as_is, folded, safe, final=final)
        self._states = every
        for state in every:
            state.resume = state.resume if state.growing else max(state.resume, min(safe, len(self._text)))
        return shown

    def _cut(self, folded: Folded, *, context: int = 0) -> None:
        """Forget only what was also looked at, though more of it may have been shown; keep more to look back at."""
        shown, length = self._echo.done, len(self._text)
        self._echo.done = max(0, min(shown, *(state.resume for state in self._states)) - context)
        super()._cut(folded)
        cut = length - len(self._text)
        self._echo.done = shown - cut
        self._echo.forget(cut)


class MaskedBytes:
    """Masks bytes as UTF-8 text; bytes that are none pass as they are."""

    def __init__(self, masker: EchoMasker) -> None:
        self._masker = masker
        self._decode = codecs.getincrementaldecoder("utf-8")(_ESCAPED).decode

    @property
    def counts(self) -> Mapping[str, int]:
        """How many values were masked so far, by the id of the mask."""
        return self._masker.counts

    @property
    def pending(self) -> bool:
        """Whether something is held back that ``show`` may give."""
        return self._masker.pending

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return what of all so far can be delivered."""
        slices = (data[at : at + _SLICE] for at in range(0, len(data), _SLICE))
        return "".join(self._masker.feed(self._decode(piece)) for piece in slices).encode("utf-8", _ESCAPED)

    def show(self) -> bytes:
        """Show what can be shown after a moment of quiet."""
        return self._masker.show().encode("utf-8", _ESCAPED)

    def flush(self) -> bytes:
        """End the stream; return the rest."""
        rest = self._masker.feed(self._decode(b"", final=True)) + self._masker.flush()
        return rest.encode("utf-8", _ESCAPED)


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", _ESCAPED))
