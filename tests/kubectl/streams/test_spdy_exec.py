from __future__ import annotations

import pytest

from connectors.kubectl.streams.events import Aborted, Channel, Closed, Data, HalfClosed, Opened, Reply, Side
from connectors.kubectl.streams.spdy import (
    DataFrame,
    Frame,
    FrameReader,
    FrameWriter,
    GoAway,
    Ping,
    RstStream,
    SynReply,
    SynStream,
)
from connectors.kubectl.streams.spdy_exec import SpdyExecCodec
from hoopcli.errors import ProtocolError
from tests.kubectl.streams.exec_events import pair, spdy


def wire(*frames: Frame) -> bytes:
    writer = FrameWriter()
    return b"".join(map(writer.encode, frames))


def stream(number: int, kind: str, *, fin: bool = False) -> SynStream:
    return SynStream(number, {"streamtype": kind}, fin)


def test_streams_are_accepted_at_once() -> None:
    codec = SpdyExecCodec(Side.SERVER)
    events = list(codec.feed(wire(stream(1, "error", fin=True), stream(3, "stdin"))))
    assert [event for event in events if not isinstance(event, Reply)] == [
        Opened(Channel.ERROR),
        HalfClosed(Channel.ERROR),
        Opened(Channel.STDIN),
    ]
    replies = b"".join(event.data for event in events if isinstance(event, Reply))
    assert list(FrameReader().feed(replies)) == [SynReply(1), SynReply(3)]


def test_a_client_hears_the_replies_of_its_server() -> None:
    client = SpdyExecCodec(Side.CLIENT)
    opened = client.send(Opened(Channel.ERROR)) + client.send(Opened(Channel.STDIN))
    assert [frame.stream for frame in FrameReader().feed(opened) if isinstance(frame, SynStream)] == [1, 3]
    assert list(client.feed(wire(SynReply(1), SynReply(3)))) == []


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([stream(1, "stdin"), stream(3, "stdin")], id="a channel twice"),
        pytest.param([stream(1, "data")], id="an unknown type"),
        pytest.param([SynStream(1, {})], id="no type"),
        pytest.param([stream(2, "stdin")], id="an even number"),
        pytest.param([stream(3, "stdin"), stream(1, "stdout")], id="a smaller number"),
        pytest.param([SynReply(1)], id="a reply from a client"),
        pytest.param([DataFrame(1, b"x")], id="data before the stream"),
        pytest.param([stream(1, "stdin", fin=True), DataFrame(1, b"x")], id="data after the end"),
        pytest.param([RstStream(1)], id="a reset before the stream"),
    ],
)
def test_a_client_that_breaks_the_rules_is_refused(frames: list[Frame]) -> None:
    with pytest.raises(ProtocolError):
        list(SpdyExecCodec(Side.SERVER).feed(wire(*frames)))


@pytest.mark.parametrize("frame", [stream(2, "stdin"), SynReply(9)])
def test_a_server_that_breaks_the_rules_is_refused(frame: Frame) -> None:
    with pytest.raises(ProtocolError):
        list(SpdyExecCodec(Side.CLIENT).feed(wire(frame)))


def test_pings_of_the_peer_are_answered_and_answers_dropped() -> None:
    server, client = SpdyExecCodec(Side.SERVER), SpdyExecCodec(Side.CLIENT)
    assert list(server.feed(wire(Ping(1)))) == [Reply(wire(Ping(1)))]
    assert list(client.feed(wire(Ping(2)))) == [Reply(wire(Ping(2)))]
    assert list(server.feed(wire(Ping(2)))) == []


def test_a_reset_is_told_once_and_ends_what_is_written() -> None:
    client, server = pair(spdy)
    assert list(server.feed(client.send(Aborted(Channel.STDOUT)) * 2)) == [Aborted(Channel.STDOUT)]
    assert server.send(Data(Channel.STDOUT, b"x")) == b""
    assert list(client.feed(wire(DataFrame(3, b"crossed the reset")))) == []


def test_going_away_is_said_once() -> None:
    client, server = pair(spdy)
    assert list(server.feed(client.send(Closed()))) == [Closed()]
    assert client.send(Closed()) == b""
    assert list(FrameReader().feed(server.send(Closed()))) == [GoAway(9)]
    assert server.send(Reply(b"x")) == b""


def test_only_open_channels_can_be_written_to() -> None:
    server = SpdyExecCodec(Side.SERVER)
    with pytest.raises(ProtocolError, match="not opened stdout"):
        server.send(Data(Channel.STDOUT, b"x"))
    with pytest.raises(ProtocolError, match="cannot be opened here"):
        server.send(Opened(Channel.STDOUT))
