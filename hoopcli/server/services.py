"""What the routes of a server work with, put together once and shared by all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from hoopcli.ledger.note import Cosigner
from hoopcli.policy.engine import Engine
from hoopcli.server.config import ServerSettings
from hoopcli.server.database import Database
from hoopcli.server.metrics import Metrics
from hoopcli.server.wake import Wake


def utc_now() -> datetime:
    """The clock of a server."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all requests of one process. ``witness`` cosigns checkpoints of ledgers."""

    settings: ServerSettings
    database: Database
    wake: Wake
    policy: Engine
    witness: Cosigner
    now: Callable[[], datetime] = utc_now
    metrics: Metrics = field(default_factory=Metrics)


@contextmanager
def opened(
    settings: ServerSettings,
    database_url: str,
    policy: Engine,
    witness: Cosigner,
    now: Callable[[], datetime] = utc_now,
) -> Iterator[Services]:
    """The services of one process, closed at the end of the block. The database must be migrated."""
    with closing(Database.open(database_url)) as database, closing(Wake(database)) as wake:
        yield Services(settings, database, wake, policy, witness, now)


def services_of(connection: HTTPConnection) -> Services:
    """The services of the server that answers this request."""
    services: Services = connection.app.state.services
    return services


Served = Annotated[Services, Depends(services_of)]
"""A parameter of a route that receives the services."""
