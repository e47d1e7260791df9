"""DuckDB's errors as SQL Server words and numbers them."""

from __future__ import annotations

import re
from collections.abc import Callable

import duckdb

from connectors.sql.demo.results import SqlError

_CASTS = {"INT32": "int", "INT64": "bigint", "INT16": "smallint", "DOUBLE": "float", "BOOL": "bit"}


def _conversion(found: re.Match[str]) -> SqlError:
    kind = _CASTS.get(found[2], found[2].split("(")[0].lower())
    return SqlError(245, f"Conversion failed when converting the nvarchar value '{found[1]}' to data type {kind}.")


def _date(_: re.Match[str]) -> SqlError:
    return SqlError(241, "Conversion failed when converting date and/or time from character string.")


def _overflow(_: re.Match[str]) -> SqlError:
    return SqlError(8115, "Arithmetic overflow error converting expression to the data type asked for.")


def _table(found: re.Match[str]) -> SqlError:
    return SqlError(208, f"Invalid object name '{found[1].strip('!')}'.")


def _column(found: re.Match[str]) -> SqlError:
    return SqlError(207, f"Invalid column name '{found[1]}'.")


def _exists(found: re.Match[str]) -> SqlError:
    return SqlError(2714, f"There is already an object named '{found[1]}' in the database.")


def _duplicate(found: re.Match[str]) -> SqlError:
    return SqlError(2627, f"Violation of PRIMARY KEY constraint. The duplicate key value is ({found[1]}).", 14)


def _truncated(found: re.Match[str]) -> SqlError:
    return SqlError(2628, f"String or binary data would be truncated in table '{found[1]}', column '{found[2]}'.")


def _check(found: re.Match[str]) -> SqlError:
    return SqlError(547, f"The statement conflicted with a CHECK constraint of table '{found[1]}'.")


def _null(found: re.Match[str]) -> SqlError:
    return SqlError(515, f"Cannot insert the value NULL into column '{found[2]}', table '{found[1]}'.")


#: The first that is found in the text makes the error.
_PATTERNS: tuple[tuple[str, Callable[[re.Match[str]], SqlError]], ...] = (
    (r"(?:Table|View) with name (\S+) does not exist", _table),
    (r'Referenced (?:column|table) "([^"]+)"', _column),
    (r'does not have a column (?:with name|named) "([^"]+)"', _column),
    (r"Function with name (\w+) does not exist", lambda m: SqlError(195, f"'{m[1]}' is not a recognized function.")),
    (r'(?:Table|View) with name "([^"]+)" already exists', _exists),
    (r"(?i)(?:date|time|timestamp) field value out of range|invalid (?:date|time|timestamp)", _date),
    (r"[Cc]ould not convert string [\"'](.*?)[\"'] to ([\w(),]+)", _conversion),
    (r"(?i)out of range|overflow", _overflow),
    (r"Division by zero", lambda _: SqlError(8134, "Divide by zero error encountered.")),
    (r'(?i)duplicate key "(?:\w+: )?([^"]*)"', _duplicate),
    (r'CHECK constraint failed on table "(\w+)" with expression CHECK\(\(length\("?(\w+)"?\)', _truncated),
    (r'CHECK constraint failed on table "(\w+)"', _check),
    (r'NOT NULL constraint failed: (\w+)\."?(\w+)', _null),
    (
        r"Current transaction is aborted",
        lambda _: SqlError(3930, "The current transaction cannot be committed. Roll back the transaction."),
    ),
    (r"(?i)\bconflict", lambda _: SqlError(1205, "Transaction was deadlocked and chosen as the victim. Rerun it.", 13)),
)
_NUMBERS = {duckdb.ParserException: 102, duckdb.InterruptException: 3617, duckdb.BinderException: 8116}


def sql_error(error: duckdb.Error) -> SqlError:
    """The error that SQL Server would give; 50000 and DuckDB's own words where there is none."""
    text = str(error)
    for pattern, make in _PATTERNS:
        if found := re.search(pattern, text):
            return make(found)
    number = next((n for kind, n in _NUMBERS.items() if isinstance(error, kind)), 50000)
    return SqlError(number, text.splitlines()[0])
