"""Where statements begin and end, as SQL Server sees it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sql.demo.nodes import (
    Argument,
    Assign,
    Block,
    Call,
    Declare,
    Declared,
    Define,
    Execute,
    If,
    Leave,
    Option,
    Query,
    Transaction,
    While,
)
from connectors.sql.demo.results import SqlError
from connectors.sql.demo.script import bare_name, parse, parse_parameters
from tests.sql.demo.stage import number_of

ONE, TWO = Query("SELECT 1"), Query("SELECT 2")


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1 SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1 DELETE FROM t", ["SELECT 1", "DELETE FROM t"]),
        ("SELECT 1;;SELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1/**/DROP TABLE t--x", ["SELECT 1", "DROP TABLE t"]),
        ("SELECT a FROM t UNION ALL SELECT b FROM u SELECT 2",
         ["SELECT a FROM t UNION ALL SELECT b FROM u", "SELECT 2"]),
        ("WITH c AS (SELECT 1 AS a) SELECT a FROM c SELECT 2",
         ["WITH c AS (SELECT 1 AS a) SELECT a FROM c", "SELECT 2"]),
        ("WITH c AS (SELECT 1 AS a) INSERT t SELECT a FROM c DELETE t",
         ["WITH c AS (SELECT 1 AS a) INSERT t SELECT a FROM c", "DELETE t"]),
        ("INSERT INTO t SELECT 1 SELECT 2", ["INSERT INTO t SELECT 1", "SELECT 2"]),
        ("UPDATE t SET a = 1 UPDATE t SET a = 2", ["UPDATE t SET a = 1", "UPDATE t SET a = 2"]),
        ("SELECT CASE WHEN 1 = 1 THEN 2 ELSE 3 END SELECT 2", ["SELECT CASE WHEN 1 = 1 THEN 2 ELSE 3 END", "SELECT 2"]),
        ("SELECT (SELECT 1) SELECT 2", ["SELECT (SELECT 1)", "SELECT 2"]),
        ("ALTER TABLE t DROP COLUMN a DROP TABLE t", ["ALTER TABLE t DROP COLUMN a", "DROP TABLE t"]),
        ("DROP TABLE IF EXISTS t SELECT 1", ["DROP TABLE IF EXISTS t", "SELECT 1"]),
        ("CREATE TABLE t (a int REFERENCES u ON DELETE CASCADE) SELECT 1",
         ["CREATE TABLE t (a int REFERENCES u ON DELETE CASCADE)", "SELECT 1"]),
        ("GRANT SELECT, UPDATE ON t TO u SELECT 1", ["GRANT SELECT, UPDATE ON t TO u", "SELECT 1"]),
        ("MERGE t USING u ON 1 = 1 WHEN MATCHED THEN UPDATE SET a = 1; SELECT 1",
         ["MERGE t USING u ON 1 = 1 WHEN MATCHED THEN UPDATE SET a = 1", "SELECT 1"]),
        ("CREATE VIEW v AS SELECT 1 SELECT 2", ["CREATE VIEW v AS SELECT 1 SELECT 2"]),
        ("SELECT * FROM t WITH (NOLOCK) SELECT 1", ["SELECT * FROM t WITH (NOLOCK)", "SELECT 1"]),
    ],
)  # fmt: skip
def test_a_statement_ends_where_the_next_begins(text: str, statements: list[str]) -> None:
    assert parse(text) == [Query(statement) for statement in statements]


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("DECLARE @a int = 1, @b nvarchar(20) SELECT 1",
         [Declare((Declared("@a", "int", "1"), Declared("@b", "nvarchar(20)"))), ONE]),
        ("SET @A = @a + 1 SELECT 1", [Assign("@a", "@a + 1"), ONE]),
        ("SET NOCOUNT ON SELECT 1", [Option(("NOCOUNT", "ON")), ONE]),
        ("SET ROWCOUNT 5 SELECT 1", [Option(("ROWCOUNT", "5", "")), ONE]),
        ("IF @a > 0 SELECT 1 ELSE SELECT 2", [If("@a > 0", ONE, TWO)]),
        ("IF EXISTS (SELECT 9) SELECT 1; SELECT 2", [If("EXISTS (SELECT 9)", ONE, None), TWO]),
        ("IF 1=1 BEGIN SELECT 1; SELECT 2 END; ELSE SELECT 2", [If("1=1", Block((ONE, TWO)), TWO)]),
        ("WHILE 1=1 BREAK", [While("1=1", Leave("BREAK"))]),
        ("BEGIN TRY SELECT 1 END TRY BEGIN CATCH SELECT 2 END CATCH", [Block((ONE,), (TWO,))]),
        ("BEGIN TRAN SELECT 1 COMMIT", [Transaction("BEGIN"), ONE, Transaction("COMMIT")]),
        ("PRINT 'a' + 'b' SELECT 1", [Call("PRINT", ("'a' + 'b'",)), ONE]),
        ("RAISERROR('a', 16, 1) WITH NOWAIT SELECT 1", [Call("RAISERROR", ("'a'", "16", "1")), ONE]),
        ("RETURN 3", [Leave("RETURN", "3")]),
        ("EXEC p 1, @x = 'a', @y = @z OUTPUT SELECT 1",
         [Execute("p", (Argument("", "1", False), Argument("@x", "'a'", False), Argument("@y", "@z", True))), ONE]),
        ("EXEC @r = [shop].dbo.p", [Execute("[shop].dbo.p", (), "@r")]),
        ("EXEC ('SELECT ' + '1') SELECT 2", [Execute("", (Argument("", "('SELECT ' + '1')", False),)), TWO]),
        ("sp_who 'x'", [Execute("sp_who", (Argument("", "'x'", False),))]),
        ("CREATE OR ALTER PROC dbo.p @a int = 1, @b int OUTPUT AS SELECT 1 SELECT 2",
         [Define("dbo.p", (Declared("@a", "int", "1"), Declared("@b", "int", "", True)), "SELECT 1 SELECT 2",
                "CREATE OR ALTER PROC dbo.p @a int = 1, @b int OUTPUT AS SELECT 1 SELECT 2")]),
        ("", []),
    ],
)  # fmt: skip
def test_control_flow_becomes_nodes(text: str, nodes: list[object]) -> None:
    assert parse(text) == nodes


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("SELECT (1", 102), ("IF 1=1", 102), ("BEGIN SELECT 1", 102), ("END", 102), ("EXEC", 102), ("EXEC @r p", 102),
        ("EXEC p 1,", 102), ("SELECT 'x", 102), ("BEGIN TRY SELECT 1 END", 102), ("SELECT 1 nonsense = = EXEC", 102),
        ("RAISERROR('a'", 102), ("SELECT " + "(" * 5000 + "1" + ")" * 5000, 191),
        ("CREATE PROC p @a int SELECT 1", 102),
        ("SELECT 1; sp_who", 102),
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused_with_a_number(text: str, number: int) -> None:
    def run() -> list[object]:
        return list(parse(text))

    with pytest.raises(SqlError) as caught:
        run()
    assert caught.value.message.number == number


def test_declarations_of_parameters_are_read() -> None:
    assert parse_parameters("@a int, @b decimal(9, 2) OUTPUT") == (
        Declared("@a", "int"),
        Declared("@b", "decimal(9, 2)", "", True),
    )
    assert parse_parameters("  ") == ()


@pytest.mark.parametrize("name", ["p", "dbo.P", "[shop].[dbo].[p]", "shop..p", "p;1", '"dbo"."p"'])
def test_a_procedure_has_one_bare_name(name: str) -> None:
    assert bare_name(name) == "p"


WORDS = st.sampled_from(
    [
        "SELECT", "1", "(", ")", ",", ";", "CASE", "WHEN", "THEN", "END", "BEGIN", "TRY", "CATCH", "IF", "ELSE",
        "WHILE", "EXEC", "p", "@a", "=", "SET", "DECLARE", "int", "'x'", "AS", "RETURN", "CREATE", "PROC", "RAISERROR",
        "THROW", "UPDATE", "t", "INSERT", "WITH", "UNION", "ALL", "ON", "DELETE", "OUTPUT", ".", "GRANT", "TO",
    ]
)  # fmt: skip


@settings(max_examples=200)
@given(st.lists(WORDS, max_size=25).map(" ".join))
def test_any_words_are_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except SqlError as error:
        assert error.message.number in {102, 191}


def test_number_of_needs_an_error() -> None:
    with pytest.raises(AssertionError):
        number_of([])
