"""Signing in to the pages and out again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel

from hoopcli.errors import NotSignedInError
from hoopcli.server.access import Caller, caller
from hoopcli.server.pages import browser
from hoopcli.server.pages.layout import PageRoute, Visitor, sender
from hoopcli.server.pages.render import page
from hoopcli.server.services import Served, Services

pages = APIRouter(include_in_schema=False, route_class=PageRoute)
api = APIRouter(prefix="/v1/browser", tags=["pages"])


class Opened(BaseModel):
    """An address that signs a browser in, once, within a minute."""

    url: str


@api.post("/tickets")
def ticket(services: Served, who: Annotated[Caller, Depends(caller)]) -> Opened:
    """Let the caller open the pages in a browser."""
    secret = browser.issue_ticket(services, who)
    return Opened(url=f"{services.settings.public_url}/sign-in#{secret}")


@pages.get("/sign-in")
def sign_in(services: Served, next: Annotated[str, Query(max_length=500)] = "/approvals") -> HTMLResponse:  # noqa: A002 - its name in the address
    """How to sign in. A ticket comes behind the ``#``, which no log and no referrer holds; a script sends it."""
    return sign_in_page(services, next)


@pages.post("/sign-in")
def redeem(
    services: Served,
    ticket: Annotated[str, Form(max_length=100)],
    next: Annotated[str, Form(max_length=500)] = "/approvals",  # noqa: A002
) -> Response:
    """Begin a browser's session by a ticket."""
    try:
        _, cookie = browser.redeem(services, ticket)
    except NotSignedInError:
        return sign_in_page(services, next, "That address was used already, or is older than a minute.")
    response = RedirectResponse(local(next), 303)
    browser.keep(response, services.settings, cookie)
    return response


@pages.post("/sign-out")
def sign_out(services: Served, who: Annotated[Visitor, Depends(sender)]) -> Response:
    """End the browser's session."""
    browser.end(services, who.cookie)
    response = RedirectResponse("/sign-in", 303)
    browser.keep(response, services.settings, "")
    return response


def sign_in_page(services: Services, next: str, refused: str = "") -> HTMLResponse:  # noqa: A002
    """The ways to sign in, and why the last one did not succeed."""
    people = [each.name for each in services.settings.providers if each.kind == "human"]
    names = [*people, *(each.name for each in services.settings.saml)]
    return page(
        "sign_in.html",
        status=403 if refused else 200,
        person=None,
        csrf="",
        next=local(next),
        refused=refused,
        providers=names,
    )


def local(path: str) -> str:
    """A path of this server's pages; anything else becomes the inbox."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() and "\\" not in path
    return path if plain else "/approvals"
