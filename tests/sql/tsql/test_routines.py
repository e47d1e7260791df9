"""Where the statements of procedures, functions and triggers begin, and what their heads say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tsql.called import INLINE, PROCEDURE, SCALAR, TABLE, TRIGGER
from connectors.sql.tsql.routines import Parameter, read_routine


@pytest.mark.parametrize(
    ("text", "kind", "parameters", "body"),
    [
        ("CREATE PROC p AS SELECT 1", PROCEDURE, "", "SELECT 1"),
        ("CREATE OR ALTER PROCEDURE [dbo].[p];1 @a int AS SELECT @a", PROCEDURE, "@a", "SELECT @a"),
        ("ALTER PROCEDURE p (@a int = -1, @b varchar(max) = NULL OUTPUT) AS SELECT 1", PROCEDURE, "@a @b", "SELECT 1"),
        ("CREATE PROC p @A AS nvarchar(20) NOT NULL = N'x', @t dbo.ids READONLY AS SELECT 1", PROCEDURE, "@a @t",
         "SELECT 1"),
        ("CREATE PROC p @a decimal(9, 2) = 1.5 OUT WITH RECOMPILE, SCHEMABINDING FOR REPLICATION AS BEGIN SELECT 1 END",
         PROCEDURE, "@a", "BEGIN SELECT 1 END"),
        ("CREATE FUNCTION f() RETURNS int AS BEGIN RETURN 1 END", SCALAR, "", "BEGIN RETURN 1 END"),
        ("CREATE FUNCTION f(@a int = 1) RETURNS int WITH RETURNS NULL ON NULL INPUT, INLINE = OFF BEGIN RETURN 1 END",
         SCALAR, "@a", "BEGIN RETURN 1 END"),
        ("CREATE FUNCTION f(@a int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS a", INLINE, "@a",
         "SELECT 1 AS a"),
        ("CREATE FUNCTION f() RETURNS @t TABLE (a int, b int) BEGIN RETURN END", TABLE, "", "BEGIN RETURN END"),
        ("CREATE TRIGGER t ON dbo.o AFTER INSERT, UPDATE NOT FOR REPLICATION AS SELECT 1", TRIGGER, "", "SELECT 1"),
        ("CREATE TRIGGER t ON dbo.o WITH EXECUTE AS CALLER INSTEAD OF DELETE AS SELECT 1", TRIGGER, "", "SELECT 1"),
        ("CREATE TRIGGER t ON dbo.o FOR DELETE WITH APPEND AS SELECT 1", TRIGGER, "", "SELECT 1"),
    ],
)  # fmt: skip
def test_a_head_is_read_up_to_the_statements(text: str, kind: str, parameters: str, body: str) -> None:
    routine = read_routine(text)
    assert routine is not None
    assert routine.kind == kind
    assert [parameter.name for parameter in routine.parameters] == parameters.split()
    assert text[routine.cursor().token.start :] == body


@pytest.mark.parametrize(
    ("options", "sealed"),
    [("", False), ("WITH EXECUTE AS CALLER", False), ("WITH EXEC AS OWNER", True), ("WITH EXECUTE AS 'dave'", True)],
)
def test_who_runs_it(options: str, sealed: bool) -> None:
    routine = read_routine(f"CREATE PROC p {options} AS SELECT 1")
    assert routine is not None
    assert routine.sealed is sealed


def test_what_any_value_fits_into() -> None:
    routine = read_routine("CREATE PROC p @a varchar(60), @b varchar, @c int, @d nvarchar(max) OUTPUT AS SELECT 1")
    assert routine is not None
    assert routine.parameters == (
        Parameter("@a", roomy=True), Parameter("@b"), Parameter("@c"), Parameter("@d", roomy=True, output=True),
    )  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["", "SELECT 1", "CREATE VIEW v AS SELECT 1", "CREATE PROC p", "CREATE PROC p @a",
     "CREATE PROC p @a int = - AS SELECT 1",
     "CREATE PROC p @c cursor VARYING OUTPUT AS SELECT 1", "CREATE PROC p (@a int AS SELECT 1",
     "CREATE FUNCTION f AS SELECT 1", "CREATE FUNCTION f() RETURNS TABLE (a int) AS EXTERNAL NAME a.b.c",
     "CREATE TRIGGER t ON DATABASE FOR CREATE_TABLE AS SELECT 1",
     "CREATE PROC p WITH AS SELECT 1", "CREATE PROC p AS '"],
)  # fmt: skip
def test_what_is_no_routine_is_not_read(text: str) -> None:
    assert read_routine(text) is None


@given(st.data())
def test_no_cut_or_change_of_a_head_raises(data: st.DataObject) -> None:
    text = "CREATE FUNCTION f(@a int = 1, @b varchar(9)) RETURNS @t TABLE (a int) WITH EXEC AS OWNER BEGIN RETURN END"
    start, end = (data.draw(st.integers(0, len(text))) for _ in range(2))
    read_routine(text[:start] + data.draw(st.text(max_size=5)) + text[end:])
