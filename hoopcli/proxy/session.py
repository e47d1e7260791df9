"""A live session: a loopback listener for one principal's use of one connection."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Protocol, cast

from hoopcli.certificates import LoopbackIdentity, issue
from hoopcli.errors import HoopError, LedgerError, UsageError
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Mask, Statement
from hoopcli.model.outcome import Outcome, Piece
from hoopcli.model.session import Session
from hoopcli.proxy.approvals import Desk
from hoopcli.proxy.enforcement import Enforcement, Stats
from hoopcli.proxy.journal import Journal, Writer
from hoopcli.proxy.policies import PolicySource
from hoopcli.proxy.runner import Runner
from hoopcli.proxy.spool import Spool
from hoopcli.proxy.tls import upstream_context
from hoopcli.sansio.events import Credential, CredentialGranted, CredentialRefused, Deny, Permit
from hoopcli.spi import Connector, LayerContext, Listen, SessionSecret, Target

HOST = "127.0.0.1"
CONNECTION_LIMIT = 1000
HEARTBEAT_SECONDS = 60.0
MAX_TTL = timedelta(hours=12)


class CredentialSource(Protocol):
    """Where the broker's own upstream credentials come from."""

    async def get(self, connection: Connection, resource: str, fresh: bool) -> Credential:
        """A credential that is valid now. Raises NotSignedInError."""


@dataclass(frozen=True, slots=True)
class Services:
    """What sessions share within a process."""

    policy: PolicySource
    ledger: Writer
    approvals: Desk
    credentials: CredentialSource
    masking_key: bytes
    state_dir: Path
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class LiveSession:
    """A session that is open. ``stats`` changes while it runs; ``ended`` tells when and why it ended."""

    def __init__(self, session: Session, listen: Listen, enforcement: Enforcement, journal: Journal) -> None:
        self.session = session
        self.listen = listen
        self._enforcement = enforcement
        self._journal = journal
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @property
    def stats(self) -> Stats:
        """The counts so far."""
        return self._enforcement.stats

    def end(self, why: str) -> None:
        """End the session: every connection is cut in both directions."""
        if not self._end.done():
            self._end.set_result(why)

    def policy_changed(self, previous: str, revision: str, serial: int) -> None:
        """Record that another policy decides from here on."""
        self._journal.policy_changed(previous, revision, f"revision {serial} of the server's policy")

    async def ended(self) -> str:
        """Wait until the session ends; why it did."""
        return await asyncio.shield(self._end)


class _Connection:
    """What one runner of a session turns to."""

    def __init__(self, host: _Host) -> None:
        self._host = host
        self._mine: set[str] = set()

    async def authorize(self, statement: Statement) -> Permit | Deny:
        reply = await self._host.enforcement.authorize(statement)
        if isinstance(reply, Permit):
            self._mine.add(reply.exchange)
        return reply

    async def credential(self, resource: str, *, fresh: bool) -> CredentialGranted | CredentialRefused:
        host = self._host
        try:
            return CredentialGranted(await host.services.credentials.get(host.upstream, resource, fresh))
        except HoopError as error:
            return CredentialRefused(error.message, error.hint)

    async def record(self, outcome: Outcome) -> None:
        await self._host.enforcement.record(outcome)
        self._mine.discard(outcome.exchange)

    async def keep(self, piece: Piece) -> None:
        await self._host.enforcement.keep(piece)

    def fault(self, error: Exception) -> None:
        self._host.fault(error)

    async def abandon(self) -> None:
        await self._host.enforcement.abandon(self._mine)


