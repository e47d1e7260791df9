from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.streams.events import Closed, Reply, Side
from connectors.kubectl.streams.forwards import Forwards
from connectors.kubectl.streams.moved import Moved
from connectors.kubectl.streams.portforward import PortForward
from connectors.kubectl.streams.spdy import (
    CANCEL,
    REFUSED_STREAM,
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
from connectors.kubectl.streams.websocket import Piece, WebSocket
from tests.kubectl.streams.cuts import CUTS, pieces
from tests.kubectl.streams.test_spdy import merged


class Peer:
    """A client or an upstream that speaks frames, bare or in a WebSocket."""

    def __init__(self, side: Side, *, tunnelled: bool) -> None:
        self.socket = WebSocket(side) if tunnelled else None
        self.writer, self.reader = FrameWriter(), FrameReader()
        self.events: list[Reply | Closed] = []

    def wire(self, *frames: Frame) -> bytes:
        data = b"".join(map(self.writer.encode, frames))
        return self.socket.send(data) if self.socket else data

    def hears(self, data: bytes) -> list[Frame]:
        if self.socket is None:
            return list(self.reader.feed(data))
        found: list[Frame] = []
        for event in self.socket.feed(data):
            if isinstance(event, Piece):
                found += self.reader.feed(event.data)
            else:
                self.events.append(event)
        return found


class Session:
    def __init__(self, *, client: bool = False, upstream: bool = False) -> None:
        self.client = Peer(Side.CLIENT, tunnelled=client)
        self.upstream = Peer(Side.SERVER, tunnelled=upstream)
        self.forwards = Forwards()
        self.bridge = PortForward(
            client_tunnelled=client,
            upstream_tunnelled=upstream,
            forwards=self.forwards,
            refuses=lambda port: f"port {port} is denied by rule no-ssh" if port == 22 else "",
        )

    def ask(self, *frames: Frame) -> tuple[list[Frame], list[Frame]]:
        """What the client, and what the upstream hears when the client sends frames."""
        return self.heard(self.bridge.from_client(self.client.wire(*frames)))

    def answer(self, *frames: Frame) -> tuple[list[Frame], list[Frame]]:
        return self.heard(self.bridge.from_upstream(self.upstream.wire(*frames)))

    def heard(self, moved: Moved) -> tuple[list[Frame], list[Frame]]:
        assert moved.error is None
        return (
            [frame for data in moved.to_client for frame in self.client.hears(data)],
            [frame for data in moved.to_upstream for frame in self.upstream.hears(data)],
        )


def stream(number: int, kind: str, port: str = "80", request: str = "0", *, fin: bool = False) -> SynStream:
    return SynStream(number, {"streamtype": kind, "port": port, "requestid": request}, fin)


PAIR = (stream(1, "error"), DataFrame(1, b"", fin=True), stream(3, "data"))
TUNNELS = pytest.mark.parametrize("tunnels", [(False, False), (True, True), (False, True)])


@TUNNELS
def test_a_forwarded_connection(tunnels: tuple[bool, bool]) -> None:
    session = Session(client=tunnels[0], upstream=tunnels[1])
    assert session.ask(*PAIR, DataFrame(3, b"GET /")) == ([], [*PAIR, DataFrame(3, b"GET /")])
    answer = (
        SynReply(1),
        SynReply(3),
        DataFrame(3, b"200 OK"),
        DataFrame(1, b"", fin=True),
        DataFrame(3, b"", fin=True),
    )
    assert session.answer(*answer) == (list(answer), [])
    assert session.ask(DataFrame(3, b"", fin=True)) == ([], [DataFrame(3, b"", fin=True)])
    assert session.forwards.facts() == {
        "ports": [80],
        "connections": 1,
        "forwards": [
            {
                "port": 80,
                "sent": 5,
                "sent_sha256": hashlib.sha256(b"GET /").hexdigest(),
                "received": 6,
                "received_sha256": hashlib.sha256(b"200 OK").hexdigest(),
            }
        ],
    }
    assert session.ask(RstStream(3)) == ([], []), "it is over on both sides"


@given(st.lists(st.binary(min_size=1, max_size=400), max_size=6), CUTS, st.booleans())
def test_bytes_arrive_however_they_are_cut(sent: list[bytes], cuts: list[int], tunnelled: bool) -> None:
    session = Session(client=tunnelled, upstream=tunnelled)
    session.ask(*PAIR)
    wire = b"".join(session.client.wire(DataFrame(3, data)) for data in sent)
    heard = [frame for piece in pieces(wire, cuts) for frame in session.heard(session.bridge.from_client(piece))[1]]
    assert merged(heard) == merged([DataFrame(3, data) for data in sent])


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_garbage_is_an_error_and_nothing_else(data: bytes, tunnelled: bool, asked: bool) -> None:
    session = Session(client=tunnelled, upstream=tunnelled)
    session.ask(*PAIR)
    (session.bridge.from_client if asked else session.bridge.from_upstream)(data)


def test_a_port_that_is_not_permitted_never_reaches_the_upstream() -> None:
    session = Session()
    why = b"port 22 is denied by rule no-ssh"
    to_client, to_upstream = session.ask(
        stream(1, "error", "22"),
        DataFrame(1, b"", fin=True),
        stream(3, "data", "22"),
        DataFrame(3, b"SSH-2.0"),
        RstStream(3),
    )
    assert to_client == [SynReply(1), DataFrame(1, why, fin=True), SynReply(3), DataFrame(3, b"", fin=True)]
    assert to_upstream == []
    facts = session.forwards.facts()
    assert facts["ports"] == [22]
    assert '"sent": 0' in str(facts).replace("'", '"')
    assert "denied by rule" in str(facts)


def test_what_the_upstream_says_against_it_is_passed_on_and_recorded() -> None:
    session = Session()
    session.ask(*PAIR)
    refused = DataFrame(1, b"connection refused", fin=True)
    assert session.answer(refused) == ([refused], [])
    assert "connection refused" in str(session.forwards.facts())


def test_resets_pass_once() -> None:
    session = Session()
    session.ask(*PAIR)
    assert session.ask(RstStream(3)) == ([], [RstStream(3, CANCEL)])
    assert session.ask(RstStream(3), DataFrame(3, b"late")) == ([], [])
    assert session.answer(DataFrame(3, b"crossed"), SynReply(3), RstStream(3)) == ([], [])
    assert session.answer(RstStream(1, REFUSED_STREAM)) == ([RstStream(1, REFUSED_STREAM)], [])


def test_pings_are_answered_by_the_broker() -> None:
    session = Session()
    assert session.ask(Ping(1), Ping(2)) == ([Ping(1)], [])
    assert session.answer(Ping(2), Ping(1)) == ([], [Ping(2)])


@TUNNELS
def test_going_away_passes_and_ends(tunnels: tuple[bool, bool]) -> None:
    session = Session(client=tunnels[0], upstream=tunnels[1])
    assert session.ask(GoAway(0)) == ([], [GoAway(0)])
    assert session.answer(GoAway(3)) == ([GoAway(0)], [])
    to_client, to_upstream = session.heard(session.bridge.end("ended"))
    assert (to_client, to_upstream) == ([GoAway(0)], [GoAway(0)])
    assert [event.reason for event in session.client.events if isinstance(event, Closed)] == ["ended"] * tunnels[0]


def test_the_close_of_a_tunnel_passes_after_what_came_before() -> None:
    session = Session(client=True, upstream=True)
    assert session.client.socket is not None
    assert session.upstream.socket is not None
    wire = session.client.wire(*PAIR) + session.client.socket.close(1000)
    assert session.heard(session.bridge.from_client(wire))[1] == list(PAIR)
    assert Closed(1000) in session.upstream.events
    session = Session(client=True, upstream=True)
    assert session.upstream.socket is not None
    session.ask(*PAIR)
    wire = session.upstream.wire(SynReply(1)) + session.upstream.socket.close(1001, "bye")
    assert session.heard(session.bridge.from_upstream(wire))[0] == [SynReply(1)]
    assert Closed(1001, "bye") in session.client.events


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([stream(2, "error")], id="an even number"),
        pytest.param([stream(3, "error"), stream(1, "data")], id="a smaller number"),
        pytest.param([stream(1, "stdin")], id="a stream of exec"),
        pytest.param([stream(1, "data", "0")], id="port 0"),
        pytest.param([stream(1, "data", "65536")], id="no port"),
        pytest.param([stream(1, "data", "+80")], id="a port with a sign"),
        pytest.param([stream(1, "data", "80\x0022")], id="two ports"),
        pytest.param([SynStream(1, {"streamtype": "data", "port": "80"})], id="no request"),
        pytest.param([stream(1, "error"), stream(3, "data", "22")], id="permitted as one port, opened as another"),
        pytest.param([stream(1, "error"), stream(3, "error")], id="two error streams"),
        pytest.param([SynReply(1)], id="a client that replies"),
        pytest.param([stream(1, "error"), DataFrame(1, b"forged error")], id="a client that writes errors"),
        pytest.param([*PAIR, DataFrame(1, b"", fin=True)], id="an end after the end"),
        pytest.param([DataFrame(1, b"x")], id="data of no stream"),
    ],
)
def test_a_client_that_breaks_the_rules(frames: list[Frame]) -> None:
    session = Session()
    assert session.bridge.from_client(session.client.wire(*frames)).error is not None


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param([stream(2, "data")], id="a server that opens streams"),
        pytest.param([SynReply(5)], id="a reply to no stream"),
        pytest.param([RstStream(2)], id="a reset of no stream"),
        pytest.param([DataFrame(3, b"", fin=True), DataFrame(3, b"x")], id="data after the end"),
    ],
)
def test_a_server_that_breaks_the_rules(frames: list[Frame]) -> None:
    session = Session()
    session.ask(*PAIR)
    assert session.bridge.from_upstream(session.upstream.wire(*frames)).error is not None


def test_what_came_before_an_error_is_passed_on() -> None:
    session = Session()
    moved = session.bridge.from_client(session.client.wire(*PAIR, SynReply(1)))
    assert moved.error is not None
    assert [frame for data in moved.to_upstream for frame in session.upstream.hears(data)] == list(PAIR)


def test_streams_and_half_open_connections_are_bounded() -> None:
    session = Session()
    opened = [stream(2 * n + 1, "error", request=str(n), fin=True) for n in range(2049)]
    moved = session.bridge.from_client(session.client.wire(*opened))
    assert moved.error is not None
    session = Session()
    many = [frame for n in range(2049) for frame in (stream(2 * n + 1, "data", "22", str(n)), RstStream(2 * n + 1))]
    moved = session.bridge.from_client(session.client.wire(*many))
    assert moved.error is not None
    assert len(session.forwards.facts()["forwards"]) == 100  # type: ignore[arg-type]
    assert session.forwards.facts()["connections"] == 2048
