"""What is allowed to be written, but is probably not meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopcli.errors import UsageError
from hoopcli.policy.lint import Level, check

VERBS = {"sql:select", "sql:drop", "sql:unclassified", "k8s:get"}
READ = " - {id: read, effect: allow, verbs: ['sql:select'], resources: ['shop.*']}\n"


def found(rules: str, masks: str = "") -> list[tuple[str, str]]:
    return [
        (each.rule, each.message)
        for each in check(f"version: 1\nrules:\n{rules}" + (f"masks:\n{masks}" if masks else ""), VERBS)
    ]


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("effect: allow", "it allows everybody everything"),
        ("effect: allow, resources: [x]", "it names no verbs"),
        ("effect: allow, verbs: ['sql:unclassified']", "statements that nobody can read"),
        ("effect: allow, verbs: ['sql:selct']", "no connector knows a verb like 'sql:selct'"),
        ("effect: deny, verbs: ['mongo:*']", "no connector knows"),
        ("effect: require_approval, verbs: ['sql:drop']", "it names no groups"),
    ],
)
def test_findings_about_one_rule(rule: str, says: str) -> None:
    findings = found(f" - {{id: r, {rule}}}\n" + READ)
    assert [text for name, text in findings if name == "r" and says in text]


@pytest.mark.parametrize(
    ("hider", "hidden"),
    [
        ("effect: deny", "effect: allow, verbs: ['sql:select']"),
        (
            "effect: deny, verbs: ['sql:*'], resources: ['shop.*']",
            "effect: allow, verbs: ['sql:drop'], resources: ['shop.a.*']",
        ),
        ("effect: deny, verbs: ['sql:*'], resources: ['*']", "effect: allow, verbs: ['sql:drop']"),
        ("effect: deny, connections: ['*']", "effect: allow, verbs: ['sql:drop'], connections: [a]"),
        ("effect: require_approval, verbs: ['sql:*']", "effect: allow, verbs: ['sql:drop']"),
        ("effect: allow, verbs: ['sql:*']", "effect: allow, verbs: ['sql:drop'], when: statement.filtered"),
        ("effect: deny, principals: {groups: [a]}", "effect: allow, verbs: ['sql:drop'], principals: {groups: [a]}"),
    ],
)
def test_a_rule_that_another_hides(hider: str, hidden: str) -> None:
    findings = found(f" - {{id: big, {hider}}}\n - {{id: small, {hidden}}}\n")
    assert ("small", "it never decides anything: rule 'big' covers all that it is about") in findings
    assert not [text for name, text in findings if name == "big" and "never decides" in text]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("effect: deny, when: statement.filtered", "effect: allow, verbs: ['sql:drop']"),
        ("effect: allow, verbs: ['sql:*']", "effect: allow, verbs: ['sql:unclassified']"),
        ("effect: allow, verbs: ['sql:*']", "effect: allow, verbs: ['sql:drop'], limit: {rows: 5}"),
        ("effect: allow, verbs: ['sql:select']", "effect: allow"),
        ("effect: deny, resources: [a]", "effect: allow, verbs: ['sql:drop']"),
        ("effect: deny, connections: [a]", "effect: allow, verbs: ['sql:drop']"),
        ("effect: deny, principals: {groups: [a]}", "effect: allow, verbs: ['sql:drop']"),
        ("effect: allow, verbs: ['sql:*']", "effect: deny, verbs: ['sql:drop']"),
    ],
)
def test_a_rule_that_none_hides(one: str, other: str) -> None:
    findings = found(f" - {{id: a, {one}}}\n - {{id: b, {other}}}\n")
    assert not [text for _, text in findings if "never decides" in text]


def test_findings_about_masks_have_their_place() -> None:
    text = f"version: 1\nrules:\n{READ}masks:\n - id: m\n   fields: [ssn, '*']\n"
    findings = check(text, VERBS)
    assert [(each.level, each.rule, each.place) for each in findings] == [(Level.NOTE, "m", "policy:5:8")] * 2
    assert "redacts" in findings[0].message
    assert "any column of that name" in findings[1].message


def test_a_policy_that_allows_nothing() -> None:
    assert "every statement is denied" in check("version: 1")[0].message


def test_a_good_policy_has_no_findings() -> None:
    assert found(READ, " - {id: m, fields: [a.b], method: redact}\n") == []
    example = Path(__file__).parents[2] / "examples/policy.yaml"
    assert check(example) == []


def test_an_invalid_policy_raises() -> None:
    with pytest.raises(UsageError):
        check("version: 2")
