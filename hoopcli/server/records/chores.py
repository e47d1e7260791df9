"""What the server does about its index on its own: it takes in the records that came before there was one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from anyio import to_thread
from sqlalchemy import func, select

from hoopcli.server.database import DatabaseGoneError
from hoopcli.server.records import indexing
from hoopcli.server.services import Services
from hoopcli.server.sync import store
from hoopcli.server.tables import ledgers
from hoopcli.server.tables import records as tables

AT_ONCE: Final = 2_000
EVERY_SECONDS: Final = 10.0


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Run the chore as long as the app runs."""
    chore = asyncio.create_task(_watch(app.state.services))
    try:
        yield
    finally:
        chore.cancel()
        with suppress(asyncio.CancelledError):
            await chore


def catch_up(services: Services, at_once: int = AT_ONCE) -> bool:
    """Take in some records of a ledger that lags behind; False if none does. Raises DatabaseGoneError."""
    ledger, done = ledgers.ledgers.c, tables.progress.c
    joined = ledgers.ledgers.outerjoin(tables.progress, done.ledger == ledger.id)
    lagging = select(ledger.origin).select_from(joined).where(ledger.size > func.coalesce(done.size, 0)).limit(1)
    with services.database.write() as connection:
        origin = connection.execute(lagging).scalar()
        if origin is None:
            return False
        held = store.find(connection, origin, lock=True)
        start = indexing.progress(connection, held.id)
        rows = list(store.record_rows(connection, held.id, start, min(held.size, start + at_once)))
        indexing.extend(connection, held.id, start, rows)
        return True


async def _watch(services: Services) -> None:
    while True:
        more = False
        with suppress(DatabaseGoneError):  # the next turn tries again
            more = await to_thread.run_sync(catch_up, services)
        await asyncio.sleep(0 if more else EVERY_SECONDS)
