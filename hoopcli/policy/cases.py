"""An organisation's own table of cases: who asks what, and what the policy must say of it.

A YAML document names principals and connections once, and then lists cases; each has a ``statement`` that a connector
classifies, or its ``actions``::

    principals:
      agent: {subject: copilot, kind: agent, groups: [ai-agents]}
    connections:
      azure-sql: {kind: sql, options: {database: shop}}
    cases:
      - name: agents read the shop
        principal: agent
        connection: azure-sql
        statement: SELECT name FROM dbo.customers
        expect: {effect: allow, rule: agents-read-shop, masks: [ssn]}
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hoopcli.errors import UsageError
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Decision, Effect, Limit, Statement
from hoopcli.policy.engine import Engine
from hoopcli.policy.marked import Marked, parse, read, validate

Classify = Callable[[str, Connection], Statement]

#: The time of a case that names none: a Monday at noon, so that cases mean the same every day.
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


class _Model(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, frozen=True)


class CasePrincipal(_Model):
    """A principal of a case."""

    subject: str
    kind: PrincipalKind = PrincipalKind.HUMAN
    name: str = ""
    email: str = ""
    groups: tuple[str, ...] = ()
    on_behalf_of: str | None = None

    def principal(self) -> Principal:
        """The principal itself."""
        return Principal(self.subject, self.kind, self.name, self.email, frozenset(self.groups), self.on_behalf_of)


class CaseConnection(_Model):
    """A connection of a case."""

    kind: str = "sql"
    options: dict[str, str] = Field(default_factory=dict)


class CaseAction(_Model):
    """A verb and its resources, as a connector would find them."""

    verb: str
    resources: tuple[str, ...] = ()


class Expectation(_Model):
    """What a decision must say; what is left out may be anything. ``masks`` are ids, in any order."""

    effect: Effect
    rule: str | None = None
    masks: tuple[str, ...] | None = None
    limit: int | None = None


class Case(_Model):
    """One case."""

    name: Annotated[str, Field(min_length=1)]
    principal: str
    connection: str
    statement: str | None = None
    actions: tuple[CaseAction, ...] | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    at: datetime = NOON
    reason: str = ""
    expect: Expectation

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        if (self.statement is None) == (self.actions is None):
            raise ValueError("a case has either a statement or actions")
        return self


class CaseFile(_Model):
    """The document."""

    principals: dict[str, CasePrincipal]
    connections: dict[str, CaseConnection]
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How a case went: ``differences`` are sentences, none where it passed."""

    name: str
    place: str
    decision: Decision
    differences: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the decision is as expected."""
        return not self.differences


def run(source: str | Path, engine: Engine, classify: Classify) -> list[CaseResult]:
    """Decide every case of a document. ``classify`` is a connector's. Raises UsageError for an invalid document."""
    text, name = read(source)
    marked = parse(text, name)
    return list(_results(marked, validate(marked, CaseFile), engine, classify))


def _results(marked: Marked, document: CaseFile, engine: Engine, classify: Classify) -> Iterator[CaseResult]:
    for index, case in enumerate(document.cases):
        place = marked.place(("cases", index, "name"))
        if case.principal not in document.principals or case.connection not in document.connections:
            raise UsageError(
                f"{place}: case {case.name!r} names a principal or a connection that the document does not define",
                f"principals: {', '.join(document.principals)}; connections: {', '.join(document.connections)}",
            )
        known = document.connections[case.connection]
        connection = Connection(case.connection, known.kind, known.options)
        statement = _statement(case, connection, classify)
        at = case.at if case.at.tzinfo else case.at.replace(tzinfo=UTC)
        who = document.principals[case.principal].principal()
        decision = engine.decide(who, connection, statement, at, reason=case.reason)
        yield CaseResult(case.name, place, decision, tuple(_differences(case.expect, decision)))


def _statement(case: Case, connection: Connection, classify: Classify) -> Statement:
    if case.statement is None:
        actions = tuple(Action(action.verb, action.resources) for action in case.actions or ())
        return Statement("", b"", actions, case.facts)
    found = classify(case.statement, connection)
    return Statement(found.text, found.request, found.actions, {**found.facts, **case.facts}, found.media_type)


def _differences(expect: Expectation, decision: Decision) -> Iterator[str]:
    if decision.effect != expect.effect:
        yield f"expected {expect.effect}, got {decision.effect} by rule {decision.rule!r}: {decision.reason}"
    if expect.rule is not None and decision.rule != expect.rule:
        yield f"expected rule {expect.rule!r}, got {decision.rule!r}: {decision.reason}"
    masks = sorted(mask.id for mask in decision.masks)
    if expect.masks is not None and masks != sorted(expect.masks):
        yield f"expected masks {_ids(sorted(expect.masks))}, got {_ids(masks)}"
    limit = next((each.rows for each in decision.obligations if isinstance(each, Limit)), None)
    if expect.limit is not None and limit != expect.limit:
        yield f"expected a limit of {expect.limit} rows, got {limit or 'none'}"


def _ids(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
