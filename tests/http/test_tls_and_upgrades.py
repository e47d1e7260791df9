"""TLS on either side, and connections that leave HTTP."""

from __future__ import annotations

import ssl

import pytest

from connectors.http.exchange import Exchange
from connectors.http.message import Headers, Request
from connectors.http.serve import serve_http
from connectors.http.upstream import Upstream
from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Action, Statement
from hoopcli.sansio.commands import Authorize, ClosePeer, OpenUpstream
from hoopcli.sansio.events import DataReceived, Peer, PeerClosed, UpstreamOpened, Wakeup
from hoopcli.sansio.layer import Steps
from hoopcli.sansio.tls import TlsChannel
from tests.http.dialogue import DENY, IDENTITY, OK, PERMIT, Dialogue, Passing, context
from tests.support.playbook import Playbook, only, sent

NEWEST = ssl.TLSVersion.MAXIMUM_SUPPORTED
GET = b"GET /a HTTP/1.1\r\nHost: broker\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
UPGRADE = b"GET /exec HTTP/1.1\r\nHost: broker\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def trusting() -> ssl.SSLContext:
    made = ssl.create_default_context(cadata=IDENTITY.ca.decode())
    made.set_alpn_protocols(["h2", "http/1.1"])
    return made


class Far:
    """A peer behind TLS, played by the test."""

    def __init__(self, play: Playbook, peer: Peer, *, server_side: bool, name: str | None = None) -> None:
        made = IDENTITY.server_context(["http/1.1"], NEWEST) if server_side else trusting()
        self.tls = TlsChannel(made, server_side=server_side, server_hostname=name)
        self.play = play
        self.peer = peer

    def shake_hands(self, from_layer: bytes = b"") -> None:
        data = from_layer
        while True:
            out = self.tls.handshake(data)
            data = sent(self.play.hear(DataReceived(self.peer, out)), self.peer) if out else b""
            if self.tls.established:
                self.tls.decrypt(data)
                return

    def says(self, data: bytes) -> bytes:
        commands = self.play.hear(DataReceived(self.peer, self.tls.encrypt(data)))
        return self.tls.decrypt(sent(commands, self.peer))


def test_a_client_may_speak_tls_on_the_same_port() -> None:
    dialogue = Dialogue()
    client = Far(dialogue.play, Peer.CLIENT, server_side=False, name="127.0.0.1")
    client.shake_hands()
    assert client.tls.alpn() == "http/1.1"
    client.says(GET)
    dialogue.hear(PERMIT)
    assert sent(dialogue.hear(UpstreamOpened()), Peer.UPSTREAM).startswith(b"GET /a ")
    assert client.tls.decrypt(sent(dialogue.upstream(OK), Peer.CLIENT)) == OK


def test_what_is_no_tls_after_its_first_byte_ends_the_connection() -> None:
    dialogue = Dialogue()
    with pytest.raises(ProtocolError):
        dialogue.client(b"\x16\x03\x01\x00\x05hello")
    assert dialogue.to_upstream() == b""


def test_a_client_that_leaves_within_the_handshake_ends_it_quietly() -> None:
    dialogue = Dialogue()
    dialogue.client(b"\x16\x03")
    dialogue.hangs_up(Peer.CLIENT)
    assert dialogue.ended


def test_a_handshake_has_an_end() -> None:
    dialogue = Dialogue()
    dialogue.client(b"\x16\x03")
    with pytest.raises(ProtocolError):
        dialogue.hear(Wakeup())


def secure_upstream() -> tuple[Playbook, Far]:
    tls = Upstream("127.0.0.1", 443, lambda _: trusting())
    play = Playbook(serve_http(context(), Passing(), tls))
    play.hear(DataReceived(Peer.CLIENT, GET))
    assert only(play.hear(PERMIT), OpenUpstream) == [OpenUpstream("127.0.0.1", 443)]
    return play, Far(play, Peer.UPSTREAM, server_side=True)


def test_the_upstream_is_verified_and_gets_the_request_in_tls_only() -> None:
    play, upstream = secure_upstream()
    hello = sent(play.hear(UpstreamOpened()), Peer.UPSTREAM)
    assert hello[0] == 0x16
    answer = upstream.tls.handshake(hello)
    commands = play.hear(DataReceived(Peer.UPSTREAM, answer))
    finished = sent(commands, Peer.UPSTREAM)
    assert b"GET /a" not in finished
    play_out = upstream.tls.handshake(finished)
    got = upstream.tls.decrypt(b"")
    assert got.startswith(b"GET /a HTTP/1.1\r\n")
    reply = play_out + upstream.tls.encrypt(OK)
    assert sent(play.hear(DataReceived(Peer.UPSTREAM, reply)), Peer.CLIENT) == OK


