"""The real Python clients, each connected in one line."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import Any

from connectors.sql.driver import odbc_driver

Connect = Callable[..., AbstractContextManager[Any]]


def odbc(port: int, user: str, secret: str, encrypt: str = "yes", database: str = "shop", more: str = "") -> Any:
    """Pyodbc with Microsoft's ODBC Driver 18."""
    import pyodbc

    return closing(
        pyodbc.connect(
            f"Driver={odbc_driver()};Server=127.0.0.1,{port};Database={database};UID={user};PWD={secret};"
            f"Encrypt={encrypt};TrustServerCertificate=yes;{more}",
            autocommit=True,
            timeout=15,
        )
    )


def mssql(port: int, user: str, secret: str, encrypt: str = "yes", database: str = "shop") -> Any:
    """Microsoft's own Python driver."""
    import mssql_python

    return closing(
        mssql_python.connect(
            f"Server=127.0.0.1,{port};Database={database};UID={user};PWD={secret};"
            f"Encrypt={encrypt};TrustServerCertificate=yes",
            autocommit=True,
        )
    )


def freetds(port: int, user: str, secret: str, encrypt: str = "request", database: str = "shop") -> Any:
    """Pymssql, over FreeTDS."""
    import pymssql

    return closing(
        pymssql.connect(
            server="127.0.0.1", port=str(port), user=user, password=secret, database=database, encryption=encrypt,
            autocommit=True, login_timeout=15,
        )
    )  # fmt: skip


def pytds(port: int, user: str, secret: str, cafile: str | None = None, database: str = "shop") -> Any:
    """python-tds, in pure Python."""
    import pytds

    return closing(
        pytds.connect(
            dsn="127.0.0.1", port=port, user=user, password=secret, database=database, cafile=cafile,
            validate_host=False, autocommit=True, login_timeout=15,
        )
    )  # fmt: skip


def fetch(connection: Any, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of one statement."""
    cursor = connection.cursor()
    try:
        cursor.execute(text, *([parameters] if parameters else []))
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        cursor.close()
