"""Ways around the masks, tried by a real client and by bare TDS against the whole broker; each has been a way once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.broker import RunningBroker, broker
from tests.support.clients import fetch, odbc
from tests.support.upstream import RunningUpstream, upstream

POLICY = """
version: 1
rules:
  - {id: everything, effect: allow, verbs: ["*"]}
masks:
  - {id: national-id, fields: ["*.dbo.customers.ssn"], method: {keep_last: 4}}
  - {id: salary, fields: ["*.dbo.employees.salary"], method: "null"}
"""
PROBE = "(SELECT CAST(CAST(salary AS varchar(20)) + 'x' AS int) FROM dbo.employees WHERE id = 1)"


@pytest.fixture(scope="module")
def server() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def session(server: RunningUpstream, tmp_path: Path) -> Iterator[RunningBroker]:
    with broker(tmp_path, server.target(), POLICY) as running:
        yield running


@pytest.fixture
def client(session: RunningBroker) -> Iterator[Any]:
    with odbc(session.listen.port, session.listen.user, session.listen.secret) as connection:
        yield connection


@pytest.mark.parametrize(
    "text",
    [
        f"BEGIN TRY IF {PROBE} = 1 PRINT 'x' END TRY BEGIN CATCH SELECT ERROR_MESSAGE() AS m END CATCH",
        f"BEGIN TRY IF {PROBE} = 1 PRINT 'x' END TRY BEGIN CATCH DECLARE @m nvarchar(400) = ERROR_MESSAGE() "
        "SELECT @m AS m END CATCH",
        "DECLARE @n int = (SELECT salary FROM dbo.employees WHERE id = 1) SET TEXTSIZE @n",
        "DECLARE @b varbinary(128) = (SELECT CAST(ssn AS varbinary(128)) FROM dbo.customers WHERE id = 1) "
        "SET CONTEXT_INFO @b",
        "DECLARE @n varchar(32) = (SELECT ssn FROM dbo.customers WHERE id = 1) BEGIN TRAN @n",
    ],
    ids=["error text", "error text in a variable", "a setting", "context info", "the name of a transaction"],
)
def test_a_value_does_not_leave_by_the_session(client: Any, text: str) -> None:
    with pytest.raises(Exception, match="lineage"):
        client.cursor().execute(text)
    assert fetch(client, "SELECT 1") == [(1,)]


def test_hidden_columns_cannot_be_asked_for(client: Any) -> None:
    with pytest.raises(Exception, match="50403"):
        client.cursor().execute("SET NO_BROWSETABLE ON")
