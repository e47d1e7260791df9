"""JSON paths of masks: ``$.customer.email``, ``$.items[*].card``, ``$..ssn``, ``$['e-mail']``.

A path names keys from the root down. Arrays are looked through, so ``$.items.card`` and ``$.items[0].card`` mean what
``$.items[*].card`` means: a mask never covers one element alone. ``*`` is any key, ``..`` any number of levels. Case is
ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from hoopcli.errors import UsageError
from hoopcli.model.decision import Mask

_STEP = re.compile(
    r"(?P<deep>\.\.)?(?:(?P<dot>\.)?(?P<name>[^\s.\[\]'\"*]+|\*)"
    r"|\[(?:(?P<index>\*|\d+)|'(?P<single>[^']+)'|\"(?P<double>[^\"]+)\")\])"
)
_ANY = "*"

#: Where a walk through a document is: for each path that may still match, its number and the steps it has taken.
Place: TypeAlias = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a path: a key, or any with ``*``; at any depth below if ``deep``."""

    key: str
    deep: bool

    def takes(self, key: str) -> bool:
        """Whether a key in lower case is this step's."""
        return self.key in {_ANY, key}


def json_path(text: str) -> tuple[Step, ...]:
    """The steps of a path; those into arrays are left out. Raises UsageError."""
    steps: list[Step] = []
    at = 1
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (match["name"] and bool(match["deep"]) == bool(match["dot"])):
            raise UsageError(f"the JSON path {text!r} cannot be read", "write paths like $.items[*].card or $..ssn")
        at = match.end()
        key = match["name"] or match["single"] or match["double"]
        if key:
            steps.append(Step(key.lower(), bool(match["deep"])))
        elif match["deep"]:
            steps.append(Step(_ANY, deep=True))
    return tuple(steps)


class Paths:
    """The JSON paths of some masks, strictest mask first. Raises UsageError for a path that cannot be read."""

    def __init__(self, masks: Iterable[Mask]) -> None:
        self._paths: list[tuple[Mask, tuple[Step, ...]]] = [
            (mask, json_path(column)) for mask in masks for column in mask.columns if column.startswith("$")
        ]
        self.root: Place = frozenset((number, 0) for number in range(len(self._paths)))
        #: The mask of a whole document: of a path that ends at its root.
        self.whole = next((mask for mask, steps in self._paths if not steps), None)

    def enter(self, place: Place, key: str) -> tuple[Place, Mask | None]:
        """Go down into a key: where that is, and the mask of what is there, if a path ends there."""
        key = key.lower()
        found: Mask | None = None
        further: set[tuple[int, int]] = set()
        for number, taken in sorted(place):
            mask, steps = self._paths[number]
            if taken == len(steps):
                continue
            if steps[taken].deep:
                further.add((number, taken))
            if steps[taken].takes(key):
                further.add((number, taken + 1))
                if taken + 1 == len(steps):
                    found = found or mask
        return frozenset(further), found
