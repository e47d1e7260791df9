"""What waits for people: the question, the answers, and where a request stands. The same on one machine and a server.

A request is bound to principal, connection, rule and the digest of the exact request bytes; it has an absolute expiry
and a number of uses. Whoever made a request, and any agent, cannot answer it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hoopcli.errors import DeniedError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.model.decision import Action, Json


class State(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"


#: The fact that says in sentences how much a statement would touch, where that can be told without running it.
TOUCHES = "touches"


@dataclass(frozen=True, slots=True)
class Binding:
    """What an approval holds for, and nothing else: these very bytes, asked by this principal, on this connection."""

    principal: str
    connection: str
    rule: str
    digest: str


@dataclass(frozen=True, slots=True)
class Question:
    """What people are asked, with all that they judge by. ``text`` is shown in full, as it will run.

    ``why`` is the sentence of the decision; ``actions`` and ``facts`` are what the connector made of the statement.
    """

    binding: Binding
    session: str
    text: str
    principal_kind: PrincipalKind = PrincipalKind.HUMAN
    on_behalf_of: str = ""
    reason: str = ""
    kind: str = ""
    media_type: str = "text/plain"
    why: str = ""
    actions: tuple[Action, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person said."""

    approver: str
    approve: bool
    comment: str
    at: float


@dataclass(frozen=True, slots=True)
class Request:
    """One request as an approver sees it. Times are Unix seconds.

    ``withdrawn`` is when the client stopped waiting: what is approved then runs at its next identical try. ``link`` is
    the page where it can be answered; ``touches`` are sentences on how much the statement would touch.
    """

    id: str
    session: str
    binding: Binding
    on_behalf_of: str
    reason: str
    text: str
    groups: tuple[str, ...]
    needed: int
    uses: int
    asked: float
    expires: float
    state: State
    answers: tuple[Answer, ...] = ()
    withdrawn: float | None = None
    link: str = ""
    touches: tuple[str, ...] = ()


def touches_of(facts: Mapping[str, Json]) -> tuple[str, ...]:
    """The sentences on how much a statement would touch, as its connector told them."""
    told = facts.get(TOUCHES)
    return tuple(str(sentence) for sentence in told) if isinstance(told, list | tuple) else ()


def state_of(answers: Iterable[bool], *, needed: int, uses: int, expires: float, now: float) -> State:
    """Where a request stands: one no is a no; ``uses`` are those left."""
    said = list(answers)
    if not all(said):
        return State.DENIED
    if uses <= 0:
        return State.USED
    if now >= expires:
        return State.EXPIRED
    return State.APPROVED if len(said) >= needed else State.WAITING


def check_approver(request: Request, approver: Principal) -> None:
    """Raise DeniedError unless this person may answer this request."""
    if approver.kind is not PrincipalKind.HUMAN:
        raise DeniedError("only a person can answer an approval request")
    if approver.subject == request.binding.principal:
        raise DeniedError(
            "nobody approves their own request", f"ask one of: {', '.join(request.groups) or 'a colleague'}"
        )
    if request.groups and not approver.groups.intersection(request.groups):
        raise DeniedError(
            f"request {request.id} needs an approver of {' or '.join(request.groups)}; {approver.subject} is in none",
            "set your groups under [identity] in the configuration, or ask someone who has them",
        )
