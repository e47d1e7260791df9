"""Running T-SQL batches over DuckDB, as far as the demo and the tests need it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import duckdb

from connectors.sql.demo import shop
from connectors.sql.demo.results import Affected, Pause, Result, Rows, SqlError, column, info
from connectors.sql.demo.translate import literal, substitute, to_duck
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tsql.classify import Scope, classify

VERSION = "Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64) hoop demo"
_BATCH = 2000
_WORD = re.compile(r"\s*([A-Za-z]+)(?:\s+([A-Za-z]+))?")
_DECLARED = re.compile(
    r"(@\w+)\s+(?:AS\s+)?[\w]+(?:\s*\([^)]*\))?(?:\s*=\s*(.+?))?\s*(?:,\s*(?=@)|$)", re.IGNORECASE | re.DOTALL
)
_ASSIGNED = re.compile(r"\s*SET\s+(@\w+)\s*=\s*(.+)", re.IGNORECASE | re.DOTALL)
_SELECTED = re.compile(r"\s*SELECT\s+(@\w+)\s*=\s*(.+)", re.IGNORECASE | re.DOTALL)
_DELAY = re.compile(r"'(\d+):(\d+):(\d+(?:\.\d+)?)'")
_RAISED = re.compile(r"\s*RAISERROR\s*\(\s*N?'(?P<text>(?:[^']|'')*)'", re.IGNORECASE)
_THROWN = re.compile(r"\s*THROW\s+(?P<number>\d+)\s*,\s*N?'(?P<text>(?:[^']|'')*)'", re.IGNORECASE)
_CONDITIONAL = re.compile(r"\s*IF\s+(.+?)\s+(BEGIN\s+.+END|[A-Z]+\s+.*|ROLLBACK|COMMIT)\s*", re.IGNORECASE | re.DOTALL)
_NAMED = re.compile(
    r"[A-Za-z_][\w ]*"
)  # DuckDB names other columns after their expression; SQL Server leaves them empty
_MISSING = re.compile(r"Table with name (\S+) does not exist")
_REFERENCED = re.compile(r'Referenced column "([^"]+)"')
_CONVERTED = re.compile(r"[Cc]ould not convert string [\"'](.*?)[\"'] to (\w+)")


class Engine:
    """One database with the shop in it, shared by all connections."""

    def __init__(self) -> None:
        self._root = duckdb.connect()
        self._root.execute("ATTACH ':memory:' AS shop; USE shop;")
        self._root.execute(shop.SCHEMA)
        for table, rows in shop.rows():
            values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
            self._root.execute(f"INSERT INTO dbo.{table} VALUES {values}")
        self._root.execute(_SYSTEM_VIEWS)
        self._lock = threading.Lock()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the database."""
        with self._lock:
            cursor = self._root.cursor()
        cursor.execute("USE shop.dbo")
        return cursor

    def close(self) -> None:
        """Forget the database."""
        self._root.close()


