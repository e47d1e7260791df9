"""The rows and output values of a response: masked, limited and counted, whole runs where possible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connectors.sql.tds.celledit import Tally, Treatment, add
from connectors.sql.tds.colmetadata import AltMetadata, Column
from connectors.sql.tds.masks import CellMask, Plan
from connectors.sql.tds.rowedit import RowEditor
from connectors.sql.tds.rowwalk import RowWalk
from connectors.sql.tds.tokens import ReturnValue, TokenType
from connectors.sql.tds.tokens_login import Labels
from hoopcli.errors import ProtocolError

_UNLIMITED = 1 << 62
_FEW = 8  # rows walked one by one before it pays to make a scanner
_LONGEST_NAME = 128  # of an identifier of SQL Server
_PATIENCE = 16_384  # bytes of an incomplete row to gather before it is walked cell by cell

Out = list[bytes | memoryview]


class RowFilter:
    """The state of the current result. ``delivered`` counts rows of all results, ``dropped`` those past the limit."""

    def __init__(self, plan: Plan, limit: int | None, masked: Tally) -> None:
        self.delivered = 0
        self.dropped = 0
        self.received = 0  # rows of the current result
        self._plan = plan
        self._limit = _UNLIMITED if limit is None else limit
        self._masked = masked
        self._editor: RowEditor | None = None
        self._masks: Sequence[CellMask | None] = ()
        self._totals: dict[int, RowEditor] = {}
        self._walk: RowWalk | None = None
        self._walked: RowEditor | None = None
        self._walk_drops = False

    @property
    def busy(self) -> bool:
        """Whether a row or value is only partly through."""
        return self._walk is not None

    @property
    def full(self) -> bool:
        """Whether no further row may be delivered."""
        return self.delivered >= self._limit

    def begin(self, columns: Sequence[Column], labels: Sequence[Labels] = ()) -> tuple[Column, ...]:
        """A result begins; return its columns as they are to be told to the client. Raises BlockedError."""
        self._masks = self._plan.columns(columns, labels)
        self._editor = RowEditor(columns, self._masks, self._plan, self._masked)
        return tuple(self._named(column) for column in _told(columns, self._editor))

    def _named(self, column: Column) -> Column:
        """A name can carry a value too: a pivot's columns are named by values."""
        name, counts = self._plan.text(column.name) if self._plan.detects else (column.name, {})
        if not counts:
            return column
        add(self._masked, counts)
        return replace(column, name=name[:_LONGEST_NAME])

    def totals(self, metadata: AltMetadata) -> AltMetadata:
        """Totals are announced; each is masked as the column that it sums up."""
        operands = [alt.operand for alt in metadata.columns]
        if not all(1 <= operand <= len(self._masks) for operand in operands):
            raise ProtocolError("a total over a column that does not exist")
        columns = [alt.column for alt in metadata.columns]
        editor = RowEditor(columns, [self._masks[operand - 1] for operand in operands], self._plan, self._masked)
        self._totals[metadata.id] = editor
        told = zip(metadata.columns, _told(columns, editor), strict=True)
        return replace(metadata, columns=tuple(replace(alt, column=column) for alt, column in told))

    def end(self) -> None:
        """The result has ended; rows need new metadata."""
        self._editor = None
        self._totals = {}
        self._masks = ()
        self.received = 0

    def take(self, data: bytes, position: int, out: Out) -> int:
        """Take what is there of the row that begins here, and the rows after it; return where it stopped."""
        if data[position] == TokenType.ALTROW:
            return self._take_total(data, position, out)
        if self._editor is None:
            raise ProtocolError("a row without metadata")
        if self.received >= _FEW:
            end = self._take_run(self._editor, data, position, out)
            if end > position or (self._editor.scannable and len(data) - position < _PATIENCE):
                return end
        return self._start_walk(self._editor, data, position, out)

    def _take_run(self, editor: RowEditor, data: bytes, position: int, out: Out) -> int:
        if self.full:
            end, rows = editor.scan(data, position, _UNLIMITED)
        else:
            end, rows, delivered = editor.take(data, position, self._limit - self.delivered)
            if rows:
                out.append(delivered)
        self._count(rows)
        return end

    def _start_walk(self, editor: RowEditor, data: bytes, position: int, out: Out) -> int:
        """Take the token and an NBCROW's bitmap."""
        size = 1 + ((len(editor.cells) + 7) // 8 if data[position] == TokenType.NBCROW else 0)
        if len(data) - position < size:
            return position
        header = data[position : position + size]
        self._begin_walk(editor, header, int.from_bytes(header[1:], "little"), out)
        return position + size

    def _take_total(self, data: bytes, position: int, out: Out) -> int:
        if len(data) - position < 3:
            return position
        header = data[position : position + 3]
        editor = self._totals.get(int.from_bytes(header[1:], "little"))
        if editor is None:
            raise ProtocolError("a row of totals without metadata")
        self._begin_walk(editor, header, 0, out)
        return position + 3

    def _begin_walk(self, editor: RowEditor, header: bytes, nulls: int, out: Out) -> None:
        self._walk_drops = self.full
        cells = [Treatment(cell.info) for cell in editor.cells] if self._walk_drops else editor.cells
        self._walk = RowWalk(cells, nulls)
        self._walked = editor
        self._count(1)
        if not self._walk_drops:
            out.append(header)

    def _count(self, rows: int) -> None:
        self.received += rows
        if self.full:
            self.dropped += rows
        else:
            self.delivered += rows

    def begin_value(self, header: ReturnValue, out: Out) -> CellMask | None:
        """An output value begins, its bytes follow; return its mask."""
        mask = self._plan.return_value(header.name)
        column = Column(header.name, header.type, header.flags)
        editor = RowEditor([column], [mask], self._plan, self._masked)
        (told,) = _told([column], editor)
        out.append(replace(header, type=told.type, flags=told.flags).encode())
        self._walk = RowWalk(editor.cells)
        self._walked = editor
        self._walk_drops = False
        return mask

    def resume(self, data: bytes, position: int, out: Out) -> int:
        """Take more of the row or value in progress; return where it stopped."""
        assert self._walk is not None
        assert self._walked is not None
        position = self._walk.feed(data, position, [] if self._walk_drops else out)
        self._walked.settle()
        if self._walk.done:
            self._walk = self._walked = None
        return position


def _told(columns: Sequence[Column], editor: RowEditor) -> tuple[Column, ...]:
    cells = zip(columns, editor.cells, strict=True)
    return tuple(column.nullable if cell.nullable else column for column, cell in cells)
