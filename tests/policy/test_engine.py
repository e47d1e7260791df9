"""The engine: a table of decisions, obligations, unresolved lineage, and what must never widen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hoopcli.errors import UsageError
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Approve, Effect, Limit, Mask, Method, ShowSecrets, Statement, Streaming
from hoopcli.policy.cases import run
from hoopcli.policy.document import Policy, load
from hoopcli.policy.engine import Engine, merge
from hoopcli.policy.schema import Approval, Document, Rule
from tests.policy.support import ANN, BOT, DB, NOW, SELECT, decide, statement

TABLE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "fixtures/policy/decisions.yaml").read_text("utf-8")
)
ALLOW = "rules: [{id: r, effect: allow, verbs: ['sql:select']}]\n"
MASKED = ALLOW + "masks: [{id: ssn, fields: ['*.dbo.customers.ssn'], method: {keep_last: 4}}]\n"


def unclassifiable(text: str, connection: Connection) -> Statement:
    raise AssertionError((text, connection))


def table() -> list[Any]:
    engine = Engine(load(TABLE["policy"]))
    cases = yaml.safe_dump({key: value for key, value in TABLE.items() if key != "policy"}, allow_unicode=True)
    return [pytest.param(result, id=result.name) for result in run(cases, engine, unclassifiable)]


@pytest.mark.parametrize("result", table())
def test_the_table_of_decisions(result: Any) -> None:
    assert result.differences == ()


def test_a_decision_names_verb_resource_rule_and_revision() -> None:
    policy = load("version: 1\nrules: [{id: stop, effect: deny, description: ask Mia, verbs: ['sql:select']}]")
    decision = Engine(policy).decide(ANN, DB, statement(), NOW)
    assert decision.rule == "stop"
    assert decision.reason == "rule 'stop' denies sql:select on shop.dbo.customers: ask Mia"
    assert decision.revision == policy.revision
    assert decide("", Action("sql:set")).reason == "no rule allows sql:set"


def test_a_broken_condition_is_in_the_reason() -> None:
    broken = "rules: [{id: r, effect: %s, when: statement.gone == 1}]"
    for effect in ("allow", "deny"):
        assert "could not be evaluated" in decide(broken % effect).reason
        assert "gone" in decide(broken % effect).reason


def test_obligations_of_all_rules_that_permit() -> None:
    decision = decide(
        """
defaults: {keep: {bytes: 500}}
rules:
  - {id: a, effect: allow, verbs: ["sql:select"], limit: {rows: 50}, keep: {bytes: 900}}
  - {id: b, effect: require_approval, verbs: ["sql:select"], limit: {rows: 20},
     approval: {groups: [dba], count: 2, expires: 1h, uses: 3}}
  - {id: c, effect: allow, verbs: ["sql:drop"], limit: {rows: 1}}
masks:
  - {id: m, detectors: [email], method: hash}
  - {id: others, detectors: [email], connections: [elsewhere]}
  - {id: agents, detectors: [email], principals: {kinds: [agent]}}
  - {id: excepted, detectors: [email], except_principals: {groups: [staff]}}
"""
    )
    assert decision.effect is Effect.REQUIRE_APPROVAL
    assert decision.rule == "b"
    assert decision.obligations == (
        Mask("m", detectors=("email",), method=Method("hash")),
        Limit(20),
        Approve(("dba",), 2, timedelta(hours=1), 3),
    )
    assert decision.keep == 900


def test_streams_end_after_the_shortest_silence_and_keep_input_if_one_rule_asks_for_it() -> None:
    decision = decide(
        """
rules:
  - {id: a, effect: allow, verbs: ["sql:select"], stream: {idle: 1h}}
  - {id: b, effect: allow, verbs: ["sql:select"], stream: {idle: 15m}}
  - {id: c, effect: allow, verbs: ["sql:select"], stream: {keep_input: true}}
