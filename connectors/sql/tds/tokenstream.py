"""Reading a whole response, token by token, into values: for logins, replay, and the tests of everything else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from connectors.sql.tds.buffer import Reader
from connectors.sql.tds.colmetadata import AltMetadata, Column, read_columns
from connectors.sql.tds.features import CLASSIFICATION_VERSION
from connectors.sql.tds.tokens import (
    ColInfo,
    Done,
    Offset,
    Order,
    ReturnStatus,
    ReturnValue,
    ServerMessage,
    TabName,
    TokenType,
    done_decoder,
    message_decoder,
)
from connectors.sql.tds.tokens_env import EnvChange
from connectors.sql.tds.tokens_login import (
    DataClassification,
    FeatureExtAck,
    FedAuthInfo,
    LoginAck,
    SessionState,
    Sspi,
)
from connectors.sql.tds.values import Value, encode_value, read_value
from hoopcli.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class ColMetadata:
    """COLMETADATA; ``columns`` is ``None`` where the server says that they are known."""

    columns: tuple[Column, ...] | None


@dataclass(frozen=True, slots=True)
class Row:
    """ROW, NBCROW or ALTROW (then with the id of its metadata)."""

    values: tuple[Value, ...]
    alt: int | None = None


@dataclass(frozen=True, slots=True)
class OutputValue:
    """RETURNVALUE with its value."""

    header: ReturnValue
    value: Value


Token: TypeAlias = (
    ColMetadata
    | AltMetadata
    | Row
    | OutputValue
    | Done
    | ServerMessage
    | ReturnStatus
    | Order
    | Offset
    | TabName
    | ColInfo
    | EnvChange
    | LoginAck
    | FeatureExtAck
    | FedAuthInfo
    | Sspi
    | SessionState
    | DataClassification
)

#: The tokens whose reading needs no memory of the ones before.
PLAIN: Mapping[int, Callable[[Reader], Token]] = {
    TokenType.ALTMETADATA: AltMetadata.decode,
    TokenType.OFFSET: Offset.decode,
    TokenType.RETURNSTATUS: ReturnStatus.decode,
    TokenType.TABNAME: TabName.decode,
    TokenType.COLINFO: ColInfo.decode,
    TokenType.ORDER: Order.decode,
    TokenType.ERROR: message_decoder(TokenType.ERROR),
    TokenType.INFO: message_decoder(TokenType.INFO),
    TokenType.LOGINACK: LoginAck.decode,
    TokenType.FEATUREEXTACK: FeatureExtAck.decode,
    TokenType.ENVCHANGE: EnvChange.decode,
    TokenType.SESSIONSTATE: SessionState.decode,
    TokenType.SSPI: Sspi.decode,
    TokenType.FEDAUTHINFO: FedAuthInfo.decode,
    TokenType.DONE: done_decoder(TokenType.DONE),
    TokenType.DONEPROC: done_decoder(TokenType.DONEPROC),
    TokenType.DONEINPROC: done_decoder(TokenType.DONEINPROC),
}


def read_tokens(payload: bytes, classification: int = CLASSIFICATION_VERSION) -> Iterator[Token]:
    """Read a response from its start. Raises TruncatedError where it is cut off, ProtocolError where it is wrong.

    ``classification`` is the version of DATACLASSIFICATION that the login agreed on.
    """
    reader = Reader(payload)
    columns: tuple[Column, ...] | None = None
    totals: dict[int, list[Column]] = {}
    while reader.remaining:
        token = reader.u8()
        if token == TokenType.COLMETADATA:
            metadata = ColMetadata(read_columns(reader))
            columns = columns if metadata.columns is None else metadata.columns
            yield metadata
        elif token in (TokenType.ROW, TokenType.NBCROW):
            yield Row(_read_row(reader, columns, compressed=token == TokenType.NBCROW))
        elif token == TokenType.ALTROW:
            id_ = reader.u16()
            yield Row(_read_row(reader, totals.get(id_), compressed=False), id_)
        elif token == TokenType.RETURNVALUE:
            header = ReturnValue.decode(reader)
            yield OutputValue(header, read_value(reader, header.type))
        elif token == TokenType.DATACLASSIFICATION:
            yield DataClassification.decode(reader, classification)
        else:
            plain = _read_plain(reader, token)
            if isinstance(plain, AltMetadata):
                totals[plain.id] = [alt.column for alt in plain.columns]
            yield plain


def _read_plain(reader: Reader, token: int) -> Token:
    decoder = PLAIN.get(token)
    if decoder is None:
        raise ProtocolError(f"unknown token 0x{token:02X}")
    return decoder(reader)


def _read_row(reader: Reader, columns: Sequence[Column] | None, *, compressed: bool) -> tuple[Value, ...]:
    if columns is None:
        raise ProtocolError("a row without metadata")
    nulls = int.from_bytes(reader.bytes((len(columns) + 7) // 8), "little") if compressed else 0
    return tuple(None if nulls >> i & 1 else read_value(reader, column.type) for i, column in enumerate(columns))


def write_row(columns: Sequence[Column], values: Sequence[Value]) -> bytes:
    """Encode a ROW."""
    return b"\xd1" + b"".join(encode_value(c.type, v) for c, v in zip(columns, values, strict=True))


def write_nbcrow(columns: Sequence[Column], values: Sequence[Value]) -> bytes:
    """Encode an NBCROW: the NULLs are bits, and take no room in the row (2.2.7.15)."""
    nulls = sum(1 << i for i, value in enumerate(values) if value is None)
    cells = (encode_value(c.type, v) for c, v in zip(columns, values, strict=True) if v is not None)
    return b"\xd2" + nulls.to_bytes((len(columns) + 7) // 8, "little") + b"".join(cells)
