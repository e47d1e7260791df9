"""The head of a CSV: its delimiter, and which columns are masked.

The delimiter is the one under which most masked columns are found, then most columns. If masks name columns and none is
found, the first record must look like names: numbers, dates and addresses are data, and a table without names cannot be
masked by them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.blob.content.base import Unreadable
from connectors.blob.content.names import Names
from connectors.blob.content.records import Record, read_record
from hoopcli.model.decision import Mask

DELIMITERS = (b",", b";", b"\t", b"|")
_SAID = re.compile(rb"[Ss][Ee][Pp]=([,;\t|])(?:\r\n|\n|\r(?!\Z))")
_SAYS = b"sep="
_DATA = re.compile(r"[+-]?[\d.,]*\d[\d.,:/ -]*|.*@.*|(?:.*\d){6}.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Header:
    """What the first record says. ``begin`` is where it begins: before it there may be a line ``sep=;``."""

    delimiter: bytes
    begin: int
    record: Record
    masks: Mapping[int, Mask]


def read_header(data: bytes, names: Names, delimiter: bytes | None, *, final: bool) -> Header | None:
    """The header of a table, None if it may go on after these bytes. Raises Unreadable.

    ``delimiter`` is the likely one, by the kind of the content.
    """
    if not final and len(data) < len(_SAYS) + 3:
        return None
    said = _SAID.match(data)
    begin = said.end() if said else 0
    likely = said[1] if said else delimiter
    found = [_under(data, begin, each, names, final=final) for each in DELIMITERS]
    headers = [header for header in found if header]
    if len(headers) < len(found):
        return None
    header = max(headers, key=lambda each: (len(each.masks), each.delimiter == likely, len(each.record.cells)))
    if names.any and header.record.malformed:
        raise Unreadable("the header of the table has quotes where none belong")
    if names.any and not header.masks:
        _check_names([cell_text(data, cell) for cell in header.record.cells])
    return header


def cell_text(data: bytes, cell: tuple[int, int]) -> str:
    """What a cell says, without its quotes."""
    raw = data[slice(*cell)]
    if len(raw) > 1 and raw.startswith(b'"') and raw.endswith(b'"'):
        raw = raw[1:-1].replace(b'""', b'"')
    return raw.decode("utf-8", "replace")


def _under(data: bytes, begin: int, delimiter: bytes, names: Names, *, final: bool) -> Header | None:
    record = read_record(data, begin, delimiter, final=final)
    if record is None:
        return None
    masks = {n: mask for n, cell in enumerate(record.cells) if (mask := names.column(cell_text(data, cell)))}
    return Header(delimiter, begin, record, masks)


def _check_names(cells: list[str]) -> None:
    if any(_DATA.fullmatch(cell.strip()) for cell in cells):
        raise Unreadable("the table has no header, so its columns cannot be masked by their names")
