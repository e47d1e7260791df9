from __future__ import annotations

import pytest

from connectors.sql.tsql.classify import Output, Scope, classify, classify_procedure
from connectors.sql.tsql.cursor import MAX_DEPTH
from connectors.sql.tsql.lexer import MAX_TEXT, MAX_TOKENS
from hoopcli.model.decision import Action
from tests.sql.tsql.cases import classified

UNCLASSIFIED = (Action("sql:unclassified", ("",)),)


def reason(text: str) -> str:
    batch = classified(text)
    assert batch.actions == UNCLASSIFIED
    assert batch.facts["unresolved"]
    assert batch.facts["reads_unknown"]
    assert not batch.facts["filtered"]
    return str(batch.facts["unclassified_reason"])


def test_a_batch_has_its_statements_actions_facts_and_outputs() -> None:
    batch = classified("SELECT ssn AS s, 'x' FROM customers; DELETE FROM orders")
    assert [statement.text for statement in batch.statements] == [
        "SELECT ssn AS s, 'x' FROM customers",
        "DELETE FROM orders",
    ]
    assert batch.actions == (
        Action("sql:delete", ("shop.dbo.orders",)),
        Action("sql:select", ("shop.dbo.customers",)),
    )
    assert batch.reads == {"shop.dbo.customers", "shop.dbo.orders"}
    assert batch.facts["tables"] == ["shop.dbo.customers", "shop.dbo.orders"]
    assert batch.outputs == (Output("s", frozenset({"shop.dbo.customers.ssn"}), plain=True), Output("", frozenset()))


@pytest.mark.parametrize("text", ["", "  \r\n\t", "-- nothing", "/* nothing */", ";;;"])
def test_an_empty_batch_is_harmless_but_still_has_an_action(text: str) -> None:
    batch = classified(text)
    assert batch.actions == (Action("sql:control"),)
    assert batch.facts["statement_count"] == 0
    assert batch.outputs == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT name FROM customers", False),
        ("SELECT name FROM customers WHERE id = @id", False),
        ("SELECT 1", True),
        ("SELECT 'x'", True),
        ("SELECT 0x01", True),
        ("SELECT name FROM customers WHERE id = 1", True),
    ],
)
def test_whether_a_batch_has_literals(text: str, expected: bool) -> None:
    assert classified(text).facts["has_literals"] is expected


def test_unqualified_names_follow_the_session() -> None:
    batch = classify("SELECT a FROM t; SELECT a FROM hr..t; EXEC p", Scope("Sales DB", "guest"))
    assert batch.actions == (
        Action("sql:execute", ("sales db.guest.p",)),
        Action("sql:select", ("hr.dbo.t", "sales db.guest.t")),
    )


def test_the_same_text_is_read_once() -> None:
    text = "SELECT name FROM customers WHERE id = 4711"
    assert classified(text) is classified(text)
    assert classified(text) is not classify(text, Scope("other"))


def test_a_long_text_is_not_kept() -> None:
    text = f"SELECT '{'x' * 20_000}'"
    assert classified(text) == classified(text)
    assert classified(text) is not classified(text)


def test_limits_of_size_and_depth() -> None:
    assert "1 MB" in reason("SELECT 1 -- " + "x" * MAX_TEXT)
    assert "tokens" in reason("SELECT 1" + ", 1" * MAX_TOKENS)
    assert "nests deeper" in reason("SELECT " + "(" * 5_000 + "1" + ")" * 5_000)
    assert "nests deeper" in reason("SELECT 1 WHERE " + "NOT (" * 500 + "1 = 1" + ")" * 500)
    assert "nests deeper" in reason("BEGIN " * 500 + "SELECT 1" + " END" * 500)
    assert "nests deeper" in reason("IF 1 = 1 " * 500 + "SELECT 1")
    assert "nests deeper" in reason("SELECT " + "CASE WHEN 1 = 1 THEN " * 500 + "1" + " END" * 500)
    assert "nests deeper" in reason("SELECT * FROM " + "(SELECT * FROM " * 500 + "t" + ") x" * 500)
    assert "nests deeper" in reason("SELECT * FROM " + "a JOIN " * 500 + "b" + " ON 1 = 1" * 500)


