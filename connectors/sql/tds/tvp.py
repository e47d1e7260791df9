"""Table-valued parameters ([MS-TDS] 2.2.5.5.5): a table type, its columns and rows, inside an RPC request."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntFlag

from connectors.sql.tds.buffer import Reader, b_varchar
from connectors.sql.tds.types import Layout, TypeInfo, read_type_info, write_type_info
from connectors.sql.tds.values import Value, decode, encode, encode_value, read_value
from hoopcli.errors import ProtocolError

TVP_TYPE = 0xF3
_NULL = 0xFFFF
_END, _ROW, _ORDER_UNIQUE, _COLUMN_ORDERING = 0x00, 0x01, 0x10, 0x11
_MAX_COLUMNS = 1024
_NULL_TEXT = 0xFFFFFFFF
_U16, _U32 = struct.Struct("<H"), struct.Struct("<I")
_COLUMN, _ORDER = struct.Struct("<IH"), struct.Struct("<HB")


class ColumnFlags(IntFlag):
    """The flags of a column that matter here."""

    NONE = 0x0000
    NULLABLE = 0x0001
    DEFAULT = 0x0200


@dataclass(frozen=True, slots=True)
class TableType:
    """The name of a table type."""

    database: str = ""
    schema: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column; rows leave out the values of columns flagged DEFAULT."""

    name: str
    info: TypeInfo
    flags: ColumnFlags = ColumnFlags.NONE
    user_type: int = 0

    @property
    def sent(self) -> bool:
        """Whether rows have a value for it."""
        return not self.flags & ColumnFlags.DEFAULT


@dataclass(frozen=True, slots=True)
class TableValue:
    """The table. Each row has the values of the columns that are sent.

    ``order_unique`` are (column, flags), ``column_ordering`` columns, both counted from 1.
    """

    columns: tuple[TableColumn, ...]
    rows: tuple[tuple[Value, ...], ...] = ()
    order_unique: tuple[tuple[int, int], ...] = ()
    column_ordering: tuple[int, ...] = ()


def read_table(reader: Reader, spend: Callable[[int], None]) -> tuple[TableType, TableValue | None]:
    """Read TVP_TYPE_INFO after its type byte, with the rows. Raises ProtocolError.

    ``spend`` is told how many values come, before they are read.
    """
    kind = TableType(reader.b_varchar(), reader.b_varchar(), reader.b_varchar())
    count = reader.u16()
    columns = () if count == _NULL else _read_columns(reader, count, spend)
    order_unique, column_ordering = _read_orders(reader)
    rows = _read_rows(reader, [column.info for column in columns if column.sent], spend)
    if count != _NULL:
        return kind, TableValue(columns, rows, order_unique, column_ordering)
    if rows:
        raise ProtocolError("a table-valued parameter without columns has rows")
    return kind, None


def _read_columns(reader: Reader, count: int, spend: Callable[[int], None]) -> tuple[TableColumn, ...]:
    if not 1 <= count <= _MAX_COLUMNS:
        raise ProtocolError(f"a table-valued parameter cannot have {count} columns")
    spend(count)
    return tuple(_read_column(reader) for _ in range(count))


def _read_column(reader: Reader) -> TableColumn:
    user_type, flags = reader.u32(), ColumnFlags(reader.u16())
    info = read_type_info(reader, parameter=True)
    return TableColumn(reader.b_varchar(), info, flags, user_type)


def _read_orders(reader: Reader) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    order_unique: tuple[tuple[int, int], ...] = ()
    column_ordering: tuple[int, ...] = ()
    while (token := reader.u8()) != _END:
        if token == _ORDER_UNIQUE and not order_unique:
            order_unique = tuple((reader.u16(), reader.u8()) for _ in range(reader.u16()))
        elif token == _COLUMN_ORDERING and not column_ordering:
            column_ordering = tuple(reader.u16() for _ in range(reader.u16()))
        else:
            raise ProtocolError(f"a table-valued parameter has 0x{token:02x} where its metadata should end")
    return order_unique, column_ordering


def _read_rows(reader: Reader, infos: list[TypeInfo], spend: Callable[[int], None]) -> tuple[tuple[Value, ...], ...]:
    rows = []
    while (token := reader.u8()) != _END:
        if token != _ROW:
            raise ProtocolError(f"a table-valued parameter has 0x{token:02x} where a row should begin")
        spend(1 + len(infos))
        rows.append(tuple(read_parameter(reader, info) for info in infos))
    return tuple(rows)


def read_parameter(reader: Reader, info: TypeInfo) -> Value:
    """Read a value as parameters have it: text, ntext and image without a text pointer ([MS-TDS] 2.2.7.24)."""
    if info.layout is not Layout.TEXT:
        return read_value(reader, info)
    size = reader.u32()
    return None if size == _NULL_TEXT else decode(info, reader.bytes(size))


def encode_parameter(info: TypeInfo, value: Value) -> bytes:
    """The opposite of ``read_parameter``."""
    if info.layout is not Layout.TEXT:
        return encode_value(info, value)
    if value is None:
        return _U32.pack(_NULL_TEXT)
    raw = encode(info, value)
    return _U32.pack(len(raw)) + raw


def encode_table(kind: TableType, table: TableValue | None) -> bytes:
    """Encode TVP_TYPE_INFO with its type byte and the rows."""
    names = bytes([TVP_TYPE]) + b_varchar(kind.database) + b_varchar(kind.schema) + b_varchar(kind.name)
    if table is None:
        return names + _U16.pack(_NULL) + bytes([_END, _END])
    columns = b"".join(map(_encode_column, table.columns))
    infos = [column.info for column in table.columns if column.sent]
    rows = (bytes([_ROW]) + b"".join(map(encode_parameter, infos, row)) for row in table.rows)
    metadata = names + _U16.pack(len(table.columns)) + columns + _encode_orders(table) + bytes([_END])
    return metadata + b"".join(rows) + bytes([_END])


def _encode_column(column: TableColumn) -> bytes:
    info = write_type_info(column.info, parameter=True)
    return _COLUMN.pack(column.user_type, column.flags) + info + b_varchar(column.name)


def _encode_orders(table: TableValue) -> bytes:
    encoded = b""
    if table.order_unique:
        encoded += bytes([_ORDER_UNIQUE]) + _U16.pack(len(table.order_unique))
        encoded += b"".join(_ORDER.pack(*order) for order in table.order_unique)
    if table.column_ordering:
        encoded += bytes([_COLUMN_ORDERING]) + _U16.pack(len(table.column_ordering))
        encoded += b"".join(map(_U16.pack, table.column_ordering))
    return encoded
