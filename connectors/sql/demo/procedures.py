"""The procedures that drivers call (dynamic SQL, prepared statements, cursors, metadata), and those of users."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from typing import Any

from connectors.sql.demo.adapt import Variable
from connectors.sql.demo.engine import Session, Variables
from connectors.sql.demo.interpret import Interpreter
from connectors.sql.demo.nodes import Declared, Define
from connectors.sql.demo.results import Affected, Batch, Columns, Output, Result, SqlError, type_of
from connectors.sql.demo.script import bare_name, parse_parameters
from connectors.sql.demo.shop import nvarchar
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.request import Parameter, ParameterFlags, RpcCall
from connectors.sql.tds.types import TypeId, TypeInfo

_INT = TypeInfo(TypeId.INTN, 4)
_BIT = TypeInfo(TypeId.BITN, 1)
_NAME = nvarchar(128)
_TYPES = [
    ("nvarchar", -9, 4000), ("varchar", 12, 8000), ("int", 4, 10), ("bigint", -5, 19), ("bit", -7, 1),
    ("decimal", 3, 38), ("datetime2", 93, 27), ("date", 91, 10), ("time", -154, 16), ("float", 6, 53),
    ("varbinary", -3, 8000), ("uniqueidentifier", -11, 36),
]  # fmt: skip
_TABLES = """SELECT TABLE_CATALOG AS TABLE_QUALIFIER, TABLE_SCHEMA AS TABLE_OWNER, TABLE_NAME,
    CASE TABLE_TYPE WHEN 'VIEW' THEN 'VIEW' ELSE 'TABLE' END AS TABLE_TYPE, CAST(NULL AS varchar(254)) AS REMARKS
    FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_NAME LIKE COALESCE(@table_name, '%') ORDER BY TABLE_NAME"""
_COLUMNS = """SELECT TABLE_CATALOG AS TABLE_QUALIFIER, TABLE_SCHEMA AS TABLE_OWNER, TABLE_NAME, COLUMN_NAME,
    DATA_TYPE AS TYPE_NAME, ORDINAL_POSITION, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS
    WHERE TABLE_NAME LIKE COALESCE(@table_name, '%') ORDER BY TABLE_NAME, ORDINAL_POSITION"""
_KEYS = """SELECT TABLE_CATALOG AS TABLE_QUALIFIER, TABLE_SCHEMA AS TABLE_OWNER, TABLE_NAME, COLUMN_NAME,
    1 AS KEY_SEQ, 'PK_' + TABLE_NAME AS PK_NAME FROM INFORMATION_SCHEMA.COLUMNS
    WHERE TABLE_NAME = @table_name AND COLUMN_NAME = 'id'"""
_TEXTS = """SELECT ORDINAL_POSITION, COLUMN_NAME, CASE DATA_TYPE WHEN 'nvarchar' THEN 1 ELSE 0 END
    FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = @table_name ORDER BY ORDINAL_POSITION"""
_RAW = TypeInfo(TypeId.BIGVARBINARY, 5)
_COLLATIONS = [
    Column("colid", _INT), Column("name", _NAME), Column("tds_collation_28", _RAW), Column("tds_collation_90", _RAW),
    Column("collation_28", _NAME), Column("collation_90", _NAME), Column("tds_collation_100", _RAW),
    Column("collation_100", _NAME),
]  # fmt: skip
_LATIN1 = "SQL_Latin1_General_CP1_CI_AS"
_COLLATED = (LATIN1.raw, LATIN1.raw, _LATIN1, _LATIN1, LATIN1.raw, _LATIN1)
_UNCOLLATED = (None,) * 6


class _Cursor:
    """A server cursor: all rows of its result, and how many were fetched."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.rows: list[Sequence[Any]] = []
        self.position = 0


