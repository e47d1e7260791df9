"""The SQL Server behind the broker in a test: the demo's own, or a real one that ``HOOP_TEST_MSSQL`` names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyodbc

from connectors.sql.demo import shop
from hoopcli.sansio.events import Credential
from tests.support.broker import SA
from tests.support.clients import change, fetch, odbc
from tests.support.upstream import RunningUpstream, upstream

VARIABLE = "HOOP_TEST_MSSQL"
_TABLES = {
    "customers": "id int NOT NULL PRIMARY KEY, name nvarchar(100) NOT NULL, ssn varchar(11), email nvarchar(120),"
    " card_number varchar(19), phone varchar(20), city nvarchar(60), created_at datetime2 NOT NULL, vip bit NOT NULL",
    "orders": "id int NOT NULL PRIMARY KEY, customer_id int NOT NULL, placed_at datetime2 NOT NULL,"
    " status varchar(12) NOT NULL, total decimal(10,2) NOT NULL, notes nvarchar(max)",
    "employees": "id int NOT NULL PRIMARY KEY, name nvarchar(100) NOT NULL, email nvarchar(120) NOT NULL,"
    " national_id varchar(11) NOT NULL, salary decimal(10,2) NOT NULL",
}
_PROCEDURE = """
CREATE PROCEDURE dbo.get_customer @id int, @name nvarchar(100) OUTPUT AS
BEGIN
    SELECT * FROM dbo.customers WHERE id = @id;
    SELECT @name = name FROM dbo.customers WHERE id = @id;
END
"""
_INSERTED_AT_ONCE = 100
WAITING = "WAITFOR DELAY '01:00:00'"


@dataclass(frozen=True, slots=True)
class Backend:
    """Where the broker leads. ``demo`` is None for a real server, which cannot tell what it saw.

    ``slow`` is a statement that takes longer than any test; empty if the server has no WAITFOR.
    """

    options: dict[str, str]
    credential: Credential
    demo: RunningUpstream | None
    slow: str = WAITING

    @property
    def database(self) -> str:
        """The database that the connection leads to."""
        return self.options["database"]

    def never_saw(self, text: str) -> bool:
        """Whether the server saw no statement with this text in it; taken as so of a server that cannot tell."""
        return self.demo is None or not any(text in statement for statement in self.demo.seen.statements)


@contextmanager
def backend() -> Iterator[Backend]:
    """The server that tests of clients run against, with the shop in it."""
    named = os.environ.get(VARIABLE)
    if named is None:
        with upstream() as server:
            yield Backend(server.target(), SA, server)
        return
    host, port, user, password, database = named.split(":")
    with odbc(int(port), user, password, "yes", database) as connection:
        _fill(connection)
        slow = WAITING if _waits(connection) else ""
    options = {
        "server": host, "port": port, "database": database, "auth": "password", "encrypt": "on",
        "trust_server_certificate": "yes",
    }  # fmt: skip
    yield Backend(options, Credential("password", password, user), None, slow)


def rows_of(table: str) -> Sequence[Sequence[object]]:
    """The rows of one of the shop's tables, unmasked."""
    return dict(shop.rows())[table]


def _fill(connection: Any) -> None:
    """Make the shop's tables anew."""
    for table, columns in _TABLES.items():
        change(connection, f"DROP TABLE IF EXISTS dbo.{table}")
        change(connection, f"CREATE TABLE dbo.{table} ({columns})")
        rows = list(rows_of(table))
        for start in range(0, len(rows), _INSERTED_AT_ONCE):
            values = ", ".join(f"({', '.join(map(_literal, row))})" for row in rows[start : start + _INSERTED_AT_ONCE])
            change(connection, f"INSERT INTO dbo.{table} VALUES {values}")
    if fetch(connection, "SELECT 1 FROM sys.procedures WHERE name = 'get_customer'"):
        change(connection, "DROP PROCEDURE dbo.get_customer")
    change(connection, _PROCEDURE)


def _waits(connection: Any) -> bool:
    """Whether the server knows WAITFOR; Babelfish does not."""
    try:
        change(connection, "WAITFOR DELAY '00:00:00'")
    except pyodbc.Error:
        return False
    return True


def _literal(value: object) -> str:
    match value:
        case None:
            return "NULL"
        case bool() | int() | Decimal():
            return str(int(value) if isinstance(value, bool) else value)
        case datetime():
            return f"'{value.isoformat(' ')}'"
        case _:
            return "N'" + str(value).replace("'", "''") + "'"
