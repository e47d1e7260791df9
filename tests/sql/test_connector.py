"""The connector as hoop sees it: options, hints, explanations, and one-shot use with real drivers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.sql import driver
from connectors.sql.answer import MEDIA_TYPE
from connectors.sql.connector import SqlConnector
from connectors.sql.execute import execute
from hoopcli.errors import DeniedError, UpstreamError, UsageError
from hoopcli.model.access import Connection
from hoopcli.spi import Listen
from tests.support.broker import RunningBroker, broker
from tests.support.ledger import records_of
from tests.support.upstream import RunningUpstream, upstream

POLICY = Path("connectors/sql/demo/policy.yaml").read_text()
LISTEN = Listen("127.0.0.1", 1433, "s3cret", "/tmp/ca.pem")


def connection(**options: str) -> Connection:
    return Connection("azure-sql", "sql", options)


def test_options_have_their_defaults() -> None:
    target = SqlConnector().target(connection(server="db.example.com"))
    assert (target.host, target.port, target.auth) == ("db.example.com", 1433, "entra")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "--server"),
        ({"server": "db", "auth": "sspi"}, "auth"),
        ({"server": "db", "encrypt": "maybe"}, "encrypt"),
        ({"server": "db", "trust_server_certificate": "perhaps"}, "trust_server_certificate"),
        ({"server": "db", "port": "http"}, "port"),
        ({"server": "db", "port": "70000"}, "port"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError) as caught:
        SqlConnector().target(connection(**options))
    assert named in caught.value.message + caught.value.hint


def test_every_client_has_its_string_and_none_names_the_upstream() -> None:
    hint = SqlConnector().client_hint(LISTEN, connection(server="db.internal", database="shop"))
    clients = dict(hint.lines)
    for client in ("sqlcmd", "ODBC, pyodbc", "JDBC", "ADO.NET", "SQLAlchemy", "tedious", "certificate"):
        assert client in clients
    assert hint.environment["HOOP_SECRET"] == "s3cret"
    assert "db.internal" not in str(hint)
    assert "s3cret" not in clients["sqlcmd"]


def test_a_statement_is_explained_as_the_layer_sees_it() -> None:
    seen = SqlConnector().explain("SELECT 1 DELETE FROM t", connection(database="shop"))
    assert {a.verb for a in seen.actions} == {"sql:select", "sql:delete"}


def test_only_its_own_recordings_are_rendered() -> None:
    assert list(SqlConnector().render(MEDIA_TYPE, b"")) == []
    with pytest.raises(UsageError, match="cannot render"):
        SqlConnector().render("text/html", b"")


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def session(shop: RunningUpstream, tmp_path: Path) -> Iterator[RunningBroker]:
    with broker(tmp_path, shop.target(), POLICY) as running:
        yield running


@pytest.fixture(params=["pyodbc", "mssql_python"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "mssql_python":
        monkeypatch.setitem(sys.modules, "pyodbc", None)
    return str(request.param)


@pytest.mark.usefixtures("library")
def test_one_batch_gives_all_its_results(session: RunningBroker) -> None:
    two = list(execute(session.listen, "shop", "SELECT 1 AS one; SELECT 2 AS two"))
    assert [(list(r.columns), r.rows) for r in two if r.columns] == [(["one"], [[1]]), (["two"], [[2]])]
    [masked] = execute(session.listen, "shop", "SELECT TOP 2 id, ssn FROM customers ORDER BY id")
    assert masked.note == "2 rows"
    assert str(masked.rows[0][1]).startswith("*******")


@pytest.mark.usefixtures("library")
def test_a_denial_is_hoops_own_error(session: RunningBroker, shop: RunningUpstream) -> None:
    with pytest.raises(DeniedError, match="ddl-is-not-for-agents") as caught:
        list(execute(session.listen, "shop", "DROP TABLE customers"))
    assert "hoop policy explain" in caught.value.hint
    assert not any("DROP" in text for text in shop.seen.statements)


@pytest.mark.usefixtures("library")
def test_an_error_of_the_upstream_is_told_apart(session: RunningBroker) -> None:
    with pytest.raises(UpstreamError, match="nowhere"):
        list(execute(session.listen, "shop", "SELECT a FROM dbo.nowhere"))


@pytest.mark.usefixtures("library")
def test_a_wrong_secret_is_told(session: RunningBroker) -> None:
    listen = Listen("127.0.0.1", session.listen.port, "guess", session.listen.ca_file)
    with pytest.raises((UpstreamError, DeniedError), match=r"secret|Login"):
        list(execute(listen, "shop", "SELECT 1"))


def test_values_become_plain_json(session: RunningBroker) -> None:
    [table] = execute(
        session.listen, "shop", "SELECT TOP 1 id, total, placed_at, notes FROM orders WHERE id = 1 ORDER BY id"
    )
    row = table.rows[0]
    assert isinstance(row[0], int)
    assert isinstance(row[1], str)
    assert str(row[2]).startswith("20")


def test_without_any_driver_the_way_to_one_is_told(session: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pyodbc", "mssql_python"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match="no SQL Server driver") as caught:
        list(execute(session.listen, "shop", "SELECT 1"))
    assert "hoop[exec]" in caught.value.hint


def test_the_systems_driver_comes_before_the_carried_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyodbc

    monkeypatch.setattr(pyodbc, "drivers", lambda: ["SQLite3", "ODBC Driver 18 for SQL Server"])
    assert driver.odbc_driver() == "{ODBC Driver 18 for SQL Server}"
    monkeypatch.setattr(pyodbc, "drivers", list)
    assert driver.odbc_driver().endswith(".so.2.1") or sys.platform != "linux"
    monkeypatch.setattr(driver, "carried_driver", lambda: None)
    with pytest.raises(UsageError, match="no Microsoft ODBC Driver"):
        driver.odbc_driver()


def test_no_carried_driver_without_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "find_spec", lambda _: None)
    assert driver.carried_driver() is None


def test_a_session_is_in_the_ledger_from_first_to_last(shop: RunningUpstream, tmp_path: Path) -> None:
    with broker(tmp_path, shop.target(), POLICY) as running:
        list(execute(running.listen, "shop", "SELECT TOP 1 id FROM customers"))
    records = records_of(tmp_path / "ledger.db")
    assert (records[0].type, records[-1].type) == ("session.open", "session.close")
    assert any(r.type == "exchange.request" and "customers" in r.body["text"] for r in records)
