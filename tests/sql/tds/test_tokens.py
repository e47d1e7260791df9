from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.buffer import Reader, TruncatedError
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import (
    AltColumn,
    AltMetadata,
    Column,
    ColumnFlag,
    ColumnsReader,
    read_columns,
    write_columns,
)
from connectors.sql.tds.tokens import (
    BrowseColumn,
    ColInfo,
    Done,
    DoneStatus,
    Offset,
    Order,
    ReturnStatus,
    ReturnValue,
    ServerMessage,
    TabName,
    TokenType,
)
from connectors.sql.tds.tokens_env import EnvChange, EnvType, Routing
from connectors.sql.tds.tokens_login import (
    DataClassification,
    FeatureExtAck,
    FedAuthInfo,
    LoginAck,
    Sensitivity,
    SessionState,
    Sspi,
)
from connectors.sql.tds.tokenstream import ColMetadata, OutputValue, Row, read_tokens, write_nbcrow, write_row
from connectors.sql.tds.types import TypeId, TypeInfo
from connectors.sql.tds.values import encode_value
from hoopcli.errors import ProtocolError
from tests.sql.tds.value_support import ALL, typed_values

T = TypeId
INT = Column("id", TypeInfo(T.INT4, 4), flags=0)
NAME = Column("name", TypeInfo(T.NVARCHAR, 40, collation=LATIN1))
NOTE = Column("note", TypeInfo(T.NTEXT, 16, collation=LATIN1), table=("shop", "dbo", "orders"))

TOKENS = [
    Done(DoneStatus.COUNT | DoneStatus.MORE, 0xC1, 1 << 40),
    Done(token=TokenType.DONEPROC),
    Done(DoneStatus.ATTENTION, token=TokenType.DONEINPROC),
    ServerMessage(-208, "Invalid object name", 16, 1, "srv", "proc", 7),
    ServerMessage(5701, "Changed database context", 0, token=TokenType.INFO),
    ReturnStatus(-6),
    Order((1, 300)),
    Offset(7, 9),
    TabName((("shop", "dbo", "t"), ("u",))),
    ColInfo((BrowseColumn(1, 1, 8), BrowseColumn(2, 1, BrowseColumn.DIFFERENT_NAME, "real"))),
    *(EnvChange(kind, "new", "old") for kind in (EnvType.DATABASE, EnvType.LANGUAGE, EnvType.MIRRORING_PARTNER)),
    EnvChange(EnvType.PACKET_SIZE, "4096", "8000"),
    EnvChange(EnvType.COLLATION, LATIN1.raw, b""),
    EnvChange(EnvType.BEGIN_TRANSACTION, b"12345678", b""),
    EnvChange(EnvType.COMMIT_TRANSACTION, b"", b"12345678"),
    EnvChange(EnvType.ROLLBACK_TRANSACTION, b"", b"12345678"),
    EnvChange(EnvType.PROMOTE_TRANSACTION, b"x" * 300, b""),
    EnvChange(EnvType.RESET_ACK),
    EnvChange(EnvType.ROUTING, Routing("db7.example.org", 11007), b""),
    LoginAck("Microsoft SQL Server", (16, 0, 16, 9)),
    FeatureExtAck(((4, b"\x01"), (10, b"x" * 300))),
    FeatureExtAck(()),
    FedAuthInfo("https://login.example.org/", "https://database.example.org/"),
    Sspi(b"blob"),
    SessionState(3, 1, ((1, b"short"), (2, b"l" * 300))),
    DataClassification(
        (("Confidential", "1"), ("Public", "2")),
        (("Financial", "a"),),
        ((Sensitivity(0, 0, 20), Sensitivity(None, 0, -1)), ()),
        rank=20,
    ),
    ColMetadata((INT, NAME, NOTE)),
    ColMetadata(None),
    AltMetadata(3, (1,), (AltColumn(0x4D, 1, INT), AltColumn(0x4F, 3, NOTE))),
]


def encoded(token):
    return write_columns(token.columns) if isinstance(token, ColMetadata) else token.encode()


