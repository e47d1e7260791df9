"""A session for the commands that need one: everything of this machine put together, and taken apart again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from hoopcli.cli import output
from hoopcli.cli.recording import recording
from hoopcli.cli.signals import Signals
from hoopcli.cli.workspace import Workspace, now
from hoopcli.identity.credentials import Credentials
from hoopcli.ledger.keys import load_or_create, system_keyring
from hoopcli.model.access import Connection
from hoopcli.proxy.policies import PolicySource
from hoopcli.proxy.run import run
from hoopcli.proxy.session import LiveSession, Services, serve
from hoopcli.spi import ClientHint, Connector

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Terms:
    """What the user asked of the session."""

    port: int = 0
    reason: str = ""
    ttl: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Broker:
    """A live session and what belongs to it."""

    workspace: Workspace
    connector: Connector
    connection: Connection
    services: Services
    live: LiveSession
    signals: Signals

    @property
    def hint(self) -> ClientHint:
        """How clients reach it."""
        return self.connector.client_hint(self.live.listen, self.connection)


def brokered(workspace: Workspace, name: str, terms: Terms, work: Callable[[Broker], Awaitable[T]]) -> T:
    """Open a session on a connection, do the work with it, and close it.

    Raises whatever the work raises, LedgerError if the session cannot be recorded to its end, and KeyboardInterrupt,
    after the session is closed, if a signal stopped the work.
    """
    return run(_brokered(workspace, name, terms, work))


async def _brokered(workspace: Workspace, name: str, terms: Terms, work: Callable[[Broker], Awaitable[T]]) -> T:
    opening = asyncio.current_task()
    signals = Signals(lambda _number: opening and opening.cancel())
    connector, connection = workspace.connector(name)
    with signals.installed(), services(workspace) as shared:
        async with serve(
            connector, connection, workspace.principal, shared, port=terms.port, reason=terms.reason, ttl=terms.ttl
        ) as live:
            async with _kept_true(workspace, live, shared.policy):
                working = asyncio.ensure_future(work(Broker(workspace, connector, connection, shared, live, signals)))
                signals.handler = lambda _number: working.cancel()
                await asyncio.gather(working, return_exceptions=True)  # raised below, where no task group wraps it
            signals.handler = lambda _number: None  # closing is not stopped by a second one
    if working.cancelled():
        raise KeyboardInterrupt
    return working.result()


def _kept_true(workspace: Workspace, live: LiveSession, policy: PolicySource) -> AbstractAsyncContextManager[None]:
    if workspace.settings.server.url is None:
        return nullcontext()
    from hoopcli.cli.governed import kept_true  # noqa: PLC0415 - it brings httpx, which only a server needs

    return kept_true(workspace, live, policy)


@contextmanager
def services(workspace: Workspace) -> Iterator[Services]:
    """Policy, ledger, approvals and credentials of this machine. Raises LedgerError, UsageError."""
    policy = workspace.policy()
    path = workspace.settings.ledger_path
    first = not path.exists()
    key = load_or_create(path.parent, system_keyring() if workspace.settings.keyring else None)
    masking_key = workspace.vault.key("masking")
    if first and workspace.settings.keyring and (warning := key.warning or workspace.vault.warning):
        output.note(f"warning: {warning}")  # once; hoop doctor says it again
    with workspace.approvals() as approvals, recording(workspace, key.signer) as ledger:
        yield Services(
            policy=policy,
            ledger=ledger,
            approvals=approvals,
            credentials=Credentials(workspace.vault, workspace.keyring, output.note),
            masking_key=masking_key,
            state_dir=workspace.state(),
            now=now,
        )
