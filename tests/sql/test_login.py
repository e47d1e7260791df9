"""The login, with both of the broker's roles joined and no socket between them."""

from __future__ import annotations

import ssl
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.accept import Accepted, WrongSecretError, accept_client
from connectors.sql.link import PeerGoneError
from connectors.sql.replies import login_answer
from connectors.sql.tds.login import Login7
from connectors.sql.tds.packet import PacketType, packetize
from connectors.sql.tds.tokens import Done, ServerMessage
from connectors.sql.tds.tokens_env import EnvChange, EnvType, Routing
from connectors.sql.tds.tokens_login import LoginAck
from connectors.sql.upstream import LoggedIn, UpstreamRefusedError, log_in
from hoopcli.certificates import issue
from hoopcli.errors import ProtocolError
from hoopcli.model.access import Connection, Principal
from hoopcli.model.session import Session
from hoopcli.sansio.commands import Command, GetCredential, OpenUpstream, Receive, SendData, SetTimer
from hoopcli.sansio.events import (
    Credential,
    CredentialGranted,
    CredentialRefused,
    DataReceived,
    Event,
    Peer,
    PeerClosed,
    UpstreamFailed,
    UpstreamOpened,
    Wakeup,
)
from hoopcli.spi import LayerContext, SessionSecret, Target
from tests.support.clock import Clock

NOW = datetime.now(UTC)
IDENTITY = issue("test", NOW, timedelta(hours=1))
SECRET = "the-session-secret"
UPSTREAM_SECRET = "upstream-secret"


def context(**options: str) -> LayerContext:
    def client(newest: ssl.TLSVersion) -> ssl.SSLContext:
        made = ssl.create_default_context(cadata=IDENTITY.ca.decode())
        made.maximum_version = newest
        made.set_alpn_protocols(["tds/8.0"])
        return made

    target = Target("127.0.0.1", 1433, options.pop("auth", "password"), options)
    session = Session("s1", Principal("omar"), Connection("azure-sql", "sql"), NOW, NOW + timedelta(hours=1))
    return LayerContext(
        session=session,
        target=target,
        secret=SessionSecret(SECRET),
        tls_server=partial(IDENTITY.server_context, ["tds/8.0"]),
        tls_client=client,
        masking=lambda _: pytest.fail("a login masks nothing"),
        now=Clock(),
    )


def client_asking(**fields: Any) -> Accepted:
    """What stands in for a client towards the upstream role: only its login matters."""
    return Accepted(None, Login7(**fields), 4096, strict=False)  # type: ignore[arg-type]


class Pair:
    """The upstream role of the broker logging in at its own client role."""

    def __init__(self, credential: Credential, **options: str) -> None:
        self.secret = credential.secret
        self.server: Generator[Command, Event | None, Accepted] = accept_client(context())
        self.client: Generator[Command, Event | None, LoggedIn] = log_in(
            context(**options), client_asking(app_name="psql", database="shop")
        )
        self.credential = credential
        self.accepted: Accepted | None = None
        self.routes: list[tuple[str, int]] = []

    def run(self, cut: int = 1 << 20) -> LoggedIn:
        """Carry bytes between the two until the upstream role is in."""
        to_server, to_client = b"", b""
        server_reply: Event | None = None
        client_reply: Event | None = None
        self._advance_server(server_reply)
        try:
            while True:
                command = self.client.send(client_reply)
                client_reply = None
                match command:
                    case SendData(buffers=buffers):
                        to_server += b"".join(bytes(b) for b in buffers)
                    case GetCredential():
                        self.pending: Event | None = CredentialGranted(self.credential)
                    case OpenUpstream(host, port):
                        self.routes.append((host, port))
                        self.pending = UpstreamOpened()
                    case SetTimer():
                        pass
                    case Receive():
                        if self.pending is not None:
                            client_reply, self.pending = self.pending, None
                            continue
                        while not to_client:
                            assert to_server, "both wait for the other"
                            piece, to_server = to_server[:cut], to_server[cut:]
                            to_client += self._advance_server(DataReceived(Peer.CLIENT, piece))
                        piece, to_client = to_client[:cut], to_client[cut:]
                        client_reply = DataReceived(Peer.UPSTREAM, piece)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    pending: Event | None = None

    def _advance_server(self, event: Event | None) -> bytes:
        sent = b""
        reply = event
        try:
            while True:
                command = self.server.send(reply)
                reply = None
                if isinstance(command, Receive):
                    return sent
                assert isinstance(command, SendData)
                sent += b"".join(bytes(b) for b in command.buffers)
        except StopIteration as stop:
            self.accepted = stop.value
            assert self.accepted is not None
            upstream = LoggedIn(
                self.accepted.link,
                4096,
                "shop",
                LoginAck("Microsoft SQL Server", (16, 0, 0, 0)),
                (
                    EnvChange(EnvType.DATABASE, "shop", "master"),
                    ServerMessage(5701, "Changed database context to 'shop'.", 0, server="sql-7.internal"),
                ),
            )
            answer = packetize(PacketType.TABULAR_RESULT, [login_answer(self.accepted, upstream)])
            return sent + b"".join(bytes(b) for b in self.accepted.link.send(answer).buffers)


