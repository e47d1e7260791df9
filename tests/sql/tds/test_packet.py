from __future__ import annotations

import contextlib
import struct
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.packet import (
    DEFAULT_PACKET_SIZE,
    Fragment,
    Message,
    MessageReader,
    PacketType,
    PacketWriter,
    PayloadStream,
    Status,
    packetize,
)
from hoopcli.errors import ProtocolError

CLIENT_TYPES = sorted(PacketType)
payloads = st.binary(max_size=2000)
resets = st.sampled_from([Status.NORMAL, Status.RESET_CONNECTION, Status.RESET_CONNECTION_SKIP_TRAN])


def packet(kind: int, status: int, payload: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack(">BBHHBB", kind, status, len(payload) + 8 if length is None else length, 0, 1, 0) + payload


def read(data: bytes, **options: Any) -> list[Message | Fragment]:
    return list(MessageReader(**options).feed(data))


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(c % (len(data) + 1) for c in cuts)})
    return [data[a:b] for a, b in pairwise(edges)]


@given(st.sampled_from(CLIENT_TYPES), st.lists(payloads, max_size=5), st.integers(512, 32767), resets)
def test_round_trip(kind: PacketType, pieces: list[bytes], size: int, status: Status) -> None:
    wire = b"".join(packetize(kind, pieces, size, status))
    assert read(wire, packet_size=size) == [Message(kind, status, b"".join(pieces))]


@given(st.lists(st.tuples(st.sampled_from(CLIENT_TYPES), payloads), max_size=4), st.lists(st.integers(0, 20000)))
def test_any_cut_gives_the_same_messages(messages: list[tuple[PacketType, bytes]], cuts: list[int]) -> None:
    wire = b"".join(b"".join(packetize(kind, [payload], 512)) for kind, payload in messages)
    reader = MessageReader()
    events = [event for piece in cut(wire, cuts) for event in reader.feed(piece)]
    assert events == [Message(kind, Status.NORMAL, payload) for kind, payload in messages]
    assert reader.idle


@given(st.binary(max_size=300))
def test_garbage_raises_protocol_error_only(data: bytes) -> None:
    for reader in (MessageReader(), MessageReader(streamed=frozenset(PacketType))):
        try:
            list(reader.feed(data))
        except ProtocolError:
            with pytest.raises(ProtocolError):
                list(reader.feed(b"more"))
    with contextlib.suppress(ProtocolError):
        PayloadStream().feed(data)


