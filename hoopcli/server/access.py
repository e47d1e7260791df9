"""Who calls, and what the policy lets them do at the server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from hoopcli.errors import DeniedError, NotSignedInError
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Action, Effect, Statement
from hoopcli.server.services import Services

SERVER = Connection("hoop-server", "server")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is signed in, in which session, until when, and the thumbprint of the key that the session is bound to."""

    principal: Principal
    session: str
    expires: datetime
    thumbprint: str


def caller(request: Request) -> Caller:
    """Who sent a request. Raises NotSignedInError."""
    raise NotSignedInError("nobody is signed in", "run: hoop login")


def require(caller: Caller, services: Services, verb: str, resource: str) -> None:
    """Ask the policy. Raises DeniedError that names the rule."""
    statement = Statement(f"{verb} {resource}", b"", (Action(verb, (resource,)),))
    decision = services.policy.decide(caller.principal, SERVER, statement, services.now())
    if decision.effect is not Effect.ALLOW:
        raise DeniedError(f"denied by rule {decision.rule!r}: {decision.reason}")
