"""Masks by label, once a connector says which columns have which labels, and while none does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Decision, Effect, Statement
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine

NOW = datetime(2026, 3, 2, tzinfo=UTC)
CUSTOMERS, ORDERS = "shop.dbo.customers", "shop.dbo.orders"
SSN, CITY = f"{CUSTOMERS}.ssn", f"{CUSTOMERS}.city"
LABELS = {
    SSN: {"label": "Confidential - GDPR", "information_type": "National ID"},
    CITY: {"label": "", "information_type": "Place"},
}
POLICY = """
version: 1
on_unresolved: {on_unresolved}
rules: [{{id: all, effect: allow, verbs: ["*"]}}]
masks: [{{id: m, {what}}}]
"""


def decide(what: str = 'labels: ["confidential*"]', on_unresolved: str = "deny", **facts: Any) -> Decision:
    engine = Engine(load(POLICY.format(on_unresolved=on_unresolved, what=what)))
    known = {"tables": [CUSTOMERS], "labels": LABELS, "labels_known": [CUSTOMERS], "unresolved": False}
    given = {name: value for name, value in {**known, **facts}.items() if value is not None}
    statement = Statement("", b"", (Action("sql:select", (CUSTOMERS,)),), given)
    return engine.decide(Principal("bot", PrincipalKind.AGENT), Connection("db", "sql"), statement, NOW)


@pytest.mark.parametrize(
    ("what", "fields"),
    [
        ('labels: ["confidential*"]', (SSN,)),
        ('labels: ["*"]', (SSN,)),
        ("labels: [Public]", ()),
        ("information_types: [place]", (CITY,)),
        ('information_types: ["*"]', (CITY, SSN)),
        ("labels: [Public], information_types: [National ID]", (SSN,)),
        ('labels: ["*"], fields: ["*.name"]', ("*.name", SSN)),
        ('labels: ["*"], resources: ["hr.*"]', ()),
    ],
)
def test_known_labels_become_fields(what: str, fields: tuple[str, ...]) -> None:
    decision = decide(what)
    assert decision.effect is Effect.ALLOW
    [mask] = decision.masks
    assert (mask.fields, mask.located) == (fields, (CUSTOMERS,))


@pytest.mark.parametrize(
    "facts",
    [
        {"labels": None},
        {"labels_known": None},
        {"labels_known": "shop.dbo.customers"},
        {"labels": [SSN]},
        {"labels_known": []},
        {"labels_known": [ORDERS]},
        {"tables": [CUSTOMERS, ORDERS]},
        {"tables": "shop.dbo.customers"},
        {"unresolved": True},
        {"reads_unknown": True, "unresolved": True, "tables": []},
    ],
)
def test_where_labels_are_not_known_lineage_is_unresolved(facts: dict[str, Any]) -> None:
    assert decide(**facts).rule == "unresolved-lineage"
    assert decide(on_unresolved="approve", **facts).effect is Effect.REQUIRE_APPROVAL
    assert [mask.id for mask in decide(on_unresolved="mask_all", **facts).masks] == ["m", "unresolved"]


def test_it_says_what_is_not_known() -> None:
    assert "labels" in decide(labels_known=[]).reason


def test_masks_that_go_by_names_need_no_labels() -> None:
    assert decide('fields: ["*.ssn"]', labels=None, labels_known=None).effect is Effect.ALLOW


def test_a_mask_about_other_resources_needs_no_labels_of_these() -> None:
    assert decide('labels: ["*"], resources: ["hr.*"]', labels=None, labels_known=None).effect is Effect.ALLOW


def test_a_statement_that_names_no_table_needs_no_labels() -> None:
    assert decide(tables=[], labels=None, labels_known=None).effect is Effect.ALLOW


@pytest.mark.parametrize("said", [None, "Confidential", {"label": None}, {}, ["Confidential"]])
def test_what_is_no_label_is_none(said: Any) -> None:
    assert decide(labels={SSN: said}).masks[0].fields == ()


@pytest.mark.parametrize(
    ("column", "rule"), [(SSN, "masked-predicate"), (f"{CUSTOMERS}.name", "all"), (f"{ORDERS}.id", "masked-predicate")]
)
def test_predicates_are_judged_by_labels(column: str, rule: str) -> None:
    assert decide(predicates=[column]).rule == rule
