"""Variables, table variables and cursors: what their values derive from, wherever in the batch they get them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sql.plan import ResultPlan
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.masks import BlockedError
from connectors.sql.tsql.classify import Batch, Scope, classify
from connectors.sql.tsql.variables import Variables
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask, Method
from tests.support.tds import NVARCHAR

SSN = "shop.dbo.customers.ssn"
MASKING = Masking([Mask("ssn", fields=("*.dbo.customers.ssn",), method=Method("redact"))], b"k" * 32)
TEXT = "DECLARE @x nvarchar(100)"


def seen(text: str) -> Batch:
    return classify(text, Scope("shop"))


def masked(batch: Batch, *names: str) -> list[bool]:
    plan = ResultPlan(MASKING, [batch])
    return [field is not None for field in plan.columns([Column(name, NVARCHAR) for name in names])]


@pytest.mark.parametrize(
    "text",
    [
        f"{TEXT} = (SELECT ssn FROM customers) SELECT @x",
        f"{TEXT} SET @x = (SELECT ssn FROM customers) SELECT @X",
        f"{TEXT} SELECT @x = ssn FROM customers SELECT REVERSE(@x)",
        f"{TEXT} SELECT @x = 'a' IF 1 = 2 SELECT @x = ssn FROM customers ELSE SET @x = 'b' SELECT @x",
        f"{TEXT} UPDATE customers SET @x = ssn WHERE id = 1 SELECT @x",
        f"{TEXT} DECLARE @y nvarchar(100) SELECT @x = ssn FROM customers SET @y = @x SELECT @y",
        f"{TEXT} WHILE 1 = 1 BEGIN SELECT @x SELECT @x = ssn FROM customers END",
        f"{TEXT} a: SELECT @x SELECT @x = ssn FROM customers GOTO a",
        f"{TEXT} DECLARE @y nvarchar(100) WHILE 1 = 1 BEGIN SELECT @y SET @y = @x SELECT @x = ssn FROM customers END",
        f"{TEXT} DECLARE k CURSOR LOCAL FOR SELECT ssn FROM customers OPEN k FETCH NEXT FROM k INTO @x SELECT @x",
        f"DECLARE @c CURSOR {TEXT} SET @c = CURSOR FOR SELECT ssn FROM customers FETCH @c INTO @x SELECT @x",
        "DECLARE k CURSOR LOCAL FOR SELECT ssn FROM customers OPEN k FETCH NEXT FROM k",
        "DECLARE @t TABLE (a nvarchar(100)) INSERT INTO @t SELECT ssn FROM customers SELECT a FROM @t",
        "DECLARE @t TABLE (a nvarchar(100)) INSERT INTO @t (a) SELECT ssn FROM customers SELECT * FROM @t x",
        f"{TEXT} EXEC sp_executesql N'SELECT @s = ssn FROM customers', N'@s nvarchar(99) OUTPUT', @x OUTPUT SELECT @x",
        f"{TEXT} SELECT @x = ssn FROM customers EXEC sp_executesql N'SELECT @s', N'@s nvarchar(99)', @s = @x",
    ],
)
def test_a_value_is_masked_after_any_way_through_variables(text: str) -> None:
    batch = seen(text)
    assert not batch.facts["unresolved"]
    assert not batch.facts["copies"]
    assert masked(batch, "a") == [True]
    assert {SSN} <= set(batch.outputs[0].sources or ())  # type: ignore[index]


def test_the_columns_of_a_table_variable_are_told_apart() -> None:
    batch = seen(
        "DECLARE @t TABLE (id int, a varchar(11), b varchar(60) PRIMARY KEY (id)) "
        "INSERT INTO @t (b, a) SELECT city, ssn FROM customers SELECT id, a, b FROM @t"
    )
    assert masked(batch, "id", "a", "b") == [False, True, False]


def test_a_table_variable_of_a_type_may_hold_anything_anywhere() -> None:
    batch = seen("DECLARE @t dbo.People INSERT INTO @t (a) SELECT ssn FROM customers SELECT b FROM @t")
    assert masked(batch, "b") == [True]


@pytest.mark.parametrize(
    "text",
    [
        f"{TEXT} SELECT @x = ssn FROM customers EXEC dbo.p @x",
        f"{TEXT} SELECT @x = ssn FROM customers EXEC (@x)",
        f"{TEXT} SELECT @x = ssn FROM customers INSERT INTO log VALUES (@x)",
        f"{TEXT} SELECT @x = ssn FROM customers UPDATE orders SET notes = @x WHERE id = 1",
        f"{TEXT} UPDATE o SET @x = notes = c.ssn FROM orders o JOIN customers c ON c.id = 1",
        f"{TEXT} SELECT @x = ssn FROM customers SET CONTEXT_INFO @x",
        f"{TEXT} SELECT @x = ssn FROM customers WAITFOR DELAY @x",
        f"{TEXT} SELECT @x = ssn FROM customers BEGIN TRANSACTION @x",
        f"{TEXT} SELECT @x = ssn FROM customers RAISERROR ('a', 16, @x)",
        "DECLARE @n int SELECT @n = ssn FROM customers RAISERROR (@n, 16, 1)",
        "DECLARE @n int SELECT @n = ssn FROM customers; THROW @n, 'a', 1",
        f"{TEXT} SELECT @x = ssn FROM customers; THROW 50000, 'a', @x",
        "DECLARE k CURSOR FOR SELECT ssn FROM customers OPEN k FETCH NEXT FROM k",
        "DECLARE k CURSOR LOCAL FOR SELECT ssn FROM customers FETCH NEXT FROM GLOBAL k",
        "IF 1 = 1 DECLARE k CURSOR LOCAL FOR SELECT city FROM customers FETCH NEXT FROM k",
        "DECLARE @c CURSOR SET @c = CURSOR FOR SELECT city FROM customers SET @c = k FETCH NEXT FROM @c",
        "DECLARE @c CURSOR SET @c = k FETCH NEXT FROM @c",
        f"{TEXT} BEGIN TRY SELECT CAST(ssn AS int) FROM customers END TRY "
        "BEGIN CATCH SET @x = ERROR_MESSAGE() SELECT @x END CATCH",
        "DECLARE @\N{LATIN SMALL LETTER SHARP S} nvarchar(100) "
        "SELECT @\N{LATIN SMALL LETTER SHARP S} = ssn FROM customers SELECT @ss",
    ],
)  # fmt: skip
def test_where_a_value_is_not_followed_lineage_is_unresolved(text: str) -> None:
    batch = seen(text)
    assert "unclassified_reason" not in batch.facts or not batch.statements
    assert batch.facts["unresolved"]


@pytest.mark.parametrize(
    "text",
    [
        f"{TEXT} SELECT @x = ssn FROM customers IF @x LIKE '1%' SELECT 1",
        f"{TEXT} SELECT @x = ssn FROM customers SELECT id FROM orders WHERE notes = @x",
        f"{TEXT} SELECT @x = ssn FROM customers SELECT TOP (@x) id FROM orders",
        f"{TEXT} SELECT @x = ssn FROM customers SELECT TOP @x id FROM orders",
        f"{TEXT} SELECT @x = ssn FROM customers SELECT id FROM orders TABLESAMPLE (@x ROWS)",
        f"{TEXT} SELECT @x = ssn FROM customers SELECT CASE WHEN @x > '5' THEN 1 END",
        f"{TEXT} SELECT @x = ssn FROM customers SELECT CAST(@x AS int)",
        "DECLARE @x int SELECT @x = ssn FROM customers",
        "DECLARE @x varchar SELECT @x = ssn FROM customers",
        "DECLARE @x varchar(3) SELECT @x = ssn FROM customers",
        f"{TEXT} SELECT @x = ssn FROM customers FETCH ABSOLUTE @x FROM k",
        f"{TEXT} SELECT @x = ssn FROM customers EXEC sp_executesql N'SELECT 1 WHERE @s LIKE ''1%''', "
        "N'@s varchar(9)', @x",
    ],
)  # fmt: skip
def test_what_a_variable_decides_tells_of_its_value(text: str) -> None:
    assert SSN in seen(text).facts["predicates"]  # type: ignore[operator]


def test_a_variable_that_fits_anything_tells_nothing() -> None:
    assert seen(f"{TEXT} SELECT @x = ssn FROM customers SELECT @x").facts["predicates"] == []


@pytest.mark.parametrize("text", ["PRINT @x", "RAISERROR (@x, 16, 1)", "RAISERROR ('%s', 16, 1, @x)"])
def test_a_message_with_a_value_is_hidden(text: str) -> None:
    batch = seen(f"{TEXT} SELECT @x = ssn FROM customers {text}")
    assert not batch.facts["unresolved"]
    assert ResultPlan(MASKING, [batch]).message("078-05-1120")[0] != "078-05-1120"


def test_each_of_several_results_is_masked_as_any_of_its_width() -> None:
    batch = seen("SELECT id, ssn FROM customers SELECT name, city FROM customers SELECT id FROM orders SELECT * FROM t")
    assert not batch.facts["unresolved"]
    assert masked(batch, "a", "b") == [False, True]
    assert masked(batch, "a") == [False]
    assert masked(batch, "a", "b", "ssn") == [False, False, False]
    assert masked(seen("SELECT id, ssn FROM customers SELECT 1"), "id", "ssn") == [False, True]


def test_a_result_that_no_statement_returns_is_blocked() -> None:
    with pytest.raises(BlockedError, match="no statement returns"):
        masked(seen("SELECT id, ssn FROM customers SELECT 1"), "a", "b", "c")


def test_a_parameter_that_comes_back_is_masked_if_a_variable_held_a_value() -> None:
    plan = ResultPlan(MASKING, [seen("SELECT @x = ssn FROM customers")])
    assert plan.return_value("@x") is not None
    assert ResultPlan(MASKING, [seen("SELECT @x = city FROM customers")]).return_value("@x") is None
    unknown = seen("FETCH k INTO @x")
    assert ResultPlan(MASKING, [unknown]).return_value("@x") is not None


def test_values_that_go_round_end_somewhere() -> None:
    steps = " ".join(f"SET @v{at} = @v{at + 1}" for at in range(40))
    batch = seen(f"{steps} SELECT @v40 = ssn FROM customers SELECT @v0")
    assert "unclassified_reason" in batch.facts
    backwards = " ".join(f"SET @v{at} = @v{at + 1}" for at in reversed(range(40)))
    assert masked(seen(f"SELECT @v40 = ssn FROM customers {backwards} SELECT @v0"), "a") == [True]


def test_a_name_outside_ascii_may_be_any_variable() -> None:
    variables = Variables()
    assert variables.assign("@a", frozenset({SSN}))
    assert variables.of("@\N{LATIN SMALL LETTER SHARP S}") == frozenset({SSN})
    assert not variables.assign("@\N{LATIN SMALL LETTER SHARP S}", frozenset({SSN}))
    assert variables.table("@\N{LATIN SMALL LETTER SHARP S}") is None
    assert not variables.assign("@a", None)
    assert variables.of("@a") is None
    assert variables.all is None


WRAPPERS = st.sampled_from(
    ["REVERSE({})", "UPPER({})", "LEFT({}, 3)", "CONCAT({}, 'x')", "{} + 'y'", "ISNULL({}, 'z')",
     "CAST({} AS nvarchar(99))", "CASE WHEN 1 = 1 THEN {} END", "(SELECT {})",
     "(SELECT MAX(q) FROM (SELECT {} AS q) d)"]
)  # fmt: skip
CARRIERS = st.sampled_from(
    [
        "SET {to} = {value}",
        "SELECT {to} = {value}",
        "IF 1 = 1 SET {to} = {value}",
        "BEGIN TRY SELECT {to} = {value} END TRY BEGIN CATCH PRINT 'a' END CATCH",
        "SELECT {to} = q FROM (SELECT {value} AS q UNION ALL SELECT 'b') d",
        "WITH k AS (SELECT {value} AS q) SELECT {to} = q FROM k",
        "SELECT {to} = q FROM orders CROSS APPLY (SELECT {value} AS q) d",
        "INSERT INTO @t (a) SELECT {value} SELECT {to} = a FROM @t",
        "EXEC sp_executesql N'SELECT @o = @i', N'@i nvarchar(99), @o nvarchar(99) OUTPUT', {source}, {to} OUTPUT",
        "SET @c = CURSOR FOR SELECT {value} OPEN @c FETCH NEXT FROM @c INTO {to}",
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(CARRIERS, WRAPPERS), max_size=4), WRAPPERS, st.booleans())
def test_no_way_through_variables_loses_a_source(steps: list[tuple[str, str]], last: str, loop: bool) -> None:
    parts = ["SELECT @v0 = ssn FROM customers"]
    for at, (carrier, wrapper) in enumerate(steps):
        source = f"@v{at}"
        parts.append("; " + carrier.format(to=f"@v{at + 1}", source=source, value=wrapper.format(source)))
    parts.append(f"; SELECT {last.format(f'@v{len(steps)}')} AS a")
    if loop:  # what is read before it is written
        parts = ["WHILE 1 = 1 BEGIN", *parts[:0:-1], parts[0], "END"]
    declared = ", ".join(f"@v{at} nvarchar(100)" for at in range(len(steps) + 1))
    batch = seen(f"DECLARE {declared}, @c CURSOR, @t TABLE (a nvarchar(100)) {' '.join(parts)}")
    assert "unclassified_reason" not in batch.facts or len(steps) > 3
    if not batch.facts["unresolved"]:
        assert masked(batch, "a") == [True]
