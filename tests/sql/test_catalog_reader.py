"""When the broker asks for the catalog, and what it makes of the answers: a real client before the demo's server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.sql import catalog_reader
from tests.support.broker import SA, broker
from tests.support.clients import change, fetch, freetds
from tests.support.upstream import RunningUpstream, upstream

POLICY = """
version: 1
rules: [{id: everything, effect: allow, verbs: ["*"]}]
masks: [{id: national-id, fields: ["*.dbo.customers.ssn"], method: {keep_last: 4}}]
"""
READ = "SELECT TOP 1 ssn FROM dbo.vip_customers"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def client(server: RunningUpstream, tmp_path: Path) -> Iterator[Any]:
    yield from connected(server, tmp_path)


def connected(server: RunningUpstream, folder: Path, **more: str) -> Iterator[Any]:
    with (
        broker(folder, server.target(**more), POLICY) as running,
        freetds(running.listen.port, running.listen.user, running.listen.secret) as connection,
    ):
        yield connection


def questions(server: RunningUpstream, client: Any, *texts: str) -> int:
    before = server.seen.questions
    for text in texts:
        change(client, text)
    return server.seen.questions - before


def test_a_view_is_masked_as_its_table_is(client: Any) -> None:
    [(value,)] = fetch(client, READ)
    assert value.startswith("*******")


def test_the_catalog_is_asked_for_once_and_only_where_a_table_is_read(server: RunningUpstream, client: Any) -> None:
    assert questions(server, client, "SELECT 1", "SELECT name FROM sys.objects") == 0
    assert questions(server, client, READ, READ, "SELECT TOP 1 id FROM dbo.orders") == 1


def test_a_definition_is_noticed_and_so_is_what_is_not_there(server: RunningUpstream, client: Any) -> None:
    assert questions(server, client, READ, "CREATE TABLE dbo.fresh (id int)", READ) == 2
    assert questions(server, client, "INSERT INTO dbo.fresh (id) VALUES (1)", "DROP TABLE dbo.fresh", READ) == 1
    assert questions(server, client, "BEGIN TRAN", READ, "ROLLBACK", READ) == 2


def test_a_procedures_definition_is_asked_for_where_it_is_called(server: RunningUpstream, client: Any) -> None:
    call = "EXEC dbo.get_customer 1"
    assert questions(server, client, READ, call, call) == 2
    assert fetch(client, call)[0][2].startswith("*******")
    assert questions(server, client, "EXEC dbo.get_customer 2") == 0


def define(server: RunningUpstream, text: str) -> None:
    with freetds(int(server.target()["port"]), SA.user, SA.secret) as direct:
        change(direct, text)


def test_a_procedure_that_becomes_another_is_read_again(server: RunningUpstream, client: Any) -> None:
    define(server, "CREATE OR ALTER PROCEDURE dbo.shown AS SELECT name AS a FROM dbo.customers WHERE id = 1")
    assert fetch(client, "EXEC dbo.shown")[0][0].strip("*")
    define(server, "CREATE OR ALTER PROCEDURE dbo.shown AS SELECT ssn AS a FROM dbo.customers WHERE id = 1")
    change(client, "CREATE TABLE dbo.another (id int)")
    [(value,)] = fetch(client, "EXEC dbo.shown")
    assert value.startswith("*******")


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        (POLICY, "unresolved-lineage"),
        (f"{POLICY}\non_unresolved: mask_all", "ran"),
        (
            f"{POLICY}\non_unresolved: mask_all".replace(
                "rules: [", "rules: [{id: never-drop, effect: deny, verbs: ['sql:drop'], description: by hand}, "
            ),
            "by hand",
        ),
    ],
)
def test_of_a_procedure_that_defines_something_it_is_known_what_it_does_but_not_what_it_returns(
    server: RunningUpstream, tmp_path: Path, policy: str, why: str
) -> None:
    define(server, "CREATE OR ALTER PROCEDURE dbo.makes AS CREATE TABLE dbo.made (id int) DROP TABLE dbo.made "
           "SELECT ssn AS a FROM dbo.customers WHERE id = 1")  # fmt: skip
    with (
        broker(tmp_path, server.target(), policy) as running,
        freetds(running.listen.port, running.listen.user, running.listen.secret) as client,
    ):
        if why == "ran":
            assert fetch(client, "EXEC dbo.makes") == [("[redacted]",)]
        else:
            with pytest.raises(Exception, match=why):
                change(client, "EXEC dbo.makes")


def test_it_is_asked_within_a_transaction_and_under_any_options(server: RunningUpstream, client: Any) -> None:
    change(client, "SET ROWCOUNT 1 SET TEXTSIZE 10 SET IMPLICIT_TRANSACTIONS ON")
    change(client, "BEGIN TRAN")
    assert questions(server, client, READ) == 1
    assert fetch(client, "SELECT @@TRANCOUNT")[0][0] >= 1


def test_it_grows_old(server: RunningUpstream, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    change(client, READ)
    monkeypatch.setattr(catalog_reader, "FRESH", -catalog_reader.FRESH)
    assert questions(server, client, READ) == 2  # before it is decided, and before it runs, as it is old again by then


def test_without_an_answer_lineage_is_unresolved(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_reader, "read_answer", lambda _database, _payload: None)
    with pytest.raises(Exception, match="unresolved-lineage"):
        fetch(client, READ)
    monkeypatch.undo()
    assert fetch(client, READ)


def test_a_connection_can_do_without(server: RunningUpstream, tmp_path: Path) -> None:
    for client in connected(server, tmp_path, catalog="off"):
        assert questions(server, client, READ) == 0


def test_the_record_of_a_statement_has_a_digest_of_the_definitions_it_names(
    server: RunningUpstream, tmp_path: Path
) -> None:
    with (
        broker(tmp_path, server.target(), POLICY) as running,
        freetds(running.listen.port, running.listen.user, running.listen.secret) as client,
    ):
        for text in (READ, "SELECT TOP 1 id FROM dbo.orders"):
            change(client, text)
        assert len(running.ledger.request_of(READ)["meaning"]) == 64
        assert "meaning" not in running.ledger.request_of("SELECT TOP 1 id FROM dbo.orders")
