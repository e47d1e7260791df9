"""The rows of one result on their way through the masks, whole runs at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial

from connectors.sql.tds.celledit import Tally, Treatment, add, detect_in_cells, mask_cells
from connectors.sql.tds.collation import DOUBLE_BYTE
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.masks import CellMask, Plan
from connectors.sql.tds.rowscan import WIDEST, Scan, row_rewriter, row_scanner
from connectors.sql.tds.types import TypeId, TypeInfo


class RowEditor:
    """What happens to the rows of one result.

    Masked columns are rewritten in every row. A column that only detectors look at is left alone as long as its bytes,
    or those of the whole run of rows, are above suspicion; while they find something in it, it is *hot*, and rewritten
    without asking. ``masked`` collects what was masked, by mask id.
    """

    def __init__(self, columns: Sequence[Column], masks: Sequence[CellMask | None], plan: Plan, masked: Tally) -> None:
        self.scannable = len(columns) <= WIDEST
        self._types = [column.type for column in columns]
        self._plan = plan
        self._masked = masked
        self._tally: Tally = {}
        self._found: set[int] = set()
        self.cells = [self._treat(i, mask) for i, mask in enumerate(masks)]
        self._edited = {i for i, cell in enumerate(self.cells) if cell.edit is not None}
        self._always = {i for i in self._edited if masks[i] is not None or not _screened(self._types[i])}
        self._hot = set(self._always)
        self._scan: Scan | None = None

    def _treat(self, index: int, mask: CellMask | None) -> Treatment:
        info = self._types[index]
        if mask is not None:
            return mask_cells(info, mask, self._tally)
        if self._plan.detects:
            return detect_in_cells(info, self._plan, self._tally, partial(self._found.add, index))
        return Treatment(info)

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
        if not self._edited:
            return memoryview(data)[start:end]
        self._found.clear()
        pieces = self._rewrite(data, start, end, self._hot)
        if suspects := self._suspects(data, start, end, pieces):
            self._tally.clear()
            pieces = self._rewrite(data, start, end, self._hot | suspects)
        self._hot = self._always | self._found
        self.settle()
        return b"".join(pieces)

    def _rewrite(self, data: bytes, start: int, end: int, columns: set[int]) -> list[bytes]:
        """The run in pieces, which alternate between what stays and the edited cells of these columns."""
        if not columns:
            return [data[start:end]]
        pieces: list[bytes] = []
        rewrite = row_rewriter(self._types, frozenset(columns))
        rewrite(data, start, end, pieces.append, *(self.cells[i].edit for i in sorted(columns)))
        return pieces

    def _suspects(self, data: bytes, start: int, end: int, pieces: list[bytes]) -> set[int]:
        """The columns not rewritten yet in which detectors may find something."""
        cold = self._edited - self._hot
        if not cold or not self._plan.suspect(b"".join(pieces[::2])):
            return set()
        cells: dict[int, list[bytes]] = {i: [] for i in sorted(cold)}
        discard = deque[bytes](maxlen=0).append
        gather = row_rewriter(self._types, frozenset(cold))
        gather(data, start, end, discard, *(column.append for column in cells.values()))
        return {i for i, column in cells.items() if self._plan.suspect(b"".join(column))}


def _screened(info: TypeInfo) -> bool:
    """Whether suspicion is a test for values of this type: not in double-byte code pages, nor where they may lie."""
    return info.id is not TypeId.SSVARIANT and info.codec not in DOUBLE_BYTE
