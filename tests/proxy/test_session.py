"""A live session: its listener, its end, and what of it is recorded."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hoopcli.errors import LedgerError, NotSignedInError, UsageError
from hoopcli.ledger.keys import load_or_create
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.writer import LedgerWriter
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Action, Mask, Statement
from hoopcli.model.outcome import Outcome, Status
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.proxy import session as sessions
from hoopcli.proxy.approvals import Approvals
from hoopcli.proxy.run import run
from hoopcli.proxy.session import LiveSession, Services, serve
from hoopcli.proxy.tls import upstream_context
from hoopcli.sansio.commands import Authorize, GetCredential, Record, SendData
from hoopcli.sansio.events import Credential, CredentialGranted, CredentialRefused, DataReceived, Peer, Permit
from hoopcli.sansio.layer import CLIENT, Layer, receive
from hoopcli.spi import LayerContext, Target
from tests.support.clock import Clock
from tests.support.ledger import records_of

POLICY = """
version: 1
rules:
  - id: pings
    effect: allow
    verbs: ["test:ping"]
"""
PING = Statement("ping", b"ping", (Action("test:ping"),))
CONNECTION = Connection("toy", "toy", {})


class Toy:
    """The smallest connector: it authorises each read, and answers it."""

    kind = "toy"
    verbs = frozenset({"test:ping"})
    discharges = frozenset({Mask.kind})
    alpn = ()

    def __init__(self, layer: Callable[[LayerContext], Layer]) -> None:
        self._layer = layer

    def target(self, connection: Connection) -> Target:
        return Target("127.0.0.1", 9, "none", connection.options)

    def layer(self, context: LayerContext) -> Layer:
        return self._layer(context)


def pinging(_: LayerContext) -> Layer:
    while isinstance((yield from receive(CLIENT)), DataReceived):
        yield Authorize(PING)
        permit = yield from receive(CLIENT)
        assert isinstance(permit, Permit)
        yield SendData(Peer.CLIENT, [b"pong"])
        yield Record(Outcome(permit.exchange, Status.COMPLETED, rows=1))


def hanging(_: LayerContext) -> Layer:
    yield from receive(CLIENT)
    yield Authorize(PING)
    yield from receive(CLIENT)
    yield SendData(Peer.CLIENT, [b"permitted"])
    yield from receive(CLIENT)


def failing(_: LayerContext) -> Layer:
    yield from receive(CLIENT)
    raise RuntimeError("a bug")


class Credentials:
    async def get(self, connection: Connection, resource: str, fresh: bool) -> Credential:
        if fresh:
            raise NotSignedInError("the sign-in has expired", "run: hoop login")
        return Credential("token", f"t-{resource}")


class Stage:
    """A folder with everything that a session needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.ledger = folder / "ledger.db"
        self.writer = LedgerWriter(Ledger.open(self.ledger, load_or_create(folder / "key").signer))
        self.approvals = Approvals(folder / "approvals.db", self.clock)
        self.services = Services(
            Engine(load(POLICY)), self.writer, self.approvals, Credentials(), b"k" * 32, folder, self.clock
        )

    def serve(self, layer: Callable[[LayerContext], Layer] = pinging, **more: Any) -> Any:
        return serve(Toy(layer), CONNECTION, Principal("omar"), self.services, **more)  # type: ignore[arg-type]

    def run(self, work: Callable[[], Awaitable[None]]) -> list[str]:
        async def main() -> None:
            await work()

        try:
            run(main())
        finally:
            self.approvals.close()
            if self.writer.failure is None:
                self.writer.close()
        return [r.type for r in records_of(self.ledger) if r.type != "ledger.note"]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def ping(live: LiveSession) -> bytes:
    reader, writer = await asyncio.open_connection(live.listen.host, live.listen.port)
    try:
        writer.write(b"ping")
        return await reader.read(100)
    finally:
        writer.close()


def test_a_session_is_recorded_from_open_to_close_with_its_counts(stage: Stage) -> None:
    async def work() -> None:
        async with stage.serve(reason="ticket 7") as live:
            assert Path(live.listen.ca_file).read_text().startswith("-----BEGIN CERTIFICATE")
            assert live.listen.secret not in repr(live.session)
            assert await ping(live) == b"pong"
            assert (live.stats.statements, live.stats.rows) == (1, 1)
        assert not Path(live.listen.ca_file).exists()
        assert await live.ended() == "closed"

    kinds = stage.run(work)
    assert kinds == ["session.open", "exchange.request", "exchange.outcome", "session.close"]
    close = records_of(stage.ledger)[-1]
    assert (close.body["statements"], close.body["rows"]) == (1, 1)


