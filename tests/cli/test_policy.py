from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Hoop

POLICY = """\
version: 1
rules:
  - id: agents-read
    effect: allow
    principals: {groups: [ai-agents]}
    connections: [azure-sql]
    verbs: ["sql:select"]
    resources: ["shop.dbo.*"]
  - id: ddl
    effect: require_approval
    verbs: ["sql:drop"]
    approval: {groups: [dba], expires: 15m}
masks:
  - {id: ssn, fields: ["*.dbo.customers.ssn"], method: {keep_last: 4}}
"""
CASES = """\
principals:
  agent: {subject: "agent:claire", kind: agent, groups: [ai-agents]}
connections:
  azure-sql: {kind: sql, options: {database: shop}}
cases:
  - name: agents read the shop
    principal: agent
    connection: azure-sql
    statement: SELECT ssn FROM dbo.customers
    expect: {effect: allow, rule: agents-read, masks: [ssn]}
  - name: agents delete nothing
    principal: agent
    connection: azure-sql
    statement: SELECT 1 DELETE FROM dbo.customers
    expect: {effect: EFFECT}
"""


@pytest.fixture(autouse=True)
def files(home: Path, hoop: Hoop) -> None:
    (home / "policy.yaml").write_text(POLICY)
    hoop("connections", "add", "azure-sql", "--server", "db.example.com", "--database", "shop")


def test_check(hoop: Hoop, home: Path) -> None:
    assert hoop("policy", "check").out == f"{home}/policy.yaml is valid\n"
    other = home / "other.yaml"
    other.write_text("version: 1\nrules:\n  - {id: all, effect: allow}\n")
    done = hoop("policy", "check", str(other))
    assert (done.code, "it allows everybody everything" in done.out) == (0, True)
    assert hoop("policy", "check", str(other), "--strict").code == 1
    [finding, *_] = hoop("policy", "check", str(other), "--json").json["findings"]
    assert (finding["level"], finding["rule"]) == ("warning", "all")


def test_an_invalid_policy(hoop: Hoop, home: Path) -> None:
    (home / "policy.yaml").write_text("version: 1\nrules:\n  - {id: a, efect: allow}\n")
    done = hoop("policy", "check")
    assert done.code == 2
    assert "policy.yaml:3:" in done.err
    assert "effect" in done.err


def test_no_policy(hoop: Hoop, home: Path) -> None:
    (home / "policy.yaml").unlink()
    assert "everything is denied" in hoop("policy", "check").err
    assert hoop("policy", "explain", "azure-sql", "SELECT 1").code == 2


def test_explain(hoop: Hoop) -> None:
    done = hoop("policy", "explain", "azure-sql", "SELECT ssn FROM dbo.customers", "--agent", "claire", "--json")
    assert done.code == 0
    assert done.json["decision"]["effect"] == "allow"
    assert done.json["decision"]["rule"] == "agents-read"
    assert done.json["actions"] == [{"verb": "sql:select", "resources": ["shop.dbo.customers"]}]
    assert [(r["id"], r["matched"]) for r in done.json["rules"]] == [("agents-read", True), ("ddl", False)]
    assert [m["id"] for m in done.json["masks"]] == ["ssn"]


def test_explain_for_people(hoop: Hoop) -> None:
    out = hoop("policy", "explain", "azure-sql", "DROP TABLE dbo.[\x1b[31m]").out
    assert "require_approval" in out
    assert "\x1b" not in out
    denied = hoop("policy", "explain", "azure-sql", "SELECT ssn FROM dbo.customers")
    assert denied.code == 0
    assert "default-deny" in denied.out
    waits = hoop("policy", "explain", "azure-sql", "DROP TABLE dbo.x", "--json").json["decision"]
    assert waits["obligations"][-1]["expires"] == 900.0


def test_explain_with_another_policy(hoop: Hoop, home: Path) -> None:
    other = home / "other.yaml"
    other.write_text("version: 1\nrules:\n  - {id: nothing, effect: deny}\n")
    done = hoop("policy", "explain", "azure-sql", "SELECT 1", "--policy", str(other), "--json")
    assert done.json["decision"]["rule"] == "nothing"


@pytest.mark.parametrize(("effect", "code"), [("deny", 0), ("allow", 1)])
def test_cases(hoop: Hoop, home: Path, effect: str, code: int) -> None:
    (home / "cases.yaml").write_text(CASES.replace("EFFECT", effect))
    done = hoop("policy", "test", str(home / "cases.yaml"))
    assert done.code == code
    assert f"{2 - code} of 2 cases passed" in done.out
    assert ("✗" in done.out) == bool(code)
    found = hoop("policy", "test", str(home / "cases.yaml"), "--json").json
    assert (found["passed"], found["failed"]) == (2 - code, code)
    assert found["cases"][0]["decision"]["rule"] == "agents-read"


def test_the_schema(hoop: Hoop) -> None:
    assert "$schema" in hoop("policy", "schema").json
    assert hoop("policy", "schema", "--json").json == hoop("policy", "schema").json


def test_explain_shows_statements_and_where_columns_come_from(hoop: Hoop) -> None:
    text = "SELECT city, UPPER(ssn), 1 AS one FROM dbo.customers"
    out = hoop("policy", "explain", "azure-sql", text, "--agent", "claire").out
    assert "shop.dbo.customers.city" in out
    assert "(no name)" in out
    assert "no table" in out
    facts = hoop("policy", "explain", "azure-sql", f"{text} DELETE FROM dbo.x", "--json").json["facts"]
    assert [statement["does"] for statement in facts["statements"]] == [
        ["sql:select shop.dbo.customers"],
        ["sql:delete shop.dbo.x"],
    ]
    assert facts["columns"][1] == {"name": "", "sources": ["shop.dbo.customers.ssn"]}
    both = hoop("policy", "explain", "azure-sql", "SELECT 1; DROP TABLE dbo.x").out
    assert "2. sql:drop shop.dbo.x" in both
