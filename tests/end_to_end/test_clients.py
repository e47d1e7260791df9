"""Every Python client through the broker: what it reads, sends, is refused, cancels, and that it goes on afterwards."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from tests.support.backend import rows_of
from tests.support.clients import CLIENTS, Client, change, fetch, results
from tests.support.stage import Stage

CUSTOMERS = rows_of("customers")
KINDS: dict[str, tuple[str, Any]] = {
    "int": ("-7", -7),
    "bigint": ("9007199254740993", 9007199254740993),
    "smallint": ("-300", -300),
    "tinyint": ("200", 200),
    "bit": ("1", True),
    "decimal(10,2)": ("12345678.90", Decimal("12345678.90")),
    "decimal(38,4)": ("'1234567890123456789012.5000'", Decimal("1234567890123456789012.5000")),
    "float": ("'1.5'", 1.5),
    "real": ("'0.25'", 0.25),
    "date": ("'2026-02-28'", date(2026, 2, 28)),
    "time": ("'13:14:15.125'", time(13, 14, 15, 125_000)),
    "datetime2": ("'2026-02-28 13:14:15.125'", datetime(2026, 2, 28, 13, 14, 15, 125_000)),  # noqa: DTZ001 - datetime2 has no zone
    "varchar(20)": ("'plain'", "plain"),
    "varchar(max)": (f"'{'x' * 9000}'", "x" * 9000),
    "nvarchar(20)": ("N'grüße 你好'", "grüße 你好"),
    "nvarchar(max)": (f"N'{'løng ' * 4000}'", "løng " * 4000),
    "varbinary(20)": ("0x00ff10", b"\x00\xff\x10"),
    "varbinary(max)": ("0x00ff10", b"\x00\xff\x10"),
    "uniqueidentifier": ("'6F9619FF-8B86-D011-B42D-00C04FC964FF'", UUID("6F9619FF-8B86-D011-B42D-00C04FC964FF")),
}


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    pytest.importorskip(chosen.module)
    if chosen.name == "python-tds-tls":
        pytest.importorskip("OpenSSL", reason="python-tds needs pyOpenSSL for TLS")
    return chosen


@pytest.fixture(scope="module")
def connection(client: Client, shop: Stage) -> Iterator[Any]:
    """One connection for all tests of a client: each of them has to leave it usable."""
    with client.connect(shop.agent, shop.database) as opened:
        yield opened


def test_a_masked_row_is_read(connection: Any) -> None:
    row = fetch(connection, "SELECT TOP 1 * FROM dbo.customers ORDER BY id")[0]
    number, name, ssn, _, _, phone, city, created_at, vip = CUSTOMERS[0]
    assert (row[0], row[1], row[5], row[6], row[7], bool(row[8])) == (number, name, phone, city, created_at, vip)
    assert row[2].endswith(str(ssn)[-4:])
    assert row[2] != ssn
    assert "@" not in row[3]
    assert not any(character.isdigit() for character in row[4])


def test_parameters_arrive_as_they_were_given(connection: Any, client: Client) -> None:
    text = f"SELECT id, name FROM dbo.customers WHERE id = {client.marker} AND name = {client.marker}"
    assert fetch(connection, text, 3, CUSTOMERS[2][1]) == [(3, CUSTOMERS[2][1])]
    assert fetch(connection, text, 3, "' OR 1=1 --") == []


def test_a_masked_column_stays_masked_with_parameters(connection: Any, client: Client) -> None:
    [(masked,)] = fetch(connection, f"SELECT ssn AS harmless FROM dbo.customers WHERE id = {client.marker}", 3)
    assert masked[-4:] == str(CUSTOMERS[2][2])[-4:]
    assert not any(character.isdigit() for character in masked[:-4])


def test_several_result_sets_come_in_order(connection: Any) -> None:
    assert results(connection, "SELECT 1 AS a; SELECT 'two' AS b, 2.5 AS c; SELECT 3 AS d WHERE 1 = 0") == [
        [(1,)],
        [("two", pytest.approx(2.5))],
        [],
    ]


def test_values_of_every_type(connection: Any) -> None:
    columns = ", ".join(f"CAST({literal} AS {kind})" for kind, (literal, _) in KINDS.items())
    [row] = fetch(connection, f"SELECT {columns}")
    got = {kind: _alike(value, kind) for kind, value in zip(KINDS, row, strict=True)}
    assert got == {kind: expected for kind, (_, expected) in KINDS.items()}


def test_nulls_of_every_type(connection: Any) -> None:
    [row] = fetch(connection, f"SELECT {', '.join(f'CAST(NULL AS {kind})' for kind in KINDS)}")
    assert row == (None,) * len(KINDS)


def _alike(value: Any, kind: str) -> Any:
    """Drivers differ in the Python type for some types."""
    match kind:
        case "uniqueidentifier":
            return UUID(str(value))
        case "bit":
            return bool(value)
        case _:
            return bytes(value) if isinstance(value, bytearray | memoryview) else value


def test_a_denied_drop_is_the_drivers_own_error_and_goes_nowhere(connection: Any, client: Client, shop: Stage) -> None:
    with pytest.raises(client.error, match="never-drop"):
        change(connection, "DROP TABLE dbo.customers")
    assert fetch(connection, "SELECT count(*) FROM dbo.customers") == [(len(CUSTOMERS),)]
    assert shop.never_saw("DROP")


def test_a_drop_hidden_behind_a_select_is_denied_all_the_same(connection: Any, client: Client) -> None:
    with pytest.raises(client.error, match="never-drop"):
        change(connection, "SELECT 1 DROP TABLE dbo.customers")
    assert fetch(connection, "SELECT count(*) FROM dbo.customers") == [(len(CUSTOMERS),)]


def test_the_servers_own_error_arrives(connection: Any, client: Client) -> None:
    with pytest.raises(client.error, match="nowhere"):
        fetch(connection, "SELECT * FROM dbo.nowhere")
    assert fetch(connection, "SELECT 1") == [(1,)]


def test_a_transaction_commits_and_rolls_back(connection: Any) -> None:
    def city() -> Any:
        return fetch(connection, "SELECT city FROM dbo.customers WHERE id = 200")[0][0]

    before = city()
    change(connection, "BEGIN TRANSACTION")
    change(connection, "UPDATE dbo.customers SET city = 'Nowhere' WHERE id = 200")
    assert city() == "Nowhere"
    change(connection, "ROLLBACK TRANSACTION")
    assert city() == before
    change(connection, "BEGIN TRANSACTION")
    change(connection, "UPDATE dbo.customers SET city = 'Utrecht' WHERE id = 200")
    change(connection, "COMMIT TRANSACTION")
    assert city() == "Utrecht"


def test_a_statement_is_prepared_once_and_run_twice(connection: Any, client: Client) -> None:
    cursor = connection.cursor()
    text = f"SELECT name, ssn FROM dbo.customers WHERE id = {client.marker}"
    for number in (5, 6):
        cursor.execute(text, (number,))
        name, ssn = cursor.fetchone()
        assert name == CUSTOMERS[number - 1][1]
        assert ssn != CUSTOMERS[number - 1][2]
        assert cursor.fetchone() is None
    cursor.close()


def test_a_running_statement_is_cancelled(connection: Any, client: Client, shop: Stage) -> None:
    if not client.cancels:
        pytest.skip(f"{client.module} cannot cancel from another thread")
    if not shop.slow:
        pytest.skip("the server has no WAITFOR to cancel")
    waiting = f"{shop.slow} -- {client.name}"
    cursor = connection.cursor()
    stopper = threading.Thread(target=lambda: (shop.ledger.request_of(waiting), cursor.cancel()))
    stopper.start()
    with suppress(client.error):  # unixODBC loses the driver's error on its way
        cursor.execute(waiting)
    stopper.join(10)
    cursor.close()
    assert shop.ledger.outcome_of(waiting)["status"] == "cancelled"
    assert fetch(connection, "SELECT 1") == [(1,)]


def test_a_big_result_arrives_whole(connection: Any) -> None:
    text = (
        "SELECT TOP 20000 a.id, b.name, a.notes, b.ssn FROM dbo.orders a CROSS JOIN dbo.customers b ORDER BY a.id, b.id"
    )
    rows = fetch(connection, text)
    assert len(rows) == 20000
    assert sum(row[0] for row in rows) == sum(range(1, 101)) * 200
    assert not {row[3] for row in rows} & {row[2] for row in CUSTOMERS}


def test_what_a_procedure_reads_is_masked(connection: Any) -> None:
    [row] = fetch(connection, "EXEC dbo.get_customer 1, NULL")
    assert tuple(row[:3]) == (*CUSTOMERS[0][:2], "*******" + CUSTOMERS[0][2][-4:])
    assert fetch(connection, "SELECT 1") == [(1,)]


def test_a_procedure_returns_rows_and_an_output_parameter(client: Client, shop: Stage) -> None:
    with client.connect(shop.dba, shop.database) as connection:
        row, output = _call(client, connection)
        assert row[:2] == tuple(CUSTOMERS[4][:2])
        assert output == CUSTOMERS[4][1]
        assert fetch(connection, "SELECT 1") == [(1,)]


def _call(client: Client, connection: Any) -> tuple[tuple[Any, ...], Any]:
    """Call ``dbo.get_customer`` the way the driver has for it: by RPC, or in a batch."""
    if client.module != "pytds":
        batch = "DECLARE @n nvarchar(100); EXEC dbo.get_customer 5, @n OUTPUT; SELECT @n AS name"
        [row], [(name,)] = results(connection, batch)
        return row, name
    output = importlib.import_module(client.module).output(param_type="nvarchar(100)")
    cursor = connection.cursor()
    cursor.callproc("dbo.get_customer", (5, output))
    row = tuple(cursor.fetchone())
    while cursor.nextset():
        pass
    [output] = cursor._session.output_params.values()  # get_proc_outputs() fails where the first parameter is no output
    return row, output.value
