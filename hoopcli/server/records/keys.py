"""Keys that sort as times do: microseconds since 1970, and eleven bits that tell apart what happened in the same one.

So the newest of anything is found from the end of an index, a span of time is a span of keys, and a page ends with a
key from which the next one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

BITS: Final = 11
HIGHEST: Final = (1 << 63) - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LAST: Final = (1 << 63 - BITS) - 2  # in the year 2112


def moment(time: datetime) -> int:
    """The first key of a time."""
    return min(max((time - _EPOCH) // _MICROSECOND, 0), _LAST) << BITS


def key(time: str, ledger: int, index: int) -> int:
    """A key for a record by its time and place. Two may get the same one: ``spread`` them."""
    return moment(datetime.fromisoformat(time)) + ((ledger * 1031 + index) & ((1 << BITS) - 1))


def spread(wanted: Sequence[int], taken: Callable[[Sequence[int]], set[int]], free: Callable[[int], int]) -> list[int]:
    """Keys that are free, each the first one that is from the one wanted on; all are different.

    ``taken`` tells which of some keys somebody else has, ``free`` the first from a key on that nobody else has.
    """
    theirs = taken(wanted)
    behind: dict[int, int] = {}  # of each key that is gone, one behind it
    given = []
    for first in wanted:
        at = free(first) if first in theirs and first not in behind else first
        while at in behind:
            at = free(_behind(behind, at))
        behind[at] = at + 1
        given.append(at)
    return given


def _behind(behind: dict[int, int], at: int) -> int:
    """The first key from here on that is not gone; what was passed leads there at once from now on."""
    passed = []
    while at in behind:
        passed.append(at)
        at = behind[at]
    behind.update(dict.fromkeys(passed, at))
    return at
