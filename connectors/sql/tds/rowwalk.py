"""The careful path through one row: cell by cell, whatever the cuts, whatever the size."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.sql.tds.buffer import Reader, TruncatedError
from connectors.sql.tds.celledit import Treatment
from connectors.sql.tds.cells import read_cell
from connectors.sql.tds.longcell import LongCell, exceeds
from connectors.sql.tds.types import Layout, TypeInfo

_LONG = (Layout.PLP, Layout.TEXT)


class RowWalk:
    """One row (or output value) in progress. ``nulls`` has a bit for each cell that an NBCROW leaves out."""

    def __init__(self, cells: Sequence[Treatment], nulls: int = 0) -> None:
        self._cells = [cell for i, cell in enumerate(cells) if not nulls >> i & 1] if nulls else cells
        self._next = 0
        self._long: LongCell | None = None

    @property
    def done(self) -> bool:
        """Whether every cell has passed."""
        return self._next == len(self._cells)

    def feed(self, data: bytes, position: int, out: list[bytes | memoryview]) -> int:
        """Take as much of the row as there is; return where it stopped. Raises ProtocolError."""
        while not self.done:
            end = self._cell(data, position, out)
            if end is None:
                break
            position = end
        return position

    def _cell(self, data: bytes, position: int, out: list[bytes | memoryview]) -> int | None:
        """Take the next cell or a part of it; ``None`` if more bytes are needed for that."""
        cell = self._cells[self._next]
        if self._long is None and cell.info.layout in _LONG:
            plp = cell.info.layout is Layout.PLP
            if cell.edit is None or exceeds(data, position, plp=plp):
                self._long = LongCell(cell.info.layout, cell.sink() if cell.sink else None)
        if self._long is not None:
            return self._take_long(self._long, data, position, out)
        end = cell_end(data, position, cell.info)
        if end is None:
            return None
        out.append(cell.edit(data[position:end]) if cell.edit else memoryview(data)[position:end])
        self._next += 1
        return end

    def _take_long(self, long: LongCell, data: bytes, position: int, out: list[bytes | memoryview]) -> int | None:
        end = long.feed(data, position, out)
        if long.done:
            self._long = None
            self._next += 1
            return end
        return end if end > position else None


def cell_end(data: bytes, position: int, info: TypeInfo) -> int | None:
    """Where the cell that begins here ends; ``None`` if it is cut off. Raises ProtocolError if it is wrong."""
    reader = Reader(data, position)
    try:
        read_cell(reader, info)
    except TruncatedError:
        return None
    return reader.position
