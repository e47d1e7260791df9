"""What the definition of a table says of the values of others: functions that it calls, keys that it refers to."""

from __future__ import annotations

from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import NAME, WORD, Token
from connectors.sql.tsql.names import resolve, segment
from connectors.sql.tsql.tree import Parts


def constraints(ctx: Context, start: int) -> None:
    """Note what the definition read since ``start`` tells.

    A function of a user in a DEFAULT, a CHECK or a computed column may return or compare any value. A foreign key tells
    whether a value is among those that it refers to.
    """
    c = ctx.cursor
    end, c.at = c.at, start
    while c.at < end:
        if c.accept("REFERENCES"):
            _reference(ctx)
        elif c.key == "ON" and _is_named(c.ahead()):
            c.take()
            _path(c)
        elif _is_named(c.token):
            if len(_path(c)) > 1 and c.key == "(":
                ctx.effects.unknown()
                ctx.effects.store()
        else:
            c.take()
    c.at = end


def _reference(ctx: Context) -> None:
    """``table [(column, ...)]``; without columns it is to the primary key, which may be any."""
    c = ctx.cursor
    name = resolve(c.name(limit=3), ctx.scope)
    columns = c.names_in_parentheses() if c.key == "(" else ()
    ctx.effects.seen(name)
    referred = [segment(column) for column in columns] or ["*"]
    ctx.effects.tell(frozenset(f"{name.resource}.{column}" for column in referred))


def _path(c: Cursor) -> Parts:
    """Read words with dots between, whatever they mean here."""
    parts = [c.take().value]
    while c.key == "." and (_is_named(c.ahead()) or c.ahead().key == "."):
        c.take()
        parts.append("" if c.key == "." else c.take().value)
    return tuple(parts)


def _is_named(token: Token) -> bool:
    return token.kind in (NAME, WORD)
