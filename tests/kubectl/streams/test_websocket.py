from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.streams.events import Closed, Reply, Side
from connectors.kubectl.streams.websocket import Piece, WebSocket
from hoopcli.errors import ProtocolError
from tests.kubectl.streams.cuts import CUTS, feed_all


def frame(opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True, rsv: int = 0) -> bytes:
    """A frame of a client as bytes, right or wrong."""
    head = bytes((fin << 7 | rsv << 4 | opcode, mask << 7 | len(payload)))
    return head + (b"\0\0\0\0" if mask else b"") + payload


def messages(events: list[Piece | Reply | Closed]) -> list[bytes]:
    found, message = [], b""
    for event in events:
        if isinstance(event, Piece):
            message += event.data
            if event.last:
                found.append(message)
                message = b""
    return found


@given(st.lists(st.binary(max_size=300) | st.just(b"x" * 70_000), max_size=5), CUTS, st.sampled_from(Side))
def test_messages_arrive_however_they_are_cut(sent: list[bytes], cuts: list[int], side: Side) -> None:
    sender = WebSocket(side)
    receiver = WebSocket(Side.SERVER if side is Side.CLIENT else Side.CLIENT)
    assert messages(feed_all(receiver.feed, b"".join(map(sender.send, sent)), cuts)) == sent


@given(st.binary(max_size=200), CUTS, st.sampled_from(Side))
def test_garbage_raises_protocol_error_only(data: bytes, cuts: list[int], side: Side) -> None:
    socket = WebSocket(side)
    try:
        feed_all(socket.feed, data, cuts)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            list(socket.feed(b""))


def test_a_fragmented_message_with_a_ping_inside() -> None:
    socket = WebSocket(Side.SERVER)
    data = frame(2, b"he", fin=False) + frame(9, b"are you there?") + frame(0, b"llo")
    pieces = list(socket.feed(data))
    assert messages(pieces) == [b"hello"]
    replies = [event.data for event in pieces if isinstance(event, Reply)]
    assert replies == [frame(10, b"are you there?", mask=False)]


def test_text_comes_as_its_utf8_even_when_cut_in_a_character() -> None:
    socket = WebSocket(Side.SERVER)
    whole = frame(1, "\u00e9t\u00e9".encode())
    assert messages(feed_all(socket.feed, whole, range(len(whole)))) == ["\u00e9t\u00e9".encode()]


def test_a_pong_is_dropped_and_our_ping_is_answered() -> None:
    client, server = WebSocket(Side.CLIENT), WebSocket(Side.SERVER)
    (reply,) = server.feed(client.ping())
    assert isinstance(reply, Reply)
    assert list(client.feed(reply.data)) == []


def test_the_close_handshake_from_the_other_end() -> None:
    socket = WebSocket(Side.SERVER)
    reply, closed = socket.feed(frame(8, struct.pack(">H", 1001) + b"bye") + frame(2, b"late"))
    assert reply == Reply(frame(8, struct.pack(">H", 1001), mask=False))
    assert closed == Closed(1001, "bye")
    assert socket.closed
    assert list(socket.feed(frame(2, b"later"))) == []
    assert socket.send(b"x") == socket.ping() == socket.close() == b""


def test_the_close_handshake_from_our_end() -> None:
    client, server = WebSocket(Side.CLIENT), WebSocket(Side.SERVER)
    reply, closed = client.feed(server.close(1008, "ended " + "\u00e9" * 100))
    assert isinstance(closed, Closed)
    assert closed.code == 1008
    assert closed.reason.startswith("ended \u00e9")
    assert isinstance(reply, Reply)
    assert list(server.feed(frame(9, b""))) == [], "no pong after our close"
    assert [type(event) for event in server.feed(reply.data)] == [Closed]


def test_a_close_without_a_code_is_answered() -> None:
    reply, closed = WebSocket(Side.SERVER).feed(frame(8, b""))
    assert isinstance(reply, Reply)
    assert closed == Closed(1005)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(frame(2, b"a", mask=False), id="not masked"),
        pytest.param(frame(2, b"a", rsv=4), id="an extension's bit"),
        pytest.param(frame(3, b"a"), id="a reserved opcode"),
        pytest.param(frame(9, b"a", fin=False), id="a fragmented ping"),
        pytest.param(bytes((0x89, 0xFE, 0, 126)), id="a long ping"),
        pytest.param(frame(0, b"a"), id="a continuation of nothing"),
        pytest.param(frame(2, b"a", fin=False) + frame(2, b"b"), id="a message within a message"),
        pytest.param(frame(1, b"\xff"), id="text that is not UTF-8"),
        pytest.param(frame(8, b"\x03"), id="half a close code"),
        pytest.param(frame(8, struct.pack(">H", 1005)), id="a close code that is never sent"),
        pytest.param(frame(8, struct.pack(">H", 999)), id="a close code out of range"),
        pytest.param(bytes((0x82, 0xFE, 0, 5)), id="a length in more bytes than it needs"),
        pytest.param(bytes((0x82, 0xFF)) + b"\xff" * 8, id="a length of 2^64"),
    ],
)
def test_what_the_rfc_forbids_is_refused_for_ever(wrong: bytes) -> None:
    socket = WebSocket(Side.SERVER)
    for _ in range(2):
        with pytest.raises(ProtocolError):
            list(socket.feed(wrong))


def test_a_masked_frame_of_a_server_is_refused() -> None:
    with pytest.raises(ProtocolError):
        list(WebSocket(Side.CLIENT).feed(frame(2, b"a")))