class Session:
    """One connection's state. Its methods block; results are made while they are taken."""

    def __init__(self, engine: Engine, user: str, spid: int) -> None:
        self._duck = engine.cursor()
        self._database = shop.DATABASE
        self.transactions = 0
        self._rows = 0
        self._functions: Mapping[str, Callable[[], Any]] = {
            "db_name": lambda: self._database,
            "suser_sname": lambda: user,
            "suser_name": lambda: user,
            "user_name": lambda: "dbo",
            "schema_name": lambda: "dbo",
            "host_name": lambda: "hoop",
            "app_name": lambda: "hoop",
            "db_id": lambda: 5,
            "has_dbaccess": lambda: 1,
            "original_login": lambda: user,
        }
        self._spid = spid

    def run(self, text: str, variables: dict[str, Any] | None = None) -> Iterator[Result]:
        """Run a batch. Raises SqlError, after which nothing more of it runs."""
        variables = {} if variables is None else variables
        batch = classify(text, Scope(self._database))
        if not batch.statements and text.strip():
            raise SqlError(102, f"Incorrect syntax. {batch.facts.get('unclassified_reason', '')}")
        for statement in batch.statements:
            yield from self._statement(statement.text, variables)

    def interrupt(self) -> None:
        """Stop what runs, from another thread."""
        self._duck.interrupt()

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        """Insert rows in bulk; how many."""
        marks, names = ", ".join("?" * len(columns)), ", ".join(f'"{c}"' for c in columns)
        self._guard(lambda: self._duck.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows))
        return len(rows)

    def close(self) -> None:
        """Roll back and forget."""
        self._duck.close()

    def evaluate(self, expression: str, variables: Mapping[str, Any]) -> Any:
        """The value of one expression."""
        [row] = self._guard(lambda: self._duck.execute(self._translated(f"SELECT {expression}", variables)).fetchall())
        return row[0]

    def _statement(self, text: str, variables: dict[str, Any]) -> Iterator[Result]:
        match = _WORD.match(text)
        first, second = (match[1].upper(), (match[2] or "").upper()) if match else ("", "")
        if first in {"RAISERROR", "THROW"}:
            raise _raised(text)
        special = getattr(self, f"_do_{first.lower()}", None)
        if special is not None:
            yield from special(text, second, variables)
        elif first == "SELECT" and (found := _SELECTED.match(text)):
            target, rest = found[1].lower(), found[2]
            variables[target] = self.evaluate(rest, variables)
        else:
            yield from self._query(text, variables)

    def _do_set(self, text: str, _: str, variables: dict[str, Any]) -> Iterator[Result]:
        if found := _ASSIGNED.match(text):
            variables[found[1].lower()] = self.evaluate(found[2], variables)
        yield Affected()

    def _do_declare(self, text: str, _: str, variables: dict[str, Any]) -> Iterator[Result]:
        for name, value in _DECLARED.findall(text.strip()[len("DECLARE") :].strip()):
            variables[name.lower()] = self.evaluate(value, variables) if value else None
        yield from ()

    def _do_use(self, text: str, name: str, _: dict[str, Any]) -> Iterator[Result]:
        name = text.split(None, 1)[1].strip(" ;[]")
        if name.lower() not in {"shop", "master", "tempdb"}:
            raise SqlError(911, f"Database '{name}' does not exist.")
        old, self._database = self._database, name
        yield EnvChange(EnvType.DATABASE, name, old)
        yield info(f"Changed database context to '{name}'.", 5701)

    def _do_print(self, text: str, _: str, variables: dict[str, Any]) -> Iterator[Result]:
        yield info(str(self.evaluate(text.strip()[len("PRINT") :], variables)))

    def _do_waitfor(self, text: str, *_: Any) -> Iterator[Result]:
        if found := _DELAY.search(text):
            yield Pause(int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]))

    def _do_if(self, text: str, _: str, variables: dict[str, Any]) -> Iterator[Result]:
        found = _CONDITIONAL.fullmatch(text)
        if found is None:
            raise SqlError(102, "Incorrect syntax near IF: this demo reads IF with one statement only.")
        if self.evaluate(f"CASE WHEN {found[1]} THEN 1 ELSE 0 END", variables):
            yield from self._statement(found[2], variables)

    def _do_begin(self, text: str, second: str, variables: dict[str, Any]) -> Iterator[Result]:
        if second not in {"TRAN", "TRANSACTION"}:
            yield from self.run(text.strip()[len("BEGIN") : -len("END")], variables)
            return
        self.begin()
        yield Affected()

    def _do_commit(self, *_: Any) -> Iterator[Result]:
        self.end(commit=True)
        yield Affected()

    def _do_rollback(self, *_: Any) -> Iterator[Result]:
        self.end(commit=False)
        yield Affected()

    def begin(self) -> None:
        """Begin a transaction, or nest one."""
        if not self.transactions:
            self._guard(lambda: self._duck.execute("BEGIN TRANSACTION"))
        self.transactions += 1

    def end(self, *, commit: bool) -> None:
        """End the transaction; an inner COMMIT only counts. Raises SqlError without one."""
        if not self.transactions:
            raise SqlError(3902 if commit else 3903, "The request has no corresponding BEGIN TRANSACTION.")
        self.transactions = self.transactions - 1 if commit else 0
        if not self.transactions:
            self._guard(lambda: self._duck.execute("COMMIT" if commit else "ROLLBACK"))

    def _query(self, text: str, variables: Mapping[str, Any]) -> Iterator[Result]:
        translated = self._translated(text, variables)
        done = self._guard(lambda: self._duck.execute(translated))
        names = [(str(d[0]), str(d[1])) for d in done.description or []]
        changes = not translated.lstrip("( ").upper().startswith(("SELECT", "WITH"))
        if changes:
            counted = done.fetchone() if [n for n, _ in names] == ["Count"] else None
            self._rows = int(counted[0]) if counted else 0
            yield Affected(self._rows if counted else None)
            return
        yield Rows([column(name if _NAMED.fullmatch(name) else "", kind) for name, kind in names], self._batches(done))

    def _batches(self, done: duckdb.DuckDBPyConnection) -> Iterator[Sequence[Sequence[Any]]]:
        self._rows = 0
        while rows := self._guard(lambda: done.fetchmany(_BATCH)):
            self._rows += len(rows)
            yield rows

    def _translated(self, text: str, variables: Mapping[str, Any]) -> str:
        server = {
            "@@version": VERSION,
            "@@spid": self._spid,
            "@@trancount": self.transactions,
            "@@rowcount": self._rows,
            "@@servername": "SHOPDB01",
            "@@error": 0,
            "@@identity": None,
            "@@language": "us_english",
            "@@options": 5496,
            "@@max_precision": 38,
            "@@textsize": 2147483647,
            "@@lock_timeout": -1,
            "@@datefirst": 7,
            "@@nestlevel": 0,
            "@@microsoftversion": 268436456,
        }
        return to_duck(substitute(text, {**server, **variables}), self._functions)

    def _guard(self, work: Callable[[], Any]) -> Any:
        """Do something with DuckDB. Raises SqlError in its stead."""
        try:
            return work()
        except duckdb.Error as error:
            raise _sql_error(error) from None


