"""COLMETADATA and ALTMETADATA: what the columns of a result are ([MS-TDS] 2.2.7.4, 2.2.7.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntFlag

from connectors.sql.tds.buffer import Reader, b_varchar, us_varchar
from connectors.sql.tds.types import Layout, TypeInfo, read_type_info, write_type_info
from hoopcli.errors import ProtocolError

COLMETADATA = b"\x81"
ALTMETADATA = b"\x88"
_NO_METADATA = 0xFFFF


class ColumnFlag(IntFlag):
    """The flags of a column that matter here."""

    NULLABLE = 0x0001
    CASE_SENSITIVE = 0x0002
    UPDATABLE = 0x0004
    IDENTITY = 0x0010
    COMPUTED = 0x0020
    ENCRYPTED = 0x0800
    HIDDEN = 0x2000


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result. ``table`` holds the parts of the table's name, sent for text, ntext and image only."""

    name: str
    type: TypeInfo
    flags: int = ColumnFlag.NULLABLE
    user_type: int = 0
    table: tuple[str, ...] = ()

    @property
    def nullable(self) -> Column:
        """The same column in the form that can hold a NULL."""
        return replace(self, type=self.type.nullable, flags=self.flags | ColumnFlag.NULLABLE)


class ColumnsReader:
    """Reads a COLMETADATA that comes in pieces, each time from the column where it got stuck."""

    def __init__(self) -> None:
        self._columns: list[Column] = []
        self._count: int | None = None
        self._offset = 0

    def read(self, reader: Reader) -> tuple[Column, ...] | None:
        """Read on; ``reader`` always stands behind the token. ``None`` says that the columns are those already known.

        Raises TruncatedError: call again with more. Raises ProtocolError, also for encrypted columns, which hoop never
        negotiates.
        """
        start = reader.position
        reader.position += self._offset
        if self._count is None:
            self._count = reader.u16()
            self._offset = reader.position - start
        if self._count == _NO_METADATA:
            return None
        while len(self._columns) < self._count:
            self._columns.append(_read_column(reader))
            self._offset = reader.position - start
        return tuple(self._columns)


def read_columns(reader: Reader) -> tuple[Column, ...] | None:
    """Read a whole COLMETADATA after its token, as ``ColumnsReader``."""
    return ColumnsReader().read(reader)


def _read_column(reader: Reader) -> Column:
    user_type, flags, type_, table = _read_base(reader)
    return Column(reader.b_varchar(), type_, flags, user_type, table)


def _read_base(reader: Reader) -> tuple[int, int, TypeInfo, tuple[str, ...]]:
    user_type, flags = reader.u32(), reader.u16()
    if flags & ColumnFlag.ENCRYPTED:
        raise ProtocolError("the column is encrypted, which was not negotiated")
    type_ = read_type_info(reader)
    table = read_table_name(reader) if type_.layout is Layout.TEXT else ()
    return user_type, flags, type_, table


def read_table_name(reader: Reader) -> tuple[str, ...]:
    """Read a multi-part table name."""
    return tuple(reader.us_varchar() for _ in range(reader.u8()))


def write_table_name(parts: Sequence[str]) -> bytes:
    """Encode a multi-part table name."""
    return bytes((len(parts),)) + b"".join(us_varchar(part) for part in parts)


def write_columns(columns: Sequence[Column] | None) -> bytes:
    """Encode a whole COLMETADATA token; ``None`` for no metadata."""
    if columns is None:
        return COLMETADATA + _NO_METADATA.to_bytes(2, "little")
    body = b"".join(_write_base(column) + b_varchar(column.name) for column in columns)
    return COLMETADATA + len(columns).to_bytes(2, "little") + body


def _write_base(column: Column) -> bytes:
    head = column.user_type.to_bytes(4, "little") + column.flags.to_bytes(2, "little") + write_type_info(column.type)
    return head + write_table_name(column.table) if column.type.layout is Layout.TEXT else head


@dataclass(frozen=True, slots=True)
class AltColumn:
    """One total of a COMPUTE clause: ``operator`` over the column number ``operand`` (from 1)."""

    operator: int
    operand: int
    column: Column


@dataclass(frozen=True, slots=True)
class AltMetadata:
    """The columns of the ALTROWs with this id; ``by`` are the numbers of the grouping columns."""

    id: int
    by: tuple[int, ...]
    columns: tuple[AltColumn, ...]

    @classmethod
    def decode(cls, reader: Reader) -> AltMetadata:
        """Read an ALTMETADATA after its token."""
        count, id_ = reader.u16(), reader.u16()
        by = tuple(reader.u16() for _ in range(reader.u8()))
        return cls(id_, by, tuple(_read_alt(reader) for _ in range(count)))

    def encode(self) -> bytes:
        """The whole token."""
        head = len(self.columns).to_bytes(2, "little") + self.id.to_bytes(2, "little") + bytes((len(self.by),))
        by = b"".join(number.to_bytes(2, "little") for number in self.by)
        return ALTMETADATA + head + by + b"".join(_write_alt(alt) for alt in self.columns)


def _read_alt(reader: Reader) -> AltColumn:
    operator, operand = reader.u8(), reader.u16()
    return AltColumn(operator, operand, _read_column(reader))


def _write_alt(alt: AltColumn) -> bytes:
    head = bytes((alt.operator,)) + alt.operand.to_bytes(2, "little")
    return head + _write_base(alt.column) + b_varchar(alt.column.name)