OURS = Credential("password", SECRET, "sa")


@pytest.mark.parametrize("encrypt", ["on", "off", "none", "strict"])
@pytest.mark.parametrize("cut", [1 << 20, 7])
def test_both_roles_agree_in_every_mode_of_encryption(encrypt: str, cut: int) -> None:
    pair = Pair(OURS, encrypt=encrypt)
    logged_in = pair.run(cut)
    assert logged_in.database == "shop"
    assert logged_in.packet_size == (32767 if encrypt in {"off", "none"} else 16000)
    assert pair.accepted is not None
    assert pair.accepted.login.database == "shop"
    assert pair.accepted.login.app_name == "hoop s1"
    assert pair.accepted.strict == (encrypt == "strict")
    assert (logged_in.link.tls is not None) == (encrypt in {"on", "strict"})
    assert (pair.accepted.link.tls is not None) == (encrypt in {"on", "strict"})


@pytest.mark.parametrize("encrypt", ["on", "off", "none", "strict"])
def test_a_wrong_secret_ends_the_login_before_anything_upstream(encrypt: str) -> None:
    pair = Pair(replace(OURS, secret="guess"), encrypt=encrypt)
    with pytest.raises(WrongSecretError, match="not this session's secret"):
        pair.run()


def test_without_mode_or_trust_the_certificate_is_verified() -> None:
    pair = Pair(OURS, host_name_in_certificate="db.example.com")
    with pytest.raises(UpstreamRefusedError, match="not trusted"):
        pair.run()


class Upstream:
    """A scripted upstream for the broker's own login."""

    def __init__(self, **options: str) -> None:
        self.steps = log_in(context(encrypt="none", **options), client_asking())
        self.commands: list[Command] = []
        self.result: LoggedIn | None = None
        self.hear(None)

    def hear(self, event: Event | None) -> list[Command]:
        start = len(self.commands)
        reply = event
        try:
            while True:
                command = self.steps.send(reply)
                reply = None
                if isinstance(command, Receive):
                    break
                self.commands.append(command)
        except StopIteration as stop:
            self.result = stop.value
        return self.commands[start:]

    def greet(self) -> list[Command]:
        self.hear(CredentialGranted(OURS))
        self.hear(UpstreamOpened())
        prelogin = bytes.fromhex("0000 0b 0006 01 0011 0001 ff".replace(" ", "")) + bytes(6) + b"\x02"
        return self.hear(answer(prelogin))


def answer(*payload: bytes) -> DataReceived:
    return DataReceived(Peer.UPSTREAM, b"".join(packetize(PacketType.TABULAR_RESULT, [b"".join(payload)])))


def refusal(number: int, text: str = "no") -> DataReceived:
    return answer(ServerMessage(number, text).encode(), Done(2).encode())


IN = answer(LoginAck("Microsoft SQL Server", (16, 0, 0, 0)).encode(), Done().encode())


def test_transient_errors_are_waited_out_with_a_growing_pause() -> None:
    upstream = Upstream()
    pauses = []
    for number in (40613, 40197, 40501):
        upstream.greet()
        commands = upstream.hear(refusal(number))
        pauses += [c.seconds for c in commands if isinstance(c, SetTimer) and c.seconds]
        upstream.hear(Wakeup())
    upstream.greet()
    upstream.hear(IN)
    assert upstream.result is not None
    assert pauses == [0.5, 1.0, 2.0]
    assert [c.fresh for c in upstream.commands if isinstance(c, GetCredential)] == [False, True, True, True]


def test_transient_errors_are_not_waited_out_for_ever() -> None:
    upstream = Upstream()
    for _ in range(4):
        upstream.greet()
        upstream.hear(refusal(40613))
        upstream.hear(Wakeup())
    upstream.greet()
    with pytest.raises(UpstreamRefusedError, match="40613"):
        upstream.hear(refusal(40613))


def test_another_error_is_final_and_says_what_the_upstream_said() -> None:
    upstream = Upstream()
    upstream.greet()
    with pytest.raises(UpstreamRefusedError, match="18456: Login failed") as caught:
        upstream.hear(refusal(18456, "Login failed for user 'sa'."))
    assert UPSTREAM_SECRET not in str(caught.value)


def route(host: str, port: int) -> DataReceived:
    change = EnvChange(EnvType.ROUTING, Routing(host, port))
    return answer(LoginAck("Microsoft SQL Server", (16, 0, 0, 0)).encode(), change.encode(), Done().encode())


def test_a_route_is_followed_by_the_broker() -> None:
    upstream = Upstream()
    upstream.greet()
    upstream.hear(route("worker.example.com", 11000))
    upstream.greet()
    upstream.hear(IN)
    opened = [(c.host, c.port) for c in upstream.commands if isinstance(c, OpenUpstream)]
    assert opened == [("127.0.0.1", 1433), ("worker.example.com", 11000)]
    assert upstream.result is not None


