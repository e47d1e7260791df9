from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.buffer import Reader
from connectors.sql.tds.headers import (
    AUTOCOMMIT,
    Headers,
    QueryNotification,
    TraceActivity,
    TransactionDescriptor,
    read_headers,
    write_headers,
)
from hoopcli.errors import ProtocolError

u32 = st.integers(0, 0xFFFFFFFF)
text = st.text(max_size=20)
all_headers = st.builds(
    Headers,
    st.none() | st.builds(TransactionDescriptor, st.integers(0, 2**64 - 1), u32),
    st.none() | st.builds(QueryNotification, text, text, st.none() | u32),
    st.none() | st.builds(TraceActivity, st.binary(min_size=16, max_size=16), u32),
)

TRANSACTION = struct.pack("<IHQI", 18, 2, 0, 1)


def block(*headers: bytes, total: int | None = None) -> bytes:
    body = b"".join(headers)
    return struct.pack("<I", len(body) + 4 if total is None else total) + body


@given(all_headers)
def test_round_trip(headers: Headers) -> None:
    reader = Reader(write_headers(headers) + b"body")
    assert read_headers(reader) == headers
    assert reader.rest() == b"body"


@given(st.binary(max_size=100))
def test_garbage_raises_protocol_error_only(data: bytes) -> None:
    try:
        read_headers(Reader(data))
    except ProtocolError:
        return


def test_the_published_example() -> None:
    wire = bytes.fromhex("16 00 00 00 12 00 00 00 02 00 00 00 00 00 00 00 00 01 00 00 00 00")
    headers = Headers(TransactionDescriptor(0x0100000000000000, 0))
    assert read_headers(Reader(wire)) == headers
    assert write_headers(headers) == wire


def test_autocommit_is_what_drivers_send() -> None:
    assert write_headers(AUTOCOMMIT) == block(TRANSACTION)


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        block(total=0),
        block(total=3),
        block(total=5),
        block(total=0xFFFFFFFF),
        block(TRANSACTION, total=21),
        block(TRANSACTION, total=23) + b"x",
        block(TRANSACTION, TRANSACTION),
        block(struct.pack("<IHQI", 17, 2, 0, 1)),
        block(struct.pack("<IHQIB", 19, 2, 0, 1, 0)),
        block(struct.pack("<IH", 6, 2)),
        block(struct.pack("<IH", 6, 4)),
        block(struct.pack("<IH", 5, 2)),
        block(struct.pack("<IH", 0, 2)),
        block(struct.pack("<IH", 0xFFFFFFFF, 2)),
        block(struct.pack("<IHHH", 10, 1, 0xFFFF, 0)),
        block(struct.pack("<IHHBH", 11, 1, 1, 65, 0)),
    ],
)
def test_refused(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_headers(Reader(wire))
