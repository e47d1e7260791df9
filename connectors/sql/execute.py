"""One batch through a session with Microsoft's own driver: pyodbc, or mssql-python where no driver manager is.

pyodbc needs the system's unixODBC; mssql-python carries all it needs. Both speak through the same native driver.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from importlib import import_module
from typing import Any
from uuid import UUID

from connectors.sql.driver import odbc_driver
from connectors.sql.hint import odbc_string
from hoopcli.errors import ApprovalPendingError, DeniedError, HoopError, UpstreamError, UsageError
from hoopcli.model.decision import Json
from hoopcli.spi import Listen, Table

_NOISE = re.compile(r"\[[^\]]*\]")
_TAIL = re.compile(r"\s*\(\d+\)\s*(\(\w+\))?$")


def execute(listen: Listen, database: str, text: str) -> Iterator[Table]:
    """Run a batch and yield each of its results. Raises DeniedError, ApprovalPendingError, UpstreamError."""
    connection, driver_error = _connect(listen, database)
    try:
        cursor = connection.cursor()
        try:
            cursor.execute(text)
            more = True
            while more:
                if cursor.description:
                    rows = [[_json(value) for value in row] for row in cursor.fetchall()]
                    yield Table([column[0] for column in cursor.description], rows, _count(len(rows)))
                elif cursor.rowcount >= 0:
                    yield Table([], [], f"{_count(cursor.rowcount)} affected")
                more = cursor.nextset()
        finally:
            cursor.close()
    except driver_error as error:
        raise _explained(error) from error
    finally:
        connection.close()


def _connect(listen: Listen, database: str) -> tuple[Any, type[Exception]]:
    """A connection and its driver's base error."""
    module, string = _driver(odbc_string(listen, database, ""))
    try:
        return module.connect(string, autocommit=True), module.Error
    except module.Error as error:
        raise _explained(error) from error


def _driver(string: str) -> tuple[Any, str]:
    """The client library that loads here, and the connection string as it wants it."""
    _, _, rest = string.partition(";")
    try:
        return import_module("pyodbc"), f"Driver={odbc_driver()};{rest}"
    except (ImportError, UsageError):
        pass
    try:
        return import_module("mssql_python"), rest
    except ImportError:
        raise UsageError("there is no SQL Server driver for hoop exec", "run: pip install 'hoop[exec]'") from None


def _explained(error: Exception) -> HoopError:
    """The driver's error as hoop's: what the broker said comes first, without the driver's own brackets."""
    text = str(error.args[-1]) if error.args else str(error)
    said = _TAIL.sub("", _NOISE.sub("", text)).strip()
    if "hoop: " not in said:
        return UpstreamError(said)
    message, _, hint = said.partition("hoop: ")[2].partition("; ")
    kind: type[HoopError] = (
        ApprovalPendingError if " is expired" in message or " is waiting" in message else DeniedError
    )
    return kind(message, hint)


def _count(rows: int) -> str:
    return f"{rows:,} row" + ("" if rows == 1 else "s")


def _json(value: object) -> Json:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes() | bytearray():
            return "0x" + value.hex()
        case Decimal() | UUID():
            return str(value)
        case datetime() | date() | time():
            return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
        case _:
            return str(value)