def test_what_is_long_but_flat_is_read() -> None:
    assert classified("SELECT " + "+".join(["ssn"] * 5_000) + " FROM customers").outputs
    assert classified("SELECT 1 WHERE " + " OR ".join(["a = 1"] * 2_000)).outputs
    assert classified("SELECT name FROM t WHERE id IN (" + ",".join(["1"] * 9_000) + ")").outputs
    assert classified("SELECT - - - - -1" + " UNION ALL SELECT 2" * 1_000).outputs
    assert classified("SELECT NOT NOT NOT 1").actions
    assert classified("SELECT a FROM t" + " JOIN u ON 1 = 1" * 500).outputs


def test_as_deep_as_the_limit_is_read() -> None:
    depth = MAX_DEPTH - 2
    assert classified("SELECT " + "(" * depth + "1" + ")" * depth).outputs


def test_a_stack_that_ends_early_is_no_crash() -> None:
    def descend(levels: int) -> str:
        return descend(levels - 1) if levels else str(classified(text).facts.get("unclassified_reason", "read"))

    text = "SELECT " + "(" * 60 + "2" + ")" * 60
    assert descend(600) in ("The batch nests too deeply.", "read")


def test_texts_that_execute_texts_end_somewhere() -> None:
    text = "SELECT 1"
    for _ in range(9):
        text = "EXEC (N'" + text.replace("'", "''") + "')"
    assert "deep" in reason(text)
    assert classify("SELECT 1", Scope("shop"), depth=9).actions == UNCLASSIFIED


@pytest.mark.parametrize(
    "text", ["SELECT 1 'secret' 'secret2'", "EXEC p 'a' 'secret'", "SELECT 1 123456789", "SELECT x [y] 'secret'"]
)
def test_a_reason_quotes_no_literal(text: str) -> None:
    assert "secret" not in reason(text)
    assert "123456789" not in reason(text)


def test_a_reason_quotes_names_without_control_characters() -> None:
    assert reason("SELECT 1 FROM [a\x1b[31m]").isascii()
    assert "\x1b" not in reason("SELECT 1 FROM [a\x1b[31m]")
    assert "[b]" in reason("SELECT 1 a [b]")


@pytest.mark.parametrize(
    ("name", "verb", "resources"),
    [
        ("dbo.get_customer", "sql:execute", ("shop.dbo.get_customer",)),
        ("[hr].[dbo].[raise.salary]", "sql:execute", ("hr.dbo.[raise.salary]",)),
        ("sp_columns_100", "sql:execute", ("master.sys.sp_columns_100",)),
        ("sys.sp_anything", "sql:execute", ("master.sys.sp_anything",)),
        ("sp_mine", "sql:execute", ("master.sys.sp_mine", "shop.dbo.sp_mine")),
    ],
)
def test_a_procedure_by_its_name(name: str, verb: str, resources: tuple[str, ...]) -> None:
    batch = classify_procedure(name, Scope("shop"))
    assert batch.actions == (Action(verb, resources),)
    assert batch.facts["statement_count"] == 1


def test_a_procedure_that_runs_texts_is_dynamic() -> None:
    batch = classify_procedure("sp_executesql", Scope("shop"))
    assert Action("sql:dynamic") in batch.actions
    assert batch.facts["unresolved"]


@pytest.mark.parametrize("name", ["", "a b", "p; DROP TABLE t", "p 1", "'p'", "a.b.c.d.e", "drop", "[p", "p\0"])
def test_what_is_not_the_name_of_a_procedure(name: str) -> None:
    assert classify_procedure(name, Scope("shop")).actions == UNCLASSIFIED
