"""Short ways to the words of policy."""

from __future__ import annotations

from datetime import UTC, datetime

from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Decision, Json, Statement
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
ANN = Principal("ann", groups=frozenset({"staff"}))
BOT = Principal("bot", PrincipalKind.AGENT, groups=frozenset({"ai-agents"}))
DB = Connection("db", "sql", {"database": "shop"})
SELECT = Action("sql:select", ("shop.dbo.customers",))


def statement(*actions: Action, **facts: Json) -> Statement:
    return Statement("text", b"text", actions or (SELECT,), facts)


def decide(policy: str, *actions: Action, principal: Principal = ANN, **facts: Json) -> Decision:
    return Engine(load("version: 1\n" + policy)).decide(principal, DB, statement(*actions, **facts), NOW)
