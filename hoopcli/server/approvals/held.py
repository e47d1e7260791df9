"""A request as the server holds it, read from its rows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785
from sqlalchemy import Connection, select
from sqlalchemy.engine import RowMapping

from hoopcli.model.access import PrincipalKind
from hoopcli.model.approval import Answer, Binding, Question, Request, State, state_of, touches_of
from hoopcli.model.decision import Action, Approve
from hoopcli.server.problems import not_found
from hoopcli.server.tables import approvals as tables

_REQUEST = tables.requests.c


@dataclass(frozen=True, slots=True)
class Held:
    """A request, the question it stands for, and who really asked: whoever had signed in."""

    request: Request
    question: Question
    asked_by: str

    @property
    def waits(self) -> bool:
        """Whether it can be answered."""
        return self.request.state is State.WAITING


def bound(asked_by: str, binding: Binding, terms: Approve) -> str:
    """What makes two requests the same one: asker, binding and terms, as one digest (hex)."""
    parts: list[Any] = [
        asked_by, binding.principal, binding.connection, binding.rule, binding.digest,
        sorted(terms.groups), terms.count, terms.uses, int(terms.expires.total_seconds()),
    ]  # fmt: skip
    return hashlib.sha256(rfc8785.dumps(parts)).hexdigest()


def load(connection: Connection, identity: str, now: float, *, lock: bool = False) -> Held:
    """One request, locked until the transaction ends if asked for. Raises Problem if there is none."""
    query = select(tables.requests).where(_REQUEST.id == identity)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise not_found(f"there is no approval request {identity!r}", "run: hoop approvals ls")
    return held([row], connection, now)[0]


def held(rows: Sequence[RowMapping], connection: Connection, now: float) -> list[Held]:
    """The requests of these rows, with their answers, in the same order."""
    said = _answers(connection, [row["id"] for row in rows])
    return [_held(row, said[row["id"]], now) for row in rows]


def _answers(connection: Connection, identities: Iterable[str]) -> defaultdict[str, list[Answer]]:
    found: defaultdict[str, list[Answer]] = defaultdict(list)
    column = tables.answers.c
    query = select(tables.answers).where(column.request.in_(list(identities))).order_by(column.at, column.approver)
    for row in connection.execute(query).mappings():
        found[row["request"]].append(Answer(row["approver"], row["approve"], row["comment"], row["at"]))
    return found


def _held(row: RowMapping, answers: Sequence[Answer], now: float) -> Held:
    binding = Binding(row["principal"], row["connection"], row["rule"], row["digest"])
    question = Question(
        binding,
        session=row["session"],
        text=row["text"],
        principal_kind=PrincipalKind(row["principal_kind"]),
        on_behalf_of=row["on_behalf_of"],
        reason=row["reason"],
        kind=row["kind"],
        media_type=row["media_type"],
        why=row["why"],
        actions=tuple(Action(verb, tuple(resources)) for verb, resources in row["actions"]),
        facts=row["facts"],
    )
    request = Request(
        id=row["id"],
        session=row["session"],
        binding=binding,
        on_behalf_of=row["on_behalf_of"],
        reason=row["reason"],
        text=row["text"],
        groups=tuple(row["groups"]),
        needed=row["needed"],
        uses=row["uses"],
        asked=row["asked"],
        expires=row["expires"],
        state=state_of(
            (a.approve for a in answers), needed=row["needed"], uses=row["uses"], expires=row["expires"], now=now
        ),
        answers=tuple(answers),
        withdrawn=row["withdrawn"],
        touches=touches_of(row["facts"]),
    )
    return Held(request, question, row["asked_by"])