def test_an_upstream_that_cannot_be_verified_gets_nothing() -> None:
    other = Upstream("another.example", 443, lambda _: trusting())
    play = Playbook(serve_http(context(), Passing(), other))
    play.hear(DataReceived(Peer.CLIENT, GET))
    play.hear(PERMIT)
    upstream = Far(play, Peer.UPSTREAM, server_side=True)
    answer = upstream.tls.handshake(sent(play.hear(UpstreamOpened()), Peer.UPSTREAM))
    told = sent(play.hear(DataReceived(Peer.UPSTREAM, answer)), Peer.CLIENT)
    assert told.startswith(b"HTTP/1.1 502 ")
    assert b"not trusted" in told
    assert b"--ca-file" in told


def test_an_upstream_that_leaves_within_the_handshake_is_a_502() -> None:
    play, _ = secure_upstream()
    play.hear(UpstreamOpened())
    assert sent(play.hear(PeerClosed(Peer.UPSTREAM)), Peer.CLIENT).startswith(b"HTTP/1.1 502 ")


# -- upgrades


class Upgrading(Passing):
    """Asks, upgrades, and passes bytes on both ways until somebody leaves."""

    def handle(self, exchange: Exchange) -> Steps[None]:
        yield from exchange.authorize(Statement("exec", b"exec", (Action("t:exec"),)))
        pairs = [("Host", "u"), ("Connection", "Upgrade"), ("Upgrade", "websocket")]
        response = yield from exchange.upgrade(Request("GET", "/exec", Headers(pairs)))
        if response.status != 101:
            yield from exchange.begin(response)
            while (data := (yield from exchange.upstream_chunk())) is not None:
                yield from exchange.send(data)
            yield from exchange.end()
            return
        yield from exchange.switch(response)
        while (piece := (yield from exchange.duplex())) is not None:
            peer, data = piece
            yield exchange.raw(Peer.CLIENT if peer is Peer.UPSTREAM else Peer.UPSTREAM, data)


def upgraded() -> Dialogue:
    dialogue = Dialogue(Upgrading())
    dialogue.client(UPGRADE)
    dialogue.hear(PERMIT)
    got = sent(dialogue.hear(UpstreamOpened()), Peer.UPSTREAM)
    assert b"Upgrade: websocket" in got
    return dialogue


def test_an_upgraded_connection_passes_bytes_both_ways() -> None:
    dialogue = upgraded()
    assert sent(dialogue.upstream(SWITCHED + b"early"), Peer.CLIENT) == SWITCHED + b"early"
    assert sent(dialogue.client(b"up"), Peer.UPSTREAM) == b"up"
    assert sent(dialogue.upstream(b"down"), Peer.CLIENT) == b"down"
    dialogue.hangs_up(Peer.UPSTREAM)
    assert dialogue.ended


def test_it_tells_of_timers() -> None:
    dialogue = upgraded()
    dialogue.upstream(SWITCHED)
    dialogue.hear(Wakeup())
    assert dialogue.ended
    assert ClosePeer(Peer.CLIENT) in dialogue.play.log


def test_an_upgrade_that_the_upstream_does_not_take_is_an_ordinary_answer() -> None:
    dialogue = upgraded()
    assert sent(dialogue.upstream(OK.replace(b"200 OK", b"403 Forbidden")), Peer.CLIENT).endswith(b"\r\n\r\nok")
    assert only(dialogue.client(UPGRADE), Authorize)


def test_an_upgrade_that_was_not_permitted_goes_nowhere() -> None:
    dialogue = Dialogue(Upgrading())
    dialogue.client(UPGRADE)
    with pytest.raises(AssertionError):
        dialogue.hear(DENY)
    assert dialogue.to_upstream() == b""


def test_the_client_may_not_go_ahead_of_the_switch() -> None:
    dialogue = Dialogue(Upgrading())
    with pytest.raises(ProtocolError):
        dialogue.client(UPGRADE + b"frame")
    assert dialogue.to_upstream() == b""


def test_an_upgrade_with_a_body_is_refused() -> None:
    dialogue = Dialogue(Upgrading())
    dialogue.client(UPGRADE.replace(b"GET", b"POST").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n"))
    assert sent(dialogue.hear(PERMIT), Peer.CLIENT).startswith(b"HTTP/1.1 400 ")
    with pytest.raises(ProtocolError):
        dialogue.client(b"hello")
    assert dialogue.to_upstream() == b""


def test_an_upstream_that_leaves_before_the_switch_is_a_502() -> None:
    dialogue = upgraded()
    assert sent(dialogue.hangs_up(Peer.UPSTREAM), Peer.CLIENT).startswith(b"HTTP/1.1 502 ")


def test_an_upgrade_that_nobody_consents_to_is_an_ordinary_request() -> None:
    dialogue = Dialogue()
    got = dialogue.forwarded(UPGRADE)
    assert b"pgrade" not in got
    assert sent(dialogue.upstream(OK), Peer.CLIENT) == OK
    assert only(dialogue.client(GET), Authorize)
