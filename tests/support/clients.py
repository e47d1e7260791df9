"""The real Python clients, each connected in one line, and what a test has to know to drive any of them alike."""

from __future__ import annotations

import importlib
import ssl
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from connectors.sql.driver import odbc_driver
from hoopcli.spi import Listen

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


def odbc_strict(port: int, user: str, secret: str, database: str = "shop") -> Any:
    """The same by TDS 8.0: TLS first, and the certificate is always checked; here it is given, as first seen."""
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
        file.write(ssl.get_server_certificate(("127.0.0.1", port)))
        file.flush()
        return odbc(port, user, secret, "strict", database, f"ServerCertificate={file.name};")


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


@dataclass(frozen=True, slots=True)
class Client:
    """A driver in one of its encryption modes. ``cancels`` tells whether it can cancel from another thread."""

    name: str
    module: str
    open: Connect
    marker: str = "?"
    needs_ca: bool = False
    cancels: bool = False

    def connect(self, listen: Listen, database: str = "shop") -> AbstractContextManager[Any]:
        """Connect to a session."""
        more = {"cafile": listen.ca_file} if self.needs_ca else {}
        opened: AbstractContextManager[Any] = self.open(
            listen.port, listen.user, listen.secret, database=database, **more
        )
        return opened

    @property
    def error(self) -> type[Exception]:
        """The driver's base class of errors."""
        found: type[Exception] = importlib.import_module(self.module).Error
        return found


CLIENTS = (
    Client("odbc-no", "pyodbc", partial(odbc, encrypt="no"), cancels=True),
    Client("odbc-yes", "pyodbc", odbc, cancels=True),
    Client("odbc-strict", "pyodbc", odbc_strict, cancels=True),
    Client("mssql-python-no", "mssql_python", partial(mssql, encrypt="no")),
    Client("mssql-python-yes", "mssql_python", mssql),
    Client("pymssql-off", "pymssql", partial(freetds, encrypt="off"), "%s"),
    Client("pymssql-request", "pymssql", freetds, "%s"),
    Client("pymssql-require", "pymssql", partial(freetds, encrypt="require"), "%s"),
    Client("python-tds-plain", "pytds", pytds, "%s"),
    Client("python-tds-tls", "pytds", pytds, "%s", needs_ca=True),
)


def fetch(connection: Any, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of one statement."""
    cursor = connection.cursor()
    try:
        cursor.execute(text, *([parameters] if parameters else []))
        return [tuple(row) for row in cursor.fetchall()]
    finally:
        cursor.close()


def results(connection: Any, text: str) -> list[list[tuple[Any, ...]]]:
    """All result sets of one batch."""
    cursor = connection.cursor()
    found = []
    try:
        cursor.execute(text)
        while True:
            if cursor.description:
                found.append([tuple(row) for row in cursor.fetchall()])
            if not cursor.nextset():
                return found
    finally:
        cursor.close()


def change(connection: Any, text: str, *parameters: Any) -> None:
    """Run a statement that returns no rows."""
    cursor = connection.cursor()
    try:
        cursor.execute(text, *([parameters] if parameters else []))
        while cursor.nextset():
            pass
    finally:
        cursor.close()
