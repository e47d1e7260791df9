"""What holds for exec over WebSocket and over SPDY alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.streams.events import (
    Channel,
    Closed,
    Data,
    ErrorStatus,
    ExecEvent,
    HalfClosed,
    Reply,
    Resize,
    Side,
)
from hoopcli.errors import ProtocolError
from tests.kubectl.streams.cuts import CUTS, feed_all, joined
from tests.kubectl.streams.exec_events import (
    FROM_CLIENT,
    FROM_SERVER,
    MAKERS,
    MakeCodec,
    ending,
    pair,
    spdy,
    v4,
    v5,
    wire,
)

ALL = pytest.mark.parametrize("make", [v5, v4, spdy])


@given(MAKERS, FROM_CLIENT, CUTS)
def test_what_a_client_sends_arrives(make: MakeCodec, events: list[ExecEvent], cuts: list[int]) -> None:
    client, server = pair(make)
    assert joined(feed_all(server.feed, wire(client, events), cuts)) == joined(events)


@given(MAKERS, FROM_SERVER, CUTS, st.integers(0, 255))
def test_what_a_server_sends_arrives(make: MakeCodec, events: list[ExecEvent], cuts: list[int], code: int) -> None:
    client, server = pair(make)
    events = [*events, *ending(code), Closed()]
    got = [event for event in joined(feed_all(client.feed, wire(server, events), cuts)) if not isinstance(event, Reply)]
    if make is v4:
        events.remove(HalfClosed(Channel.ERROR))
    assert got == joined(events)
    status = next(event for event in got if isinstance(event, ErrorStatus))
    assert status.exit_code == code


@given(MAKERS, st.sampled_from(Side), st.binary(max_size=300), CUTS)
def test_garbage_raises_protocol_error_only(make: MakeCodec, side: Side, data: bytes, cuts: list[int]) -> None:
    codec = make(side)
    try:
        feed_all(codec.feed, data, cuts)
    except ProtocolError:
        return


@ALL
@pytest.mark.parametrize("channel", [Channel.STDOUT, Channel.STDERR])
def test_a_client_cannot_write_output(make: MakeCodec, channel: Channel) -> None:
    client, server = pair(make)
    with pytest.raises(ProtocolError, match="not its own"):
        list(server.feed(client.send(Data(channel, b"forged"))))


@ALL
def test_a_client_cannot_say_how_it_ended(make: MakeCodec) -> None:
    client, server = pair(make)
    with pytest.raises(ProtocolError, match="not its own"):
        list(server.feed(client.send(ErrorStatus(b"{}"))))


@ALL
@pytest.mark.parametrize("event", [Data(Channel.STDIN, b"typed"), Resize(80, 24)])
def test_a_server_cannot_type(make: MakeCodec, event: ExecEvent) -> None:
    client, server = pair(make)
    with pytest.raises(ProtocolError, match="not its own"):
        list(client.feed(server.send(event)))


@ALL
def test_a_status_without_end_is_refused(make: MakeCodec) -> None:
    client, server = pair(make)
    with pytest.raises(ProtocolError, match="too long"):
        list(client.feed(server.send(ErrorStatus(b" " * 300_000))))


@pytest.mark.parametrize("make", [v5, spdy])
def test_the_end_of_stdin_arrives(make: MakeCodec) -> None:
    client, server = pair(make)
    assert list(server.feed(client.send(HalfClosed(Channel.STDIN)))) == [HalfClosed(Channel.STDIN)]


def test_v4_has_no_word_for_the_end_of_stdin() -> None:
    client, _ = pair(v4)
    assert client.send(HalfClosed(Channel.STDIN)) == b""
