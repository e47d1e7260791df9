"""The database behind the demo's server, and one connection's session with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from itertools import count
from typing import Any, TypeVar

import duckdb

from connectors.sql.demo import classification, shop
from connectors.sql.demo.adapt import Names, Variable, literal
from connectors.sql.demo.catalog import GLOBALS, PROPERTIES, VIEWS
from connectors.sql.demo.errors import sql_error
from connectors.sql.demo.nodes import Define
from connectors.sql.demo.results import Affected, Batch, Columns, Result, SqlError, column, info
from connectors.sql.demo.script import bare_name, parse
from connectors.sql.demo.translate import Translated, translate
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.tokens import ServerMessage
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tds.tokens_login import DataClassification

T = TypeVar("T")
Variables = MutableMapping[str, Variable]
_BATCH = 1000
_ALL_COLUMNS = "SELECT lower(TABLE_NAME), lower(COLUMN_NAME), DATA_TYPE FROM sys.is_columns"
_ALL_VIEWS = "SELECT lower(view_name), sql FROM duckdb_views() WHERE schema_name = 'dbo'"
_COLUMN = """SELECT c.object_id, c.column_id FROM sys.columns c JOIN sys.objects o USING (object_id)
    WHERE lower(o.name) = ? AND lower(c.name) = ?"""
DATABASES = {"shop": 5, "master": 1, "tempdb": 2}


class Engine:
    """One database with the shop in it, and the procedures that were created; shared by all connections."""

    def __init__(self, *, classified_catalog: bool = True) -> None:
        self._root = duckdb.connect()
        self._root.execute("ATTACH ':memory:' AS shop; USE shop; SET integer_division = true;")
        self._root.execute(shop.SCHEMA)
        for table, rows in shop.rows():
            values = ", ".join(f"({', '.join(literal(cell).sql('duckdb') for cell in row)})" for row in rows)
            self._root.execute(f"INSERT INTO dbo.{table} VALUES {values}")
        self._root.execute(VIEWS)
        self.procedures: dict[str, Define] = {}
        for node in parse(shop.PROCEDURE):
            if isinstance(node, Define):
                self.define(node)
        self.descriptors = count(1)
        self.classified: dict[classification.Column, classification.Classified] = {}
        self.classified_catalog = classified_catalog

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the database."""
        cursor = self._root.cursor()
        cursor.execute("USE shop.dbo; SET TimeZone = 'UTC'; SET integer_division = true;")
        return cursor

    def classify(self, text: str, cursor: duckdb.DuckDBPyConnection) -> None:
        """ADD or DROP SENSITIVITY CLASSIFICATION. Raises SqlError."""
        columns, said = classification.read(text)
        for table, name in columns:
            ids = cursor.execute(_COLUMN, [table, name]).fetchone()
            if ids is None:
                raise SqlError(15151, f"Cannot find the column '{name}', because it does not exist.")
            cursor.execute("DELETE FROM sys.sensitivity_classifications WHERE major_id = ? AND minor_id = ?", ids)
            self.classified.pop((table, name), None)
            if said is not None:
                words = [*(said.label or (None, None)), *(said.information_type or (None, None)), said.rank]
                cursor.execute(
                    "INSERT INTO sys.sensitivity_classifications VALUES (1, ?, ?, ?, ?, ?, ?, ?)", [*ids, *words]
                )
                self.classified[table, name] = said

    def define(self, procedure: Define) -> None:
        """CREATE or ALTER PROCEDURE."""
        name = bare_name(procedure.name)
        cursor = self.cursor()
        cursor.execute("DELETE FROM sys.procedure_texts WHERE name = ?", [name])
        cursor.execute("INSERT INTO sys.procedure_texts VALUES (?, ?)", [name, procedure.text])
        self.procedures[name] = procedure

    def close(self) -> None:
        """Forget the database."""
        self._root.close()


