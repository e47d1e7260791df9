"""Shapes of values that give themselves away: what a card, an e-mail address or a key looks like.

A detector finds hits from left to right. A hit begins within the text that has been seen and is ``limit`` characters
at most, so a stream need not hold back more than that. A secret of any length (a private key, a token) has a ``tail``
besides: it goes on until the tail ends.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hoopcli.errors import UsageError

LONGEST_LINE = 255


@dataclass(frozen=True, slots=True)
class Hit:
    """A found value: it is ``text[secret:end]``; what is before it from ``start`` (``password=``) stays readable.

    With ``tail`` the value goes on to the place that ``tail(text, end)`` says.
    """

    start: int
    secret: int
    end: int
    tail: Callable[[str, int], int] | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """What raw bytes must hold for a hit to be possible, in the forms that ``hoopcli.masking.prefilter`` makes of them.

    One of ``spaced`` in the shape, or ``joined`` in the shape without separators and then a match of ``sequel`` there;
    or in the flat form the byte ``needs``, one of ``literals`` if there are any, and a match of ``after``; or in the
    bytes both parts of ``raw``.
    """

    spaced: tuple[bytes, ...] = ()
    joined: bytes = b""
    sequel: re.Pattern[bytes] | None = None
    needs: bytes = b""
    literals: tuple[bytes, ...] = ()
    after: re.Pattern[bytes] | None = None
    raw: tuple[bytes, re.Pattern[bytes]] | None = None


@dataclass(frozen=True, slots=True)
class Detector:
    """One shape of value.

    ``find(text, position)`` gives the first hit that starts at ``position`` or later. ``quick`` is true of every text
    that has a hit, and of every text that such a text is part of; it is cheap. ``folds`` says whether it looks at
    folded text. The matches of ``exact``, if there is one, are precisely the hits in lines of ASCII of up to
    ``LONGEST_LINE`` characters, and none has a tail.
    """

    name: str
    limit: int
    quick: Callable[[str], object]
    find: Callable[[str, int], Hit | None]
    gate: Gate
    folds: bool = False
    exact: re.Pattern[str] | None = None


def by_name(known: Iterable[Detector], names: Iterable[str]) -> tuple[Detector, ...]:
    """The detectors of these names. Raises UsageError naming the nearest known one."""
    table = {detector.name: detector for detector in known}
    found = []
    for name in names:
        if name not in table:
            near = difflib.get_close_matches(name, table, n=1, cutoff=0.0)
            raise UsageError(
                f"unknown detector {name!r}", f"did you mean {near[0]!r}? Known: {', '.join(sorted(table))}"
            )
        found.append(table[name])
    return tuple(found)