def test_routes_in_a_circle_end() -> None:
    upstream = Upstream()
    with pytest.raises(UpstreamRefusedError, match="routed the login"):
        for _ in range(5):
            upstream.greet()
            upstream.hear(route("127.0.0.1", 1433))


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([CredentialRefused("not signed in", "run: hoop login")], "no credential"),
        ([CredentialGranted(OURS), UpstreamFailed("nobody there")], "cannot be reached"),
        ([CredentialGranted(OURS), UpstreamOpened(), PeerClosed(Peer.UPSTREAM)], "closed the connection"),
        ([CredentialGranted(OURS), UpstreamOpened(), Wakeup()], "took too long"),
        ([CredentialGranted(OURS), UpstreamOpened(), answer(b"garbage")], "login upstream failed"),
        ([CredentialGranted(OURS), Wakeup()], "in time"),
    ],
)
def test_what_can_go_wrong_on_the_way_up(events: list[Event], why: str) -> None:
    upstream = Upstream()
    with pytest.raises(UpstreamRefusedError, match=why):
        for event in events:
            upstream.hear(event)


@pytest.mark.parametrize("last", [answer(b"\xfd\x00"), answer(b"\x00"), answer(Done().encode())])
def test_an_answer_that_lets_nobody_in_is_refused(last: DataReceived) -> None:
    upstream = Upstream()
    upstream.greet()
    with pytest.raises(UpstreamRefusedError):
        upstream.hear(last)


def of_type(kind: PacketType, *payload: bytes) -> DataReceived:
    return DataReceived(Peer.UPSTREAM, b"".join(packetize(kind, [b"".join(payload)])))


def test_an_upstream_that_answers_in_another_kind_of_packet_is_refused() -> None:
    upstream = Upstream()
    upstream.hear(CredentialGranted(OURS))
    upstream.hear(UpstreamOpened())
    with pytest.raises(UpstreamRefusedError, match="PRELOGIN is not TDS"):
        upstream.hear(of_type(PacketType.PRELOGIN, b"\xff"))
    upstream = Upstream()
    upstream.greet()
    with pytest.raises(UpstreamRefusedError, match="login is not TDS"):
        upstream.hear(of_type(PacketType.SSPI, b"challenge"))


@pytest.mark.parametrize("more", [IN.data, b"\x04"])
def test_what_follows_the_answer_to_the_login_is_refused(more: bytes) -> None:
    upstream = Upstream()
    upstream.greet()
    with pytest.raises(UpstreamRefusedError, match="login is not TDS"):
        upstream.hear(DataReceived(Peer.UPSTREAM, IN.data + more))


@pytest.mark.parametrize("size", ["0", "511", "40000", "many", ""])
def test_a_packet_size_out_of_bounds_is_refused(size: str) -> None:
    upstream = Upstream()
    upstream.greet()
    change = EnvChange(EnvType.PACKET_SIZE, size, "4096").encode()
    with pytest.raises(UpstreamRefusedError, match="packet size"):
        upstream.hear(answer(LoginAck("Microsoft SQL Server", (16, 0, 0, 0)).encode(), change, Done().encode()))


@pytest.mark.parametrize("when", [0, 1, 2])
def test_a_client_that_leaves_meanwhile_ends_it_all(when: int) -> None:
    upstream = Upstream()
    events: list[Event] = [CredentialGranted(OURS), UpstreamOpened()]
    for event in events[:when]:
        upstream.hear(event)
    with pytest.raises(PeerGoneError):
        upstream.hear(PeerClosed(Peer.CLIENT))


def accept(*events: Event) -> list[Command]:
    steps = accept_client(context())
    commands: list[Command] = [next(steps)]
    for event in events:
        command = steps.send(event)
        while not isinstance(command, Receive):
            commands.append(command)
            command = steps.send(None)
    return commands


def test_http_is_told_what_port_this_is() -> None:
    steps = accept_client(context())
    next(steps)
    said = steps.send(DataReceived(Peer.CLIENT, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert isinstance(said, SendData)
    assert b"400 Bad Request" in b"".join(bytes(b) for b in said.buffers)
    with pytest.raises(ProtocolError, match="HTTP client"):
        steps.send(None)


@given(st.binary(min_size=1, max_size=300))
def test_random_bytes_get_nothing_but_an_end(data: bytes) -> None:
    try:
        commands = accept(DataReceived(Peer.CLIENT, data))
    except ProtocolError:
        return
    assert not any(isinstance(c, OpenUpstream | GetCredential) for c in commands)


@pytest.mark.parametrize("event", [Wakeup(), PeerClosed(Peer.CLIENT)])
def test_a_login_that_never_comes_ends(event: Event) -> None:
    with pytest.raises(ProtocolError):
        accept(event)


def test_a_login_without_prelogin_is_refused() -> None:
    with pytest.raises(ProtocolError, match="no PRELOGIN"):
        accept(DataReceived(Peer.CLIENT, b"".join(packetize(PacketType.LOGIN7, [b"x" * 100]))))
