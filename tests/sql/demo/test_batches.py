"""Batches of T-SQL and what they give: results, counts, messages, or an error by its number."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.sql.demo.adapt import Variable
from connectors.sql.demo.engine import Engine, Session
from connectors.sql.demo.procedures import Procedures
from connectors.sql.demo.results import Batch, Columns, Pause
from connectors.sql.tds.types import MAX
from tests.sql.demo.stage import number_of, short, written

CASES = Path(__file__).with_name("batches.txt").read_text().split("\n\n")[1:]
RESULT = re.compile(r"[=+#>!](?: |$)")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.split("\n")[0])
def test_a_batch_gives(procedures: Procedures, case: str) -> None:
    lines = case.strip().split("\n")
    text = "\n".join(line for line in lines if not RESULT.match(line))
    assert written(procedures.run(text)) == [line for line in lines if RESULT.match(line)]


def test_the_text_of_a_failed_conversion_holds_the_value(procedures: Procedures) -> None:
    """As SQL Server's does: this is how a value would leave by an error."""
    with pytest.raises(Exception, match=r"the nvarchar value '254-91-5294' to data type int"):
        list(procedures.run("SELECT CAST(ssn AS int) FROM customers WHERE id = 1"))


def test_what_ran_before_an_error_was_given(procedures: Procedures) -> None:
    given: list[Any] = []
    with pytest.raises(Exception, match="Divide"):
        given += procedures.run("SELECT 1 SELECT 1/0 SELECT 2")  # a list takes what it gets
    assert [type(x).__name__ for x in given] == ["Columns", "Batch", "Affected"]


def test_a_pause_is_left_to_the_connection(procedures: Procedures) -> None:
    assert list(procedures.run("WAITFOR DELAY '01:02:03.5'; WAITFOR DELAY '0:1'")) == [Pause(3723.5), Pause(60)]


def test_variables_carry_their_types(procedures: Procedures, session: Session) -> None:
    moment = datetime.fromisoformat("2024-01-02 03:04:05.000006")
    variables = {
        "@a": Variable(None, "decimal(9,2)"),
        "@b": Variable(b"\x01", "varbinary(5)"),
        "@c": Variable(moment, "datetime2(7)"),
        "@d": Variable(None, "nvarchar(5)"),
        "@e": Variable(True, "bit"),
        "@f": Variable(0.1, "float"),
        "@g": Variable("x"),
    }
    columns, batch, _ = session.query("SELECT @a, @b, @c, @d, @e, @f, @g", variables)
    assert isinstance(columns, Columns)
    names = [c.type.id.name for c in columns.columns]
    assert names == ["DECIMALN", "BIGVARBINARY", "DATETIME2N", "NVARCHAR", "BITN", "FLTN", "NVARCHAR"]
    assert isinstance(batch, Batch)
    assert batch.rows == [(None, b"\x01", moment, None, True, 0.1, "x")]


def test_columns_are_described_as_declared(session: Session) -> None:
    text = "SELECT name, ssn, 1 + 1, id AS [a b], REPLICATE('x', 5000) FROM customers WHERE id = 1"
    columns, *_ = session.query(text, {})
    assert isinstance(columns, Columns)
    assert [c.name for c in columns.columns] == ["name", "ssn", "", "a b", ""]
    assert [c.type.name for c in columns.columns[:4]] == ["nvarchar(100)", "varchar(11)", "int", "int"]
    assert columns.columns[4].type.size == MAX


def test_a_long_result_comes_in_batches(procedures: Procedures) -> None:
    results = procedures.run("SELECT * FROM dbo.big WHERE id < 2500")
    assert [len(x.rows) for x in results if isinstance(x, Batch)] == [1000, 1000, 500]


def test_transactions_nest_and_roll_back(procedures: Procedures, session: Session) -> None:
    kinds = [
        type(x).__name__ for x in procedures.run("BEGIN TRAN BEGIN TRAN COMMIT UPDATE products SET price = 0 ROLLBACK")
    ]
    assert kinds.count("EnvChange") == 2
    assert session.transactions == 0
    assert short(procedures.run("SELECT COUNT(*) FROM products WHERE price = 0")) == [[(0,)]]


def test_implicit_transactions_begin_with_the_first_statement(procedures: Procedures, session: Session) -> None:
    list(procedures.run("SET IMPLICIT_TRANSACTIONS ON"))
    assert session.transactions == 0
    list(procedures.run("UPDATE products SET price = 0"))
    assert session.transactions == 1
    list(procedures.run("IF @@TRANCOUNT > 0 ROLLBACK TRAN SET IMPLICIT_TRANSACTIONS OFF"))
    assert session.transactions == 0


def test_a_transaction_that_failed_can_only_be_rolled_back(procedures: Procedures) -> None:
    list(procedures.run("BEGIN TRAN"))
    assert number_of(procedures.run("INSERT products VALUES (1, 'x', 1)")) == 2627
    assert number_of(procedures.run("SELECT 1 FROM products")) == 3930
    list(procedures.run("ROLLBACK"))
    assert short(procedures.run("SELECT 1")) == [[(1,)]]


def test_two_writers_of_one_row_conflict(engine: Engine, procedures: Procedures) -> None:
    other = Session(engine, "sa", 52)
    list(procedures.run("BEGIN TRAN; UPDATE products SET price = 1 WHERE id = 1"))
    assert number_of(Procedures(other).run("UPDATE products SET price = 2 WHERE id = 1")) == 1205
    list(procedures.run("ROLLBACK"))
    other.close()


def test_temporary_tables_are_each_sessions_own(engine: Engine, procedures: Procedures) -> None:
    list(procedures.run("CREATE TABLE #mine (a int)"))
    other = Session(engine, "sa", 52)
    assert number_of(Procedures(other).run("SELECT * FROM #mine")) == 208
    other.close()
    procedures.reset()
    assert number_of(procedures.run("SELECT * FROM #mine")) == 208


def test_a_reset_forgets_everything(procedures: Procedures, session: Session) -> None:
    list(procedures.run("USE master; SET NOCOUNT ON; SET IMPLICIT_TRANSACTIONS ON; UPDATE products SET price = 0"))
    procedures.reset()
    assert (session.transactions, session.counting, session.implicit) == (0, True, False)
    assert short(procedures.run("SELECT DB_NAME(), COUNT(*) FROM products WHERE price = 0")) == [[("shop", 0)]]


def test_a_cancelled_batch_ends_also_inside_try(procedures: Procedures, session: Session) -> None:
    running = procedures.run("BEGIN TRY SELECT 1 SELECT 2 END TRY BEGIN CATCH SELECT 3 END CATCH SELECT 4")
    next(running)
    session.cancel()
    assert number_of(running) == 3617
    session.resume()
    assert short(procedures.run("SELECT 5")) == [[(5,)]]


def test_a_bulk_insert_takes_any_number_of_rows(procedures: Procedures, session: Session) -> None:
    list(procedures.run("CREATE TABLE #b (a int, b nvarchar(9), c datetime2)"))
    rows = [(n, None if n % 2 else "it's", datetime.fromisoformat("2024-01-01")) for n in range(2500)]
    assert session.insert("#b", ["a", "b", "c"], rows) == 2500
    assert short(procedures.run("SELECT COUNT(*), COUNT(b), MIN(b) FROM #b")) == [[(2500, 1250, "it's")]]
