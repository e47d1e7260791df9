from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.streams.channel_forward import ChannelForward
from connectors.kubectl.streams.events import Closed, Reply, Side
from connectors.kubectl.streams.forwards import Forwards
from connectors.kubectl.streams.moved import Moved
from connectors.kubectl.streams.websocket import Piece, WebSocket
from hoopcli.errors import ProtocolError
from tests.kubectl.streams.cuts import CUTS, pieces

GREETINGS = [b"\x00\x50\x00", b"\x01\x50\x00", b"\x02\xbb\x01", b"\x03\xbb\x01"]


class Session:
    def __init__(self) -> None:
        self.client, self.upstream = WebSocket(Side.CLIENT), WebSocket(Side.SERVER)
        self.forwards = Forwards()
        self.bridge = ChannelForward([80, 443], self.forwards)

    def ask(self, *messages: bytes) -> list[Piece | Reply | Closed]:
        moved = self.bridge.from_client(b"".join(map(self.client.send, messages)))
        return heard(self.upstream, moved.to_upstream, moved)

    def answer(self, *messages: bytes) -> list[Piece | Reply | Closed]:
        moved = self.bridge.from_upstream(b"".join(map(self.upstream.send, messages)))
        return heard(self.client, moved.to_client, moved)


def heard(peer: WebSocket, sent: list[bytes], moved: Moved) -> list[Piece | Reply | Closed]:
    assert moved.error is None
    return [event for data in sent for event in peer.feed(data)]


def test_two_ports() -> None:
    session = Session()
    assert session.answer(*GREETINGS) == [Piece(message, last=True) for message in GREETINGS]
    assert session.ask(b"\x02GET /") == [Piece(b"\x02GET /", last=True)]
    assert session.answer(b"\x02200 OK", b"\x01refused") == [
        Piece(b"\x02200 OK", last=True),
        Piece(b"\x01refused", last=True),
    ]
    first, second = session.bridge._forwards
    assert (first.port, first.error, first.received.size) == (80, "refused", 0)
    assert (second.port, second.sent.size, second.received.size) == (443, 5, 6)


@given(st.lists(st.binary(min_size=1, max_size=100), max_size=5), CUTS)
def test_bytes_arrive_however_they_are_cut(sent: list[bytes], cuts: list[int]) -> None:
    session = Session()
    wire = b"".join(session.client.send(b"\x00" + data) for data in sent)
    got = b""
    for piece in pieces(wire, cuts):
        moved = session.bridge.from_client(piece)
        got += b"".join(e.data[1:] for e in heard(session.upstream, moved.to_upstream, moved) if isinstance(e, Piece))
    assert got == b"".join(sent)


@given(st.binary(max_size=100), st.booleans())
def test_garbage_is_an_error_and_nothing_else(data: bytes, asked: bool) -> None:
    session = Session()
    (session.bridge.from_client if asked else session.bridge.from_upstream)(data)


@pytest.mark.parametrize("message", [b"", b"\x04x", b"\x01forged error"])
def test_a_client_that_breaks_the_rules(message: bytes) -> None:
    session = Session()
    assert session.bridge.from_client(session.client.send(message)).error is not None


def test_an_upstream_that_forwards_another_port() -> None:
    session = Session()
    assert session.bridge.from_upstream(session.upstream.send(b"\x00\x16\x00")).error is not None


def test_an_empty_message_to_the_channel_of_errors_is_none() -> None:
    assert Session().ask(b"\x01") == [Piece(b"\x01", last=True)]


def test_replies_closes_and_the_end() -> None:
    session = Session()
    moved = session.bridge.from_client(session.client.ping())
    assert list(session.client.feed(moved.to_client[0])) == []
    assert len(session.bridge.from_upstream(session.upstream.ping()).to_upstream) == 1
    moved = session.bridge.from_client(session.client.close(1000))
    assert Closed(1000) in heard(session.upstream, moved.to_upstream, moved)
    session = Session()
    moved = session.bridge.from_upstream(session.upstream.close(1000))
    assert Closed(1000) in heard(session.client, moved.to_client, moved)
    session = Session()
    moved = session.bridge.end("ended")
    assert Closed(1001, "ended") in heard(session.client, moved.to_client, moved)
    assert Closed(1001, "ended") in heard(session.upstream, moved.to_upstream, moved)


def test_it_names_ports() -> None:
    for ports in ([], [80] * 128):
        with pytest.raises(ProtocolError):
            ChannelForward(ports, Forwards())


def test_a_channel_in_a_fragment_of_its_own() -> None:
    session = Session()
    frames = session.client._frames
    wire = bytes(
        frames.send_data(b"", fin=False) + frames.send_data(b"\x00", fin=False) + frames.send_data(b"x", fin=True)
    )
    moved = session.bridge.from_client(wire)
    assert (
        b"".join(e.data[1:] for e in heard(session.upstream, moved.to_upstream, moved) if isinstance(e, Piece)) == b"x"
    )
