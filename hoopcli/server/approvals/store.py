"""What can happen to a request, each within one transaction that the caller opens.

Every step is noted as an event in the same transaction. A row is locked while it changes, so that two replicas never
count one answer or one use twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from hoopcli.errors import DeniedError, UsageError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.model.approval import Binding, Question, State, check_approver
from hoopcli.model.decision import Approve
from hoopcli.server.approvals.held import Held, bound, load
from hoopcli.server.problems import Problem, not_found
from hoopcli.server.tables import approvals as tables

SESSION_LIMIT = 100
ASKER_LIMIT = 2_000
KEEP = timedelta(days=30)
_REQUEST = tables.requests.c


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one person says. ``uses`` and ``until`` (Unix seconds) can only narrow what the policy grants."""

    approve: bool
    comment: str = ""
    uses: int | None = None
    until: float | None = None


def ask(connection: Connection, asked_by: str, question: Question, terms: Approve, now: float) -> tuple[Held, bool]:
    """Make a request, or find the one that is open for the same asker, binding and terms. Says whether it is new.

    Raises:
        DeniedError: too many wait already.
    """
    same = bound(asked_by, question.binding, terms)
    _close(connection, _REQUEST.bound == same, now)
    known = connection.execute(_open(same)).scalar()
    if known is None:
        _check_limits(connection, asked_by, question.session, now)
        known = _insert(connection, asked_by, question, terms, same, now)
        if known is not None:
            note(connection, known, "asked", asked_by, "", now)
            return load(connection, known, now), True
        known = connection.execute(_open(same)).scalar_one()  # another replica was first
    return come_back(connection, known, now), False


def come_back(connection: Connection, identity: str, now: float) -> Held:
    """The client that had gone waits again."""
    connection.execute(update(tables.requests).where(_REQUEST.id == identity).values(withdrawn=None))
    return load(connection, identity, now)


def answer(
    connection: Connection,
    identity: str,
    approver: Principal,
    verdict: Verdict,
    now: float,
    *,
    own_agents: bool = False,
) -> Held:
    """Answer a request. With ``own_agents`` one may answer what an agent asked on one's own behalf.

    Raises:
        DeniedError: this person may not.
        Problem: it is not there, no longer waits, or this person has answered it already.
        UsageError: it would grant more than the policy does.
    """
    held = load(connection, identity, now, lock=True)
    request = held.request
    check_answerer(held, approver, own_agents=own_agents)
    if not held.waits:
        raise Problem(409, "answered", f"request {identity} is {request.state} already", "run: hoop approvals ls")
    if any(a.approver == approver.subject for a in request.answers):
        raise Problem(409, "answered", f"{approver.subject} has answered request {identity} already")
    _check_terms(verdict, held, now)
    connection.execute(
        insert(tables.answers).values(
            request=identity, approver=approver.subject, approve=verdict.approve, comment=verdict.comment,
            uses=verdict.uses, until=verdict.until, at=now,
        )
    )  # fmt: skip
    note(connection, identity, "approved" if verdict.approve else "denied", approver.subject, verdict.comment, now)
    narrowed = {"uses": min(request.uses, verdict.uses or request.uses)}
    until = min(request.expires, verdict.until or request.expires)
    connection.execute(update(tables.requests).where(_REQUEST.id == identity).values(**narrowed, expires=until))
    return _restated(connection, identity, now)


def check_answerer(held: Held, person: Principal, *, own_agents: bool) -> None:
    """Raise DeniedError unless this person may answer this request.

    An agent is whatever its human calls it: by who signed in, its requests are the human's own.
    """
    check_approver(held.request, person)
    if person.subject in {held.asked_by, held.question.on_behalf_of}:
        agents = held.question.principal_kind is PrincipalKind.AGENT
        if not (own_agents and agents):
            also = ", nor those of their agents unless the policy allows it" if agents else ""
            raise DeniedError(f"nobody approves their own request{also}", "ask a colleague")


def use(connection: Connection, identity: str, asked_by: str, binding: Binding, now: float) -> tuple[Held, bool]:
    """Take one use. False if it is not approved for exactly this asker and binding. Raises Problem."""
    held = load(connection, identity, now, lock=True)
    request = held.request
    if request.state is not State.APPROVED or request.binding != binding or held.asked_by != asked_by:
        return held, False
    connection.execute(update(tables.requests).where(_REQUEST.id == identity).values(uses=request.uses - 1))
    note(connection, identity, "used", asked_by, "", now)
    return _restated(connection, identity, now), True


