"""The page of people: who is signed in, by what, on which machines, and the end of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from hoopcli.errors import NotSignedInError
from hoopcli.ledger.record import format_time
from hoopcli.server.pages.layout import PageRoute, Visitor, sender, visitor
from hoopcli.server.pages.render import page
from hoopcli.server.people.store import TOPIC, Held, Sessions
from hoopcli.server.problems import not_found
from hoopcli.server.services import Served, Services
from hoopcli.server.sync import overview
from hoopcli.server.sync.overview import Seen

router = APIRouter(include_in_schema=False, route_class=PageRoute)

HERE = "/people"
PAGE = 50
#: PostgreSQL takes no text with a NUL.
NO_NUL = r"^[^\x00]+$"


@dataclass(frozen=True, slots=True)
class Person:
    """Who is online, with their own sessions and those of their agents. ``revocable`` if the visitor may end them."""

    subject: str
    name: str
    groups: tuple[str, ...]
    sessions: tuple[Held, ...]
    revocable: bool


@router.get(HERE)
def people(
    who: Annotated[Visitor, Depends(visitor)],
    services: Served,
    skip: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ended: Annotated[int | None, Query(ge=0, le=10_000_000)] = None,
) -> HTMLResponse:
    """Who is signed in, and which brokers were heard of late."""
    who.require("people:read", "sessions", "people")
    every = Sessions(services.database, services.settings.sessions).every(services.now())
    grouped: defaultdict[str, list[Held]] = defaultdict(list)
    for held in every:
        grouped[held.principal.on_behalf_of or held.principal.subject].append(held)
    shown = sorted(grouped.items())[skip : skip + PAGE]
    return page(
        "people/people.html",
        people=[_person(who, subject, sessions) for subject, sessions in shown],
        total=len(grouped),
        sessions=len(every),
        skip=skip,
        limit=PAGE,
        ended=ended,
        brokers=_brokers(services) if who.may("audit:read", "ledgers") else None,
        within=services.settings.silent_after,
        now=services.now().timestamp(),
        **who.layout(HERE),
    )


@router.post("/people/revoke")
def revoke(
    who: Annotated[Visitor, Depends(sender)],
    services: Served,
    subject: Annotated[str, Form(min_length=1, max_length=500, pattern=NO_NUL)],
) -> Response:
    """End every session of a person, and of those that act for them."""
    who.require("people:revoke", subject, "revoke", subject=subject)
    return _ended(services, Sessions(services.database, services.settings.sessions).end(subject=subject))


@router.post("/people/end")
def end(
    who: Annotated[Visitor, Depends(sender)],
    services: Served,
    session: Annotated[str, Form(min_length=1, max_length=32, pattern=NO_NUL)],
) -> Response:
    """End one session."""
    store = Sessions(services.database, services.settings.sessions)
    try:
        held = store.get(session, services.now())
    except NotSignedInError:
        raise not_found("this session has ended already") from None
    subject = held.principal.on_behalf_of or held.principal.subject
    who.require("people:revoke", subject, "revoke", subject=subject, session=session)
    return _ended(services, store.end(identity=session))


def _ended(services: Services, ended: Sequence[str]) -> Response:
    for each in ended:
        services.wake.notify(TOPIC, each)
    return RedirectResponse(f"{HERE}?ended={len(ended)}", 303)


def _person(who: Visitor, subject: str, sessions: Sequence[Held]) -> Person:
    own = next((held.principal for held in sessions if held.principal.subject == subject), None)
    groups = tuple(sorted(own.groups)) if own else ()
    return Person(subject, own.name if own else "", groups, tuple(sessions), who.may("people:revoke", subject))


def _brokers(services: Services) -> list[Seen]:
    now = services.now()
    with services.database.read() as connection:
        return overview.lately(connection, now.timestamp() - services.settings.silent_after, format_time(now))
