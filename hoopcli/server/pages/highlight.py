"""YAML in colours, line by line. It reads what a person may have mistyped, so it parses nothing and never fails."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

#: One part of a line: a class of the style sheet, or none, and the text.
Part = tuple[str, str]

_PARTS: Final = re.compile(
    r"""
    (?P<comment>(?:^|(?<=\s))\#.*$)
    | (?P<key>(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z_][\w.-]*)(?=\s*:(?:\s|$)))
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*')
    | (?P<value>\b(?:allow|deny|require_approval|true|false|yes|no|null|[0-9]+[smhd]?)\b)
    """,
    re.VERBOSE,
)


def lines(text: str) -> list[list[Part]]:
    """Every line as its parts."""
    return [list(_parts(line)) for line in text.split("\n")]


def _parts(line: str) -> Iterator[Part]:
    at = 0
    for found in _PARTS.finditer(line):
        if found.start() > at:
            yield "", line[at : found.start()]
        yield f"y-{found.lastgroup}", found[0]
        at = found.end()
    if at < len(line):
        yield "", line[at:]
