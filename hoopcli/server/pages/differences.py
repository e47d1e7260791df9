"""What changed between two texts, as rows of a table: each has a line of the old text, one of the new, or both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Final, Literal

MOST_LINES: Final = 20_000
CONTEXT: Final = 3


@dataclass(frozen=True, slots=True)
class Row:
    """One row. Numbers count from 1, None where a text has no such line. A ``gap`` stands for lines left out."""

    kind: Literal["same", "changed", "gap"]
    old_number: int | None = None
    old: str = ""
    new_number: int | None = None
    new: str = ""


def rows(old: str, new: str) -> list[Row]:
    """The changed lines beside each other, with a few around them; none if the texts are the same.

    Of very long texts only the beginning is compared.
    """
    return list(_rows(old.split("\n")[:MOST_LINES], new.split("\n")[:MOST_LINES]))


def unified(beside: list[Row]) -> list[Row]:
    """The same with each row holding one line: first those that went, then those that came."""
    result: list[Row] = []
    pending: list[Row] = []
    for row in [*beside, Row("gap")]:
        if row.kind == "changed":
            if row.old_number is not None:
                result.append(Row("changed", row.old_number, row.old))
            if row.new_number is not None:
                pending.append(Row("changed", None, "", row.new_number, row.new))
        else:
            result += [*pending, row]
            pending = []
    return result[:-1]


def _rows(old: list[str], new: list[str]) -> Iterator[Row]:
    groups = SequenceMatcher(None, old, new, autojunk=len(old) + len(new) > 4_000).get_grouped_opcodes(CONTEXT)
    for n, group in enumerate(groups):
        if n:
            yield Row("gap")
        for tag, old_from, old_to, new_from, new_to in group:
            if tag == "equal":
                for i, j in zip(range(old_from, old_to), range(new_from, new_to), strict=True):
                    yield Row("same", i + 1, old[i], j + 1, new[j])
                continue
            for a, b in zip_longest(range(old_from, old_to), range(new_from, new_to)):
                yield Row(
                    "changed",
                    None if a is None else a + 1,
                    "" if a is None else old[a],
                    None if b is None else b + 1,
                    "" if b is None else new[b],
                )
