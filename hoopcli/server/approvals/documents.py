"""Approvals as JSON: what brokers and people send, and what they get back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar, Literal, cast

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from hoopcli.model.access import PrincipalKind
from hoopcli.model.approval import Binding, Question
from hoopcli.model.decision import Action, Approve
from hoopcli.server.approvals.held import Held
from hoopcli.server.approvals.store import Verdict

LONGEST_TEXT = 1_000_000
LONGEST_WAIT = timedelta(days=30)


def _visible(text: str) -> str:
    """No database keeps a NUL in a text; people are shown its sign."""
    return text.replace("\0", "\u2400")


def _finite(facts: dict[str, JsonValue]) -> dict[str, JsonValue]:
    _walk(facts)
    return facts


def _walk(value: JsonValue) -> None:
    if isinstance(value, float) and value - value != 0:
        raise ValueError("a number must be finite")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _walk(part)


Name = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]+$")]
Short = Annotated[str, Field(max_length=100, pattern=r"^[^\x00]*$")]
Prose = Annotated[str, Field(max_length=4_000), AfterValidator(_visible)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=1, le=1000)]
Facts = Annotated[dict[str, JsonValue], AfterValidator(_finite)]


class _Body(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)


class Asker(_Body):
    """For whom a broker asks: whoever signed in, or an agent of theirs."""

    subject: Name
    kind: Literal["human", "agent", "workload"]


class Terms(_Body):
    """What the policy demands of an approval."""

    groups: Annotated[tuple[Name, ...], Field(max_length=1000)] = ()
    count: Count = 1
    uses: Count = 1
    expires_seconds: Annotated[int, Field(ge=1, le=int(LONGEST_WAIT.total_seconds()))] = 900

    def obligation(self) -> Approve:
        """As the policy engine says it."""
        return Approve(self.groups, self.count, timedelta(seconds=self.expires_seconds), self.uses)


class Act(_Body):
    """A verb and the resources it acts on."""

    verb: Annotated[str, Field(max_length=200)]
    resources: Annotated[tuple[Annotated[str, Field(max_length=4_000)], ...], Field(max_length=10_000)] = ()


class Ask(_Body):
    """A statement that needs people, as it would run. ``digest`` is the SHA-256 of the exact request bytes."""

    principal: Asker
    session: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]
    connection: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]
    kind: Annotated[str, Field(max_length=50, pattern=r"^[^\x00]*$")] = ""
    rule: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")]
    why: Prose = ""
    reason: Prose = ""
    text: Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_visible)]
    media_type: Short = "text/plain"
    digest: Digest
    actions: Annotated[tuple[Act, ...], Field(max_length=10_000)] = ()
    facts: Facts = Field(default_factory=dict)
    terms: Terms = Field(default_factory=Terms)


class Said(_Body):
    """An answer. ``uses`` and ``until`` can grant less than the policy does, never more."""

    approve: bool
    comment: Prose = ""
    uses: Count | None = None
    until: AwareDatetime | None = None

    def verdict(self) -> Verdict:
        """As the store takes it."""
        return Verdict(self.approve, self.comment, self.uses, self.until.timestamp() if self.until else None)


class Use(_Body):
    """What is about to run: it must be the very thing that was approved."""

    principal: Name
    connection: Name
    rule: Name
    digest: Digest

    def binding(self) -> Binding:
        """As the store takes it."""
        return Binding(self.principal, self.connection, self.rule, self.digest)


class AnswerDocument(BaseModel):
    """What one person said."""

    approver: str
    approve: bool
    comment: str
    at: datetime


class RequestDocument(BaseModel):
    """One request. ``uses`` are those left; ``withdrawn`` is when the client stopped waiting."""

    id: str
    state: Literal["waiting", "approved", "denied", "expired", "used"]
    asked_by: str
    session: str
    principal: str
    principal_kind: str
    on_behalf_of: str
    connection: str
    kind: str
    rule: str
    why: str
    reason: str
    text: str
    media_type: str
    digest: str
    actions: list[Act]
    facts: dict[str, JsonValue]
    groups: list[str]
    needed: int
    uses: int
    asked: datetime
    expires: datetime
    withdrawn: datetime | None
    answers: list[AnswerDocument]
    link: str


class Requests(BaseModel):
    """A page of requests, how many there are, and a tag that changes with them."""

    requests: list[RequestDocument]
    total: int
    tag: str


class Used(BaseModel):
    """Whether a use was granted; only then may the statement run."""

    granted: bool
    request: RequestDocument


def question_of(ask: Ask, on_behalf_of: str, kind: str) -> Question:
    """The question that a body asks, for an asker that the server has made sure of."""
    return Question(
        Binding(ask.principal.subject, ask.connection, ask.rule, ask.digest),
        session=ask.session,
        text=ask.text,
        principal_kind=PrincipalKind(kind),
        on_behalf_of=on_behalf_of,
        reason=ask.reason,
        kind=ask.kind,
        media_type=ask.media_type,
        why=ask.why,
        actions=tuple(Action(act.verb, act.resources) for act in ask.actions),
        facts=ask.facts,
    )


def document(held: Held, link: str) -> RequestDocument:
    """A request as JSON."""
    request, question = held.request, held.question
    return RequestDocument(
        id=request.id,
        state=request.state.value,
        asked_by=held.asked_by,
        session=request.session,
        principal=request.binding.principal,
        principal_kind=question.principal_kind.value,
        on_behalf_of=request.on_behalf_of,
        connection=request.binding.connection,
        kind=question.kind,
        rule=request.binding.rule,
        why=question.why,
        reason=request.reason,
        text=request.text,
        media_type=question.media_type,
        digest=request.binding.digest,
        actions=[Act(verb=action.verb, resources=action.resources) for action in question.actions],
        facts=cast("dict[str, JsonValue]", question.facts),
        groups=list(request.groups),
        needed=request.needed,
        uses=request.uses,
        asked=_time(request.asked),
        expires=_time(request.expires),
        withdrawn=None if request.withdrawn is None else _time(request.withdrawn),
        answers=[
            AnswerDocument(approver=a.approver, approve=a.approve, comment=a.comment, at=_time(a.at))
            for a in request.answers
        ],
        link=link,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
