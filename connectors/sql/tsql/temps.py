"""Temporary tables of a session, with the lineage of their columns from batch to batch.

What is known of a table only grows: a statement that fails, or did not run, leaves less in the table than is said. So
neither errors nor rollbacks nor a second table of the same name make it hold what it is not known to hold.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import END, NAME, WORD
from connectors.sql.tsql.names import Scope
from connectors.sql.tsql.outputs import Output, Outputs, either, everything, poured, resolved
from connectors.sql.tsql.tree import Parts
from connectors.sql.tsql.words import RESERVED

Temps = tuple[tuple[str, Outputs], ...]
_NO_COLUMN = frozenset({"CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN", "INDEX", "PERIOD", "LIKE"})


def is_temporary(parts: Parts) -> bool:
    """Whether a name is of a table that only this session sees."""
    return parts[-1].startswith("#") and not parts[-1].startswith("##")


def made(ctx: Context, parts: Parts, outputs: Outputs) -> bool:
    """Note a table that now has these columns; whether they are followed from here on."""
    if not is_temporary(parts):
        return False
    known = dict(ctx.scope.temps)
    _keep(ctx, parts, either(known[parts[-1]], outputs) if parts[-1] in known else outputs)
    return resolved(outputs) and not ctx.repeated


def filled(ctx: Context, parts: Parts, columns: tuple[str, ...], rows: Outputs) -> bool:
    """Note rows put into a table; whether they are followed from here on.

    Whether they fit its types and satisfy its constraints tells of them.
    """
    if not is_temporary(parts):
        return False
    ctx.effects.tell(everything(rows))
    table = ctx.scope.temp(parts)
    _keep(ctx, parts, poured(table, columns, rows) if resolved(rows) else None)
    return table is not None and resolved(rows) and not ctx.repeated


def compared(ctx: Context, parts: Parts) -> None:
    """Note that the values in a table are compared with each other."""
    table = ctx.scope.temp(parts)
    if table is None:
        ctx.effects.unknown()
    else:
        ctx.effects.tell(everything(table))


def declared_columns(c: Cursor) -> Outputs:
    """The columns of the ``( ... )`` of CREATE TABLE that comes next; None if one is computed or cannot be told."""
    found: list[Output] = []
    depth, distance, begins = 0, 0, False
    while True:
        token = c.ahead(distance)
        if token.kind == END:
            return None
        depth += (token.key == "(") - (token.key == ")")
        if depth == 0:
            return tuple(found) or None
        if begins and token.key not in _NO_COLUMN:
            known = token.kind == NAME or (token.kind == WORD and token.key not in RESERVED)
            if not known or c.ahead(distance + 1).key == "AS":
                return None
            found.append(Output(token.value, frozenset()))
        begins = depth == 1 and token.key in ("(", ",")
        distance += 1


def lost(scope: Scope, names: Container[str] | None = None) -> Scope:
    """A session in which other code wrote into these tables, or may have written into any."""
    if not scope.temps:
        return scope
    kept = ((name, None if names is None or name in names else outputs) for name, outputs in scope.temps)
    return replace(scope, temps=tuple(kept))


def joined(one: Temps, other: Temps) -> Temps:
    """The tables of a session in which both were made, in any order."""
    known = dict(one)
    for name, outputs in other:
        known[name] = either(known[name], outputs) if name in known else outputs
    return tuple(known.items())


def _keep(ctx: Context, parts: Parts, outputs: Outputs) -> None:
    """In a loop or a branch, the statements before may come after as well: then nothing is known any more."""
    known = dict(ctx.scope.temps)
    known[parts[-1]] = None if ctx.repeated or not resolved(outputs) else outputs
    ctx.scope = replace(ctx.scope, temps=tuple(known.items()))
    ctx.effects.touched.add(parts[-1])
