"""The pages of approvals: what waits, and one request with all that an approver wants to know."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Path, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from hoopcli.errors import UsageError
from hoopcli.server.approvals.desk import Background, Desk, Page
from hoopcli.server.approvals.listing import PAGE, Only
from hoopcli.server.approvals.routes import desk
from hoopcli.server.approvals.store import Verdict
from hoopcli.server.pages.layout import PageRoute, Visitor, sender, visitor
from hoopcli.server.pages.render import page

LIVE_SECONDS = 25.0
LONGEST_MINUTES = 43_200
#: PostgreSQL takes no text with a NUL.
NO_NUL = r"^[^\x00]*$"

router = APIRouter(include_in_schema=False, route_class=PageRoute)

Who = Annotated[Visitor, Depends(visitor)]
AtDesk = Annotated[Desk, Depends(desk)]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Skip = Annotated[int, Query(ge=0, le=10_000_000)]
Seen = Annotated[str, Query(max_length=64)]


def wanted(
    principal: Annotated[str, Query(max_length=500, pattern=NO_NUL)] = "",
    connection: Annotated[str, Query(max_length=100, pattern=NO_NUL)] = "",
    rule: Annotated[str, Query(max_length=100, pattern=NO_NUL)] = "",
) -> Only:
    """Which requests an address asks for."""
    return Only(principal, connection, rule)


Wanted = Annotated[Only, Depends(wanted)]


@router.get("/approvals")
def inbox(who: Who, approvals: AtDesk, only: Wanted, skip: Skip = 0) -> HTMLResponse:
    """What waits, oldest first, and what was answered lately."""
    waiting, settled = approvals.inbox(who.caller, skip=skip, only=only), approvals.settled(who.caller)
    return page("approvals/inbox.html", settled=settled, **_waiting(waiting, approvals), **who.layout("/approvals"))


@router.get("/approvals/live")
async def live(who: Who, approvals: AtDesk, seen: Seen, request: Request, only: Wanted, skip: Skip = 0) -> HTMLResponse:
    """What waits, as soon as it has changed."""
    waiting = await approvals.inbox_after(who.caller, seen, LIVE_SECONDS, request, skip=skip, only=only)
    return page("approvals/waiting.html", **_waiting(waiting, approvals))


@router.get("/approvals/{identity}")
def show(identity: Id, who: Who, approvals: AtDesk) -> HTMLResponse:
    """One request."""
    shown = _request(approvals.background(who.caller, identity), approvals)
    return page("approvals/request.html", swap=False, **shown, **who.layout("/approvals"))


@router.get("/approvals/{identity}/live")
async def live_request(identity: Id, who: Who, approvals: AtDesk, seen: Seen, request: Request) -> HTMLResponse:
    """Where one request stands, as soon as that has changed, and the form once nobody can answer any more."""
    background = await approvals.background_after(who.caller, identity, seen, LIVE_SECONDS, request)
    shown = _request(background, approvals)
    answerable = background.held.waits and not background.refusal
    template = "approvals/status.html" if answerable else "approvals/status_and_answer.html"
    return page(template, swap=True, csrf=who.csrf, **shown)


@router.post("/approvals/{identity}/answer")
def answer(
    identity: Id,
    who: Annotated[Visitor, Depends(sender)],
    approvals: AtDesk,
    approve: Annotated[Literal["yes", "no"], Form()],
    comment: Annotated[str, Form(max_length=4_000)] = "",
    uses: Annotated[str, Form(max_length=10)] = "",
    minutes: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Approve or deny, and show what became of it."""
    until = None
    if (wanted := _number(minutes, LONGEST_MINUTES)) is not None:
        until = min(approvals.now + wanted * 60, approvals.get(who.caller, identity).request.expires)
    verdict = Verdict(approve == "yes", comment.replace("\0", "\u2400"), _number(uses, 1000), until)
    approvals.answer(who.caller, identity, verdict)
    return RedirectResponse(f"/approvals/{identity}", 303)


def _waiting(waiting: Page, approvals: Desk) -> dict[str, Any]:
    asked = urlencode({name: value for name, value in asdict(waiting.only).items() if value})
    groups = [(group, urlencode(asdict(group.only))) for group in waiting.groups]
    return {"inbox": waiting, "asked": asked, "groups": groups, "limit": PAGE, "now": approvals.now}


def _request(background: Background, approvals: Desk) -> dict[str, Any]:
    return {
        "held": background.held,
        "events": background.events,
        "like": background.like,
        "refusal": background.refusal,
        "tag": background.tag,
        "now": approvals.now,
    }


def _number(text: str, most: int) -> int | None:
    """A field of the form; None if it was left empty. Raises UsageError."""
    if not text.strip():
        return None
    if not text.strip().isdecimal() or not 1 <= int(text) <= most:
        raise UsageError(f"{text!r} is not a number from 1 to {most}")
    return int(text)
