"""The server's functions, and what else is written like one: conversions, CASE, JSON, windows ("Functions")."""

from __future__ import annotations

from connectors.sql.tsql import expressions
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.tree import NULL, Constant, Expr, Node, Routine, Star
from connectors.sql.tsql.words import DATE_PART_FUNCTIONS, NILADIC

_CONVERSIONS = frozenset({"CAST", "TRY_CAST", "PARSE", "TRY_PARSE"})


def _exists(c: Cursor) -> Expr:
    c.expect("EXISTS")
    return expressions.subquery(c, exists=True)


def _null(c: Cursor) -> Expr:
    c.take()
    return NULL


def _niladic(c: Cursor) -> Expr:
    return Constant(c.take().key)


def _case(c: Cursor) -> Expr:
    c.expect("CASE")
    parts: list[Expr] = [] if c.key == "WHEN" else [expressions.expression(c)]
    while c.accept("WHEN"):
        parts.append(expressions.expression(c))
        c.expect("THEN")
        parts.append(expressions.expression(c))
    if c.accept("ELSE"):
        parts.append(expressions.expression(c))
    c.expect("END")
    return Node("case", tuple(parts))


def _convert(c: Cursor) -> Expr:
    c.expect("CONVERT", "TRY_CONVERT")
    c.expect("(")
    text = expressions.type_name(c)
    c.expect(",")
    values = expressions.expressions(c)
    c.expect(")")
    return Node("to text" if text else "convert", values)


def _cast(c: Cursor) -> Expr:
    if c.ahead().key != "(":
        return expressions.named(c)
    c.take()
    c.expect("(")
    value = expressions.expression(c)
    c.expect("AS")
    text = expressions.type_name(c)
    values = (value, expressions.expression(c)) if c.accept("USING") else (value,)
    c.expect(")")
    return Node("to text" if text else "cast", values)


def _trim(c: Cursor) -> Expr:
    if c.ahead().key != "(":
        return expressions.named(c)
    c.take()
    c.expect("(")
    if c.key in ("LEADING", "TRAILING", "BOTH") and c.ahead().key not in (")", "FROM", "."):
        c.take()
    values = [expressions.expression(c)]
    if c.accept("FROM"):
        values.append(expressions.expression(c))
    c.expect(")")
    return Node("trim", tuple(values))


def _full_text(c: Cursor) -> Expr:
    """``CONTAINS(column | (columns) | *, condition)``."""
    c.expect("CONTAINS", "FREETEXT")
    c.expect("(")
    if c.accept("*"):
        columns: tuple[Expr, ...] = (Star(),)
    elif c.accept("("):
        columns = expressions.expressions(c)
        c.expect(")")
    else:
        columns = (expressions.expression(c),)
    c.expect(",")
    values = expressions.expressions(c)
    c.expect(")")
    return Node("contains", (*columns, *values))


def _next_value(c: Cursor) -> Expr:
    if not c.accept_all("NEXT", "VALUE", "FOR"):
        return expressions.named(c)
    parts = c.name(limit=3)
    args = over(c)
    return Routine(parts, args, sequence=True)


def _updated(c: Cursor) -> Expr:
    """``UPDATE(column)``, which a trigger asks: whether a statement gave the column a value."""
    c.expect("UPDATE")
    c.expect("(")
    c.identifier()
    c.expect(")")
    return Constant("UPDATE")


def _json(c: Cursor) -> Expr:
    """``JSON_OBJECT('name' : value, ... [NULL | ABSENT ON NULL])`` or ``JSON_ARRAY(value, ... [...])``."""
    if c.ahead().key != "(":
        return expressions.named(c)
    name = c.take().key
    c.expect("(")
    values: list[Expr] = []
    while c.key not in (")", "ABSENT") and not (c.key == "NULL" and c.ahead().key == "ON"):
        values.append(expressions.expression(c))
        if name == "JSON_OBJECT":
            c.expect(":")
            values.append(expressions.expression(c))
        if not c.accept(","):
            break
    if c.accept("NULL", "ABSENT"):
        c.expect("ON")
        c.expect("NULL")
    c.expect(")")
    return Node(name.lower(), tuple(values))


#: By its first word, how to read what no other function is read like.
READERS = {
    "NULL": _null,
    "DEFAULT": _null,
    "CASE": _case,
    "EXISTS": _exists,
    "CONVERT": _convert,
    "TRY_CONVERT": _convert,
    "CONTAINS": _full_text,
    "FREETEXT": _full_text,
    "TRIM": _trim,
    "NEXT": _next_value,
    "UPDATE": _updated,
    "JSON_OBJECT": _json,
    "JSON_ARRAY": _json,
    **dict.fromkeys(_CONVERSIONS, _cast),
    **dict.fromkeys(NILADIC, _niladic),
}


def function(c: Cursor) -> Expr:
    """Read a call of a function of the server that is known to be harmless."""
    name = c.take().key
    c.expect("(")
    args: tuple[Expr, ...] = ()
    if name in DATE_PART_FUNCTIONS and c.is_identifier():
        c.take()
        c.expect(",")
    if c.key != ")":
        args = arguments(c)
    c.expect(")")
    if c.accept_all("WITHIN", "GROUP"):
        c.expect("(")
        c.expect("ORDER")
        c.expect("BY")
        args += (Node("over", expressions.ordering(c)),)
        c.expect(")")
    if c.key in ("IGNORE", "RESPECT") and c.ahead().key == "NULLS":
        c.at += 2
    args += over(c)
    if name == "ERROR_MESSAGE":  # the text of an error may quote any value that was read
        args = (Star(),)
    return Node("count" if name == "COUNT_BIG" else name.lower(), args)


def arguments(c: Cursor) -> tuple[Expr, ...]:
    """Read the arguments of a call, of which there is one at least."""
    distinct = c.accept("DISTINCT", "ALL") == "DISTINCT"
    found = [_argument(c)]
    while c.accept(","):
        found.append(_argument(c))
    return (Node("distinct", tuple(found)),) if distinct else tuple(found)


def _argument(c: Cursor) -> Expr:
    return Star() if c.accept("*") else expressions.expression(c)


def over(c: Cursor) -> tuple[Expr, ...]:
    """``OVER (...)``, or ``OVER name`` of a window that the query defines."""
    if not c.accept("OVER"):
        return ()
    if c.is_identifier():
        c.identifier()
        return ()
    found = window(c)
    return (Node("over", found),) if found else ()


def window(c: Cursor) -> tuple[Expr, ...]:
    """Read ``([name] [PARTITION BY ...] [ORDER BY ...] [ROWS | RANGE ...])``: what parts and sorts the rows."""
    c.expect("(")
    found: tuple[Expr, ...] = ()
    if c.is_identifier() and c.key not in ("PARTITION", "ROWS", "RANGE"):
        c.identifier()
    if c.accept_all("PARTITION", "BY"):
        found += expressions.expressions(c)
    if c.accept_all("ORDER", "BY"):
        found += expressions.ordering(c)
    if c.accept("ROWS", "RANGE"):
        if c.accept("BETWEEN"):
            _frame_edge(c)
            c.expect("AND")
        _frame_edge(c)
    c.expect(")")
    return found


def _frame_edge(c: Cursor) -> None:
    if c.accept("CURRENT"):
        c.expect("ROW")
        return
    if not c.accept("UNBOUNDED"):
        c.number()
    c.expect("PRECEDING", "FOLLOWING")
