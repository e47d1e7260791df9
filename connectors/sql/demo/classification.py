"""Sensitivity classifications: what ADD and DROP say, and which of them the columns of a result have.

Where a result comes from is found by sqlglot, which the broker's lineage does not ask. Like SQL Server it looks through
views and queries within queries, but not at what was copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from connectors.sql.demo.results import SqlError
from connectors.sql.tds.tokens_login import DataClassification, Sensitivity

_STATEMENT = re.compile(
    r"(ADD|DROP)\s+SENSITIVITY\s+CLASSIFICATION\s+(?:TO|FROM)\s+(.+?)(?:\s+WITH\s*\((.*)\))?", re.IGNORECASE | re.DOTALL
)
_OPTION = re.compile(r"(\w+)\s*=\s*(?:N?'((?:[^']|'')*)'|(\w+))")
_RANKS = {"NONE": 0, "LOW": 10, "MEDIUM": 20, "HIGH": 30, "CRITICAL": 40}
_UNRANKED = -1

Column = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Classified:
    """What is said of one column; label and information type with their ids."""

    label: Column | None = None
    information_type: Column | None = None
    rank: int = _UNRANKED


def read(text: str) -> tuple[list[Column], Classified | None]:
    """The columns that a statement is about, as table and column, and what it says of them; None if it drops that."""
    found = _STATEMENT.fullmatch(text.strip())
    if found is None:
        raise SqlError(102, "Incorrect syntax near 'SENSITIVITY'.")
    columns = [_column(name) for name in found[2].split(",")]
    if found[1].upper() == "DROP":
        return columns, None
    options = {
        name.upper(): word or quoted.replace("''", "'") for name, quoted, word in _OPTION.findall(found[3] or "")
    }
    label, kind = options.get("LABEL"), options.get("INFORMATION_TYPE")
    return columns, Classified(
        None if label is None else (label, options.get("LABEL_ID", "")),
        None if kind is None else (kind, options.get("INFORMATION_TYPE_ID", "")),
        _RANKS.get(options.get("RANK", ""), _UNRANKED),
    )


def _column(name: str) -> Column:
    *_, table, column = (part.strip(" \t\r\n[]").lower() for part in name.split("."))
    return table, column


def of_result(
    text: str,
    width: int,
    classified: Mapping[Column, Classified],
    tables: Mapping[str, Mapping[str, str]],
    views: Mapping[str, str],
) -> DataClassification | None:
    """The token about a query's result of so many columns; None if nothing of it is classified, or that is not known.

    ``tables`` gives the columns of each table and view with their types, ``views`` the definitions of the latter.
    """
    try:
        sources = _Sources(tables, views).of(parse_one(text, read="tsql"), "tsql")
    except (SqlglotError, ValueError, RecursionError):
        return None
    found = [[classified[column] for column in sorted(each) if column in classified] for each in sources]
    if len(found) != width or not any(found):
        return None
    labels = _distinct(each.label for column in found for each in column)
    types = _distinct(each.information_type for column in found for each in column)
    columns = tuple(tuple(_sensitivity(each, labels, types) for each in column) for column in found)
    rank = max(each.rank for column in found for each in column)
    return DataClassification(tuple(labels), tuple(types), columns, rank)


def _distinct(names: Iterator[Column | None]) -> list[Column]:
    return list(dict.fromkeys(name for name in names if name is not None))


def _sensitivity(said: Classified, labels: list[Column], types: list[Column]) -> Sensitivity:
    return Sensitivity(
        None if said.label is None else labels.index(said.label),
        None if said.information_type is None else types.index(said.information_type),
        said.rank,
    )


class _Sources:
    """Which columns of tables the columns of a query come from."""

    def __init__(self, tables: Mapping[str, Mapping[str, str]], views: Mapping[str, str]) -> None:
        self._tables: dict[str, object] = {"dbo": {name: dict(columns) for name, columns in tables.items()}}
        self._names = frozenset(tables)
        self._views = views

    def of(self, tree: exp.Expr, dialect: str) -> Sequence[set[Column]]:
        """The sources of each column. Raises SqlglotError."""
        if not isinstance(tree, exp.Query) or tree.args.get("into"):
            return []
        for table in tree.find_all(exp.Table):
            table.set("catalog", None)
            if not table.db and table.name.lower() in self._names:
                table.set("db", exp.to_identifier("dbo"))
        found = qualify(tree, schema=self._tables, dialect=dialect, validate_qualify_columns=False)
        scope = build_scope(found)
        return [] if scope is None else self._columns(scope)

    def _columns(self, scope: Scope) -> Sequence[set[Column]]:
        if scope.set_operation_scopes:
            each = [self._columns(part) for part in scope.set_operation_scopes]
            return [set[Column]().union(*column) for column in zip(*each, strict=False)]
        return [self._under(select, scope) for select in _selects(scope)]

    def _under(self, expression: exp.Expr, scope: Scope) -> set[Column]:
        scopes = [scope, *scope.subquery_scopes]
        return set[Column]().union(
            *(self._source(column, each) for column in expression.find_all(exp.Column) for each in scopes)
        )

    def _source(self, column: exp.Column, scope: Scope) -> set[Column]:
        source, name = scope.sources.get(column.table), column.name.lower()
        if isinstance(source, Scope):
            names = [select.alias_or_name.lower() for select in _selects(source)]
            return set(self._columns(source)[names.index(name)]) if name in names else set()
        if not isinstance(source, exp.Table):
            return set()
        view = self._views.get(source.name.lower())
        if view is None:
            return {(source.name.lower(), name)}
        query = parse_one(view, read="duckdb").expression
        names = [select.alias_or_name.lower() for select in query.selects]
        return set(self.of(query, "duckdb")[names.index(name)]) if name in names else set()


def _selects(scope: Scope) -> Sequence[exp.Expr]:
    query = scope.expression
    return query.selects if isinstance(query, exp.Query) else ()
