"""Who calls, and what the policy lets them do at the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from hoopcli.errors import DeniedError, NotSignedInError
from hoopcli.identity import dpop
from hoopcli.identity.dpop import Proved
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Action, Effect, Statement
from hoopcli.server.people.store import Sessions
from hoopcli.server.services import Services, services_of

SERVER = Connection("hoop-server", "server")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is signed in, in which session, until when, and the thumbprint of the key that the session is bound to."""

    principal: Principal
    session: str
    expires: datetime
    thumbprint: str


def caller(request: Request) -> Caller:
    """Who sent a request, by a session's token and a proof by the key that it is bound to. Raises NotSignedInError."""
    services = services_of(request)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "dpop" or not token:
        raise NotSignedInError("nobody is signed in", "run: hoop login")
    sessions = Sessions(services.database, services.settings.sessions)
    held = sessions.of_token(token, proved_of(request, token), services.now())
    return Caller(held.principal, held.id, held.expires, held.thumbprint)


def proved_of(request: Request, token: str = "") -> Proved:
    """The proof of possession that came with a request, verified. Raises NotSignedInError."""
    services = services_of(request)
    given = request.headers.getlist("dpop")
    if len(given) != 1:
        raise NotSignedInError("the request has no proof of possession", "run: hoop login")
    address = services.settings.public_url + request.url.path
    return dpop.check(given[0], request.method, address, services.now(), token)


def require(caller: Caller, services: Services, verb: str, resource: str) -> None:
    """Ask the policy. Raises DeniedError that names the rule."""
    statement = Statement(f"{verb} {resource}", b"", (Action(verb, (resource,)),))
    decision = services.policy.decide(caller.principal, SERVER, statement, services.now())
    if decision.effect is not Effect.ALLOW:
        raise DeniedError(f"denied by rule {decision.rule!r}: {decision.reason}")


def permits(caller: Caller, services: Services, verb: str, resource: str) -> bool:
    """Whether the policy lets them."""
    try:
        require(caller, services, verb, resource)
    except DeniedError:
        return False
    return True