def withdraw(connection: Connection, identity: str, asked_by: str, now: float) -> Held:
    """Note that the client stopped waiting. Raises Problem if this asker has no such request."""
    held = load(connection, identity, now, lock=True)
    if held.asked_by != asked_by:
        raise not_found(f"there is no approval request {identity!r}")
    if held.waits and held.request.withdrawn is None:
        connection.execute(update(tables.requests).where(_REQUEST.id == identity).values(withdrawn=now))
        note(connection, identity, "withdrawn", asked_by, "", now)
    return load(connection, identity, now)


def expire(connection: Connection, now: float) -> list[str]:
    """Close what has expired, and forget what is old; the requests that expired just now."""
    connection.execute(delete(tables.requests).where(_REQUEST.expires < now - KEEP.total_seconds()))
    return _close(connection, true(), now)


def note(connection: Connection, identity: str, what: str, who: str, text: str, now: float) -> None:
    """Add to what happened to a request."""
    connection.execute(insert(tables.events).values(request=identity, what=what, who=who, note=text, at=now))


def _open(same: str) -> Any:
    return select(_REQUEST.id).where(_REQUEST.bound == same, _REQUEST.state.in_(tables.OPEN))


def _close(connection: Connection, which: ColumnElement[bool], now: float) -> list[str]:
    over = _REQUEST.state.in_(tables.OPEN) & (_REQUEST.expires <= now) & which
    closed = connection.execute(update(tables.requests).where(over).values(state="expired").returning(_REQUEST.id))
    identities = [row.id for row in closed]
    for identity in identities:
        note(connection, identity, "expired", "", "", now)
    return identities


def _check_limits(connection: Connection, asked_by: str, session: str, now: float) -> None:
    waiting = (_REQUEST.asked_by == asked_by) & (_REQUEST.state == "waiting") & (_REQUEST.expires > now)
    of_session = func.count().filter(_REQUEST.session == session)
    everything, here = connection.execute(select(func.count(), of_session).where(waiting)).one()
    if here >= SESSION_LIMIT:
        raise DeniedError(f"{here} requests of this session already wait for approval")
    if everything >= ASKER_LIMIT:
        raise DeniedError(f"{everything} requests of {asked_by} already wait for approval")


def _insert(
    connection: Connection, asked_by: str, question: Question, terms: Approve, same: str, now: float
) -> str | None:
    """The new request's id, or None if the same one was made meanwhile."""
    identity = secrets.token_hex(6)
    values = {
        "id": identity, "asked_by": asked_by, "session": question.session, "principal": question.binding.principal,
        "principal_kind": str(question.principal_kind), "on_behalf_of": question.on_behalf_of,
        "connection": question.binding.connection, "kind": question.kind, "rule": question.binding.rule,
        "why": question.why, "reason": question.reason, "text": question.text, "media_type": question.media_type,
        "digest": question.binding.digest, "bound": same, "facts": dict(question.facts),
        "actions": [[action.verb, list(action.resources)] for action in question.actions],
        "groups": list(terms.groups), "needed": terms.count, "uses": terms.uses, "asked": now,
        "expires": now + terms.expires.total_seconds(), "state": "waiting",
    }  # fmt: skip
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    made = connection.execute(
        dialect.insert(tables.requests).values(values).on_conflict_do_nothing().returning(_REQUEST.id)
    )
    if made.scalar() is None:
        return None
    _insert_groups(connection, identity, terms.groups)
    return identity


def _insert_groups(connection: Connection, identity: str, groups: Iterable[str]) -> None:
    rows = [{"request": identity, "name": group} for group in dict.fromkeys(groups)]
    if rows:
        connection.execute(insert(tables.groups), rows)


def _check_terms(verdict: Verdict, held: Held, now: float) -> None:
    if verdict.uses is not None and not 1 <= verdict.uses <= held.request.uses:
        raise UsageError(f"the policy grants {held.request.uses} uses at most, and one at least")
    if verdict.until is not None and not now < verdict.until <= held.request.expires:
        raise UsageError("an approval can end sooner than the policy says, not later and not in the past")


def _restated(connection: Connection, identity: str, now: float) -> Held:
    """Store the state that follows from the answers and uses."""
    held = load(connection, identity, now)
    connection.execute(update(tables.requests).where(_REQUEST.id == identity).values(state=str(held.request.state)))
    return held
