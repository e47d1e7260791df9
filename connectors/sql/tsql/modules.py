"""What the definitions that a database keeps say of their columns: views and computed columns."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.sql.tsql import expressions, queries
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.effects import Effects
from connectors.sql.tsql.lexer import END, Doubt
from connectors.sql.tsql.lineage import Lineage
from connectors.sql.tsql.names import Scope
from connectors.sql.tsql.outputs import Output
from connectors.sql.tsql.relations import renamed, table_relation
from connectors.sql.tsql.tree import Parts


@dataclass(frozen=True, slots=True)
class View:
    """The columns of a view, and the tables under it by their names in its definition."""

    outputs: tuple[Output, ...]
    reads: frozenset[str]


def read_view(text: str, scope: Scope) -> View | None:
    """What a ``CREATE VIEW`` defines, names in it meant in ``scope``; None if it is not understood to its end."""
    try:
        return _view(Cursor(text), scope)
    except (Doubt, RecursionError):
        return None


def read_computed(text: str, table: Parts, scope: Scope) -> frozenset[str] | None:
    """The columns of its table that a computed column is made of; None if that cannot be told."""
    try:
        c = Cursor(text)
        value = expressions.expression(c)
        if c.kind != END:
            return None
    except (Doubt, RecursionError):
        return None
    effects = Effects()
    found = Lineage(scope, effects).sources(value, [table_relation(table, scope)])
    return None if effects.reads_unknown else found


def _view(c: Cursor, scope: Scope) -> View | None:
    c.expect("CREATE")
    c.accept_all("OR", "ALTER")
    c.expect("VIEW")
    c.name(limit=3)
    columns = c.names_in_parentheses() if c.key == "(" else ()
    if c.accept("WITH"):
        c.identifier()
        while c.accept(","):
            c.identifier()
    c.expect("AS")
    ctes = queries.ctes(c) if c.accept("WITH") else ()
    query = queries.query(c)
    c.accept_all("WITH", "CHECK", "OPTION")
    while c.accept(";"):
        pass
    if c.kind != END:
        raise c.doubt("the end of the view")
    effects = Effects()
    outputs = renamed(Lineage(scope, effects, ctes).outputs(query), columns)
    if outputs is None or effects.copied or effects.reads_unknown or any(o.sources is None for o in outputs):
        return None
    return View(outputs, frozenset(effects.reads))
