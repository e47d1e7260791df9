"""The first page: what needs attention, of all that its visitor may see."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse

from hoopcli.ledger.record import format_time
from hoopcli.server.approvals.desk import Desk
from hoopcli.server.approvals.routes import desk
from hoopcli.server.pages.connections import current
from hoopcli.server.pages.layout import PageRoute, Visitor, visitor
from hoopcli.server.pages.render import page
from hoopcli.server.people.store import Sessions
from hoopcli.server.services import Served, Services
from hoopcli.server.sync import alerts, overview

router = APIRouter(include_in_schema=False, route_class=PageRoute)

SHOWN = 5
MOST_ALERTS = 100


@router.get("/")
def home(
    who: Annotated[Visitor, Depends(visitor)], services: Served, approvals: Annotated[Desk, Depends(desk)]
) -> HTMLResponse:
    """Requests that wait, alerts, silent ledgers, the policy, and who is online."""
    reads_policy, reads_people = who.may("policy:read", "policy"), who.may("people:read", "sessions")
    return page(
        "home.html",
        inbox=approvals.inbox(who.caller, limit=SHOWN),
        ledgers=_ledgers(services) if who.may("audit:read", "ledgers") else None,
        policy=(current(services) or "") if reads_policy else None,
        online=_online(services) if reads_people else None,
        now=services.now().timestamp(),
        **who.layout("/"),
    )


def _ledgers(services: Services) -> dict[str, Any]:
    now = services.now()
    before = now.timestamp() - services.settings.silent_after
    with services.database.read() as connection:
        wrong = alerts.every(connection, open_only=True, limit=MOST_ALERTS)
        return {"alerts": wrong, "most": MOST_ALERTS, "quiet": overview.quiet(connection, before, format_time(now))}


def _online(services: Services) -> int:
    return len(Sessions(services.database, services.settings.sessions).every(services.now()))
