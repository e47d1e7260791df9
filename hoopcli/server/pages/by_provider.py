"""Signing in to the pages by a provider, and for programs by way of this server: off to the provider, and back once.

What begins here is bound to the browser by a cookie of its own. A response of SAML comes as a POST of another site,
which brings no cookie: who it vouches for waits under a secret, by which the browser that left goes on.
"""

from __future__ import annotations

import re
import secrets
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from hoopcli.errors import HoopError, NotSignedInError
from hoopcli.model.access import Principal
from hoopcli.server.config import ServerSettings
from hoopcli.server.pages import browser
from hoopcli.server.pages.layout import PageRoute
from hoopcli.server.pages.signin import local, sign_in_page
from hoopcli.server.people import by_openid, by_saml, saml
from hoopcli.server.people.settings import ProviderSettings, SamlSettings
from hoopcli.server.people.sign_ins import LASTS, Program, SignIn, SignIns, Wanted
from hoopcli.server.problems import not_found
from hoopcli.server.services import Served, Services, services_of

router = APIRouter(include_in_schema=False, route_class=PageRoute)
Short = Annotated[str, Query(max_length=300)]
_COOKIE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@router.get("/sign-in/with/{name}")
def leave(request: Request, services: Served, name: str, next: Annotated[str, Query(max_length=500)] = "") -> Response:  # noqa: A002
    """Go to a provider, and come back to the page that was wanted."""
    return _leave(request, services, name, Wanted(local(next)))


@router.get("/sign-in/program")
def leave_for_program(
    request: Request,
    services: Served,
    provider: Short,
    redirect_uri: Short,
    state: Short,
    code_challenge: Short,
    dpop_jkt: Short,
) -> Response:
    """Go to a provider for a program on this machine, which gets a code that only it can use."""
    program = Program(redirect_uri, state, code_challenge, dpop_jkt).check()
    return _leave(request, services, provider, Wanted(program=program))


@router.get(by_openid.RETURN)
def back(
    request: Request,
    services: Served,
    state: Short = "",
    code: Annotated[str, Query(max_length=5000)] = "",
    iss: Short = "",
    error: Short = "",
    error_description: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """Come back from an OpenID provider."""
    said = {"code": code, "iss": iss, "error": error, "error_description": error_description}
    try:
        cookie = _cookie(request)
        found = SignIns(services.database).take("asked", state, services.now(), cookie)
        provider = _provider(services, found.provider)
        if not isinstance(provider, ProviderSettings):
            raise NotSignedInError("another provider was asked", "begin again")
        who = by_openid.come_back(services, request.app, provider, cookie, state, said)
    except HoopError as problem:
        return sign_in_page(services, "", problem.message)
    return _arrived(request, services, found, who)


@router.post(by_saml.RETURN)
def posted(
    services: Served,
    response: Annotated[str, Form(alias="SAMLResponse", max_length=saml.LONGEST)],
    relay: Annotated[str, Form(alias="RelayState", max_length=100)] = "",
) -> Response:
    """Take a SAML response, which the browser posts from the provider's site, and have the browser go on."""
    sign_ins = SignIns(services.database)
    try:
        provider = _provider(services, sign_ins.asked(relay, services.now()).provider)
        if not isinstance(provider, SamlSettings):
            raise NotSignedInError("another provider was asked", "begin again")
        who = by_saml.come_back(services, provider, relay, response)
        secret = sign_ins.vouch(relay, who, services.now())
    except HoopError as problem:
        return sign_in_page(services, "", problem.message)
    return RedirectResponse(f"/sign-in/on?{urlencode({'secret': secret})}", 303)


@router.get("/sign-in/on")
def go_on(request: Request, services: Served, secret: Short = "") -> Response:
    """Finish what a SAML response began, in the browser that left for it."""
    try:
        found = SignIns(services.database).take("vouched", secret, services.now(), _cookie(request))
    except HoopError as problem:
        return sign_in_page(services, "", problem.message)
    assert found.principal is not None
    return _arrived(request, services, found, found.principal)


@router.get(by_saml.RETURN)
def metadata(services: Served) -> Response:
    """What an administrator gives a SAML identity provider."""
    own = by_saml.address(services)
    return Response(saml.metadata(own, own), media_type="application/samlmetadata+xml")


def _leave(request: Request, services: Services, name: str, wanted: Wanted) -> Response:
    provider = _provider(services, name)
    cookie = request.cookies.get(_name(services.settings), "")
    cookie = cookie if _COOKIE.fullmatch(cookie) else secrets.token_urlsafe(32)
    try:
        state = SignIns(services.database).ask(name, cookie, wanted, services.now())
        if isinstance(provider, SamlSettings):
            there = by_saml.leave(services, provider, state)
        else:
            there = by_openid.leave(services, provider, cookie, state)
    except HoopError as problem:
        return sign_in_page(services, wanted.next, problem.message)
    response = RedirectResponse(there, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    _keep(response, services.settings, cookie)
    return response


def _arrived(request: Request, services: Services, found: SignIn, who: Principal) -> Response:
    """Somebody is who they are: give the browser its session, or the program its code."""
    if (program := found.wanted.program) is not None:
        code = SignIns(services.database).code(SignIn(found.provider, found.wanted, who), services.now())
        there = f"{program.redirect}?{urlencode({'code': code, 'state': program.state})}"
        return RedirectResponse(there, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    response = RedirectResponse(found.wanted.next, 303, {"Cache-Control": "no-store"})
    before = request.cookies.get(browser.cookie_name(services.settings), "")
    browser.keep(response, services.settings, browser.begin(services, who, found.provider, before))
    return response


def _provider(services: Services, name: str) -> ProviderSettings | SamlSettings:
    known: tuple[ProviderSettings | SamlSettings, ...] = (*services.settings.providers, *services.settings.saml)
    found = next((each for each in known if each.name == name and each.kind == "human"), None)
    if found is None:
        raise not_found("nobody signs in here by that provider", "go to /sign-in")
    return found


def _cookie(request: Request) -> str:
    """The cookie of this browser's sign-in. Raises NotSignedInError if it did not begin one."""
    cookie = request.cookies.get(_name(services_of(request).settings), "")
    if not _COOKIE.fullmatch(cookie):
        raise NotSignedInError("this browser has not begun to sign in, or took too long", "begin again")
    return cookie


def _keep(response: Response, settings: ServerSettings, cookie: str) -> None:
    secure = settings.public_url.startswith("https://")
    response.set_cookie(
        _name(settings), cookie, int(LASTS.total_seconds()), path="/", secure=secure, httponly=True, samesite="lax"
    )


def _name(settings: ServerSettings) -> str:
    return f"{browser.cookie_name(settings)}-begun"
