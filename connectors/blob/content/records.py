"""Records of CSV, read strictly (RFC 4180): one at a time, with whatever is wrong about them said.

A cell is quoted if it begins with a quote; a quote within is doubled, and after the closing one the cell ends. A record
ends with LF, CRLF or a CR alone. A quote elsewhere is a character like any other, but other readers may take it for
more: such a record is malformed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_QUOTED = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')  # possessive: a quote at the end may be half of a doubled one
LINE_BREAK = re.compile(rb"\r\n?|\n")


@dataclass(frozen=True, slots=True)
class Record:
    """A record: where its cells are in the bytes that it was read from, and where it ends with its line break."""

    cells: list[tuple[int, int]]
    end: int
    malformed: bool


@cache
def _rest(delimiter: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"[^\r\n" + re.escape(delimiter) + rb"]*")


def read_record(data: bytes, start: int, delimiter: bytes, *, final: bool) -> Record | None:
    """The record that begins at ``start``; None if it may go on after these bytes, which with ``final`` are all."""
    rest, size = _rest(delimiter), len(data)
    cells: list[tuple[int, int]] = []
    malformed = False
    at = start
    while True:
        begin = at
        if data.startswith(b'"', at):
            quoted = _QUOTED.match(data, at)
            if quoted is None:
                return Record([*cells, (begin, size)], size, malformed=True) if final else None
            at = quoted.end()
        plain = rest.match(data, at)
        end = plain.end() if plain else at
        malformed = malformed or (end > at if at > begin else data.find(b'"', begin, end) >= 0)
        at = end
        cells.append((begin, at))
        if at == size:
            return Record(cells, size, malformed) if final else None
        if data.startswith(delimiter, at):
            at += len(delimiter)
            continue
        line_break = LINE_BREAK.match(data, at)
        at = line_break.end() if line_break else at + 1
        if at == size and not final and data.endswith(b"\r"):
            return None
        return Record(cells, at, malformed)


class Overlong:
    """Finds the end of a record that is too long to be held, from its first byte on."""

    def __init__(self, delimiter: bytes) -> None:
        self._special = re.compile(rb"[\r\n" + re.escape(delimiter) + rb"]")
        self._quoted = False
        self._fresh = True

    def skip(self, data: bytes, *, final: bool) -> tuple[int, bool]:
        """How many of these bytes belong to the record, but for its line break; whether it ends there.

        Where it does not, bytes that are left over are to come again, with more after them.
        """
        at = 0
        while at < len(data):
            if self._fresh and data.startswith(b'"', at):
                self._quoted, at = True, at + 1
            self._fresh = False
            if self._quoted:
                close = data.find(b'"', at)
                if close < 0:
                    return len(data), final
                if close + 1 == len(data) and not final:
                    return close, False
                at = close + 2 if data.startswith(b'""', close) else close + 1
                self._quoted = data.startswith(b'""', close)
                continue
            special = self._special.search(data, at)
            if special is None:
                return len(data), final
            at = special.start()
            if data[at] in b"\r\n":
                return at, True
            at += 1
            self._fresh = True
        return len(data), final
