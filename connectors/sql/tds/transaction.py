"""Transaction manager requests ([MS-TDS] 2.2.6.9)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from connectors.sql.tds.buffer import Reader, b_varbyte, decode_ucs2, encode_ucs2, us_varbyte
from connectors.sql.tds.headers import AUTOCOMMIT, Headers, read_headers, write_headers
from hoopcli.errors import ProtocolError

_U16 = struct.Struct("<H")
_BEGINS = 0x01  # fBeginXact


class TransactionType(IntEnum):
    """What is asked of the transaction manager."""

    GET_DTC_ADDRESS = 0
    PROPAGATE = 1
    BEGIN = 5
    PROMOTE = 6
    COMMIT = 7
    ROLLBACK = 8
    SAVE = 9


class Isolation(IntEnum):
    """The isolation level of a new transaction; CURRENT keeps the session's."""

    CURRENT = 0
    READ_UNCOMMITTED = 1
    READ_COMMITTED = 2
    REPEATABLE_READ = 3
    SERIALIZABLE = 4
    SNAPSHOT = 5


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction to begin."""

    isolation: Isolation = Isolation.CURRENT
    name: str = ""


@dataclass(frozen=True, slots=True)
class TransactionRequest:
    """One request. ``name`` is the transaction or savepoint that it ends, returns to or sets.

    ``begin`` is the transaction it begins, for COMMIT and ROLLBACK the one after; ``cookie`` is what PROPAGATE imports.
    """

    type: TransactionType
    name: str = ""
    begin: Begin | None = None
    cookie: bytes = b""
    headers: Headers = AUTOCOMMIT


def decode_transaction(payload: bytes) -> TransactionRequest:
    """Decode the payload of a transaction manager request. Raises ProtocolError."""
    reader = Reader(payload)
    headers, number = read_headers(reader), reader.u16()
    match number:
        case TransactionType.GET_DTC_ADDRESS | TransactionType.PROPAGATE:
            request = TransactionRequest(TransactionType(number), cookie=reader.us_varbyte(), headers=headers)
        case TransactionType.BEGIN:
            request = TransactionRequest(TransactionType.BEGIN, begin=_read_begin(reader), headers=headers)
        case TransactionType.PROMOTE:
            request = TransactionRequest(TransactionType.PROMOTE, headers=headers)
        case TransactionType.COMMIT | TransactionType.ROLLBACK:
            name, begin = _read_name(reader), _read_next(reader)
            request = TransactionRequest(TransactionType(number), name, begin, headers=headers)
        case TransactionType.SAVE:
            request = TransactionRequest(TransactionType.SAVE, _read_name(reader), headers=headers)
        case _:
            raise ProtocolError(f"there is no transaction manager request {number}")
    reader.expect_end("the transaction manager request")
    return request


def _read_name(reader: Reader) -> str:
    return decode_ucs2(reader.b_varbyte())


def _read_begin(reader: Reader) -> Begin:
    level = reader.u8()
    if level > Isolation.SNAPSHOT:
        raise ProtocolError(f"there is no isolation level {level}")
    return Begin(Isolation(level), _read_name(reader))


def _read_next(reader: Reader) -> Begin | None:
    flags = reader.u8()
    if flags & ~_BEGINS:
        raise ProtocolError(f"a transaction manager request has the flags 0x{flags:02x}")
    return _read_begin(reader) if flags else None


def encode_transaction(request: TransactionRequest) -> bytes:
    """Encode the payload of a transaction manager request."""
    return write_headers(request.headers) + _U16.pack(request.type) + _encode_body(request)


def _encode_body(request: TransactionRequest) -> bytes:
    match request.type:
        case TransactionType.GET_DTC_ADDRESS | TransactionType.PROPAGATE:
            return us_varbyte(request.cookie)
        case TransactionType.BEGIN:
            return _encode_begin(request.begin or Begin())
        case TransactionType.PROMOTE:
            return b""
        case TransactionType.SAVE:
            return _encode_name(request.name)
        case TransactionType.COMMIT | TransactionType.ROLLBACK:
            after = b"\0" if request.begin is None else bytes([_BEGINS]) + _encode_begin(request.begin)
            return _encode_name(request.name) + after


def _encode_begin(begin: Begin) -> bytes:
    return bytes([begin.isolation]) + _encode_name(begin.name)


def _encode_name(name: str) -> bytes:
    return b_varbyte(encode_ucs2(name))
