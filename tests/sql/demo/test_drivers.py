"""The real drivers against the demo's server, with no broker between: codec and server are what the drivers expect."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest

from hoopcli.spi import Listen
from tests.support.clients import CLIENTS, Client, fetch, freetds, mssql, odbc, pytds

pytestmark = pytest.mark.e2e
MOMENT = datetime.fromisoformat("2024-01-02T03:04:05.678")


@pytest.fixture(scope="module")
def listen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listen]:
    """The server in a process of its own: some drivers hold the interpreter while they wait."""
    command = [sys.executable, "-m", "connectors.sql.demo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        ca = tmp_path_factory.mktemp("ca") / "ca.pem"
        ca.write_text(said["ca"])
        yield Listen(said["host"], said["port"], said["password"], str(ca), said["user"])
        process.terminate()


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


@pytest.fixture(scope="module")
def connection(client: Client, listen: Listen) -> Iterator[Any]:
    with client.connect(listen) as found:
        yield found


def executed(connection: Any, text: str, *parameters: Any) -> Any:
    cursor = connection.cursor()
    cursor.execute(text, *([parameters] if parameters else []))
    return cursor


def test_rows_are_read(connection: Any) -> None:
    cursor = executed(connection, "SELECT TOP 2 * FROM dbo.customers WHERE id > 2 ORDER BY id")
    assert [name for name, *_ in cursor.description][:3] == ["id", "name", "ssn"]
    [first, _] = [tuple(row) for row in cursor.fetchall()]
    assert first[:3] == (3, "Lucia Eriksen", "309-19-8976")
    assert first[7:] == (datetime.fromisoformat("2025-01-07 06:00"), False)


def test_values_of_every_type_are_read(connection: Any) -> None:
    [row] = fetch(
        connection,
        "SELECT CAST(7 AS int) a, CAST(1 AS bigint) b, CAST(0 AS bit) c, CAST(1.25 AS decimal(9,2)) d,"
        " CAST(0.5 AS float) e, N'žó' f, CAST('2024-01-02' AS date) g,"
        " CAST('2024-01-02 03:04:05.678' AS datetime2) h, 0x00ff i, NULL j,"
        " REPLICATE('x', 9000) k, CAST('10:11:12' AS time) l",
    )
    assert row[:6] == (7, 1, False, Decimal("1.25"), 0.5, "žó")
    assert row[6:] == (date(2024, 1, 2), MOMENT, b"\x00\xff", None, "x" * 9000, time(10, 11, 12))


def test_parameters_are_bound(connection: Any, client: Client) -> None:
    m = client.marker
    text = f"SELECT id, name FROM customers WHERE id = {m} AND name LIKE {m}"
    for number in (3, 4):  # the second time it is prepared
        [(found, _)] = fetch(connection, text, number, "%a%")
        assert found == number


def test_values_of_every_type_are_bound(connection: Any, client: Client) -> None:
    given = (1, "žó", 2.5, Decimal("3.14"), MOMENT, None, 1 << 40)
    marks = ", ".join(f"{client.marker} AS c{n}" for n in range(len(given)))
    [row] = fetch(connection, f"SELECT {marks}", *given)
    moment = row[4] if isinstance(row[4], datetime) else datetime.fromisoformat(row[4])
    assert (*row[:4], moment, *row[5:]) == given


def test_all_results_of_a_batch_are_read(connection: Any) -> None:
    cursor = executed(connection, "SELECT 1 AS a; UPDATE products SET price = price; SELECT 2 AS a UNION ALL SELECT 3")
    found = [[tuple(row) for row in cursor.fetchall()]]
    while cursor.nextset():
        if cursor.description:
            found.append([tuple(row) for row in cursor.fetchall()])
    assert [rows for rows in found if rows] == [[(1,)], [(2,), (3,)]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SELECT * FROM nope", "Invalid object name 'nope'"),
        ("SELECT CAST(ssn AS int) FROM customers WHERE id = 1", "'254-91-5294'"),
        ("INSERT products VALUES (1, 'x', 1)", "PRIMARY KEY"),
        ("RAISERROR('out of %s', 16, 1, 'stock')", "out of stock"),
    ],
)
def test_an_error_is_the_drivers_own_and_leaves_the_connection_usable(
    connection: Any, client: Client, text: str, said: str
) -> None:
    with pytest.raises(client.error) as caught:
        executed(connection, text).fetchall()
    assert said in str(caught.value)
    assert fetch(connection, "SELECT 1 AS a") == [(1,)]


def test_a_transaction_is_rolled_back_and_committed(client: Client, listen: Listen) -> None:
    with client.connect(listen) as connection:
        if client.module == "pymssql":
            connection.autocommit(False)
        else:
            connection.autocommit = False
        price = "SELECT price FROM products WHERE id = 1"
        [(before,)] = fetch(connection, price)
        executed(connection, "UPDATE products SET price = price + 1 WHERE id = 1").close()
        connection.rollback()
        assert fetch(connection, price) == [(before,)]
        executed(connection, "UPDATE products SET price = price + 1 WHERE id = 1").close()
        connection.commit()
        assert fetch(connection, price) == [(before + 1,)]
        connection.rollback()


def test_a_running_statement_is_cancelled(client: Client, listen: Listen) -> None:
    if not client.cancels:
        pytest.skip(f"{client.name} cannot cancel from another thread")
    with client.connect(listen) as connection:
        cursor = executed(connection, "SELECT 1 AS a")
        cursor.fetchall()
        stop = threading.Timer(0.2, cursor.cancel)
        stop.start()
        with pytest.raises(client.error):
            cursor.execute("SELECT COUNT(*) FROM dbo.big a CROSS JOIN dbo.big b WHERE a.id * b.id % 7 = 3")
        stop.join()
        assert fetch(connection, "SELECT 1 AS a") == [(1,)]


def test_a_big_result_is_read_whole(connection: Any) -> None:
    cursor = executed(connection, "SELECT TOP 20000 * FROM dbo.big")
    assert sum(len(rows) for rows in iter(lambda: cursor.fetchmany(5000), [])) == 20_000


def test_a_procedure_is_called_through_odbc(listen: Listen) -> None:
    with odbc(listen.port, listen.user, listen.secret) as connection:
        assert executed(connection, "{CALL dbo.get_customer(?)}", 3).fetchone()[1] == "Lucia Eriksen"


def test_a_procedure_puts_out_through_freetds_and_python_tds(listen: Listen) -> None:
    import pymssql
    import pytds as tds

    with freetds(listen.port, listen.user, listen.secret) as connection:
        executed(connection, "CREATE PROC dbo.increase @n int OUTPUT, @by int AS SET @n = ISNULL(@n, 4) + @by").close()
        assert connection.cursor().callproc("dbo.increase", (pymssql.output(int, 4), 2)) == (6, 2)
    with pytds(listen.port, listen.user, listen.secret) as connection:
        given = tds.output(value=4, param_type="int")
        assert connection.cursor().callproc("dbo.increase", (given, 2)) == [6, 2]


def test_many_rows_are_inserted_by_array(listen: Listen) -> None:
    with odbc(listen.port, listen.user, listen.secret, "no") as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE #many (a int, b nvarchar(20))")
        for fast in (False, True):
            cursor.fast_executemany = fast
            cursor.executemany("INSERT INTO #many VALUES (?, ?)", [(n, str(n)) for n in range(50)])
        assert fetch(connection, "SELECT COUNT(*), MAX(b) FROM #many") == [(100, "9")]


def test_the_catalogue_is_read_through_odbc(listen: Listen) -> None:
    with odbc(listen.port, listen.user, listen.secret, "no") as connection:
        cursor = connection.cursor()
        assert "customers" in [row[2] for row in cursor.tables()]
        assert [row[3] for row in cursor.columns(table="products")] == ["id", "title", "price"]


def test_rows_are_copied_in_bulk(listen: Listen) -> None:
    who = (listen.port, listen.user, listen.secret)
    count = "SELECT COUNT(*), MAX(name) FROM dbo.copied"
    with mssql(*who) as connection:
        executed(connection, "CREATE TABLE dbo.copied (id int, name nvarchar(50), at datetime2, b bit)").close()
        connection.cursor().bulkcopy("dbo.copied", [(n, f"n{n}", MOMENT, True) for n in range(9)])
        assert fetch(connection, count) == [(9, "n8")]
    with freetds(*who) as connection:
        connection.bulk_copy("dbo.copied", [(9, "n9")], column_ids=[1, 2])
        assert fetch(connection, count) == [(10, "n9")]
    with pytds(*who) as connection:
        connection.cursor().copy_to(io.StringIO("1\to1\n2\to2\n"), "copied", schema="dbo", columns=["id", "name"])
        assert fetch(connection, count) == [(12, "o2")]


def test_a_wrong_secret_is_the_drivers_own_error(client: Client, listen: Listen) -> None:
    wrong = Listen(listen.host, listen.port, "wrong", listen.ca_file, listen.user)
    with pytest.raises(client.error, match=r"Login failed|18456"), client.connect(wrong):
        pass
