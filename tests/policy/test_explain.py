"""Explanations: why each rule and mask matched or not."""

from __future__ import annotations

import pytest

from hoopcli.model.decision import Action, Effect
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from tests.policy.support import ANN, DB, NOW, SELECT, statement

POLICY = """
version: 1
rules:
  - {id: elsewhere, effect: allow, connections: [other]}
  - {id: others, effect: allow, principals: {groups: [root]}}
  - {id: drops, effect: deny, verbs: ["sql:drop"]}
  - {id: patterns, effect: allow, verbs: ["sql:*"]}
  - {id: logs, effect: allow, verbs: ["sql:select"], resources: ["shop.logs.*"]}
  - {id: filtered, effect: allow, verbs: ["sql:select"], when: statement.filtered}
  - {id: broken, effect: allow, verbs: ["sql:select"], when: statement.gone}
  - {id: broken-deny, effect: require_approval, verbs: ["sql:select"], when: statement.gone}
masks:
  - {id: all, fields: [a.b], labels: [Secret], detectors: [email]}
  - {id: other, fields: [a.b], connections: [other]}
  - {id: roots, fields: [a.b], principals: {groups: [root]}}
  - {id: not-staff, fields: [a.b], except_principals: {groups: [staff]}}
"""


@pytest.mark.parametrize(
    ("name", "matched", "why"),
    [
        ("elsewhere", False, "it is not about connection 'db'"),
        ("others", False, "it is not about 'ann' (human; staff)"),
        ("drops", False, "it is not about sql:select"),
        ("patterns", True, "it is about sql:select on shop.dbo.customers"),
        ("logs", False, "its resources do not cover shop.dbo.customers"),
        ("filtered", False, "its condition is false: statement.filtered"),
        ("broken", False, "which counts as false"),
        ("broken-deny", True, "which counts as true"),
        ("all", True, "it masks a.b, label Secret, email"),
        ("other", False, "it is not about connection 'db'"),
        ("roots", False, "it is not about 'ann'"),
        ("not-staff", False, "'ann' is excepted"),
    ],
)
def test_why(name: str, why: str, *, matched: bool) -> None:
    explained = Engine(load(POLICY)).explain(ANN, DB, statement(filtered=False), NOW)
    verdict = next(each for each in (*explained.rules, *explained.masks) if each.id == name)
    assert verdict.matched == matched
    assert why in verdict.why
    assert explained.decision.effect is Effect.REQUIRE_APPROVAL


def test_a_statement_that_nobody_can_read_must_be_named() -> None:
    explained = Engine(load(POLICY)).explain(ANN, DB, statement(Action("sql:dynamic")), NOW)
    why = {verdict.id: verdict.why for verdict in explained.rules}
    assert "allowed by name" in why["patterns"]
    assert "allowed by name" not in why["drops"]


def test_many_resources_are_cut_short() -> None:
    many = Action("sql:select", tuple(f"shop.dbo.t{number}" for number in range(9)))
    explained = Engine(load(POLICY)).explain(ANN, DB, statement(many, SELECT), NOW)
    assert "and 5 more" in {verdict.id: verdict.why for verdict in explained.rules}["patterns"]
