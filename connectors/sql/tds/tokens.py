"""The tokens of a response but for metadata and rows ([MS-TDS] 2.2.7), both ways.

Every class decodes itself from a Reader that stands after the token byte, and encodes itself with it.
Those that answer a login are in ``tokens_login``, ENVCHANGE in ``tokens_env``; ``tokenstream`` reads them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import ClassVar

from connectors.sql.tds.buffer import Reader, b_varchar, prefixed, us_varchar
from connectors.sql.tds.colmetadata import read_table_name, write_table_name
from connectors.sql.tds.types import TypeInfo, read_type_info, write_type_info
from hoopcli.errors import ProtocolError


class TokenType(IntEnum):
    """The first byte of every token."""

    OFFSET = 0x78
    RETURNSTATUS = 0x79
    COLMETADATA = 0x81
    ALTMETADATA = 0x88
    DATACLASSIFICATION = 0xA3
    TABNAME = 0xA4
    COLINFO = 0xA5
    ORDER = 0xA9
    ERROR = 0xAA
    INFO = 0xAB
    RETURNVALUE = 0xAC
    LOGINACK = 0xAD
    FEATUREEXTACK = 0xAE
    ROW = 0xD1
    NBCROW = 0xD2
    ALTROW = 0xD3
    ENVCHANGE = 0xE3
    SESSIONSTATE = 0xE4
    SSPI = 0xED
    FEDAUTHINFO = 0xEE
    DONE = 0xFD
    DONEPROC = 0xFE
    DONEINPROC = 0xFF


class DoneStatus(IntFlag):
    """Bits of a DONE's status (2.2.7.6)."""

    MORE = 0x0001
    ERROR = 0x0002
    INXACT = 0x0004
    COUNT = 0x0010
    ATTENTION = 0x0020
    RPC_IN_BATCH = 0x0080
    SERVER_ERROR = 0x0100


@dataclass(frozen=True, slots=True)
class Done:
    """DONE, DONEPROC or DONEINPROC; ``rows`` counts only with the COUNT bit."""

    status: int = 0
    command: int = 0
    rows: int = 0
    token: TokenType = TokenType.DONE

    @classmethod
    def decode(cls, reader: Reader, token: TokenType = TokenType.DONE) -> Done:
        """Read the twelve bytes after the token."""
        return cls(reader.u16(), reader.u16(), reader.u64(), token)

    def encode(self) -> bytes:
        """The whole token."""
        head = bytes((self.token,)) + self.status.to_bytes(2, "little") + self.command.to_bytes(2, "little")
        return head + self.rows.to_bytes(8, "little")


@dataclass(frozen=True, slots=True)
class ServerMessage:
    """ERROR or INFO (2.2.7.10, 2.2.7.13)."""

    number: int
    text: str
    severity: int = 16
    state: int = 1
    server: str = ""
    procedure: str = ""
    line: int = 1
    token: TokenType = TokenType.ERROR

    @classmethod
    def decode(cls, reader: Reader, token: TokenType = TokenType.ERROR) -> ServerMessage:
        """Read from the length on."""
        body = Reader(reader.us_varbyte())
        number, state, severity = body.i32(), body.u8(), body.u8()
        text, server, procedure, line = body.us_varchar(), body.b_varchar(), body.b_varchar(), body.u32()
        body.expect_end(token.name)
        return cls(number, text, severity, state, server, procedure, line, token)

    def encode(self) -> bytes:
        """The whole token. Raises ProtocolError if a text is too long for its length field."""
        head = self.number.to_bytes(4, "little", signed=True) + bytes((self.state, self.severity))
        names = us_varchar(self.text) + b_varchar(self.server) + b_varchar(self.procedure)
        return bytes((self.token,)) + prefixed(head + names + self.line.to_bytes(4, "little"), 2)


@dataclass(frozen=True, slots=True)
class ReturnStatus:
    """What a procedure returned (2.2.7.18)."""

    value: int

    @classmethod
    def decode(cls, reader: Reader) -> ReturnStatus:
        """Read the value."""
        return cls(reader.i32())

    def encode(self) -> bytes:
        """The whole token."""
        return bytes((TokenType.RETURNSTATUS,)) + self.value.to_bytes(4, "little", signed=True)