class Procedures:
    """The procedures of one connection, with its prepared statements and cursors; and its batches, which call them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._interpreter = Interpreter(session, self.execute)
        self.run = self._interpreter.run
        self._prepared: dict[int, Callable[[Sequence[Parameter]], Iterator[Result]]] = {}
        self._cursors: dict[int, _Cursor] = {}
        self._handles = count(1)

    def call(self, call: RpcCall) -> Iterator[Result]:
        """Run one call of an RPC. Raises SqlError."""
        yield from self.execute(call.well_known.procedure if call.well_known else call.name, call.parameters)

    def execute(self, name: str, parameters: Sequence[Parameter]) -> Iterator[Result]:
        """Run a procedure. Raises SqlError 2812 if it is not there, 201 for a parameter that it misses."""
        bare = bare_name(name)
        built_in = getattr(self, f"_{bare}", None) if bare.startswith("sp_") else None
        if built_in is not None:
            yield from built_in(list(parameters))
        elif (defined := self.session.engine.procedures.get(bare)) is not None:
            yield from self._defined(defined, parameters)
        else:
            raise SqlError(2812, f"Could not find stored procedure '{name}'.")

    def reset(self) -> None:
        """RESETCONNECTION: handles, cursors and the session's state are gone."""
        self._prepared.clear()
        self._cursors.clear()
        self.session.reset()

    def _defined(self, procedure: Define, given: Sequence[Parameter]) -> Iterator[Result]:
        variables: Variables = {}
        for each in procedure.parameters:
            initial = None if each.initial.upper() == "NULL" else each.initial
            value = self.session.evaluate(initial, {}, each.type) if initial else None
            variables[each.name] = Variable(value, each.type)
        missing = {each.name for each in procedure.parameters if not each.initial}
        for name, parameter in _by_name(procedure.parameters, given).items():
            if name not in variables:
                raise SqlError(8145, f"{name} is not a parameter for procedure {procedure.name}.")
            variables[name] = Variable(parameter.value, variables[name].type)
            missing.discard(name)
        if missing:
            raise SqlError(
                201, f"Procedure '{procedure.name}' expects parameter '{min(missing)}', which was not supplied."
            )
        yield from self._interpreter.run(procedure.body, variables)
        yield from _outputs(procedure.parameters, given, variables)

    def _sp_executesql(self, p: list[Parameter]) -> Iterator[Result]:
        declared = parse_parameters(_text(p, 1))
        yield from self._dynamic(declared, _text(p, 0), p[2:])

    def _sp_prepare(self, p: list[Parameter]) -> Iterator[Result]:
        yield self._handle(p, partial(self._dynamic, parse_parameters(_text(p, 1)), _text(p, 2)))

    def _sp_prepexec(self, p: list[Parameter]) -> Iterator[Result]:
        prepared = partial(self._dynamic, parse_parameters(_text(p, 1)), _text(p, 2))
        yield self._handle(p, prepared)
        yield from prepared(p[3:])

    def _sp_prepexecrpc(self, p: list[Parameter]) -> Iterator[Result]:
        prepared = partial(self.execute, _text(p, 1))
        yield self._handle(p, prepared)
        yield from prepared(p[2:])

    def _sp_execute(self, p: list[Parameter]) -> Iterator[Result]:
        handle = _integer(p, 0)
        if handle not in self._prepared:
            raise SqlError(8179, f"Could not find prepared statement with handle {handle}.")
        yield from self._prepared[handle](p[1:])

    def _sp_unprepare(self, p: list[Parameter]) -> Iterator[Result]:
        if self._prepared.pop(_integer(p, 0), None) is None:
            raise SqlError(8179, f"Could not find prepared statement with handle {_integer(p, 0)}.")
        yield from ()

    def _sp_cursoropen(self, p: list[Parameter]) -> Iterator[Result]:
        """Outputs: the handle, scroll and concurrency options as asked, and the number of rows."""
        text, options = _text(p, 1), [_integer(p, at) for at in (2, 3)]
        declared = parse_parameters(_text(p, 5)) if len(p) > 5 else ()
        cursor: _Cursor | None = None
        for result in self._dynamic(declared, text, p[6:]):
            match result:
                case Columns(columns):
                    cursor = _Cursor(columns)
                    yield result
                case Batch(rows) if cursor is not None:
                    cursor.rows += rows
        if cursor is None:
            raise SqlError(16937, "A server cursor cannot be opened on the given statement.")
        handle = next(self._handles)
        self._cursors[handle] = cursor
        yield Affected(0, 0xC1)
        yield Output("", _INT, handle)
        yield from (Output("", _INT, value, at) for at, value in enumerate((*options, len(cursor.rows)), 2))

    def _sp_cursorfetch(self, p: list[Parameter]) -> Iterator[Result]:
        """FIRST, NEXT and LAST, which is all that a forward reader asks for."""
        cursor = self._cursors.get(_integer(p, 0))
        if cursor is None:
            raise SqlError(16909, "The cursor identifier value provided is not valid.")
        kind, number = _integer(p, 1) or 2, max(_integer(p, 3), 1)
        start = {1: 0, 8: max(len(cursor.rows) - number, 0)}.get(kind, cursor.position)
        taken = cursor.rows[start : start + number]
        cursor.position = start + len(taken)
        yield Columns(cursor.columns)
        yield Batch(taken)
        yield Affected(len(taken), 0xC1)

    def _sp_cursorclose(self, p: list[Parameter]) -> Iterator[Result]:
        self._cursors.pop(_integer(p, 0), None)
        yield from ()

    def _sp_cursoroption(self, _: list[Parameter]) -> Iterator[Result]:
        yield from ()

    def _sp_reset_connection(self, _: list[Parameter]) -> Iterator[Result]:
        self.reset()
        yield from ()

    def _sp_datatype_info_100(self, p: list[Parameter]) -> Iterator[Result]:
        """The types with one ODBC number, or all of them for 0."""
        asked = _integer(p, 0)
        rows = [row for row in _TYPES if asked in {0, row[1]}]
        yield from _table([Column("TYPE_NAME", _NAME), Column("DATA_TYPE", _INT), Column("PRECISION", _INT)], rows)

    _sp_datatype_info = _sp_datatype_info_100

    def _sp_tables(self, p: list[Parameter]) -> Iterator[Result]:
        yield from self._catalog(_TABLES, p)

    def _sp_columns(self, p: list[Parameter]) -> Iterator[Result]:
        yield from self._catalog(_COLUMNS, p)

    _sp_columns_100 = _sp_columns

    def _sp_pkeys(self, p: list[Parameter]) -> Iterator[Result]:
        yield from self._catalog(_KEYS, p)

    def _sp_tablecollations_100(self, p: list[Parameter]) -> Iterator[Result]:
        """The collation of every text column, which bulk copies send back."""
        named = {"@table_name": Variable(bare_name(_text(p, 0)), "nvarchar(128)")}
        found = [r.rows for r in self._interpreter.run(_TEXTS, named) if isinstance(r, Batch)]
        rows = [(*row, *(_COLLATED if row[2] else _UNCOLLATED)) for batch in found for row in batch]
        yield from _table(_COLLATIONS, [row[:2] + row[3:] for row in rows])

    def _sp_describe_first_result_set(self, p: list[Parameter]) -> Iterator[Result]:
        """The columns of the first result; it is found by running the text, which the demo can afford."""
        results = self._dynamic(parse_parameters(_text(p, 1)), _text(p, 0), [], declare=True)
        found = next((r.columns for r in results if isinstance(r, Columns)), ())
        rows = [(False, at, c.name, True, c.type.name) for at, c in enumerate(found, 1)]
        heads = (("is_hidden", _BIT), ("column_ordinal", _INT), ("name", _NAME), ("is_nullable", _BIT))
        columns = [Column(name, kind) for name, kind in (*heads, ("system_type_name", _NAME))]
        yield from _table(columns, rows)

    def _catalog(self, text: str, p: list[Parameter]) -> Iterator[Result]:
        named = next((x for x in p if x.name.lower() == "@table_name"), p[0] if p else None)
        yield from self._interpreter.run(text, {"@table_name": Variable(named and named.value, "nvarchar(128)")})

    def _handle(self, p: list[Parameter], prepared: Callable[[Sequence[Parameter]], Iterator[Result]]) -> Output:
        """A new handle, under the name that the caller gave its parameter: drivers look it up by that."""
        handle = next(self._handles)
        self._prepared[handle] = prepared
        return Output(p[0].name, _INT, handle)

    def _dynamic(
        self, declared: Sequence[Declared], text: str, given: Sequence[Parameter], *, declare: bool = False
    ) -> Iterator[Result]:
        """Run a text with parameters; ``declare`` gives those that have no value a NULL."""
        variables = {each.name: Variable(None, each.type) for each in declared} if declare else {}
        values = _by_name(declared, given)
        for each in declared:
            if each.name not in values and not declare:
                raise SqlError(
                    8178, f"The parameterized query expects the parameter '{each.name}', which was not supplied."
                )
        kinds = {each.name: each.type for each in declared}
        variables |= {name: Variable(p.value, kinds.get(name, "")) for name, p in values.items()}
        yield from self._interpreter.run(text, variables)
        yield from _outputs(declared, given, variables)