@pytest.mark.parametrize("token", TOKENS, ids=lambda t: f"{type(t).__name__}")
def test_round_trip_and_cuts(token):
    raw = encoded(token)
    assert list(read_tokens(raw)) == [token]
    for cut in range(1, len(raw)):
        with pytest.raises(TruncatedError):
            list(read_tokens(raw[:cut]))


def test_one_after_another():
    assert list(read_tokens(b"".join(encoded(token) for token in TOKENS))) == TOKENS


@given(st.sampled_from(TOKENS), st.data())
def test_garbage(token, data):
    raw = bytearray(encoded(token))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        list(read_tokens(bytes(raw)))


@given(st.binary(max_size=80))
def test_noise(raw):
    with suppress(ProtocolError):
        list(read_tokens(raw))


def test_classification_without_ranks():
    token = DataClassification((("Confidential", "1"),), (), ((Sensitivity(0, None),),))
    raw = token.encode()
    assert DataClassification.decode(Reader(raw, 1), version=1) == token


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\x00", "unknown token 0x00"),
        (b"\xd1\x01", "a row without metadata"),
        (b"\xd3\x01\x00", "a row without metadata"),
        (b"\xe3\x02\x00\x63\x00", "unknown environment change 99"),
        (b"\xe3\x04\x00\x12\x00\x00\x00", "left over after ENVCHANGE"),
        (b"\xa9\x01\x00\x01", "half a column number"),
        (b"\xee\x0d\x00\x00\x00" + b"\x01\x00\x00\x00" + b"\x01" + b"\x09\x00\x00\x00" * 2, "outside itself"),
        (b"\xa3\x00\x00\x00\x00" + b"\x00" * 4 + b"\x01\x00\x01\x00\x05\x00\x00\x00", "refers to entry 5 of 0"),
        (b"\x81\x01\x00" + b"\x00" * 4 + b"\x00\x08\x38\x00", "encrypted"),
        (b"\xac\x00\x00\x00\x01" + b"\x00" * 4 + b"\x00\x08\x38", "encrypted"),
    ],
)
def test_refused(raw, why):
    with pytest.raises(ProtocolError, match=why):
        list(read_tokens(raw))


def test_a_message_too_long_for_its_length():
    with pytest.raises(ProtocolError, match="too long"):
        ServerMessage(1, "x" * 40_000).encode()


@pytest.mark.parametrize("write", [write_row, write_nbcrow])
@given(pairs=st.lists(typed_values(), min_size=1, max_size=12))
def test_rows_of_every_type(write, pairs):
    columns = tuple(Column(f"c{i}", info) for i, (info, _) in enumerate(pairs))
    values = tuple(value for _, value in pairs)
    payload = write_columns(columns) + write(columns, values)
    assert list(read_tokens(payload)) == [ColMetadata(columns), Row(values)]


@given(typed_values())
def test_output_values_of_every_type(pair):
    info, value = pair
    header = ReturnValue(1, "@out", info)
    assert list(read_tokens(header.encode() + encode_value(info, value))) == [OutputValue(header, value)]


def test_rows_of_totals():
    metadata = AltMetadata(3, (), (AltColumn(0x4D, 1, INT),))
    payload = write_columns((INT,)) + metadata.encode() + b"\xd3\x03\x00\x2a\x00\x00\x00"
    assert list(read_tokens(payload))[-1] == Row((42,), 3)


def test_columns_are_read_on_from_where_they_got_stuck():
    columns = tuple(Column(f"column {i}", info) for i, (info, _) in enumerate(ALL))
    raw = write_columns(columns)
    reader = ColumnsReader()
    for cut in range(1, len(raw)):
        with pytest.raises(TruncatedError):
            reader.read(Reader(raw[:cut], 1))
    assert reader.read(Reader(raw, 1)) == columns == read_columns(Reader(raw, 1))


def test_a_column_made_nullable():
    assert INT.nullable == Column("id", TypeInfo(T.INTN, 4), flags=ColumnFlag.NULLABLE)
    assert NAME.nullable == NAME