def _raised(text: str) -> SqlError:
    """What a RAISERROR or THROW raises."""
    found = _RAISED.match(text) or _THROWN.match(text)
    number = int(found.groupdict().get("number") or 50000) if found else 50000
    return SqlError(number, found["text"].replace("''", "'") if found else "raised")


def _sql_error(error: duckdb.Error) -> SqlError:
    text = str(error)
    if found := _MISSING.search(text):
        return SqlError(208, f"Invalid object name '{found[1].strip('!')}'.")
    if found := _REFERENCED.search(text):
        return SqlError(207, f"Invalid column name '{found[1]}'.")
    if found := _CONVERTED.search(text):
        kind = "int" if found[2].startswith("INT") else found[2].lower()
        return SqlError(245, f"Conversion failed when converting the nvarchar value '{found[1]}' to data type {kind}.")
    numbers = {
        duckdb.ConstraintException: 2627,
        duckdb.ParserException: 102,
        duckdb.CatalogException: 208,
        duckdb.BinderException: 207,
        duckdb.InterruptException: 3617,
    }
    number = next((n for kind, n in numbers.items() if isinstance(error, kind)), 50000)
    return SqlError(number, text.splitlines()[0])


_SYSTEM_VIEWS = """
CREATE SCHEMA sys;
CREATE VIEW sys.tables AS SELECT table_name AS name, 'dbo' AS schema_name, 'USER_TABLE' AS type_desc
    FROM information_schema.tables WHERE table_schema = 'dbo' AND table_type = 'BASE TABLE';
CREATE VIEW sys.databases AS SELECT * FROM (VALUES ('master', 1), ('shop', 5)) AS d(name, database_id);
CREATE VIEW sys.columns AS SELECT column_name AS name, table_name, ordinal_position AS column_id
    FROM information_schema.columns WHERE table_schema = 'dbo';
"""
