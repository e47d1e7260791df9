"""The rows of one result on their way through the masks, whole runs at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from connectors.sql.tds.celledit import Tally, Treatment, add, detect_in_cells, mask_cells
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.masks import CellMask, Plan
from connectors.sql.tds.rowscan import WIDEST, Scan, row_rewriter, row_scanner


class RowEditor:
    """What happens to the rows of one result.

    Masked columns are rewritten in every row. Columns that only detectors look at are left alone as long as the bytes
    around the rewritten cells, taken together, are above suspicion; a column in which a cell was not is *hot*, and
    rewritten from then on. ``masked`` collects what was masked, by mask id.
    """

    def __init__(self, columns: Sequence[Column], masks: Sequence[CellMask | None], plan: Plan, masked: Tally) -> None:
        self._types = [column.type for column in columns]
        self._plan = plan
        self._masked = masked
        self._tally: Tally = {}
        self._hot = {i for i, mask in enumerate(masks) if mask is not None}
        self.cells = [self._treat(i, mask) for i, mask in enumerate(masks)]
        self._hot &= self._edited
        self._scan: Scan | None = None
        self.scannable = len(columns) <= WIDEST

    def _treat(self, index: int, mask: CellMask | None) -> Treatment:
        info = self._types[index]
        if mask is not None:
            return mask_cells(info, mask, self._tally)
        if self._plan.detects:
            return detect_in_cells(info, self._plan, self._tally, partial(self._hot.add, index))
        return Treatment(info)

    @property
    def _edited(self) -> set[int]:
        return {i for i, cell in enumerate(self.cells) if cell.edit is not None}

    def scan(self, data: bytes, position: int, limit: int) -> tuple[int, int]:
        """How far whole rows reach, and how many; none if the result is too wide for that."""
        if not self.scannable:
            return position, 0
        if self._scan is None:
            self._scan = row_scanner(self._types)
        return self._scan(data, position, limit)

    def settle(self) -> None:
        """Count what edits of single cells masked as delivered."""
        add(self._masked, self._tally)
        self._tally.clear()

    def rows(self, data: bytes, start: int, end: int) -> bytes | memoryview:
        """A run of whole rows as it may be delivered."""
        cold = self._edited - self._hot
        pieces = self._rewrite(data, start, end, self._hot)
        if cold and self._plan.suspect(b"".join(pieces[::2])):
            self._tally.clear()
            pieces = self._rewrite(data, start, end, self._hot | cold)
        self.settle()
        return memoryview(data)[start:end] if len(pieces) == 1 else b"".join(pieces)

    def _rewrite(self, data: bytes, start: int, end: int, columns: set[int]) -> list[bytes]:
        if not columns:
            return [data[start:end] if self._plan.detects else b""]
        pieces: list[bytes] = []
        rewrite = row_rewriter(self._types, frozenset(columns))
        rewrite(data, start, end, pieces.append, *(self.cells[i].edit for i in sorted(columns)))
        return pieces
