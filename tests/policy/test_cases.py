"""The runner of an organisation's cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.sql.connector import SqlConnector
from hoopcli.errors import UsageError
from hoopcli.model.access import Connection
from hoopcli.model.decision import Action, Statement
from hoopcli.policy.cases import run
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine

EXAMPLES = Path(__file__).parents[2] / "examples"
POLICY = """
version: 1
rules: [{id: read, effect: allow, verbs: ["sql:select"], limit: {rows: 5}}]
masks: [{id: m, detectors: [email], method: redact}]
"""
HEAD = """
principals: {ann: {subject: ann}}
connections: {db: {kind: sql, options: {database: shop}}}
cases:
"""


def classify(text: str, connection: Connection) -> Statement:
    return Statement(text, text.encode(), (Action(text, (connection.options["database"],)),), {"filtered": False})


def differences(case: str) -> tuple[str, ...]:
    return run(HEAD + f" - {{name: c, principal: ann, connection: db, {case}}}", Engine(load(POLICY)), classify)[
        0
    ].differences


def test_a_case_that_passes() -> None:
    expect = "expect: {effect: allow, rule: read, masks: [m], limit: 5}"
    (result,) = run(
        HEAD + f" - {{name: c, principal: ann, connection: db, statement: 'sql:select', {expect}}}",
        Engine(load(POLICY)),
        classify,
    )
    assert (result.name, result.passed, result.place) == ("c", True, "policy:5:11")


def test_what_a_case_that_fails_says() -> None:
    said = differences("statement: 'sql:drop', expect: {effect: allow, rule: read, masks: [m], limit: 5}")
    assert [each.split(",")[0] for each in said] == [
        "expected allow",
        "expected rule 'read'",
        "expected masks m",
        "expected a limit of 5 rows",
    ]
    assert "default-deny" in said[0]


def test_facts_and_time_can_be_given() -> None:
    assert differences("actions: [{verb: 'sql:select'}], at: 2026-01-05T10:00:00, expect: {effect: allow}") == ()
    assert differences("statement: 'sql:select', facts: {filtered: true}, expect: {effect: allow, masks: [m]}") == ()


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("principal: bob, connection: db, statement: x, expect: {effect: deny}", "does not define"),
        ("principal: ann, connection: x, statement: x, expect: {effect: deny}", "does not define"),
        ("principal: ann, connection: db, expect: {effect: deny}", "either a statement or actions"),
        ("principal: ann, connection: db, statement: x, actions: [], expect: {effect: deny}", "either a statement"),
        ("principal: ann, connection: db, statement: x, expect: {efect: deny}", "unknown key 'efect'"),
        ("principal: ann, connection: db, statement: x, expect: {effect: permit}", "expect.effect"),
    ],
)
def test_an_invalid_document_says_where(case: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        run(HEAD + f" - {{name: c, {case}}}", Engine(load(POLICY)), classify)
    assert caught.value.message.startswith("policy:5:")


def test_the_cases_of_the_example_pass() -> None:
    connector = SqlConnector()
    engine = Engine(load(EXAMPLES / "policy.yaml"))
    results = run(EXAMPLES / "policy_cases.yaml", engine, connector.explain)
    assert {result.name: result.differences for result in results if not result.passed} == {}
    assert len(results) > 15
