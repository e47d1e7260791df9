"""The routes of identity: how to sign in here, a session for a provider's token, and its end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from hoopcli.errors import NotSignedInError
from hoopcli.identity.openid import SKEW, validate
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.server.access import Caller, caller, proved_of, require
from hoopcli.server.people.claims import agent_of, principal_of
from hoopcli.server.people.graph import with_groups
from hoopcli.server.people.invitations import PROVIDER, Invitations
from hoopcli.server.people.keys import keys_of
from hoopcli.server.people.settings import ProviderSettings
from hoopcli.server.people.sign_ins import SignIns
from hoopcli.server.people.store import TOPIC, Held, Sessions, document
from hoopcli.server.problems import Problem
from hoopcli.server.services import Served, Services

LONGEST_POLL = 60.0

router = APIRouter(prefix="/v1/sessions", tags=["identity"])
Who = Annotated[Caller, Depends(caller)]


class Provider(BaseModel):
    """A provider that people can sign in by: at its own place, or ``by`` SAML on the pages of this server."""

    name: str
    kind: str
    by: Literal["openid", "saml"] = "openid"
    issuer: str = ""
    client_id: str = ""
    scopes: list[str] = []
    public_secret: str = ""


class SignIn(BaseModel):
    """A provider's token; the nonce that it was asked for with; the agent that the session is for, if it is one.

    By SAML the token is the code that this server's pages gave, and the nonce its verifier (RFC 7636).
    """

    model_config = ConfigDict(extra="forbid")

    provider: str = Field(max_length=50)
    token: str = Field(max_length=20_000)
    nonce: str = Field(default="", max_length=200)
    agent: str = Field(default="", max_length=100, pattern=r"^[\x21-\x7e]*$")
    client: str = Field(default="", max_length=300)


class PrincipalDocument(BaseModel):
    """Who somebody is."""

    subject: str
    kind: str
    name: str
    email: str
    groups: list[str]
    on_behalf_of: str | None


class SessionDocument(BaseModel):
    """A session, without its token. Times are ISO 8601."""

    id: str
    principal: PrincipalDocument
    agent_groups: list[str]
    provider: str
    client: str
    begun: datetime
    expires: datetime
    ends: datetime


class Issued(SessionDocument):
    """A session with its token, which is told once."""

    token: str


@router.get("/providers")
def providers(services: Served) -> list[Provider]:
    """How to sign in here."""
    known = set(Provider.model_fields)
    told = [Provider.model_validate(each.model_dump(include=known)) for each in services.settings.providers]
    return [*told, *(Provider(name=each.name, kind=each.kind, by="saml") for each in services.settings.saml)]


@router.post("", status_code=201)
def sign_in(request: Request, services: Served, body: SignIn) -> Issued:
    """Begin a session, bound to the key of the proof that comes with the request."""
    proved, now = proved_of(request), services.now()
    if body.provider == PROVIDER:
        who = Invitations(services.database).take(body.token, now)
    elif any(body.provider == each.name for each in services.settings.saml):
        sign_ins = SignIns(services.database)
        who = sign_ins.redeem(body.provider, body.token, body.nonce, proved.thumbprint, now)
    else:
        who = _vouched_for(request, services, body)
    if body.agent:
        who = agent_of(who, body.agent, services.settings.sessions.agent_groups)
    store = Sessions(services.database, services.settings.sessions)
    store.use_up(proved, now)
    token, held = store.begin(who, proved.thumbprint, body.provider, body.client, now)
    return Issued.model_validate({**_document(services, held), "token": token})


@router.get("/current")
def current(services: Served, who: Who) -> SessionDocument:
    """Who the caller is."""
    return SessionDocument.model_validate(_document(services, _held(services, who)))


@router.post("/current/refresh")
def refresh(services: Served, who: Who) -> Issued:
    """Another token for the same session, in place of the one of this request."""
    store = Sessions(services.database, services.settings.sessions)
    token, held = store.refresh(_held(services, who), services.now())
    return Issued.model_validate({**_document(services, held), "token": token})


@router.get("/current/watch")
async def watch(
    services: Served, who: Who, seconds: Annotated[float, Query(ge=0, le=LONGEST_POLL)] = 30
) -> dict[str, bool]:
    """Answer when the session has ended, or after so many seconds: whether it goes on."""
    store = Sessions(services.database, services.settings.sessions)
    with services.wake.subscribed((TOPIC, who.session)) as ticket:
        live = await to_thread.run_sync(store.is_live, who.session, services.now())
        if live and await ticket.wait(seconds):
            live = await to_thread.run_sync(store.is_live, who.session, services.now())
    return {"live": live}


@router.delete("/current", status_code=204)
def sign_out(services: Served, who: Who) -> None:
    """End the caller's session."""
    _end(services, identity=who.session)


@router.get("")
def ls(services: Served, who: Who) -> list[SessionDocument]:
    """Who is signed in."""
    require(who, services, "people:read", "sessions")
    store = Sessions(services.database, services.settings.sessions)
    return [SessionDocument.model_validate(_document(services, held)) for held in store.every(services.now())]


@router.delete("/of/{subject}")
def revoke(services: Served, who: Who, subject: str) -> dict[str, int]:
    """End every session of a person, and of those that act for them."""
    require(who, services, "people:revoke", subject)
    return {"ended": _end(services, subject=subject)}


def _end(services: Services, *, identity: str = "", subject: str = "") -> int:
    ended = Sessions(services.database, services.settings.sessions).end(identity=identity, subject=subject)
    for each in ended:
        services.wake.notify(TOPIC, each)
    return len(ended)


def _vouched_for(request: Request, services: Services, body: SignIn) -> Principal:
    """Who a provider says it is. Raises NotSignedInError, DeniedError, Problem."""
    provider, now = _provider(services, body.provider), services.now()
    keys = keys_of(request.app, provider)
    claims = validate(body.token, keys, provider.issuer, provider.client_id, now, body.nonce)
    who = principal_of(with_groups(claims, provider), provider)
    if who.kind is PrincipalKind.HUMAN:
        if not body.nonce:
            raise NotSignedInError("a person's token comes with the nonce of its sign-in", "run: hoop login")
        ends = datetime.fromtimestamp(float(claims["exp"]), UTC) + SKEW
        Sessions(services.database, services.settings.sessions).use_up_nonce(provider.issuer, body.nonce, ends, now)
    return who


def _provider(services: Services, name: str) -> ProviderSettings:
    found = next((provider for provider in services.settings.providers if provider.name == name), None)
    if found is None:
        raise Problem(404, "no-provider", f"nobody signs in here by {name!r}", "run: hoop login")
    return found


def _held(services: Services, who: Caller) -> Held:
    return Sessions(services.database, services.settings.sessions).get(who.session, services.now())


def _document(services: Services, held: Held) -> dict[str, object]:
    return {
        "id": held.id,
        "principal": document(held.principal),
        "agent_groups": list(services.settings.sessions.agent_groups),
        "provider": held.provider,
        "client": held.client,
        "begun": held.begun,
        "expires": held.expires,
        "ends": held.ends,
    }
