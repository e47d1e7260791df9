"""What a server does by itself about approvals while it runs: it closes what has expired, and sends messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial

from anyio import to_thread
from fastapi import FastAPI

from hoopcli.server.approvals.desk import Desk
from hoopcli.server.approvals.documents import document
from hoopcli.server.channels.message import Message, compose
from hoopcli.server.channels.outbox import Delivery
from hoopcli.server.channels.sender import Sender
from hoopcli.server.channels.settings import ChannelSettings
from hoopcli.server.services import Services

SWEEP_SECONDS = 5.0
_log = logging.getLogger(__name__)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the chores until the server stops."""
    services: Services = app.state.services
    chores = asyncio.create_task(_chores(Desk(services), sender(services)))
    try:
        yield
    finally:
        chores.cancel()
        with suppress(asyncio.CancelledError):
            await chores


def sender(services: Services) -> Sender:
    """What sends the messages of a server."""
    return Sender(
        services.database,
        services.settings.channels,
        partial(_message, Desk(services)),
        lambda: services.now().timestamp(),
    )


def _message(desk: Desk, delivery: Delivery, channel: ChannelSettings) -> Message:
    held, at = desk.load(delivery.request), desk.now
    link = desk.link(delivery.request)
    return compose(
        f"approval-{delivery.id}",
        delivery.what,
        held,
        link=link,
        show_text=channel.show_text,
        at=at,
        document=document(held, link).model_dump(mode="json"),
    )


async def _chores(desk: Desk, sending: Sender) -> None:
    """Sweep on a short timer; send as soon as something may have to be sent."""
    clock = asyncio.get_running_loop().time
    swept = clock() - SWEEP_SECONDS
    with desk.listening() as changed:
        while True:
            try:
                if clock() - swept >= SWEEP_SECONDS:
                    await to_thread.run_sync(desk.sweep)
                    swept = clock()
                while await to_thread.run_sync(sending.deliver):
                    pass
            except Exception:  # noqa: BLE001 - whatever it is, the other chores and later tries go on
                _log.exception("approvals: a chore failed")
            await changed.wait(SWEEP_SECONDS)
