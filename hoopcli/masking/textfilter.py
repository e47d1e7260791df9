"""The prefilter for bytes that are UTF-8 text: the same answer for less, as nothing in them can be UTF-16.

Most of the time goes into searches for what is not there. So each is preceded by a cheaper one that must succeed too:
for nine digits before any number, for one rare character before the word that has it, for ``=`` or ``:`` before the
words of an assignment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from hoopcli.masking.detectors import Detector, Gate
from hoopcli.masking.prefilter import Prefilter

_SEPARATORS = b" -"
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_DIGITS = b"0123456789"
_NINE = b"d" * 9


def _shapes() -> bytes:
    table = bytearray(b"x" * 256)
    for members, name in ((_LETTERS + _LETTERS.upper(), b"a"), (_DIGITS, b"d"), (_SEPARATORS, b"s")):
        for member in members:
            table[member] = name[0]
    return bytes(table)


_SHAPES = _shapes()
# With all other bytes deleted, what is left of a text is a hundredth of it.
_KEPT = b"AKISJyx"
_DELETED = bytes(set(range(256)) - set(_KEPT))
_GITHUB = re.compile(rb"_(?:(?<=gh[pousr]_)|(?<=github_pat_))", re.IGNORECASE)


class _Text:
    """A text, and its simpler forms once they are needed."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._flat: bytes | None = None
        self._rare: bytes | None = None

    @property
    def flat(self) -> bytes:
        """In lower case."""
        if self._flat is None:
            self._flat = self.data.lower()
        return self._flat

    def has(self, word: bytes, sign: bytes) -> bool:
        """Whether a word is there; ``sign`` is what is left of it in the rare characters."""
        if self._rare is None:
            self._rare = self.data.translate(None, _DELETED)
        return sign in self._rare and word in self.data

    def assigns(self) -> bool:
        """Whether something may be assigned."""
        return b"=" in self.data or b":" in self.data


def _has_password(text: _Text) -> bool:
    return text.assigns() and any(text.flat.rfind(word) >= 0 for word in (b"pass", b"pwd", b"secret", b"api"))


def _has_aws_key(text: _Text) -> bool:
    if text.has(b"AKIA", b"AKIA") or text.has(b"ASIA", b"ASIA"):
        return True
    return text.assigns() and any(text.flat.rfind(word) >= 0 for word in (b"accesskey", b"access_key"))


def _always(_text: _Text) -> bool:
    return True


# What a text must hold at least for a detector to find something, where that is cheaper than its gate.
_FIRST: dict[str, Callable[[_Text], bool]] = {
    "jwt": lambda text: text.has(b"eyJ", b"yJ"),
    "private_key": lambda text: text.data.rfind(b"-----BEGIN") >= 0,
    "slack_token": lambda text: text.has(b"xox", b"xx"),
    "azure_key": lambda text: b"=" in text.data,
    "github_token": lambda text: b"_" in text.data and _GITHUB.search(text.data) is not None,
    "password_assignment": _has_password,
    "aws_key": _has_aws_key,
}


class TextFilter(Prefilter):
    """The tests of some detectors, joined, for UTF-8 text."""

    def __init__(self, detectors: Iterable[Detector]) -> None:
        detectors = tuple(detectors)
        super().__init__(detectors)
        self._words = [
            (_FIRST.get(detector.name, _always), detector.gate)
            for detector in detectors
            if detector.gate.after and not (detector.gate.spaced or detector.gate.joined)
        ]

    def suspect(self, data: bytes | memoryview) -> bool:
        """Whether a detector may find something in text cells among these bytes."""
        data = bytes(data)
        if b"\0" in data or not data.isascii():
            return super().suspect(data)
        if any(sign in data and sure.search(data) for sign, sure in self._raw):
            return True
        text = _Text(data)
        if self._numbers and self._may_be_number(text):
            return True
        return any(first(text) and _passes(gate, text.flat) for first, gate in self._words)

    def _may_be_number(self, text: _Text) -> bool:
        joined = text.data.translate(_SHAPES, _SEPARATORS)
        nine = joined.rfind(_NINE) >= 0
        shape = text.data.translate(_SHAPES) if nine else b""
        for gate in self._numbers:
            if nine and (any(shape.rfind(spaced) >= 0 for spaced in gate.spaced) or _says_so(gate, text)):
                return True
            wanted = gate.joined
            there = wanted and (nine or _NINE not in wanted) and joined.rfind(wanted) >= 0
            if there and (gate.sequel is None or gate.sequel.search(joined)):
                return True
        return False


def _says_so(gate: Gate, text: _Text) -> bool:
    """Whether a number without separators may stand after a word that says what it is."""
    return gate.after is not None and _passes(gate, text.flat)


def _passes(gate: Gate, flat: bytes) -> bool:
    if gate.needs not in flat or (gate.literals and all(flat.rfind(literal) < 0 for literal in gate.literals)):
        return False
    return gate.after is not None and gate.after.search(flat) is not None
