"""What a client asks for after its login: one decoder for every kind of request, and its opposite.

Strict: a request is decoded to its last byte or refused, so that nothing undecoded is ever forwarded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from connectors.sql.tds.buffer import Reader, encode_ucs2
from connectors.sql.tds.headers import AUTOCOMMIT, Headers, read_headers, write_headers
from connectors.sql.tds.packet import PacketType
from connectors.sql.tds.procedures import ProcId
from connectors.sql.tds.rpc import (
    Parameter,
    ParameterFlags,
    RpcCall,
    RpcOptions,
    RpcRequest,
    Separator,
    decode_rpc,
    encode_rpc,
)
from connectors.sql.tds.transaction import (
    Begin,
    Isolation,
    TransactionRequest,
    TransactionType,
    decode_transaction,
    encode_transaction,
)
from connectors.sql.tds.tvp import ColumnFlags, TableColumn, TableType, TableValue
from hoopcli.errors import ProtocolError

__all__ = [
    "Attention",
    "Begin",
    "BulkLoad",
    "ColumnFlags",
    "Isolation",
    "Parameter",
    "ParameterFlags",
    "ProcId",
    "Request",
    "RpcCall",
    "RpcOptions",
    "RpcRequest",
    "Separator",
    "SqlBatch",
    "TableColumn",
    "TableType",
    "TableValue",
    "TransactionRequest",
    "TransactionType",
    "decode_request",
    "encode_request",
]


@dataclass(frozen=True, slots=True)
class SqlBatch:
    """A batch of T-SQL ([MS-TDS] 2.2.6.7)."""

    text: str
    headers: Headers = AUTOCOMMIT


@dataclass(frozen=True, slots=True)
class BulkLoad:
    """Rows for an INSERT BULK that was sent before: COLMETADATA, ROW and DONE tokens ([MS-TDS] 2.2.6.1)."""

    tokens: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Attention:
    """Cancel what runs ([MS-TDS] 2.2.1.7)."""


Request: TypeAlias = SqlBatch | RpcRequest | TransactionRequest | BulkLoad | Attention


def decode_request(packet_type: PacketType, payload: bytes) -> Request:
    """Decode the payload of a request. Raises ProtocolError, also for messages that are no requests."""
    match packet_type:
        case PacketType.SQL_BATCH:
            return _decode_batch(payload)
        case PacketType.RPC:
            return decode_rpc(payload)
        case PacketType.TRANSACTION_MANAGER:
            return decode_transaction(payload)
        case PacketType.BULK_LOAD:
            return BulkLoad(payload)
        case PacketType.ATTENTION if not payload:
            return Attention()
        case PacketType.ATTENTION:
            raise ProtocolError("an attention carries data")
        case _:
            raise ProtocolError(f"a {packet_type.name} message came where a request was expected")


def _decode_batch(payload: bytes) -> SqlBatch:
    reader = Reader(payload)
    headers = read_headers(reader)
    try:
        return SqlBatch(reader.rest().decode("utf-16-le"), headers)
    except UnicodeDecodeError:
        raise ProtocolError("the text of a batch is not UTF-16") from None


def encode_request(request: Request) -> tuple[PacketType, bytes]:
    """Encode a request: the type of its packets, and its payload."""
    match request:
        case SqlBatch(text=text, headers=headers):
            return PacketType.SQL_BATCH, write_headers(headers) + encode_ucs2(text)
        case RpcRequest():
            return PacketType.RPC, encode_rpc(request)
        case TransactionRequest():
            return PacketType.TRANSACTION_MANAGER, encode_transaction(request)
        case BulkLoad(tokens=tokens):
            return PacketType.BULK_LOAD, tokens
        case Attention():
            return PacketType.ATTENTION, b""