def _by_name(declared: Sequence[Declared], given: Sequence[Parameter]) -> dict[str, Parameter]:
    """What was given, by name; those without one take the declared names in order."""
    names = [p.name.lower() or (declared[at].name if at < len(declared) else "") for at, p in enumerate(given)]
    if "" in names:
        raise SqlError(8144, "Procedure or function has too many arguments specified.")
    return dict(zip(names, given, strict=True))


def _outputs(declared: Sequence[Declared], given: Sequence[Parameter], variables: Variables) -> Iterator[Result]:
    """What goes back to the caller, named as he named it."""
    for at, (name, p) in enumerate(_by_name(declared, given).items()):
        if p.flags & ParameterFlags.BY_REF_VALUE:
            value = variables[name].value
            yield Output(p.name, p.info if isinstance(p.info, TypeInfo) else type_of(value), value, at)


def _table(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Iterator[Result]:
    yield Columns(columns)
    yield Batch(rows)
    yield Affected(len(rows), 0xC1)


def _text(p: Sequence[Parameter], at: int) -> str:
    value = p[at].value if at < len(p) else None
    return value if isinstance(value, str) else ""


def _integer(p: Sequence[Parameter], at: int) -> int:
    value = p[at].value if at < len(p) else None
    return value if isinstance(value, int) else 0
