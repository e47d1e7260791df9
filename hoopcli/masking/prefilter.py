"""A fast look at raw bytes: can any text cell in them hold a value that detectors find?

Cells may be in UTF-16LE, in UTF-8 or in a code page of one byte a character, at any place among other bytes. The answer
is never no where a detector would find something, and is no to most bytes that hold nothing.

Bytes are brought to simpler forms. The *flat* form leaves NULs out and is lower case: UTF-16LE reads as 8 bits. The
*shape* is the flat form with ``d`` for a digit, ``a`` for an ASCII letter, ``s`` for a space or dash, ``u`` or ``v``
for a byte over 127 and ``x`` for all others. Look-alikes of digits are rare: where one may be, its surroundings are
decoded and looked at as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hoopcli.masking.detectors import Detector, Gate
from hoopcli.masking.folding import LOOK_ALIKES, fold

_REACH = 400
_LOWER = bytes(range(256)).lower()


def _table(classes: dict[bytes, Iterable[int]], other: bytes) -> bytes:
    table = bytearray(other * 256)
    for name, members in classes.items():
        for member in members:
            table[member] = name[0]
    return bytes(table)


_SPACES = b" -"
_LETTERS = b"abcdefghijklmnopqrstuvwxyz"
_LEADS = {0x96, 0x97, 0xA0, 0xAD} | {char.encode()[0] for char in LOOK_ALIKES}
_SHAPES = _table({b"u": range(0x80, 0x100), b"v": _LEADS, b"d": b"0123456789", b"a": _LETTERS, b"s": _SPACES}, b"x")

# Look-alikes in UTF-16LE: "h" for the high byte of one (U+20xx apart: that byte is a space too), "0" for NUL,
# "l" for that of the second half of a surrogate pair.
_PAIRS = frozenset(char.encode("utf-16-le") for char in LOOK_ALIKES if ord(char) < 0x10000)
_HIGH = {pair[1] for pair in _PAIRS} - {0x00, 0x20} | set(range(0xD8, 0xDC))
_WIDE = _table({b"h": _HIGH, b"d": b"0123456789", b"s": _SPACES, b"l": range(0xDC, 0xE0), b"0": b"\0"}, b"x")
_GAP = b"(?:s0|.[hls]|x0){0,5}"
_WIDE_NUMBER = re.compile(
    b"h(?:(?<=d0.h)"  # after a digit
    b"|(?=[^0][0hls])" + _GAP + b"(?:d0|.h" + _GAP + b".h))",  # before a digit, or three of them
    re.DOTALL,
)
# Look-alikes in 8 bits: in UTF-8, or the one-byte dashes and spaces of code pages between digits. "v" begins one.
_NARROW_NUMBER = re.compile(
    b"v(?=[uvd])(?:(?<=dv)|(?<=dsv)|[uv]{0,18}s?d|[uv]{1,3}(?:s?v[uv]{1,3}){2})",
)
_SECONDS: dict[bytes, set[bytes]] = {}
for _char in LOOK_ALIKES:
    _SECONDS.setdefault(re.escape(_char.encode()[:1]), set()).add(b"\\x%02x" % _char.encode()[1])
_NARROW = re.compile(
    rb"(?<=[0-9])[\x96\x97\xa0\xad]{1,5}[0-9]|"
    + b"|".join(first + b"[" + b"".join(sorted(seconds)) + b"]" for first, seconds in sorted(_SECONDS.items()))
)


class Prefilter:
    """The tests of some detectors, joined."""

    def __init__(self, detectors: Iterable[Detector]) -> None:
        detectors = tuple(detectors)
        gates = [detector.gate for detector in detectors]
        self._numbers = [gate for gate in gates if gate.spaced or gate.joined]
        self._literals = [gate for gate in gates if gate.after]
        self._raw = [gate.raw for gate in gates if gate.raw]
        self._quick = [detector.quick for detector in detectors if detector.gate.spaced or detector.gate.joined]

    def suspect(self, data: bytes | memoryview) -> bool:
        """Whether a detector may find something in text cells among these bytes."""
        data = bytes(data)
        if any(sign in data and sure.search(data) for sign, sure in self._raw):
            return True
        if not self._numbers and not self._literals:
            return False
        flat = data.translate(_LOWER, b"\0")
        if any(_has_literal(gate, flat) for gate in self._literals):
            return True
        return bool(self._numbers) and self._has_number(data, flat)

    def _has_number(self, data: bytes, flat: bytes) -> bool:
        shape = flat.translate(_SHAPES)
        joined = shape.translate(None, b"s")
        if any(_has_digits(gate, shape, joined) for gate in self._numbers):
            return True
        return self._has_wide(data) or self._has_narrow(flat, shape)

    def _has_wide(self, data: bytes) -> bool:
        """Whether a number may be written with look-alikes in UTF-16LE."""
        wide = data.translate(_WIDE)
        at = wide.rfind(b"sd0")
        while at >= 0:
            if self._is_wide_number(data, at - 1):
                return True
            at = wide.rfind(b"sd0", 0, at + 2)
        return any(self._is_wide_number(data, match.start() - 1) for match in _WIDE_NUMBER.finditer(wide))

    def _is_wide_number(self, data: bytes, at: int) -> bool:
        pair = data[at : at + 2] if at >= 0 else b""
        astral = pair[1:] >= b"\xd8"
        return (astral or pair in _PAIRS) and self._is_number(_around(data, at, 2), "utf-16-le")

    def _has_narrow(self, flat: bytes, shape: bytes) -> bool:
        """Whether a number may be written with look-alikes in UTF-8 or in a code page."""
        for match in _NARROW_NUMBER.finditer(shape):
            if not _NARROW.search(flat, match.start(), match.end() + 3):
                continue
            around = _around(flat, match.start(), 1)
            if self._is_number(around, "utf-8") or self._is_number(around, "cp1252"):
                return True
        return False

    def _is_number(self, around: bytes, encoding: str) -> bool:
        text = fold(around.decode(encoding, "replace")).text
        return any(quick(text) for quick in self._quick)


def awake(detectors: Iterable[Detector], text: str) -> list[Detector]:
    """Those of the detectors that may find something in a part of a text of ASCII."""
    data = text.encode("ascii")
    flat = data.translate(_LOWER, b"\0")
    shape = flat.translate(_SHAPES)
    joined = shape.translate(None, b"s")

    def may_find(gate: Gate) -> bool:
        if gate.raw and gate.raw[0] in data and gate.raw[1].search(data):
            return True
        return (gate.after is not None and _has_literal(gate, flat)) or _has_digits(gate, shape, joined)

    return [detector for detector in detectors if may_find(detector.gate) and detector.quick(text)]


def _has_digits(gate: Gate, shape: bytes, joined: bytes) -> bool:
    """Whether the digits of a gate are there, in ASCII."""
    if any(shape.rfind(spaced) >= 0 for spaced in gate.spaced):
        return True
    if not gate.joined or joined.rfind(gate.joined) < 0:
        return False
    return gate.sequel is None or gate.sequel.search(joined) is not None


def _around(data: bytes, at: int, step: int) -> bytes:
    """What surrounds a place, whole characters of it."""
    reach = _REACH * step
    return data[at % step if at < reach else at - reach : at + reach]


def _has_literal(gate: Gate, flat: bytes) -> bool:
    # rfind compares first bytes, find last ones: with these words that is twice as fast
    if gate.needs not in flat or (gate.literals and all(flat.rfind(literal) < 0 for literal in gate.literals)):
        return False
    return gate.after is not None and gate.after.search(flat) is not None
