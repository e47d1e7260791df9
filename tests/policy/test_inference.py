"""What masks forbid besides showing values: telling, moving, and writing back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hoopcli.model.access import PrincipalKind
from hoopcli.model.decision import Effect, Json
from tests.policy.support import ANN, BOT, decide

POLICY = """
rules: [{{id: r, effect: allow, verbs: ['sql:select']}}]
on_unresolved: {unresolved}
masks:
  - {{id: ssn, fields: ['*.dbo.customers.ssn']{predicates}}}
  - {{id: shapes, detectors: [email]}}
  - {{id: keys, columns: [pin, '$.pin'], resources: ['shop.dbo.*']}}
"""
SSN, CITY = "shop.dbo.customers.ssn", "shop.dbo.customers.city"


def policy(predicates: str = "", unresolved: str = "deny") -> str:
    return POLICY.format(predicates=f", predicates: {predicates}" if predicates else "", unresolved=unresolved)


@pytest.mark.parametrize(
    ("predicates", "kind", "fact", "rule"),
    [
        ("", PrincipalKind.AGENT, "predicates", "masked-predicate"),
        ("", PrincipalKind.AGENT, "equalities", "masked-predicate"),
        ("", PrincipalKind.WORKLOAD, "equalities", "masked-predicate"),
        ("", PrincipalKind.HUMAN, "predicates", "masked-predicate"),
        ("", PrincipalKind.HUMAN, "equalities", "r"),
        ("deny", PrincipalKind.HUMAN, "equalities", "masked-predicate"),
        ("equality", PrincipalKind.AGENT, "equalities", "r"),
        ("equality", PrincipalKind.AGENT, "predicates", "masked-predicate"),
        ("allow", PrincipalKind.AGENT, "predicates", "r"),
        ("allow", PrincipalKind.AGENT, "moves", "masked-move"),
        ("allow", PrincipalKind.AGENT, "written_back", "masked-write-back"),
    ],
)
def test_what_a_mask_leaves_to_whom(predicates: str, kind: PrincipalKind, fact: str, rule: str) -> None:
    facts: dict[str, Json] = {fact: [CITY, SSN]}
    decision = decide(policy(predicates), principal=replace(ANN, kind=kind), **facts)
    assert decision.rule == rule
    assert (decision.effect is Effect.ALLOW) == (rule == "r")
    if rule != "r":
        assert SSN in decision.reason
        assert "'ssn'" in decision.reason


@pytest.mark.parametrize(
    "columns",
    ["*", ["*"], ["shop.dbo.customers.*"], [SSN.upper()], ["hr.dbo.customers.ssn"], ["shop.dbo.orders.pin"], 7],
)
def test_a_column_that_may_be_masked_counts(columns: Json) -> None:
    assert decide(policy(), principal=BOT, predicates=columns).rule == "masked-predicate"


@pytest.mark.parametrize("columns", [[], [CITY], ["shop.dbo.orders.*x"], ["shop.sys.tables.name"], ["hr.x.y.pin"]])
def test_a_column_that_no_mask_names_is_free(columns: Json) -> None:
    assert decide(policy(), principal=BOT, predicates=columns, moves=columns).rule == "r"


@pytest.mark.parametrize("unresolved", ["mask_all", "approve"])
def test_what_a_policy_makes_of_lineage_does_not_free_predicates(unresolved: str) -> None:
    decision = decide(policy("", unresolved), principal=BOT, predicates=[SSN], unresolved=True, reads_unknown=True)
    assert (decision.effect, decision.rule) == (Effect.DENY, "masked-predicate")


def test_lineage_that_is_denied_says_so_first() -> None:
    decision = decide(policy(), principal=BOT, predicates=[SSN], unresolved=True, reads_unknown=True)
    assert decision.rule == "unresolved-lineage"
