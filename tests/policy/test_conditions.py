"""Conditions: what they may name, what they see, and how they fail."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Statement
from hoopcli.policy.conditions import VARIABLES, Condition, ConditionError, context

BOT = Principal("bot", PrincipalKind.AGENT, "Bot", "bot@example.com", frozenset({"b", "a"}), "ann")
DB = Connection("db", "sql", {"database": "shop"})
ASKED = Statement(
    "SELECT 1", b"", (Action("sql:select", ("x", "y")), Action("sql:set")), {"filtered": True, "verbs": 7}
)
NOW = datetime(2026, 1, 4, 23, 30, tzinfo=timezone(timedelta(hours=-1)))
SEEN = context(BOT, DB, ASKED, NOW, "INC-7")


@pytest.mark.parametrize(
    "source",
    [
        "statement.filtered",
        "statement.verbs == ['sql:select', 'sql:set']",
        "statement.resources.exists(r, r == 'y')",
        "statement.text.startsWith('SELECT')",
        "has(statement.filtered) && !has(statement.nothing)",
        "principal.subject == 'bot' && principal.kind == 'agent' && principal.name == 'Bot'",
        "principal.groups == ['a', 'b'] && principal.on_behalf_of == 'ann' && principal.email.contains('@')",
        "connection.name == 'db' && connection.kind == 'sql' && connection.options.database == 'shop'",
        "session.reason.matches('^INC-[0-9]+$')",
        "!upload.contains.credit_card && upload.size == 0 && upload.kind == ''",
        "request.hour == 0 && request.weekday == 'monday'",
        "now > timestamp('2026-01-01T00:00:00Z') && now.getHours() == 0",
        "'principal.nothing' != \"session.nothing\"",
        "statement.verbs.all(session, session.size() > 3)",
    ],
)
def test_what_conditions_see(source: str) -> None:
    assert Condition(source).holds(SEEN)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("", "parse"),
        ("a b", "parse"),
        ("x" * 3000, "2000"),
        ("facts.filtered", "unknown variable 'facts'"),
        ("principal.grups == []", "did you mean 'groups'"),
        ("request . hours > 1", "did you mean 'hour'"),
        ("lower(session.reason) == 'x'", "unknown function 'lower'"),
        ("statement.verbs.exists(v, w == v)", "unknown variable 'w'"),
    ],
)
def test_what_no_condition_can_see_is_found_when_it_is_read(source: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Condition(source)


@pytest.mark.parametrize(
    "source",
    [
        "statement.nothing",
        "statement.text",
        "statement.verbs[9] == ''",
        "1 / 0 == 1",
        "1 + statement.text == 2",
        "9223372036854775807 + 1 > 0",
        "now.getHours('Europe/Oslo') > 1",
    ],
)
def test_what_fails_raises_one_error(source: str) -> None:
    with pytest.raises(ConditionError):
        Condition(source).holds(SEEN)


@pytest.mark.parametrize("bad", [object(), {1: {2: object()}}])
def test_facts_of_no_known_shape_raise_the_same_error(bad: Any) -> None:
    with pytest.raises(ConditionError):
        context(BOT, DB, Statement("", b"", (), {"x": bad}), NOW, "")
    broken: Any = None
    with pytest.raises(ConditionError):
        context(BOT, DB, Statement("", b"", (), broken), NOW, "")


def test_only_wanted_variables_are_built() -> None:
    assert set(SEEN.variables) == set(VARIABLES)
    assert set(context(BOT, DB, ASKED, NOW, "", ["now"]).variables) == {"now"}


def test_a_principal_for_nobody_else_has_an_empty_on_behalf_of() -> None:
    seen = context(Principal("ann"), DB, ASKED, NOW.astimezone(UTC), "")
    assert Condition("principal.on_behalf_of == ''").holds(seen)


def test_one_condition_is_shared_between_threads() -> None:
    condition = Condition("statement.filtered && 'a' in principal.groups")
    results: list[bool] = []

    def work() -> None:
        results.extend(condition.holds(context(BOT, DB, ASKED, NOW, "")) for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 800
