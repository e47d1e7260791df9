"""Whose records somebody may read: the policy says it of every person on every connection.

The resource is ``sessions/CONNECTION/PERSON``; what is no letter, digit or one of ``@:+._~-`` in a name is
percent-encoded, so that a name cannot pass for another.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection, select

from hoopcli.model.access import Principal
from hoopcli.model.decision import Action, Effect, Statement
from hoopcli.server.access import SERVER
from hoopcli.server.records.words import term
from hoopcli.server.services import Services
from hoopcli.server.tables import records as tables

READ: Final = "audit:read"


@dataclass(frozen=True, slots=True)
class Sight:
    """The scopes that somebody reads, and whether that is all there are.

    Each statement of these scopes, and no other, is found by one of ``terms``; without terms they are too many.
    """

    scopes: frozenset[int]
    everything: bool
    terms: tuple[str, ...] = ()


def resource(connection: str, principal: str) -> str:
    """What the policy is asked about."""
    return f"sessions/{quote(connection, safe='@:+')}/{quote(principal, safe='@:+')}"


def sight_of(connection: Connection, services: Services, person: Principal) -> Sight:
    """What a person reads, of all that is there now."""
    column = tables.scopes.c
    known = connection.execute(select(column.id, column.connection, column.principal)).all()
    asked = [(identity, resource(name, principal)) for identity, name, principal in known]
    allowed = frozenset(_allowed(services, person, asked))
    terms = _cover(known, allowed) if 2 * len(allowed) < len(asked) else ()
    return Sight(allowed, len(allowed) == len(asked), terms)


def may_read(services: Services, person: Principal, connection: str, principal: str) -> bool:
    """Whether a person reads the sessions of another on a connection."""
    return _decide(services, person, resource(connection, principal))


def _cover(known: Sequence[Any], allowed: frozenset[int]) -> tuple[str, ...]:
    """The terms of whole connections, of whole people of what is left, and of the scopes that are left then."""
    found, left = [], set(allowed)
    for kind, column in (("c", "connection"), ("p", "principal")):
        of: defaultdict[str, set[int]] = defaultdict(set)
        for row in known:
            of[getattr(row, column)].add(row.id)
        for name, scopes in of.items():
            if scopes <= allowed and scopes & left:
                found.append(term(kind, name))
                left -= scopes
    return (*found, *(term("g", str(scope)) for scope in sorted(left)))


def _allowed(services: Services, person: Principal, asked: Iterable[tuple[int, str]]) -> Iterable[int]:
    """Resources about which the same rules are get the same answer, so that each rule is asked once."""
    kin_of = services.policy.kin_of(person, SERVER, READ)
    answers: dict[tuple[int, ...], bool] = {}
    for identity, name in asked:
        kin = kin_of(name)
        if kin is None:
            allowed = _decide(services, person, name)
        elif kin in answers:
            allowed = answers[kin]
        else:
            allowed = answers[kin] = _decide(services, person, name)
        if allowed:
            yield identity


def _decide(services: Services, person: Principal, name: str) -> bool:
    statement = Statement(f"{READ} {name}", b"", (Action(READ, (name,)),))
    return services.policy.decide(person, SERVER, statement, services.now()).effect is Effect.ALLOW