class _Refused(asyncio.Protocol):
    """A connection too many: it is dropped before a byte is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


class _Host:
    """The listener's side of a session: one runner for each accepted connection."""

    def __init__(
        self, connector: Connector, session: Session, target: Target, services: Services, identity: LoopbackIdentity
    ) -> None:
        self.session = session
        #: The connection as it leads upstream, with what the connector found out of it; it is not recorded.
        self.upstream = replace(session.connection, options={**target.options, "auth": target.auth})
        self.services = services
        self.journal = Journal(services.ledger, session, _redactor(services.masking_key))
        self.enforcement = Enforcement(
            session, connector.discharges, services.policy, services.approvals, self.journal, services.now
        )
        self.live: LiveSession | None = None
        self._connector = connector
        self._runners: dict[Runner, _Connection] = {}
        self._settling: set[asyncio.Task[None]] = set()
        self._secret = SessionSecret(secrets.token_urlsafe(24))
        self._spool = Spool(services.state_dir / "spool")
        self._context = LayerContext(
            session=session,
            target=target,
            secret=self._secret,
            tls_server=cache(partial(identity.server_context, connector.alpn)),
            tls_client=cache(partial(upstream_context, target, connector.alpn)),
            masking=lambda masks: Masking(masks, services.masking_key),
            now=services.now,
            preview=self.enforcement.preview,
            previewed=self.enforcement.previewed,
            preview_each=self.enforcement.preview_each,
            asks_about=self.enforcement.asks_about,
            spool=self._spool,
        )

    @property
    def secret(self) -> str:
        return self._secret.value

    def accept(self) -> asyncio.Protocol:
        if len(self._runners) >= CONNECTION_LIMIT:
            return _Refused()
        asks = _Connection(self)
        runner = Runner(self._connector.layer(self._context), asks, self._ended)
        self._runners[runner] = asks
        return runner.accept()

    def fault(self, error: Exception) -> None:
        """A connection broke. If it broke because nothing can be recorded, the session is over."""
        if self.live is None or isinstance(error, OSError):
            return
        self.journal.fault(error)
        if self.journal.broken:
            self.live.end(f"the ledger cannot record: {error}")

    def _ended(self, runner: Runner) -> None:
        asks = self._runners.pop(runner)
        task = asyncio.get_running_loop().create_task(self._settle(runner, asks))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, runner: Runner, asks: _Connection) -> None:
        await runner.settled()
        if not self.journal.broken:
            await asks.abandon()

    async def stop(self) -> None:
        for runner in list(self._runners):
            runner.stop()
        if self._settling:
            await asyncio.gather(*self._settling, return_exceptions=True)
        self._spool.close()


@asynccontextmanager
async def serve(
    connector: Connector,
    connection: Connection,
    principal: Principal,
    services: Services,
    *,
    port: int = 0,
    reason: str = "",
    ttl: timedelta = timedelta(hours=1),
) -> AsyncIterator[LiveSession]:
    """Open a session and its listener; end both on leaving.

    Raises UsageError (the port is taken, the time to live too long, options wrong) and LedgerError (not recordable).
    """
    if not timedelta() < ttl <= MAX_TTL:
        raise UsageError(f"a session lives between a moment and {MAX_TTL}", "use --ttl 1h")
    now = services.now()
    session = Session(secrets.token_hex(8), principal, connection, now, now + ttl, reason)
    identity = issue(session.id, now, ttl)
    target = connector.target(connection)
    host = _Host(connector, session, target, services, identity)
    server = await _listen(host, port)
    folder = services.state_dir / "sessions" / session.id
    try:
        listen = _publish(folder, identity, server.sockets[0].getsockname()[1], host.secret)
        await host.journal.opened(target.host, services.policy.current().revision)
        live = host.live = LiveSession(session, listen, host.enforcement, host.journal)
        chores = [asyncio.create_task(_expire(live, ttl)), asyncio.create_task(_heartbeat(host, live))]
        try:
            yield live
        finally:
            for chore in chores:
                chore.cancel()
    finally:
        server.close()
        await host.stop()
        shutil.rmtree(folder, ignore_errors=True)
        if host.live is not None and not host.journal.broken:
            host.live.end("closed")
            await host.journal.closed(await host.live.ended())


def _redactor(key: bytes) -> Callable[[str], str]:
    """Takes what any detector finds out of texts that the ledger keeps."""
    masking = Masking([Mask("recorded", detectors=tuple(d.name for d in DETECTORS))], key)
    return lambda text: masking.detect(text)[0]


async def _listen(host: _Host, port: int) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(host.accept, HOST, port, backlog=512)
    except OSError as error:
        raise UsageError(
            f"port {port} on {HOST} cannot be opened: {error.strerror or error}", "leave out --port to have a free one"
        ) from error


def _publish(folder: Path, identity: LoopbackIdentity, port: int, secret: str) -> Listen:
    folder.mkdir(parents=True, mode=0o700)
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(identity.ca)
    return Listen(HOST, port, secret, str(ca_file))


async def _expire(live: LiveSession, ttl: timedelta) -> None:
    await asyncio.sleep(ttl.total_seconds())
    live.end("expired")


async def _heartbeat(host: _Host, live: LiveSession) -> None:
    """Record that the session is alive; one that cannot be recorded is over."""
    try:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            await host.journal.heartbeat()
    except LedgerError as error:
        live.end(f"the ledger cannot record: {error}")
