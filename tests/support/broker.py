"""A broker in a thread of its own, for tests that drive it with real, blocking clients."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from connectors.sql.connector import SqlConnector
from hoopcli.ledger.keys import load_or_create
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.writer import LedgerWriter
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.proxy.approvals import Approvals, Desk
from hoopcli.proxy.run import run
from hoopcli.proxy.session import CredentialSource, LiveSession, Services, serve
from hoopcli.sansio.events import Credential
from hoopcli.spi import Connector
from tests.support.ledger import Recorded
from tests.support.waiting import eventually

__all__ = ["AGENT", "DBA", "ENGINEER", "SA", "FixedCredentials", "RunningBroker", "broker", "eventually"]

T = TypeVar("T")

SA = Credential("password", "upstream-secret", "sa")

AGENT = Principal("agent:claire", PrincipalKind.AGENT, groups=frozenset({"ai-agents"}), on_behalf_of="omar@example.com")
ENGINEER = Principal("omar@example.com", groups=frozenset({"engineers"}))
DBA = Principal("nadia@example.com", groups=frozenset({"dba"}))


class FixedCredentials:
    """The same credential for everybody, and a note of how often it was asked for."""

    def __init__(self, credential: Credential) -> None:
        self.credential = credential
        self.asked: list[tuple[str, bool]] = []

    async def get(self, connection: Connection, resource: str, fresh: bool) -> Credential:
        self.asked.append((resource, fresh))
        return self.credential


class RunningBroker:
    """One live session and the means to look behind it."""

    def __init__(self, live: LiveSession, services: Services, loop: asyncio.AbstractEventLoop) -> None:
        self.live = live
        self.ledger = Recorded(services.state_dir / "ledger.db")
        self.listen = live.listen
        self.services = services
        self.approvals: Approvals = services.approvals
        self._loop = loop

    def call(self, work: Callable[[], T]) -> T:
        """Run a function on the broker's loop."""

        async def on_loop() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result(10)


@contextmanager
def broker(
    folder: Path,
    options: Mapping[str, str],
    policy: str,
    *,
    principal: Principal = AGENT,
    credential: Credential = SA,
    credentials: CredentialSource | None = None,
    connector: Connector | None = None,
    reason: str = "",
    ttl: timedelta = timedelta(minutes=10),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    desk: Desk | None = None,
) -> Iterator[RunningBroker]:
    """Serve one session, of the SQL connector unless another is given, until the block ends.

    Its ledger stays in ``folder``, and its approvals too unless a desk is given. ``credentials`` says where its own
    credential comes from, instead of a fixed ``credential``.
    """
    brokered = connector or SqlConnector()
    ready = threading.Event()
    started: list[RunningBroker] = []
    failures: list[BaseException] = []
    done = threading.Event()

    async def main() -> None:
        writer = LedgerWriter(Ledger.open(folder / "ledger.db", load_or_create(folder / "key").signer))
        approvals = Approvals(folder / "approvals.db", now)
        try:
            source = credentials or FixedCredentials(credential)
            services = Services(Engine(load(policy)), writer, desk or approvals, source, b"k" * 32, folder, now)
            connection = Connection(f"azure-{brokered.kind}", brokered.kind, options)
            async with serve(brokered, connection, principal, services, reason=reason, ttl=ttl) as live:
                started.append(RunningBroker(live, services, asyncio.get_running_loop()))
                ready.set()
                await asyncio.to_thread(done.wait)
        finally:
            approvals.close()
            writer.close()

    def target() -> None:
        try:
            run(main())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=target, name="broker")
    thread.start()
    ready.wait(30)
    try:
        if started:
            yield started[0]
    finally:
        done.set()
        thread.join(30)
    if failures:
        raise failures[0]
