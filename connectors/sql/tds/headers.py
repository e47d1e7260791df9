"""ALL_HEADERS ([MS-TDS] 2.2.5.3): what precedes the body of a batch, an RPC or a transaction request."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum

from connectors.sql.tds.buffer import Reader, decode_ucs2, encode_ucs2, us_varbyte
from hoopcli.errors import ProtocolError

_U32 = struct.Struct("<I")
_HEADER = struct.Struct("<IH")
_TRANSACTION = struct.Struct("<QI")


class HeaderType(IntEnum):
    """The headers there are."""

    QUERY_NOTIFICATIONS = 1
    TRANSACTION_DESCRIPTOR = 2
    TRACE_ACTIVITY = 3


@dataclass(frozen=True, slots=True)
class QueryNotification:
    """A wish to be told when the result changes; ``timeout`` in milliseconds ([MS-TDS] 2.2.5.3.1)."""

    notify_id: str
    deployment: str
    timeout: int | None = None


@dataclass(frozen=True, slots=True)
class TransactionDescriptor:
    """Which transaction the request belongs to, 0 for none ([MS-TDS] 2.2.5.3.2)."""

    descriptor: int = 0
    outstanding: int = 1


@dataclass(frozen=True, slots=True)
class TraceActivity:
    """The client's activity: a GUID of 16 bytes and a sequence number ([MS-TDS] 2.2.5.3.3)."""

    activity_id: bytes
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Headers:
    """The headers of one request, each at most once."""

    transaction: TransactionDescriptor | None = None
    notification: QueryNotification | None = None
    trace: TraceActivity | None = None


#: What a request outside a transaction carries.
AUTOCOMMIT = Headers(TransactionDescriptor())


def read_headers(reader: Reader) -> Headers:
    """Read ALL_HEADERS. Raises ProtocolError on unknown or repeated headers and on lengths that do not agree."""
    total = reader.u32()
    if total < 4:
        raise ProtocolError(f"ALL_HEADERS says it is {total} bytes long")
    block = Reader(reader.bytes(total - 4))
    headers = Headers()
    while block.remaining:
        headers = _with_next(headers, block)
    return headers


def _with_next(headers: Headers, block: Reader) -> Headers:
    length = block.u32()
    if length < 6:
        raise ProtocolError(f"a request header says it is {length} bytes long")
    body = Reader(block.bytes(length - 4))
    kind = body.u16()
    match kind:
        case HeaderType.TRANSACTION_DESCRIPTOR if headers.transaction is None:
            headers = replace(headers, transaction=TransactionDescriptor(body.u64(), body.u32()))
        case HeaderType.QUERY_NOTIFICATIONS if headers.notification is None:
            headers = replace(headers, notification=_read_notification(body))
        case HeaderType.TRACE_ACTIVITY if headers.trace is None:
            headers = replace(headers, trace=TraceActivity(body.bytes(16), body.u32()))
        case _:
            raise ProtocolError(f"a request header of type {kind} is unknown or comes twice")
    body.expect_end("a request header")
    return headers


def _read_notification(body: Reader) -> QueryNotification:
    notify_id, deployment = decode_ucs2(body.us_varbyte()), decode_ucs2(body.us_varbyte())
    return QueryNotification(notify_id, deployment, body.u32() if body.remaining else None)


def write_headers(headers: Headers) -> bytes:
    """Encode ALL_HEADERS."""
    block = b""
    if headers.notification is not None:
        wish = headers.notification
        timeout = b"" if wish.timeout is None else _U32.pack(wish.timeout)
        texts = us_varbyte(encode_ucs2(wish.notify_id)) + us_varbyte(encode_ucs2(wish.deployment))
        block += _header(HeaderType.QUERY_NOTIFICATIONS, texts + timeout)
    if headers.transaction is not None:
        body = _TRANSACTION.pack(headers.transaction.descriptor, headers.transaction.outstanding)
        block += _header(HeaderType.TRANSACTION_DESCRIPTOR, body)
    if headers.trace is not None:
        block += _header(HeaderType.TRACE_ACTIVITY, headers.trace.activity_id + _U32.pack(headers.trace.sequence))
    return _U32.pack(len(block) + 4) + block


def _header(kind: HeaderType, body: bytes) -> bytes:
    return _HEADER.pack(len(body) + _HEADER.size, kind) + body
