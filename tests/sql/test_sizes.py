"""What people are told of how much a statement would touch: a real client before the demo's server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pyodbc
import pytest

from connectors.sql.inquiry import is_inquiry
from connectors.sql.sizes import question, read_answer
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.headers import AUTOCOMMIT
from connectors.sql.tds.rowencode import encode_rows
from connectors.sql.tds.tokens import Done, ServerMessage
from connectors.sql.tds.types import TypeId, TypeInfo
from tests.support.broker import DBA, RunningBroker, broker, eventually
from tests.support.clients import change, odbc
from tests.support.upstream import RunningUpstream, upstream

POLICY = """
version: 1
rules:
  - {id: reads, effect: allow, verbs: ["sql:select", "sql:insert"]}
  - {id: asks, effect: require_approval, verbs: ["sql:delete", "sql:update", "sql:truncate", "sql:drop"]}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def hoop(server: RunningUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    with broker(tmp_path_factory.mktemp("sizes"), server.target(), POLICY) as running:
        yield running


def touches(hoop: RunningBroker, text: str) -> tuple[str, ...]:
    """What the one who is asked about a statement is told; they say no."""

    def run() -> None:
        with odbc(hoop.listen.port, hoop.listen.user, hoop.listen.secret) as connection, suppress(pyodbc.Error):
            change(connection, text)

    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(run)
        [request] = eventually(hoop.approvals.pending)
        hoop.approvals.answer(request.id, DBA, approve=False)
        asked.result(20)
    return tuple(request.touches)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("DELETE FROM dbo.orders", ("up to all of the about {orders} rows of shop.dbo.orders",)),
        ("DELETE FROM orders WHERE id = 1", ("some of the about {orders} rows of shop.dbo.orders",)),
        ("TRUNCATE TABLE shop.dbo.ORDERS", ("up to all of the about {orders} rows of shop.dbo.orders",)),
        (
            "UPDATE dbo.orders SET status = 'x' WHERE id = 1 DELETE FROM [dbo].[customers] WHERE id = 2",
            tuple(f"some of the about {{{name}}} rows of shop.dbo.{name}" for name in ("customers", "orders")),
        ),
        ("DROP TABLE dbo.orders", ("up to all of the about {orders} rows of shop.dbo.orders",)),
        ("DELETE FROM dbo.not_there", ()),
        ("DELETE FROM dbo.[it's ]] odd]", ()),
    ],
)  # fmt: skip
def test_rows_are_told_without_running_it(
    hoop: RunningBroker, server: RunningUpstream, text: str, said: tuple[str, ...]
) -> None:
    with odbc(hoop.listen.port, hoop.listen.user, hoop.listen.secret) as connection:
        cursor = connection.cursor()
        held = {
            name: f"{cursor.execute(f'SELECT COUNT(*) FROM dbo.{name}').fetchone()[0]:,}"
            for name in ("orders", "customers")
        }
    before = list(server.seen.statements)
    told = touches(hoop, text)
    assert told == tuple(sentence.format(**held) for sentence in said)
    assert text not in server.seen.statements[len(before) :]
    assert tuple(hoop.ledger.request_of(text)["facts"].get("touches", ())) == told


def test_nothing_is_asked_where_nobody_is(hoop: RunningBroker, server: RunningUpstream) -> None:
    with odbc(hoop.listen.port, hoop.listen.user, hoop.listen.secret) as connection:
        change(connection, "SELECT TOP 1 id FROM dbo.orders")
        before = server.seen.questions
        change(connection, "SELECT TOP 1 id FROM dbo.orders")
        with suppress(pyodbc.Error):
            change(connection, "MERGE dbo.orders AS o USING dbo.orders AS p ON 1 = 0 WHEN MATCHED THEN DELETE;")
        assert server.seen.questions == before


def test_names_cannot_leave_their_quotes() -> None:
    asked = question("[odd]] base]", ["[odd]] base].dbo.[it's]"], AUTOCOMMIT)
    [parameter] = asked.calls[0].parameters
    assert is_inquiry(asked)
    assert "IN (N'dbo.it''s')" in str(parameter.value)
    assert "FROM [odd]] base].sys.partitions" in str(parameter.value)


def answer(*rows: tuple[object, ...]) -> bytes:
    info = TypeInfo(TypeId.NVARCHAR, 200)
    columns = tuple(Column(name, info) for name in "abc")
    return write_columns(columns) + encode_rows(columns, rows) + Done().encode()


def test_an_answer_tells_what_it_says_whole() -> None:
    assert read_answer("shop", answer(("dbo", "Orders", "12"), ("dbo", "it's", "0"))) == {
        "shop.dbo.orders": 12, "shop.dbo.[it's]": 0,
    }  # fmt: skip
    assert read_answer("shop", answer(("dbo", "Orders", "12"), ("dbo", "orders", "3"))) == {}
    assert read_answer("shop", answer(("dbo", "orders", "many"))) == {}
    assert read_answer("shop", answer(("dbo", "orders", "1"))[:-20]) == {}
    assert read_answer("shop", b"\x00\x01garbage") == {}
    assert read_answer("shop", ServerMessage(229, "denied").encode() + answer(("dbo", "orders", "1"))) == {}
