"""From one T-SQL statement to what DuckDB runs. What sqlglot's own translation leaves open is in ``adapt``."""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError, SqlglotError

from connectors.sql.demo.adapt import Adapter, Names, variable_name
from connectors.sql.demo.results import SqlError

_CHANGES = {exp.Insert: 0xC3, exp.Delete: 0xC4, exp.Update: 0xC5, exp.Merge: 0x117}
_SELECT = 0xC1
#: sqlglot wants FROM in a DELETE, and OUTPUT at its end.
_DELETE = re.compile(
    r"DELETE\s+(?:FROM\s+)?(?P<table>[^\s;]+)(?P<output>\s+OUTPUT\s.+?)?(?P<rest>\s+WHERE\s.+)?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Translated:
    """One statement for DuckDB, and what to run ``before``.

    ``command`` is the number of its kind in a DONE, 0 for those that count no rows. ``assigns`` are the variables that
    its columns are for; where one of them builds on itself row by row, ``steps`` are the expressions of each row, in
    which ``@column_0`` and so on stand for the row's values. ``columns`` are the names of its columns, empty where all
    of them are DuckDB's own.
    """

    sql: str
    returns_rows: bool
    command: int
    assigns: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()


def translate(text: str, names: Names) -> Translated:
    """Translate one statement. Raises SqlError 102 if it cannot be read, 137 for an undeclared variable."""
    tree = _parsed(text)
    assigns = _taken_assignments(tree)
    steps = _taken_steps(tree, assigns)
    command, returns_rows = _command(tree), _returns_rows(tree)
    adapter = Adapter(names)
    adapted = adapter.adapt(tree)
    sql = adapted.sql(dialect="duckdb", unsupported_level=ErrorLevel.IGNORE)
    return Translated(sql, returns_rows, command, assigns, tuple(adapter.before), _column_names(adapted), steps)


def _parsed(text: str) -> exp.Expr:
    if found := _DELETE.fullmatch(text):
        text = f"DELETE FROM {found['table']}{found['rest'] or ''}{found['output'] or ''}"
    try:
        [tree] = sqlglot.parse(text, read="tsql", error_level=ErrorLevel.IMMEDIATE)
    except ParseError as error:
        raise SqlError(102, f"Incorrect syntax near '{error.errors[0]['highlight']}'.") from None
    except (SqlglotError, ValueError, RecursionError):
        raise SqlError(102, "Incorrect syntax.") from None
    misread = isinstance(tree, exp.Delete) and any(t.name.upper() == "TOP" for t in tree.args.get("tables") or ())
    if tree is None or isinstance(tree, exp.Command | exp.Alias) or misread:
        raise SqlError(102, "Incorrect syntax near the beginning of the statement.")
    return tree


def _taken_assignments(tree: exp.Expr) -> tuple[str, ...]:
    """Turn ``SELECT @a = x, @b = y`` into ``SELECT x, y``; the names that the columns are for."""
    if not isinstance(tree, exp.Select):
        return ()
    found = [e for e in tree.expressions if isinstance(e, exp.EQ) and isinstance(e.this, exp.Parameter)]
    if found and len(found) != len(tree.expressions):
        raise SqlError(141, "A SELECT statement that assigns a value to a variable must not return data as well.")
    if found:
        tree.set("expressions", [e.expression for e in found])
    return tuple(variable_name(e.this) for e in found)


def _taken_steps(tree: exp.Expr, assigns: tuple[str, ...]) -> tuple[str, ...]:
    """Turn ``SELECT @a = @a + x`` into ``SELECT x``; the expressions to evaluate for each row."""
    if not assigns or not {variable_name(p) for p in tree.find_all(exp.Parameter)}.intersection(assigns):
        return ()
    expressions = tree.expressions
    columns = {c.sql(): c for e in expressions for c in e.find_all(exp.Column)}
    numbers = {text: number for number, text in enumerate(columns)}
    tree.set("expressions", [c.copy() for c in columns.values()] or [exp.null()])

    def numbered(node: exp.Expr) -> exp.Expr:
        return exp.Parameter(this=exp.var(f"column_{numbers[node.sql()]}")) if isinstance(node, exp.Column) else node

    return tuple(e.transform(numbered).sql(dialect="tsql") for e in expressions)


def _command(tree: exp.Expr) -> int:
    if isinstance(tree, exp.Query):
        return _SELECT
    return next((number for kind, number in _CHANGES.items() if isinstance(tree, kind)), 0)


def _returns_rows(tree: exp.Expr) -> bool:
    if isinstance(tree, exp.Query):
        return not tree.args.get("into")
    return bool(tree.args.get("returning"))


def _column_names(tree: exp.Expr) -> tuple[str, ...]:
    """SQL Server leaves expressions without an alias nameless, where DuckDB names them after their text."""
    if not isinstance(tree, exp.Query) or tree.is_star:
        return ()
    return tuple(e.output_name if isinstance(e, exp.Alias | exp.Column) else "" for e in tree.selects)