"""
    )
    assert decision.obligations == (Streaming(timedelta(minutes=15), keep_input=True),)


def test_secrets_are_shown_that_any_permitting_rule_shows() -> None:
    decision = decide(
        """
rules:
  - {id: a, effect: allow, verbs: ["sql:select"], show_secrets: ["shop/secrets/a"]}
  - {id: b, effect: allow, verbs: ["sql:select"], show_secrets: ["shop/secrets/b", "shop/secrets/a"]}
  - {id: c, effect: allow, verbs: ["sql:insert"], show_secrets: ["shop/secrets/c"]}
"""
    )
    assert decision.obligations == (ShowSecrets(("shop/secrets/a", "shop/secrets/b")),)
    assert decision.shown_secrets == ("shop/secrets/a", "shop/secrets/b")


def test_a_denial_has_no_obligations_and_the_default_keep() -> None:
    decision = decide("defaults: {keep: {bytes: 5}}\nmasks: [{id: m, detectors: [email]}]")
    assert (decision.effect, decision.obligations, decision.keep) == (Effect.DENY, (), 5)


@pytest.mark.parametrize(
    ("facts", "leaks"),
    [
        ({}, False),
        ({"unresolved": False, "reads_unknown": True}, False),
        ({"unresolved": True, "tables": ["shop.dbo.customers"]}, True),
        ({"unresolved": True, "tables": ["customers"]}, True),
        ({"unresolved": True, "tables": ["shop.dbo.orders"]}, False),
        ({"unresolved": True, "tables": []}, False),
        ({"unresolved": True, "tables": ["tempdb.dbo.#copy"]}, True),
        ({"unresolved": True, "tables": [], "reads_unknown": True}, True),
        ({"unresolved": True}, True),
        ({"unresolved": "yes", "tables": 7}, True),
        ({"unresolved": None}, True),
        ({"unresolved": True, "tables": ["shop.dbo.orders"], "reads_unknown": "x"}, True),
    ],
)
def test_unresolved_lineage_is_denied_where_a_mask_may_be_missed(facts: Any, *, leaks: bool) -> None:
    decision = decide(MASKED, **facts)
    assert decision.effect is (Effect.DENY if leaks else Effect.ALLOW)
    assert decision.rule == ("unresolved-lineage" if leaks else "r")


def test_unresolved_lineage_can_be_masked_whole_or_approved() -> None:
    facts: dict[str, Any] = {"unresolved": True, "reads_unknown": True}
    whole = decide("on_unresolved: mask_all\n" + MASKED, **facts)
    assert whole.effect is Effect.ALLOW
    assert whole.masks[-1] == Mask("unresolved", fields=("*",), method=Method("redact"))
    asked = decide("on_unresolved: approve\ndefaults: {approval: {groups: [dba]}}\n" + MASKED, **facts)
    assert (asked.effect, asked.rule) == (Effect.REQUIRE_APPROVAL, "unresolved-lineage")
    assert asked.obligations[-1] == Approve(("dba",))
    by_rule = decide("on_unresolved: approve\n" + MASKED.replace("effect: allow", "effect: require_approval"), **facts)
    assert (by_rule.effect, by_rule.rule) == (Effect.REQUIRE_APPROVAL, "r")


@pytest.mark.parametrize("copies", [True, "yes", None])
def test_masking_the_result_is_not_enough_for_a_statement_that_copies(copies: Any) -> None:
    decision = decide("on_unresolved: mask_all\n" + MASKED, unresolved=True, reads_unknown=True, copies=copies)
    assert (decision.effect, decision.rule) == (Effect.DENY, "unresolved-lineage")
    assert "put" in decision.reason


def test_without_masks_of_columns_lineage_does_not_matter() -> None:
    assert decide(ALLOW, unresolved=True, reads_unknown=True).effect is Effect.ALLOW
    detectors = ALLOW + "masks: [{id: m, detectors: [email]}]"
    assert decide(detectors, unresolved=True, reads_unknown=True).effect is Effect.ALLOW
    assert decide(ALLOW + "masks: [{id: m, labels: ['*']}]", unresolved=True, tables=[]).effect is Effect.ALLOW


@pytest.mark.parametrize(
    ("terms", "merged"),
    [
        ([], None),
        ([Approval()], Approve()),
        ([Approval(groups=("a", "b")), Approval(groups=("b", "c"), count=2)], Approve(("b",), 2)),
        ([Approval(groups=("a",)), Approval()], Approve(("a",))),
        ([Approval(), Approval(groups=("a",))], Approve(("a",))),
        ([Approval(groups=("a",)), Approval(groups=("b",))], None),
        ([Approval.model_validate_json('{"uses": 5, "expires": "1d"}'), Approval(uses=2)], Approve(uses=2)),
    ],
)
def test_merged_approvals(terms: list[Approval], merged: Approve | None) -> None:
    assert merge(terms) == merged


def test_a_name_longer_than_any_real_one_is_decided_without_the_cache() -> None:
    decision = decide(ALLOW, Action("sql:select", ("s" * 100_000,)))
    assert decision.effect is Effect.ALLOW
    assert len(decision.reason) < 300


def test_what_cannot_be_evaluated_is_denied() -> None:
    engine = Engine(load("version: 1\n" + ALLOW))
    broken: Any = None
    decision = engine.decide(ANN, DB, broken, NOW)
    assert (decision.effect, decision.rule) == (Effect.DENY, "policy-error")


def test_a_policy_without_rules_denies() -> None:
    assert decide("").rule == "default-deny"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FACTS = st.dictionaries(
    st.sampled_from(["unresolved", "tables", "reads_unknown", "filtered", "verbs", "x"]), JSON, max_size=5
)
VERBS = ["sql:select", "sql:drop", "sql:unclassified", "sql:dynamic", "k8s:get"]
RESOURCES = ["", "*", "shop.dbo.customers", "shop.dbo.orders", "shop.hr.*", "prod/secrets/x", "[a.b].c"]
PATTERNS = [*RESOURCES[2:], "shop.dbo.*", "*", "prod/*"]
ACTIONS = st.lists(
    st.builds(Action, st.sampled_from(VERBS), st.lists(st.sampled_from(RESOURCES), max_size=3).map(tuple)), max_size=3
).map(tuple)
WHENS = [None, "statement.filtered", "principal.kind == 'agent'", "size(statement.x) > 1", "true", "false"]


@st.composite
def rules(draw: st.DrawFn, effects: tuple[str, ...] = ("allow", "require_approval", "deny")) -> Rule:
    def some(values: list[str]) -> tuple[str, ...] | None:
        return draw(st.none() | st.lists(st.sampled_from(values), min_size=1, max_size=3).map(tuple))

    return Rule(
        id=f"r{draw(st.integers(min_value=0, max_value=10**9))}",
        effect=draw(st.sampled_from(effects)),
        verbs=some([*VERBS, "sql:*", "*"]),
        resources=some(PATTERNS),
        when=draw(st.sampled_from(WHENS)),
    )


def several(least: int = 0) -> st.SearchStrategy[list[Rule]]:
    """Rules of ids of their own, as the document asks for."""
    return st.lists(rules(), min_size=least, max_size=4, unique_by=lambda rule: rule.id)


def engine_of(rules: list[Rule]) -> Engine:
    source = load("version: 1").source
    return Engine(Policy(Document(version=1, rules=tuple(rules)), "", source))


STRENGTH = {Effect.ALLOW: 0, Effect.REQUIRE_APPROVAL: 1, Effect.DENY: 2}
PRINCIPALS = st.sampled_from([ANN, BOT])


@settings(max_examples=100, deadline=None)
@given(several(), rules(("deny",)), ACTIONS, FACTS, PRINCIPALS)
def test_one_more_denial_never_widens(have: list[Rule], more: Rule, actions: Any, facts: Any, who: Principal) -> None:
    asked = Statement("", b"", actions, facts)
    before = engine_of(have).decide(who, DB, asked, NOW)
    after = engine_of([*have, more]).decide(who, DB, asked, NOW)
    assert STRENGTH[after.effect] >= STRENGTH[before.effect]


@settings(max_examples=100, deadline=None)
@given(several(1), ACTIONS, FACTS, PRINCIPALS)
def test_one_permission_less_never_widens(have: list[Rule], actions: Any, facts: Any, who: Principal) -> None:
    asked = Statement("", b"", actions, facts)
    before = engine_of(have).decide(who, DB, asked, NOW)
    for rule in (rule for rule in have if rule.effect == "allow"):
        after = engine_of([each for each in have if each is not rule]).decide(who, DB, asked, NOW)
        assert STRENGTH[after.effect] >= STRENGTH[before.effect]


@settings(max_examples=100, deadline=None)
@given(several(), ACTIONS, FACTS, PRINCIPALS)
def test_every_permitted_pair_is_covered_and_none_is_denied(
    have: list[Rule], actions: Any, facts: Any, who: Principal
) -> None:
    asked = Statement("", b"", actions, facts)
    explained = engine_of(have).explain(who, DB, asked, NOW)
    matched = {verdict.id for verdict in explained.rules if verdict.matched}
    denied = {rule.id for rule in have if rule.effect == "deny"} & matched
    assert explained.decision.rule != "policy-error"
    if denied:
        assert explained.decision.effect is Effect.DENY
    if explained.decision.effect is not Effect.DENY:
        assert explained.decision.rule in matched


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.datetimes(timezones=st.just(UTC)))
def test_the_engine_never_raises_on_garbage(facts: Any, now: datetime) -> None:
    policy = MASKED + "on_unresolved: mask_all\n"
    engine = Engine(load("version: 1\n" + policy.replace("verbs", "when: 'statement.tables[0] == 1', verbs")))
    decision = engine.decide(Principal("", PrincipalKind.AGENT), DB, Statement("\ud800", b"", (SELECT,), facts), now)
    assert decision.effect in {Effect.DENY, Effect.ALLOW}


class TestBuiltIn:
    """Clients ask a cluster what it can do, unless the policy has something against it."""

    @staticmethod
    def decided(document: str, *verbs: str) -> tuple[Effect, str]:
        actions = tuple(Action(verb, ("/api",)) for verb in verbs)
        decision = Engine(load(document)).decide(
            Principal("claire"), Connection("aks", "kubectl"), Statement("", b"", actions), datetime.now(UTC)
        )
        return decision.effect, decision.rule

    @pytest.mark.parametrize("verb", ["k8s:discovery", "k8s:openapi", "k8s:version", "k8s:health"])
    def test_it_allows_discovery_and_nothing_else(self, verb: str) -> None:
        assert self.decided("version: 1", verb) == (Effect.ALLOW, "kubernetes-discovery")
        assert self.decided("version: 1", verb, "k8s:impersonate") == (Effect.DENY, "default-deny")
        for other in ("k8s:metrics", "k8s:get", "k8s:unclassified", "sql:select"):
            assert self.decided("version: 1", other) == (Effect.DENY, "default-deny")

    def test_it_can_be_switched_off_and_denied(self) -> None:
        off = "version: 1\ndefaults: {discovery: false}"
        assert self.decided(off, "k8s:discovery") == (Effect.DENY, "default-deny")
        denied = 'version: 1\nrules: [{id: none, effect: deny, verbs: ["k8s:*"]}]'
        assert self.decided(denied, "k8s:discovery") == (Effect.DENY, "none")

    def test_its_name_is_taken(self) -> None:
        with pytest.raises(UsageError):
            load("version: 1\nrules: [{id: kubernetes-discovery, effect: allow}]")
