from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.headers import AUTOCOMMIT, Headers, TransactionDescriptor, write_headers
from connectors.sql.tds.packet import MessageReader, PacketType
from connectors.sql.tds.request import (
    Attention,
    Begin,
    BulkLoad,
    ProcId,
    Request,
    RpcCall,
    RpcRequest,
    SqlBatch,
    TransactionRequest,
    TransactionType,
    decode_request,
    encode_request,
)
from hoopcli.errors import ProtocolError

requests = st.one_of(
    st.builds(SqlBatch, st.text(max_size=100)),
    st.just(RpcRequest((RpcCall(proc_id=ProcId.SP_UNPREPARE),))),
    st.just(TransactionRequest(TransactionType.BEGIN, begin=Begin())),
    st.builds(BulkLoad, st.binary(max_size=50)),
    st.just(Attention()),
)


@given(requests)
def test_round_trip(request_: Request) -> None:
    assert decode_request(*encode_request(request_)) == request_


@given(st.sampled_from(PacketType), st.binary(max_size=100))
def test_garbage_raises_protocol_error_only(kind: PacketType, data: bytes) -> None:
    for payload in (data, write_headers(AUTOCOMMIT) + data):
        try:
            decode_request(kind, payload)
        except ProtocolError:
            continue


def test_the_published_example() -> None:
    wire = bytes.fromhex(
        "01 01 00 5C 00 00 01 00 16 00 00 00 12 00 00 00 02 00 00 00 00 00 00 00 00 01 00 00 00 00 0A 00"
        "73 00 65 00 6C 00 65 00 63 00 74 00 20 00 27 00 66 00 6F 00 6F 00 27 00 20 00 61 00 73 00 20 00"
        "27 00 62 00 61 00 72 00 27 00 0A 00 20 00 20 00 20 00 20 00 20 00 20 00 20 00 20 00"
    )
    (message,) = MessageReader().feed(wire)
    expected = SqlBatch("\nselect 'foo' as 'bar'\n        ", Headers(TransactionDescriptor(2**56, 0)))
    assert decode_request(message.type, message.payload) == expected
    assert encode_request(expected) == (PacketType.SQL_BATCH, message.payload)


@pytest.mark.parametrize(
    ("kind", "payload", "says"),
    [
        (PacketType.SQL_BATCH, "SELECT 1".encode("utf-16-le"), "cut off"),
        (PacketType.SQL_BATCH, write_headers(AUTOCOMMIT) + b"S\0E", "not UTF-16"),
        (PacketType.SQL_BATCH, write_headers(AUTOCOMMIT) + b"\x00\xd8\x41\x00", "not UTF-16"),
        (PacketType.ATTENTION, b"x", "carries data"),
        (PacketType.LOGIN7, b"", "LOGIN7 message came"),
        (PacketType.TABULAR_RESULT, b"", "TABULAR_RESULT message came"),
        (PacketType.SSPI, b"", "SSPI message came"),
        (PacketType.PRELOGIN, b"", "PRELOGIN message came"),
    ],
)
def test_refused(kind: PacketType, payload: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        decode_request(kind, payload)


def test_a_bulk_load_does_not_show_its_rows() -> None:
    assert "4111" not in repr(BulkLoad(b"4111111111111111"))
