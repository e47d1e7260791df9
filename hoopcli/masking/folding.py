"""Folding of look-alikes in numbers, so that other digits, dashes and invisible characters do not hide them.

Every decimal digit of Unicode becomes its ASCII digit, the dashes and spaces of typography become ``-``
and `` ``, and up to four invisible characters before a digit are left out. Detectors look at the folded
text; spans are carried back to the text itself.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

_ZEROS_IN_HEX = (
    "660 6f0 7c0 966 9e6 a66 ae6 b66 be6 c66 ce6 d66 de6 e50 ed0 f20 1040 1090 17e0 1810 1946 19d0 1a80 1a90 1b50 "
    "1bb0 1c40 1c50 a620 a8d0 a900 a9d0 a9f0 aa50 abf0 ff10 104a0 10d30 11066 110f0 11136 111d0 112f0 11450 114d0 "
    "11650 116c0 11730 118e0 11950 11c50 11d50 11da0 11f50 16a60 16ac0 16b50 1d7ce 1d7d8 1d7e2 1d7ec 1d7f6 1e140 "
    "1e2f0 1e4f0 1e950 1fbf0"
)
#: The zero of every run of ten decimal digits (category Nd) outside ASCII.
ZEROS = tuple(int(zero, 16) for zero in _ZEROS_IN_HEX.split())
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\uff0d"
_SPACES = "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
_INVISIBLE = "\u00ad\u200b-\u200f\ufe0e\ufe0f\ufeff"

_FOLDED = (
    {chr(zero + value): str(value) for zero in ZEROS for value in range(10)}
    | dict.fromkeys(_DASHES, "-")
    | dict.fromkeys(_SPACES, " ")
)
#: The characters that are not what they look like: each of them alone.
LOOK_ALIKES = frozenset(_FOLDED) | frozenset(map(chr, (0xAD, *range(0x200B, 0x2010), 0xFE0E, 0xFE0F, 0xFEFF)))
_FOLDABLE = re.compile(f"[{''.join(char for char in _FOLDED if ord(char) < 0x10000)}]")
_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_GAP = re.compile(f"(?<=[0-9 -])[{_INVISIBLE}]{{1,4}}(?=[0-9])")


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text. ``index`` holds the place of each of its characters in the source, None if it is the same."""

    text: str
    index: list[int] | None
    source: int

    def at(self, position: int) -> int:
        """The place in the source of a position in the folded text."""
        if self.index is None:
            return position
        return self.index[position] if position < len(self.index) else self.source

    def end(self, position: int) -> int:
        """Where in the source a span ends that ends before ``position`` here."""
        return position if self.index is None or position == 0 else self.index[position - 1] + 1

    def find(self, place: int) -> int:
        """The first position here that is at or after a place in the source."""
        return place if self.index is None else bisect_left(self.index, place)


def plain(text: str) -> Folded:
    """A text as it is, with the interface of a folded one."""
    return Folded(text, None, len(text))


def _fold_one(match: re.Match[str]) -> str:
    return _FOLDED.get(match[0], match[0])


def fold(text: str) -> Folded:
    """Fold the look-alikes of a text."""
    if text.isascii():
        return Folded(text, None, len(text))
    folded = _ASTRAL.sub(_fold_one, _FOLDABLE.sub(_fold_one, text))
    gaps = [match.span() for match in _GAP.finditer(folded)]
    if not gaps:
        return Folded(folded, None, len(text))
    index: list[int] = []
    at = 0
    for start, end in gaps:
        index.extend(range(at, start))
        at = end
    index.extend(range(at, len(text)))
    return Folded("".join(folded[place] for place in index), index, len(text))
