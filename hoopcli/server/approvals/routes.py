"""The routes of approvals. A broker asks, waits, uses and withdraws; people list, show and answer."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from hoopcli.server.access import Caller, caller
from hoopcli.server.approvals.desk import Desk, asker
from hoopcli.server.approvals.documents import Ask, RequestDocument, Requests, Said, Use, Used, document, question_of
from hoopcli.server.approvals.held import Held
from hoopcli.server.approvals.held_answer import soon_or_held
from hoopcli.server.approvals.lifespan import lifespan
from hoopcli.server.approvals.listing import PAGE

LONGEST_POLL = 60.0
LONGEST_WAIT = 3_600.0

router = APIRouter(prefix="/v1/approvals", tags=["approvals"], lifespan=lifespan)


def desk(request: Request) -> Desk:
    """The approvals of the server that answers this request."""
    return Desk(request.app.state.services)


Who = Annotated[Caller, Depends(caller)]
AtDesk = Annotated[Desk, Depends(desk)]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


@router.post("")
def ask(body: Ask, who: Who, approvals: AtDesk) -> RequestDocument:
    """Ask people about a statement. The same question again is the same request, as long as that is open."""
    on_behalf_of, kind = asker(who.principal, body.principal.subject, body.principal.kind)
    return _shown(approvals, approvals.ask(who, question_of(body, on_behalf_of, kind), body.terms.obligation()))


@router.get("")
async def ls(
    who: Who,
    approvals: AtDesk,
    request: Request,
    skip: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = PAGE,
    seen: Annotated[str | None, Query(max_length=64)] = None,
    seconds: Annotated[float, Query(ge=0, le=LONGEST_POLL)] = 25,
) -> Requests:
    """What waits and the caller may see, oldest first. With the ``tag`` of what was seen, as soon as it has changed."""
    if seen is not None:
        page = await approvals.inbox_after(who, seen, seconds, request)
    else:
        page = await to_thread.run_sync(partial(approvals.inbox, who, skip=skip, limit=limit))
    return Requests(requests=[_shown(approvals, held) for held in page.requests], total=page.total, tag=page.tag)


@router.get("/{identity}")
def show(identity: Id, who: Who, approvals: AtDesk) -> RequestDocument:
    """One request."""
    return _shown(approvals, approvals.get(who, identity))


@router.get("/{identity}/wait", response_model=RequestDocument)
async def wait(
    identity: Id,
    who: Who,
    approvals: AtDesk,
    request: Request,
    seconds: Annotated[float, Query(ge=0, le=LONGEST_WAIT)] = 25,
) -> Response:
    """One request as soon as it no longer waits, or as it is after so many seconds.

    An answer that takes a while begins with spaces. If nothing follows them, the wait failed: ask again.
    """

    async def answer() -> bytes:
        held = await approvals.wait(who, identity, seconds, request)
        return _shown(approvals, held).model_dump_json().encode()

    return await soon_or_held(answer())


@router.post("/{identity}/answer")
def answer(identity: Id, body: Said, who: Who, approvals: AtDesk) -> RequestDocument:
    """Approve or deny. Nobody answers their own request."""
    return _shown(approvals, approvals.answer(who, identity, body.verdict()))


@router.post("/{identity}/use")
def use(identity: Id, body: Use, who: Who, approvals: AtDesk) -> Used:
    """Take one use of an approved request, for exactly what was approved."""
    held, granted = approvals.use(who, identity, body.binding())
    return Used(granted=granted, request=_shown(approvals, held))


@router.post("/{identity}/withdraw")
def withdraw(identity: Id, who: Who, approvals: AtDesk) -> RequestDocument:
    """The client no longer waits. The request stays open for its next identical try."""
    return _shown(approvals, approvals.withdraw(who, identity))


def _shown(approvals: Desk, held: Held) -> RequestDocument:
    return document(held, approvals.link(held.request.id))