def test_ending_it_cuts_every_connection_and_records_what_was_open(stage: Stage) -> None:
    async def work() -> None:
        async with stage.serve(hanging) as live:
            reader, writer = await asyncio.open_connection(live.listen.host, live.listen.port)
            writer.write(b"go")
            assert await reader.readexactly(9) == b"permitted"
            live.end("told to")
            live.end("too late to matter")
            assert await live.ended() == "told to"
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()

    stage.run(work)
    outcome, close = records_of(stage.ledger)[-2:]
    assert outcome.body["status"] == "lost"
    assert close.body["why"] == "told to"


def test_a_session_expires_by_itself(stage: Stage) -> None:
    async def work() -> None:
        async with stage.serve(ttl=timedelta(milliseconds=1)) as live:
            assert await live.ended() == "expired"

    stage.run(work)
    assert records_of(stage.ledger)[-1].body["why"] == "expired"


def test_a_quiet_session_has_a_heartbeat(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "HEARTBEAT_SECONDS", 0.001)

    async def work() -> None:
        async with stage.serve():
            while len(records_of(stage.ledger)) < 3:
                await asyncio.sleep(0.001)

    assert "session.heartbeat" in stage.run(work)


def test_a_heartbeat_that_cannot_be_recorded_ends_the_session(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "HEARTBEAT_SECONDS", 0.01)

    async def work() -> None:
        async with stage.serve() as live:
            stage.writer._refusal = LedgerError("disk full")
            assert "disk full" in await live.ended()

    stage.run(work)


def test_an_error_inside_a_session_comes_out_as_it_is(stage: Stage) -> None:
    async def work() -> None:
        with pytest.raises(ZeroDivisionError):
            async with stage.serve():
                raise ZeroDivisionError

    assert stage.run(work)[-1] == "session.close"


def test_an_error_of_one_connection_is_noted_and_the_session_goes_on(stage: Stage) -> None:
    async def work() -> None:
        async with stage.serve(failing) as live:
            with pytest.raises(ConnectionError):
                while await ping(live):
                    pass
                raise ConnectionResetError
            assert not live._end.done()

    stage.run(work)
    notes = [r.body["facts"]["error"] for r in records_of(stage.ledger) if r.type == "ledger.note"]
    assert "RuntimeError" in notes


def test_a_ledger_that_cannot_record_ends_the_session(stage: Stage) -> None:
    async def work() -> None:
        async with stage.serve() as live:
            stage.writer._refusal = LedgerError("disk full")
            with pytest.raises(ConnectionError):
                while await ping(live):
                    pass
                raise ConnectionResetError
            assert "disk full" in await live.ended()

    assert "session.close" not in stage.run(work)


def test_credentials_come_from_the_services_and_refusals_are_told(stage: Stage) -> None:
    said: list[object] = []

    def asking(_: LayerContext) -> Layer:
        yield from receive(CLIENT)
        for fresh in (False, True):
            yield GetCredential("db", fresh)
            said.append((yield from receive(CLIENT)))
        yield SendData(Peer.CLIENT, [b"asked"])

    async def work() -> None:
        async with stage.serve(asking) as live:
            assert await ping(live) == b"asked"

    stage.run(work)
    granted, refused = said
    assert isinstance(granted, CredentialGranted)
    assert granted.credential.secret == "t-db"
    assert isinstance(refused, CredentialRefused)
    assert refused.hint == "run: hoop login"


def test_there_is_a_limit_of_connections(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "CONNECTION_LIMIT", 1)

    async def work() -> None:
        async with stage.serve() as live:
            reader, first = await asyncio.open_connection(live.listen.host, live.listen.port)
            first.write(b"ping")
            assert await reader.read(4) == b"pong"
            other, second = await asyncio.open_connection(live.listen.host, live.listen.port)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await other.readexactly(1)
            first.close()
            second.close()

    stage.run(work)


def test_a_taken_port_and_a_silly_time_to_live_are_usage_errors(stage: Stage) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        async def work() -> None:
            with pytest.raises(UsageError, match="cannot be opened"):
                async with stage.serve(port=taken.getsockname()[1]):
                    pass
            for ttl in (timedelta(), timedelta(days=2)):
                with pytest.raises(UsageError, match="session lives"):
                    async with stage.serve(ttl=ttl):
                        pass

        assert stage.run(work) == []


def test_an_unreadable_ca_file_is_a_usage_error(stage: Stage, tmp_path: Path) -> None:
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    make = partial(upstream_context, alpn=(), newest=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(UsageError, match="cannot be used"):
        make(Target("db", 1, "none", {"ca_file": str(bad)}))
    assert make(Target("db", 1, "none")).verify_mode is ssl.CERT_REQUIRED
    assert make(Target("db", 1, "none", {"trust_server_certificate": "yes"})).verify_mode is ssl.CERT_NONE
    stage.run(lambda: asyncio.sleep(0))
