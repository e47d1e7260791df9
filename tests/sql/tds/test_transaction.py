from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.headers import AUTOCOMMIT, write_headers
from connectors.sql.tds.transaction import (
    Begin,
    Isolation,
    TransactionRequest,
    TransactionType,
    decode_transaction,
    encode_transaction,
)
from hoopcli.errors import ProtocolError

HEADERS = write_headers(AUTOCOMMIT)
T = TransactionType
names = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=32)
begins = st.builds(Begin, st.sampled_from(Isolation), names)
requests = st.one_of(
    st.builds(TransactionRequest, st.sampled_from([T.GET_DTC_ADDRESS, T.PROPAGATE]), cookie=st.binary(max_size=50)),
    st.builds(TransactionRequest, st.just(T.BEGIN), begin=begins),
    st.builds(TransactionRequest, st.just(T.PROMOTE)),
    st.builds(TransactionRequest, st.sampled_from([T.COMMIT, T.ROLLBACK]), names, st.none() | begins),
    st.builds(TransactionRequest, st.just(T.SAVE), names),
)


def raw(number: int, body: bytes = b"") -> bytes:
    return HEADERS + struct.pack("<H", number) + body


@given(requests)
def test_round_trip(request_: TransactionRequest) -> None:
    assert decode_transaction(encode_transaction(request_)) == request_


@given(st.integers(0, 10), st.binary(max_size=20))
def test_garbage_raises_protocol_error_only(number: int, body: bytes) -> None:
    try:
        decode_transaction(raw(number, body))
    except ProtocolError:
        return


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (raw(5, b"\x00\x00"), TransactionRequest(T.BEGIN, begin=Begin())),
        (raw(5, b"\x02\x02a\0"), TransactionRequest(T.BEGIN, begin=Begin(Isolation.READ_COMMITTED, "a"))),
        (raw(7, b"\x00\x00"), TransactionRequest(T.COMMIT)),
        (raw(8, b"\x00\x01\x04\x00"), TransactionRequest(T.ROLLBACK, begin=Begin(Isolation.SERIALIZABLE))),
    ],
)
def test_what_drivers_send(body: bytes, expected: TransactionRequest) -> None:
    assert decode_transaction(body) == expected


def test_a_begin_without_details_is_encoded_with_the_defaults() -> None:
    assert encode_transaction(TransactionRequest(T.BEGIN)) == raw(5, b"\x00\x00")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        HEADERS,
        raw(2),
        raw(10),
        raw(0xFFFF),
        raw(5),
        raw(5, b"\x06\x00"),
        raw(5, b"\x00\x01a"),
        raw(5, b"\x00\xff"),
        raw(6, b"\x00"),
        raw(7, b"\x00\x02"),
        raw(7, b"\x00\x00\x02\x00"),
        raw(7, b"\x00\x01"),
        raw(9, b"\x02a\0SELECT"),
        raw(1, b"\xff\xff"),
    ],
)
def test_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_transaction(payload)
