"""What the server does about ledgers on its own: it looks for those that have fallen silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from anyio import to_thread

from hoopcli.server.database import DatabaseGoneError
from hoopcli.server.services import Services
from hoopcli.server.sync.alerts import check_silence

EVERY_SECONDS: Final = 30.0


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Run the chores as long as the app runs."""
    chore = asyncio.create_task(_watch(app.state.services))
    try:
        yield
    finally:
        chore.cancel()
        with suppress(asyncio.CancelledError):
            await chore


async def _watch(services: Services) -> None:
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        with suppress(DatabaseGoneError):  # the next turn looks again
            await to_thread.run_sync(check_silence, services)
