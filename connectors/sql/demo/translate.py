"""From T-SQL to what DuckDB runs: variables become literals, server functions values, the rest is sqlglot's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from connectors.sql.demo.results import SqlError
from connectors.sql.demo.shop import TEXT_COLUMNS
from connectors.sql.tds.temporal import DateTime2, DateTimeOffset, Time
from connectors.sql.tsql.lexer import END, VARIABLE, lex

Variables = Mapping[str, Any]
_PROPERTIES = {
    "productversion": "16.0.1000.6",
    "edition": "Developer Edition (64-bit)",
    "engineedition": 3,
    "productlevel": "RTM",
    "collation": "SQL_Latin1_General_CP1_CI_AS",
    "servername": "SHOPDB01",
    "ishadrenabled": 0,
}


def literal(value: Any) -> str:
    """A value as a SQL literal that both dialects read."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(int(value))
        case int() | Decimal() | float():
            return str(value)
        case bytes():
            return "0x" + value.hex()
        case DateTime2() | Time() | DateTimeOffset() | date() | datetime() | time():
            return f"'{value.isoformat()[:26]}'"
        case _:
            return "'" + str(value).replace("'", "''") + "'"


def substitute(text: str, variables: Variables) -> str:
    """Replace variables by literals of their values. Raises SqlError 137 for one that is not declared."""
    pieces, position = [], 0
    for token in lex(text):
        if token.kind == END or token.kind != VARIABLE:
            continue
        name = token.value.lower() if token.value else text[token.start : token.end].lower()
        if name not in variables:
            raise SqlError(137, f'Must declare the scalar variable "{text[token.start : token.end]}".')
        pieces += [text[position : token.start], literal(variables[name])]
        position = token.end
    return "".join((*pieces, text[position:]))


def to_duck(text: str, functions: Mapping[str, Callable[[], Any]]) -> str:
    """One statement for DuckDB. Raises SqlError 102 if it cannot be read."""
    try:
        [tree] = sqlglot.parse(text, read="tsql")
    except (SqlglotError, ValueError) as error:
        raise SqlError(102, f"Incorrect syntax: {str(error).splitlines()[0]}") from None
    if tree is None or isinstance(tree, exp.Command):
        raise SqlError(102, "Incorrect syntax near the beginning of the statement.")
    return str(tree.transform(lambda node: _adapted(node, functions)).sql(dialect="duckdb"))


def _adapted(  # noqa: C901, PLR0911 - one line a construct
    node: exp.Expr, functions: Mapping[str, Callable[[], Any]]
) -> exp.Expr:
    match node:
        case exp.Table() if node.name.startswith("#") or (node.this and node.this.args.get("temporary")):
            return exp.table_(f"tmp_{node.name.lstrip('#')}", alias=node.alias or None)
        case exp.Anonymous() if node.name.lower() == "serverproperty" and node.expressions:
            return exp.convert(_PROPERTIES.get(node.expressions[0].name.lower()))
        case exp.Anonymous() if node.name.lower() in functions:
            return exp.convert(functions[node.name.lower()]())
        case exp.CurrentUser():
            return exp.convert(functions["suser_sname"]())
        case exp.CurrentSchema():
            return exp.convert("dbo")
        case exp.CurrentTimestamp():
            return exp.cast(node.copy(), "timestamp")
        case exp.National():
            return exp.Literal.string(node.name)
        case exp.Add() if _is_text(node.left) or _is_text(node.right):
            return exp.DPipe(this=node.left, expression=node.right)
        case exp.Collate():
            inner: exp.Expr = node.this
            return inner
        case exp.Query() if node.args.get("for_"):
            raise SqlError(102, "Incorrect syntax near FOR: this demo makes no JSON or XML.")
        case _:
            return node


def _is_text(node: exp.Expr) -> bool:
    return node.is_string or isinstance(node, exp.National | exp.DPipe) or node.name.lower() in TEXT_COLUMNS