@pytest.mark.parametrize(
    ("wire", "says"),
    [
        (b"GET / HTTP/1.1\r\n", "not a TDS packet"),
        (packet(0x02, 1), "not a TDS packet"),
        (packet(0x16, 3, b"client hello"), "not a TDS packet"),
        (packet(1, 1, length=0), "shorter than its header"),
        (packet(1, 1, length=7), "shorter than its header"),
        (packet(1, 1, length=4097), "4096 were agreed"),
        (packet(1, 1, length=65535), "4096 were agreed"),
        (packet(1, 0x18 | 1), "status 0x19"),
        (packet(1, 0x04 | 1), "status 0x05"),
        (packet(1, 0x02), "does not end its message"),
        (packet(1, 0, b"ab") + packet(3, 1, b"cd"), "type changed from 0x01 to 0x03"),
        (packet(1, 0, b"ab") + packet(6, 1), "type changed from 0x01 to 0x06"),
    ],
)
def test_refused(wire: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        read(wire)


def test_a_lying_length_is_refused_before_its_payload_is_read() -> None:
    reader = MessageReader()
    with pytest.raises(ProtocolError, match="agreed"):
        list(reader.feed(struct.pack(">BBHHBB", 1, 1, 60000, 0, 1, 0)))


def test_the_limit_counts_all_packets_and_cannot_be_stepped_over() -> None:
    reader = MessageReader(limit=100)
    wire = packet(1, 0, b"x" * 90) + packet(1, 0, b"y" * 11) + packet(1, 1, b"z")
    with pytest.raises(ProtocolError, match="longer than 100 bytes"):
        list(reader.feed(wire))
    with pytest.raises(ProtocolError, match="longer than 100 bytes"):
        list(reader.feed(packet(1, 1, b"z")))
    assert read(packet(1, 0, b"x" * 90) + packet(1, 1, b"y" * 10), limit=100)


def test_an_ignored_message_carries_nothing() -> None:
    wire = packet(1, 8, b"drop table t") + packet(1, 3, b"rest") + packet(6, 1)
    assert read(wire) == [
        Message(PacketType.SQL_BATCH, Status.RESET_CONNECTION, b"", ignored=True),
        Message(PacketType.ATTENTION, Status.NORMAL, b""),
    ]


def test_empty_packets_are_part_of_their_message() -> None:
    wire = packet(1, 0) + packet(1, 0, b"ab") + packet(1, 0) + packet(1, 1)
    assert read(wire) == [Message(PacketType.SQL_BATCH, Status.NORMAL, b"ab")]


def test_a_reset_counts_only_in_the_first_packet() -> None:
    assert read(packet(1, 0, b"ab") + packet(1, 9, b"cd")) == [Message(PacketType.SQL_BATCH, Status.NORMAL, b"abcd")]


def test_streamed_types_come_packet_by_packet_whatever_their_size() -> None:
    wire = packet(7, 8, b"ab") + packet(7, 0, b"cd") + packet(7, 1, b"e") + packet(7, 0, b"f") + packet(7, 3, b"g")
    bulk = PacketType.BULK_LOAD
    assert read(wire, limit=1, streamed=frozenset({bulk})) == [
        Fragment(bulk, Status.RESET_CONNECTION, b"ab", last=False),
        Fragment(bulk, Status.RESET_CONNECTION, b"cd", last=False),
        Fragment(bulk, Status.RESET_CONNECTION, b"e", last=True),
        Fragment(bulk, Status.NORMAL, b"f", last=False),
        Fragment(bulk, Status.NORMAL, b"", last=True, ignored=True),
    ]


def test_what_follows_a_message_can_be_taken_back_untouched() -> None:
    tls = bytes.fromhex("16030100a5") + b"hello"
    reader = MessageReader()
    events = reader.feed(packet(0x12, 1, b"prelogin") + tls)
    assert next(events) == Message(PacketType.PRELOGIN, Status.NORMAL, b"prelogin")
    assert not reader.idle
    assert reader.rest() == tls
    assert reader.idle
    assert list(events) == []


def test_the_packet_size_follows_the_login() -> None:
    reader = MessageReader()
    big = packet(1, 1, b"x" * 8000)
    with pytest.raises(ProtocolError, match="agreed"):
        list(reader.feed(big))
    reader.packet_size = 8192
    assert len(list(reader.feed(b""))) == 1


@given(st.lists(st.binary(max_size=3000), min_size=1, max_size=3), st.lists(st.integers(0, 20000)))
def test_payload_stream_loses_and_adds_nothing_at_any_cut(messages: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(b"".join(packetize(PacketType.TABULAR_RESULT, [m], 512)) for m in messages)
    stream, seen = PayloadStream(), [b""]
    for piece in cut(wire, cuts):
        for payload, eom in stream.feed(piece):
            seen[-1] += payload
            if eom:
                seen.append(b"")
    assert seen == [*messages, b""]


@pytest.mark.parametrize("wire", [packet(1, 1), packet(4, 1, length=7), b"HTTP/1.1 400"])
def test_payload_stream_refuses(wire: bytes) -> None:
    with pytest.raises(ProtocolError, match="the server sent a packet"):
        PayloadStream().feed(wire)


def test_payload_stream_of_another_type() -> None:
    assert PayloadStream(PacketType.PRELOGIN).feed(packet(0x12, 1, b"tls")) == [(memoryview(b"tls"), True)]


@given(st.lists(payloads, max_size=6), st.integers(512, 1500))
def test_writer_in_pieces_equals_whole(pieces: list[bytes], size: int) -> None:
    writer = PacketWriter(PacketType.TABULAR_RESULT, size)
    wire = b"".join([buffer for piece in pieces for buffer in writer.write(piece)] + writer.finish())
    assert wire == b"".join(packetize(PacketType.TABULAR_RESULT, pieces, size))
    assert read(wire, packet_size=size) == [Message(PacketType.TABULAR_RESULT, Status.NORMAL, b"".join(pieces))]


def test_writer_fills_packets_numbers_them_and_marks_the_last() -> None:
    writer = PacketWriter(PacketType.SQL_BATCH, 512, Status.RESET_CONNECTION, first_packet_id=255, spid=77)
    wire = b"".join(writer.write(b"x" * 504, b"y" * 504) + writer.write(b"z" * 10) + writer.finish())
    headers = [struct.unpack_from(">BBHHBB", wire, at) for at in (0, 512, 1024)]
    assert headers == [(1, 8, 512, 77, 255, 0), (1, 0, 512, 77, 0, 0), (1, 1, 18, 77, 1, 0)]


def test_writer_ends_an_exact_fill_without_an_empty_packet() -> None:
    assert len(packetize(PacketType.SQL_BATCH, [b"x" * 504], 512)) == 1
    assert packetize(PacketType.ATTENTION, []) == [packet(6, 1)]


def test_writer_flushes_a_short_packet_once() -> None:
    writer = PacketWriter(PacketType.TABULAR_RESULT)
    assert writer.flush() == []
    writer.write(b"row")
    assert writer.flush() == [packet(4, 0, b"row")]
    assert writer.flush() == []
    assert writer.finish()[0][:2] == b"\x04\x01"


@pytest.mark.parametrize("size", [0, 511, 32768])
def test_writer_refuses_sizes_outside_the_protocol(size: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        PacketWriter(PacketType.SQL_BATCH, size)


def test_default_size() -> None:
    assert DEFAULT_PACKET_SIZE == 4096
