"""What happens while a session of ``hoop connect`` is open."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hoopcli.cli import output
from hoopcli.cli.asking import Ask, ask_here, watch
from hoopcli.cli.broker import Broker
from hoopcli.cli.child import environment, run_command
from hoopcli.cli.workspace import now
from hoopcli.model.access import PrincipalKind

if TYPE_CHECKING:
    from hoopcli.proxy.approvals import Request

REFRESH_SECONDS = 0.25


async def open_until_ended(broker: Broker) -> int:
    """Keep the session open until a signal or its time ends it, showing what it does. Returns the exit code."""
    with broker.signals.handled_by(lambda number: broker.live.end(_why(number))):
        if sys.stderr.isatty():
            why = await _with_status(broker)
        else:
            async with _watching(broker, ask_here):
                why = await broker.live.ended()
    output.note(f"hoop: session {broker.live.session.id} ended ({why}): {summary(broker)}")
    return 0


async def run_inside(broker: Broker, command: Sequence[str]) -> int:
    """Run a command in the session; its exit code."""
    session = broker.live.session
    own = {"HOOP_SESSION": session.id}
    if session.principal.kind is PrincipalKind.AGENT:  # what the agent runs is the agent, not its human
        own["HOOP_AGENT"] = session.principal.name
    workspace = broker.workspace
    mine = [settings.connection(name) for name, settings in workspace.settings.connections.items()]
    env = environment(os.environ, [*mine, *workspace.connections.values()], {**broker.hint.environment, **own})
    ended = asyncio.ensure_future(broker.live.ended())
    async with _watching(broker, _nobody):
        code = await run_command(command, env, ended, broker.signals)
    why = ended.result() if ended.done() else ""
    ended.cancel()
    output.note(f"hoop: {summary(broker)}" + (f" (the session ended: {why})" if why else ""))
    return code


def summary(broker: Broker) -> str:
    """What the session has done, in words."""
    stats = broker.live.stats
    parts = [
        f"{stats.statements:,} statement{'' if stats.statements == 1 else 's'}",
        f"{stats.rows:,} row{'' if stats.rows == 1 else 's'}",
        f"{stats.masked:,} masked",
        f"{stats.denied:,} denied",
    ]
    return ", ".join([*parts, f"{stats.waiting:,} waiting"] if stats.waiting else parts)


def _why(number: signal.Signals) -> str:
    return "interrupted" if number is signal.SIGINT else f"stopped by {number.name}"


async def _with_status(broker: Broker) -> str:
    """A status line that stays at the bottom of the terminal, out of the way while a person is asked."""
    from rich.status import Status  # noqa: PLC0415

    status = Status(_line(broker), console=output.console(stderr=True), spinner="dots")

    async def ask(request: Request) -> bool | None:
        status.stop()
        try:
            return await ask_here(request)
        finally:
            status.start()

    ended = asyncio.ensure_future(broker.live.ended())
    with status:
        async with _watching(broker, ask):
            while not ended.done():
                status.update(_line(broker))
                await asyncio.wait([ended], timeout=REFRESH_SECONDS)
    return ended.result()


def _line(broker: Broker) -> str:
    left = max(0, int((broker.live.session.expires_at - now()).total_seconds()))
    name = broker.live.session.connection.name
    return f"{name}: {summary(broker)}, synced: local, {left // 60}:{left % 60:02} left"


@asynccontextmanager
async def _watching(broker: Broker, ask: Ask) -> AsyncIterator[None]:
    watcher = asyncio.ensure_future(watch(broker, ask))
    try:
        yield
    finally:
        watcher.cancel()
        await asyncio.wait([watcher])
    if not watcher.cancelled():
        watcher.result()  # it ended by itself, which only an error makes it do


async def _nobody(_request: Request) -> bool | None:
    """The terminal belongs to the command: nobody can be asked here."""
    return None
