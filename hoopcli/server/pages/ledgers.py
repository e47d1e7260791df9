"""The pages of ledgers: which there are, who cosigned them, and what is wrong with them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Path, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from hoopcli.ledger.record import format_time
from hoopcli.server.pages.layout import PageRoute, Visitor, sender, visitor
from hoopcli.server.pages.render import page
from hoopcli.server.problems import Problem
from hoopcli.server.services import Served
from hoopcli.server.sync import alerts, overview, store
from hoopcli.server.sync.alerts import Alert

router = APIRouter(include_in_schema=False, route_class=PageRoute)

HERE = "/ledgers"
SHOWN_ALERTS = 20
Who = Annotated[Visitor, Depends(visitor)]
Identity = Annotated[int, Path(ge=1, le=2**31 - 1)]
Skip = Annotated[int, Query(ge=0, le=10_000_000)]


@router.get(HERE)
def ledgers(who: Who, services: Served, skip: Skip = 0) -> HTMLResponse:
    """Every ledger, those first that have something wrong."""
    who.require("audit:read", "ledgers", "ledgers")
    now = services.now()
    with services.database.read() as connection:
        found, total = overview.page(connection, format_time(now), skip=skip)
        wrong = alerts.every(connection, open_only=True, limit=SHOWN_ALERTS)
        numbered = [(alert, store.find(connection, alert.origin).id) for alert in wrong]
    return page(
        "ledgers/ledgers.html",
        ledgers=found,
        total=total,
        alerts=numbered,
        skip=skip,
        limit=overview.PAGE,
        witness=services.witness.verifier.name,
        now=now.timestamp(),
        **who.layout(HERE),
    )


@router.get("/ledgers/{identity}")
def ledger(identity: Identity, who: Who, services: Served) -> HTMLResponse:
    """One ledger, its witnesses and its alerts."""
    who.require("audit:read", "ledgers", "ledger", ledger=identity)
    now = services.now()
    with services.database.read() as connection:
        seen = overview.one(connection, identity, format_time(now))
        every = alerts.every(connection, ledger=identity, limit=100)
    keys = (seen.held.key, services.witness.verifier)

    def compared(alert: Alert) -> tuple[Any, ...]:
        return alert, overview.head_of(alert.honest, *keys), overview.head_of(alert.other, *keys)

    return page(
        "ledgers/ledger.html",
        seen=seen,
        open=[compared(alert) for alert in every if alert.resolved is None],
        closed=[alert for alert in every if alert.resolved is not None],
        cosigned=overview.head_of(seen.held.witnessed_note, *keys),
        witness=str(services.witness.verifier),
        resolves=who.may("ledger:resolve", "ledgers"),
        now=now.timestamp(),
        **who.layout(HERE),
    )


@router.post("/ledgers/{identity}/alerts/{alert}")
def resolve(
    identity: Identity,
    alert: Identity,
    who: Annotated[Visitor, Depends(sender)],
    services: Served,
    comment: Annotated[str, Form(min_length=1, max_length=4_000)],
) -> Response:
    """Close an alert: somebody has dealt with it, and says how."""
    who.require("ledger:resolve", "ledgers", "close-alert", ledger=identity, alert=alert)
    now, me, said = services.now().timestamp(), who.caller.principal.subject, comment.replace("\0", "\u2400")
    with services.database.write() as connection:
        mine = any(each.id == alert for each in alerts.every(connection, open_only=True, ledger=identity))
        if not mine or not alerts.resolve(connection, alert, now, me, said):
            raise Problem(409, "resolved", "this alert is closed already")
    return RedirectResponse(f"/ledgers/{identity}", 303)
