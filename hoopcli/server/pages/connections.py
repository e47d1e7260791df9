"""The page of connections: what the server hands out, and where each leads. No secret is known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from hoopcli.errors import HoopError
from hoopcli.ledger.record import format_time
from hoopcli.policy.bundle import LOCAL_KEYS
from hoopcli.server.catalog.store import Catalog, Revision
from hoopcli.server.pages.layout import PageRoute, Visitor, visitor
from hoopcli.server.pages.render import page
from hoopcli.server.problems import Problem
from hoopcli.server.services import Served, Services
from hoopcli.server.sync import overview
from hoopcli.settings import connectors
from hoopcli.settings.files import check_connection

router = APIRouter(include_in_schema=False, route_class=PageRoute)

HERE = "/connections"


@dataclass(frozen=True, slots=True)
class Entry:
    """A connection. ``problem`` says why nobody can tell where it leads; ``sessions`` is None if one may not know."""

    name: str
    kind: str
    target: str
    problem: str
    options: tuple[tuple[str, str], ...]
    sessions: int | None


@router.get(HERE)
def connections(who: Annotated[Visitor, Depends(visitor)], services: Served) -> HTMLResponse:
    """The connections of the revision that holds."""
    who.require("policy:read", "policy", "connections")
    revision = current(services)
    counts = _sessions(services) if who.may("audit:read", "ledgers") else None
    entries = [_entry(name, each, counts) for name, each in sorted(revision.connections.items())] if revision else []
    return page("connections/connections.html", entries=entries, revision=revision, explains=True, **who.layout(HERE))


def current(services: Services) -> Revision | None:
    """The revision that holds, if there is one."""
    try:
        return Catalog(services.database).current()
    except Problem:
        return None


def _sessions(services: Services) -> Mapping[str, int]:
    with services.database.read() as connection:
        return overview.sessions_by_connection(connection, format_time(services.now()))


def _entry(name: str, settings: Mapping[str, Any], counts: Mapping[str, int] | None) -> Entry:
    options, target, problem, kind = settings, "", "", str(settings.get("kind", "sql"))
    try:
        connection = check_connection(name, settings)
        options = connection.options
        where = connectors.load(connection.kind).target(connection)
        target = f"{where.host}:{where.port}"
    except HoopError as error:
        problem = error.message
    told = tuple((key, str(value)) for key, value in sorted(options.items()) if key not in LOCAL_KEYS | {"kind"})
    return Entry(name, kind, target, problem, told, None if counts is None else counts.get(name, 0))