class Session:
    """One connection's state. Its methods block; rows are made while they are taken.

    ``cancel`` may be called from another thread: what runs, and all that would follow in the same batch, ends with
    SqlError 3617, also where a TRY would catch other errors.
    """

    def __init__(self, engine: Engine, user: str, spid: int) -> None:
        self.engine = engine
        self.transactions = 0
        self.counting = True
        self.implicit = False
        self.describing = False
        self.caught: ServerMessage | None = None
        self._duck = engine.cursor()
        self._database = shop.DATABASE
        self._spid = spid
        self._rows = 0
        self._descriptor = b""
        self._cancelled = threading.Event()
        self._functions: Mapping[str, Callable[..., Any]] = {
            **dict.fromkeys(("suser_sname", "suser_name", "original_login", "system_user"), lambda *_: user),
            **dict.fromkeys(("user_name", "schema_name"), lambda *_: "dbo"),
            **dict.fromkeys(("host_name", "app_name"), lambda: "hoop"),
            "db_name": lambda *_: self._database,
            "db_id": lambda *name: DATABASES.get((name or (self._database,))[0].lower()),
            "has_dbaccess": lambda name: int(name.lower() in DATABASES),
            "serverproperty": lambda name: PROPERTIES.get(name.lower()),
            "object_id": self._object_id,
            "has_perms_by_name": lambda *_: int(engine.classified_catalog),
            "scope_identity": lambda: None,
            "xact_state": lambda: int(self.transactions > 0),
            "error_message": lambda: self.caught and self.caught.text,
            "error_number": lambda: self.caught and self.caught.number,
            "error_severity": lambda: self.caught and self.caught.severity,
            "error_state": lambda: self.caught and self.caught.state,
        }

    def query(self, text: str, variables: Variables) -> Iterator[Result]:
        """Run one statement. Raises SqlError."""
        if self.implicit and not self.transactions:
            yield from self.begin()
        statement = translate(text, self._names(variables))
        for each in statement.before:
            self._execute(each)
        done = self._execute(statement.sql)
        if statement.assigns:
            self._assign(statement, done, variables)
        elif statement.returns_rows:
            yield from self._results(statement, done, text)
        else:
            self._rows = int(self._fetch(done)[0][0]) if statement.command else 0
            yield Affected(self._rows if statement.command and self.counting else None, statement.command)

    def evaluate(self, expression: str, variables: Variables, kind: str = "") -> Any:
        """The value of one expression, as the type ``kind`` if it is given. Raises SqlError."""
        asked = f"SELECT CAST(({expression}) AS {kind})" if kind else f"SELECT {expression}"
        [row] = self._fetch(self._execute(translate(asked, self._names(variables)).sql))
        return row[0]

    def holds(self, condition: str, variables: Variables) -> bool:
        """Whether a condition is true. Raises SqlError."""
        return bool(self.evaluate(f"CASE WHEN {condition} THEN 1 ELSE 0 END", variables))

    def use(self, name: str) -> Iterator[Result]:
        """Change the database. All have the same tables. Raises SqlError 911 if it is not there."""
        if name.lower() not in DATABASES:
            raise SqlError(911, f"Database '{name}' does not exist. Make sure that the name is entered correctly.")
        old, self._database = self._database, name
        yield EnvChange(EnvType.DATABASE, name, old)
        yield info(f"Changed database context to '{name}'.", 5701)

    def begin(self) -> Iterator[Result]:
        """Begin a transaction, or nest one."""
        self.transactions += 1
        if self.transactions == 1:
            self._execute("BEGIN TRANSACTION")
            self._descriptor = next(self.engine.descriptors).to_bytes(8, "little")
            yield EnvChange(EnvType.BEGIN_TRANSACTION, self._descriptor, b"")

    def end(self, *, commit: bool) -> Iterator[Result]:
        """End the transaction; an inner COMMIT only counts. Raises SqlError 3902 or 3903 without one."""
        if not self.transactions:
            verb = "COMMIT" if commit else "ROLLBACK"
            raise SqlError(3902 if commit else 3903, f"The {verb} TRANSACTION request has no corresponding BEGIN.")
        self.transactions = self.transactions - 1 if commit else 0
        if not self.transactions:
            self._execute("COMMIT" if commit else "ROLLBACK")
            kind = EnvType.COMMIT_TRANSACTION if commit else EnvType.ROLLBACK_TRANSACTION
            yield EnvChange(kind, b"", self._descriptor)

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> int:
        """Insert rows in bulk; how many. Raises SqlError."""
        names = ", ".join(f'"{c}"' for c in columns)
        for start in range(0, len(rows), _BATCH):
            values = ", ".join(
                f"({', '.join(literal(cell).sql('duckdb') for cell in row)})" for row in rows[start : start + _BATCH]
            )
            self._execute(translate(f"INSERT INTO {table} ({names}) VALUES {values}", self._names({})).sql)
        return len(rows)

    def cancel(self) -> None:
        """Stop what runs. It may take a moment, and may have to be asked again."""
        self._cancelled.set()
        self._duck.interrupt()

    def resume(self) -> None:
        """A new request begins."""
        self._cancelled.clear()

    def check(self) -> None:
        """Raises SqlError 3617 if the request was cancelled."""
        if self._cancelled.is_set():
            raise SqlError(3617, "Query execution was cancelled.")

    def reset(self) -> None:
        """As after a login: no transaction, no temporary tables, all options as they were."""
        if self.transactions:
            list(self.end(commit=False))
        temporary = self._execute("SELECT table_name FROM duckdb_tables() WHERE temporary")
        for (name,) in self._fetch(temporary):
            self._execute(f'DROP TABLE temp."{name}"')
        self._database, self.counting, self.caught = shop.DATABASE, True, None
        self.implicit = self.describing = False

    def close(self) -> None:
        """Roll back and forget."""
        self._duck.close()

    def _results(self, statement: Translated, done: duckdb.DuckDBPyConnection, text: str) -> Iterator[Result]:
        described = [(str(name), str(kind)) for name, kind, *_ in done.description or []]
        names = statement.columns or [name for name, _ in described]
        rows = [] if self.describing else self._fetch(done)
        yield Columns(_columns(names, [kind for _, kind in described], rows), self._classification(text, len(names)))
        self._rows = 0
        while rows:
            self._rows += len(rows)
            yield Batch(rows)
            rows = self._fetch(done)
        yield Affected(self._rows if self.counting else None, statement.command)

    def classify(self, text: str) -> None:
        """ADD or DROP SENSITIVITY CLASSIFICATION. Raises SqlError."""
        self._guarded(lambda: self.engine.classify(text, self._duck))

    def _classification(self, text: str, width: int) -> DataClassification | None:
        """What is said of the columns of a query."""
        if not self.engine.classified:
            return None
        tables: dict[str, dict[str, str]] = {}
        for table, name, kind in self._fetch(self._execute(_ALL_COLUMNS)):
            tables.setdefault(table, {})[name] = kind
        views = dict(self._fetch(self._execute(_ALL_VIEWS)))
        return classification.of_result(text, width, self.engine.classified, tables, views)

    def _assign(self, statement: Translated, done: duckdb.DuckDBPyConnection, variables: Variables) -> None:
        """Each variable takes its column's value in the last row, and keeps its own where there is none."""
        for name in statement.assigns:
            if name not in variables:
                raise SqlError(137, f'Must declare the scalar variable "{name}".')
        found: list[Sequence[Any]] = []
        while rows := self._fetch(done):
            found += rows
        for row in found if statement.steps else found[-1:]:
            named = {f"@column_{at}": Variable(value) for at, value in enumerate(row)}
            values = [self.evaluate(step, {**variables, **named}) for step in statement.steps] or row
            for name, value in zip(statement.assigns, values, strict=True):
                variables[name] = Variable(value, variables[name].type)
        self._rows = len(found)

    def _names(self, variables: Mapping[str, Variable]) -> Names:
        present = {"@@spid": self._spid, "@@trancount": self.transactions, "@@rowcount": self._rows}
        server = {name: Variable(value) for name, value in {**GLOBALS, **present}.items()}
        return Names({**server, **variables}, self._functions)

    def _object_id(self, name: str, *_: str) -> int | None:
        bare = bare_name(name)
        asked = "SELECT object_id FROM sys.objects WHERE name = ?"
        if bare.startswith("#"):
            bare, asked = f"tmp_{bare[1:]}", "SELECT table_oid FROM duckdb_tables() WHERE table_name = ?"
        found = self._fetch(self._execute(asked, [bare]))
        if not found and bare == "sensitivity_classifications" and self.engine.classified_catalog:
            return 1
        return int(found[0][0]) if found else None

    def _execute(self, text: str, values: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        return self._guarded(lambda: self._duck.execute(text, list(values)))

    def _fetch(self, done: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
        return self._guarded(lambda: done.fetchmany(_BATCH))

    def _guarded(self, work: Callable[[], T]) -> T:
        """Do something with DuckDB. Raises SqlError in the stead of its errors, and if the request was cancelled."""
        self.check()
        try:
            return work()
        except duckdb.Error as error:
            raise sql_error(error) from None


def _columns(names: Sequence[str], kinds: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[Column]:
    found = []
    for at, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        longest = max((len(row[at]) for row in rows if row[at]), default=0) if kind == "VARCHAR" else 0
        found.append(column(name, kind, longest))
    return found
