"""The page that explains what the policy makes of a statement: of any principal, on any connection. Nothing is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse

from hoopcli.errors import HoopError, UsageError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.model.decision import Statement
from hoopcli.policy.explain import Explanation
from hoopcli.server.catalog.store import Revision
from hoopcli.server.dryrun.engines import engine_of
from hoopcli.server.pages.connections import current
from hoopcli.server.pages.layout import PageRoute, Visitor, sender, visitor
from hoopcli.server.pages.render import page
from hoopcli.server.people.store import Sessions
from hoopcli.server.services import Served, Services
from hoopcli.settings import connectors
from hoopcli.settings.files import check_connection

router = APIRouter(include_in_schema=False, route_class=PageRoute)

HERE = "/policy"
LONGEST = 100_000
_EMPTY: Mapping[str, str] = {
    "subject": "", "kind": "human", "groups": "", "on_behalf_of": "", "connection": "", "text": "", "reason": "",
}  # fmt: skip

Field = Annotated[str, Form(max_length=2_000)]


@router.get("/policy/explain")
def ask(
    who: Annotated[Visitor, Depends(visitor)],
    services: Served,
    connection: Annotated[str, Query(max_length=100)] = "",
) -> HTMLResponse:
    """The empty form."""
    who.require("policy:read", "policy", "explain")
    asker = who.caller.principal
    filled = {"subject": asker.subject, "groups": ", ".join(sorted(asker.groups)), "connection": connection}
    return _page(who, services, current(services), {**_EMPTY, **filled})


@router.post("/policy/explain")
def explain(
    who: Annotated[Visitor, Depends(sender)],
    services: Served,
    subject: Annotated[str, Form(max_length=500)],
    connection: Annotated[str, Form(max_length=100)],
    text: Annotated[str, Form(max_length=LONGEST)],
    kind: Annotated[PrincipalKind, Form()] = PrincipalKind.HUMAN,
    groups: Field = "",
    on_behalf_of: Field = "",
    reason: Field = "",
) -> HTMLResponse:
    """The decision, and what each rule and each mask says. A statement in an address would end up in logs: POST."""
    who.require("policy:read", "policy", "explain", subject=subject, connection=connection)
    filled = {
        "subject": subject, "kind": kind.value, "groups": groups, "on_behalf_of": on_behalf_of,
        "connection": connection, "text": text, "reason": reason,
    }  # fmt: skip
    names = frozenset(part.strip() for part in groups.split(",") if part.strip())
    principal = Principal(subject, kind, groups=names, on_behalf_of=on_behalf_of or None)
    revision = current(services)
    try:
        statement, explanation = _explained(services, revision, principal, filled)
    except HoopError as error:
        return _page(who, services, revision, filled, problem=f"{error.message}. {error.hint}".strip())
    return _page(who, services, revision, filled, statement=statement, explanation=explanation)


def _explained(
    services: Services, revision: Revision | None, principal: Principal, filled: Mapping[str, str]
) -> tuple[Statement, Explanation]:
    name = filled["connection"]
    if revision is None or name not in revision.connections:
        raise UsageError(f"the server hands out no connection {name!r}")
    connection = check_connection(name, revision.connections[name])
    statement = connectors.load(connection.kind).explain(filled["text"], connection)
    engine = engine_of(revision.policy)
    return statement, engine.explain(principal, connection, statement, services.now(), reason=filled["reason"])


def _page(
    who: Visitor,
    services: Services,
    revision: Revision | None,
    filled: Mapping[str, str],
    *,
    problem: str = "",
    statement: Statement | None = None,
    explanation: Explanation | None = None,
) -> HTMLResponse:
    shown: dict[str, Any] = {"problem": problem, "statement": statement, "explanation": explanation}
    return page(
        "policy/explain.html",
        status=422 if problem else 200,
        revision=revision,
        names=sorted(revision.connections) if revision else [],
        known=_known(who, services),
        kinds=[kind.value for kind in PrincipalKind],
        filled=filled,
        **shown,
        **who.layout(HERE),
    )


def _known(who: Visitor, services: Services) -> list[str]:
    """Who is online, to choose from, if the visitor may know."""
    if not who.may("people:read", "sessions"):
        return []
    every = Sessions(services.database, services.settings.sessions).every(services.now())
    return sorted({held.principal.subject for held in every})[:200]
