"""What files add to policy: names whose case counts, content that nobody can read, and uploads."""

from __future__ import annotations

import pytest

from hoopcli.model.decision import Action, Approve, Decision, Effect, Json, Statement
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from tests.policy.support import ANN, BOT, DB, NOW

READ = Action("blob:read", ("acme/c/public/a.csv",))
ALLOW = "rules: [{id: r, effect: allow, verbs: ['blob:*']}]\n"
MASKS = "masks: [{id: mail, detectors: [email]}]\n"


def decide(policy: str, *actions: Action, exact_case: bool = True, **facts: Json) -> Decision:
    asked = Statement("text", b"text", actions or (READ,), facts, exact_case=exact_case)
    return Engine(load("version: 1\n" + policy)).decide(ANN, DB, asked, NOW)


@pytest.mark.parametrize(
    ("path", "exact_case", "effect"),
    [
        ("acme/c/public/a", True, Effect.ALLOW),
        ("acme/c/PUBLIC/a", True, Effect.DENY),
        ("Acme/c/public/a", True, Effect.DENY),
        ("acme/c/PUBLIC/a", False, Effect.ALLOW),
        ("acme/c/public/secret.csv", True, Effect.DENY),
        ("acme/c/public/SECRET.csv", True, Effect.DENY),
    ],
)
def test_a_rule_that_allows_must_have_the_case_right_and_one_that_denies_need_not(
    path: str, exact_case: bool, effect: Effect
) -> None:
    rules = """rules:
- {id: r, effect: allow, resources: ['acme/c/public/*']}
- {id: d, effect: deny, resources: ['acme/c/public/secret*']}
"""
    assert decide(rules, Action("blob:read", (path,)), exact_case=exact_case).effect is effect


def test_both_cases_of_a_name_are_told_apart_by_one_engine() -> None:
    engine = Engine(load("version: 1\nrules: [{id: r, effect: allow, resources: ['acme/c/A']}]"))
    lower = Statement("t", b"t", (Action("blob:read", ("acme/c/a",)),))
    assert engine.decide(ANN, DB, lower, NOW).effect is Effect.ALLOW
    exact = Statement("t", b"t", lower.actions, exact_case=True)
    assert engine.decide(ANN, DB, exact, NOW).effect is Effect.DENY
    verdict = engine.explain(ANN, DB, exact, NOW).rules[0]
    assert not verdict.matched
    assert "do not cover" in verdict.why


@pytest.mark.parametrize(
    ("says", "effect", "rule"),
    [
        ("", Effect.DENY, "opaque-content"),
        ("on_opaque: deny\n", Effect.DENY, "opaque-content"),
        ("on_opaque: allow\n", Effect.ALLOW, "r"),
        ("on_opaque: approve\n", Effect.REQUIRE_APPROVAL, "opaque-content"),
    ],
)
def test_content_that_cannot_be_read(says: str, effect: Effect, rule: str) -> None:
    decision = decide(says + ALLOW + MASKS, opaque=True)
    assert (decision.effect, decision.rule) == (effect, rule)
    assert any(isinstance(o, Approve) for o in decision.obligations) == (effect is Effect.REQUIRE_APPROVAL)
    assert decide(says + ALLOW, opaque=True).effect is Effect.ALLOW
    assert decide(says + ALLOW + MASKS).effect is Effect.ALLOW


def test_a_rule_that_asks_keeps_its_name_for_opaque_content() -> None:
    rules = "on_opaque: approve\nrules: [{id: ask, effect: require_approval, verbs: ['blob:*']}]\n"
    assert decide(rules + MASKS, opaque=True).rule == "ask"


CARDS = """rules:
- {id: r, effect: allow, verbs: ['blob:*']}
- {id: cards, effect: deny, verbs: ['blob:write'], when: upload.contains.credit_card}
"""
WRITE = Action("blob:write", ("acme/c/a",))


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        ({}, "r"),
        ({"upload": {"contains": {"credit_card": False}, "size": 3, "kind": "text"}}, "r"),
        ({"upload": {"contains": {"credit_card": True}, "size": 3, "kind": "text"}}, "cards"),
        ({"upload": {}}, "cards"),
        ({"upload": {"contains": {}}}, "cards"),
        ({"upload": None}, "cards"),
        ({"upload": {"contains": {"credit_card": "no"}}}, "cards"),
    ],
)
def test_an_upload_is_decided_by_what_it_contains_and_denied_where_that_is_not_known(
    facts: dict[str, Json], rule: str
) -> None:
    assert decide(CARDS, WRITE, **facts).rule == rule


def test_whether_a_condition_asks_for_the_upload() -> None:
    engine = Engine(load("version: 1\n" + CARDS))
    assert engine.asks_about("upload", ANN, DB, [WRITE])
    assert not engine.asks_about("upload", ANN, DB, [READ])
    assert not engine.asks_about("session", ANN, DB, [WRITE])
    only_bot = CARDS.replace("id: cards,", "id: cards, principals: {subjects: [bot]},")
    assert not Engine(load("version: 1\n" + only_bot)).asks_about("upload", ANN, DB, [WRITE])
    assert Engine(load("version: 1\n" + only_bot)).asks_about("upload", BOT, DB, [WRITE])


@pytest.mark.parametrize("denied", ["acme/c/secret/x", "acme/c/secret/*", "acme/*/secret/*", "acme/c/s*"])
def test_what_reaches_all_below_a_path_is_denied_where_anything_below_it_is(denied: str) -> None:
    rules = (
        "rules:\n- {id: r, effect: allow, resources: ['acme/c', 'acme/c/*']}\n"
        f"- {{id: d, effect: deny, resources: ['{denied}']}}\n"
    )
    tree = Action("blob:delete-container", ("acme/c", "acme/c/*"))
    assert decide(rules, tree).rule == "d"
    assert decide(rules, Action("blob:delete", ("acme/c/public",))).rule == "r"
