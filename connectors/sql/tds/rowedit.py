"""The rows of one result on their way through the masks, whole runs at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

from connectors.sql.tds.celledit import Tally, Treatment, add, detect_in_cells, mask_cells
from connectors.sql.tds.collation import DOUBLE_BYTE
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.masks import CellMask, Plan
from connectors.sql.tds.rowscan import WIDEST, Scan, row_gatherer, row_scanner
from connectors.sql.tds.types import TypeId, TypeInfo


@dataclass(frozen=True, slots=True)
class _Run:
    """Whole rows, with some cells apart: ``between`` holds the bytes before each of them, row by row, and the rest."""

    end: int
    rows: int
    between: list[bytes | memoryview]
    cells: dict[int, list[bytes]]


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

    def take(self, data: bytes, start: int, limit: int) -> tuple[int, int, bytes | memoryview]:
        """A run of whole rows, of so many at most: where it ends, how many they are, and as it may be delivered."""
        run = self._gather(data, start, limit, self._hot)
        if not run.rows:
            return start, 0, b""
        if suspects := self._suspects(data, start, run):
            run = self._gather(data, start, run.rows, self._hot | suspects)
        self._found.clear()
        delivered = self._edit(run)
        self._hot = self._always | self._found
        self.settle()
        return run.end, run.rows, delivered

    def _gather(self, data: bytes, start: int, limit: int, columns: set[int]) -> _Run:
        """A run of whole rows, with the cells of these columns apart."""
        if not columns:
            end, rows = self.scan(data, start, limit)
            return _Run(end, rows, [memoryview(data)[start:end]], {})
        between: list[bytes | memoryview] = []
        cells: dict[int, list[bytes]] = {i: [] for i in sorted(columns)}
        gather = row_gatherer(self._types, frozenset(columns))
        end, rows = gather(data, start, limit, between, *cells.values())
        return _Run(end, rows, between, cells)

    def _edit(self, run: _Run) -> bytes | memoryview:
        """The run with its cells edited."""
        if not run.cells:
            return run.between[0]
        count = len(run.cells)
        parts: list[Sequence[bytes | memoryview]] = []
        for at, (column, cells) in enumerate(run.cells.items()):
            parts += [run.between[at:-1:count], self.cells[column].many(cells)]
        return b"".join(chain(chain.from_iterable(zip(*parts, strict=True)), run.between[-1:]))

    def _suspects(self, data: bytes, start: int, run: _Run) -> set[int]:
        """The columns not gathered yet in which detectors may find something."""
        cold = self._edited - self._hot
        if not cold or not self._plan.suspect(b"".join(run.between)):
            return set()
        cells = self._gather(data, start, run.rows, cold).cells
        return {i for i, column in cells.items() if self._plan.suspect(b"".join(column))}


def _screened(info: TypeInfo) -> bool:
    """Whether suspicion is a test for values of this type: not in double-byte code pages, nor where they may lie."""
    return info.id is not TypeId.SSVARIANT and info.codec not in DOUBLE_BYTE