@dataclass(frozen=True, slots=True)
class ReturnValue:
    """An output parameter or the result of a function (2.2.7.19), without the value, which follows as in a row."""

    ordinal: int
    name: str
    type: TypeInfo
    status: int = 1
    user_type: int = 0
    flags: int = 0

    @classmethod
    def decode(cls, reader: Reader) -> ReturnValue:
        """Read up to the value."""
        ordinal, name, status = reader.u16(), reader.b_varchar(), reader.u8()
        user_type, flags = reader.u32(), reader.u16()
        if flags & 0x0800:
            raise ProtocolError("the output parameter is encrypted, which was not negotiated")
        return cls(ordinal, name, read_type_info(reader), status, user_type, flags)

    def encode(self) -> bytes:
        """The token up to the value."""
        head = bytes((TokenType.RETURNVALUE,)) + self.ordinal.to_bytes(2, "little") + b_varchar(self.name)
        flags = bytes((self.status,)) + self.user_type.to_bytes(4, "little") + self.flags.to_bytes(2, "little")
        return head + flags + write_type_info(self.type)


@dataclass(frozen=True, slots=True)
class Order:
    """The numbers of the columns that the result is ordered by (2.2.7.17)."""

    columns: tuple[int, ...]

    @classmethod
    def decode(cls, reader: Reader) -> Order:
        """Read from the length on."""
        raw = reader.us_varbyte()
        if len(raw) & 1:
            raise ProtocolError("ORDER has half a column number")
        return cls(tuple(int.from_bytes(raw[i : i + 2], "little") for i in range(0, len(raw), 2)))

    def encode(self) -> bytes:
        """The whole token."""
        return bytes((TokenType.ORDER,)) + prefixed(b"".join(n.to_bytes(2, "little") for n in self.columns), 2)


@dataclass(frozen=True, slots=True)
class Offset:
    """Where a keyword stands in the statement (2.2.7.16); long gone from servers."""

    identifier: int
    offset: int

    @classmethod
    def decode(cls, reader: Reader) -> Offset:
        """Read the two numbers."""
        return cls(reader.u16(), reader.u16())

    def encode(self) -> bytes:
        """The whole token."""
        return bytes((TokenType.OFFSET,)) + self.identifier.to_bytes(2, "little") + self.offset.to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class TabName:
    """The tables of a browse-mode result (2.2.7.24)."""

    tables: tuple[tuple[str, ...], ...]

    @classmethod
    def decode(cls, reader: Reader) -> TabName:
        """Read from the length on."""
        body, tables = Reader(reader.us_varbyte()), []
        while body.remaining:
            tables.append(read_table_name(body))
        return cls(tuple(tables))

    def encode(self) -> bytes:
        """The whole token."""
        return bytes((TokenType.TABNAME,)) + prefixed(b"".join(write_table_name(t) for t in self.tables), 2)


@dataclass(frozen=True, slots=True)
class BrowseColumn:
    """Where a column comes from; ``name`` is its name in the table if that differs."""

    DIFFERENT_NAME: ClassVar[int] = 0x20
    number: int
    table: int
    status: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class ColInfo:
    """The columns of a browse-mode result (2.2.7.3)."""

    columns: tuple[BrowseColumn, ...]

    @classmethod
    def decode(cls, reader: Reader) -> ColInfo:
        """Read from the length on."""
        body, columns = Reader(reader.us_varbyte()), []
        while body.remaining:
            number, table, status = body.u8(), body.u8(), body.u8()
            name = body.b_varchar() if status & BrowseColumn.DIFFERENT_NAME else ""
            columns.append(BrowseColumn(number, table, status, name))
        return cls(tuple(columns))

    def encode(self) -> bytes:
        """The whole token."""
        return bytes((TokenType.COLINFO,)) + prefixed(b"".join(_write_browse(c) for c in self.columns), 2)


def _write_browse(column: BrowseColumn) -> bytes:
    head = bytes((column.number, column.table, column.status))
    return head + b_varchar(column.name) if column.status & BrowseColumn.DIFFERENT_NAME else head


def done_decoder(token: TokenType) -> Callable[[Reader], Done]:
    """The decoder of DONE, DONEPROC or DONEINPROC."""
    return lambda reader: Done.decode(reader, token)


def message_decoder(token: TokenType) -> Callable[[Reader], ServerMessage]:
    """The decoder of ERROR or INFO."""
    return lambda reader: ServerMessage.decode(reader, token)
