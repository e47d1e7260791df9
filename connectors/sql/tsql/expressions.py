"""Expressions: conditions and values, as the grammar of the Transact-SQL reference has them ("Expressions").

What the server accepts is read as the server reads it; some texts that it refuses are let through, and harm nothing.
Precedence is kept where filters need it (OR, AND, NOT, predicates); arithmetic is a flat list of operands.
"""

from __future__ import annotations

from connectors.sql.tsql import queries
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.inference import is_wordy
from connectors.sql.tsql.lexer import BINARY, END, NAME, NUMBER, STRING, VARIABLE, Doubt
from connectors.sql.tsql.tree import NULL, Column, Constant, Expr, Node, Routine, Star, Subquery
from connectors.sql.tsql.words import DATE_PART_FUNCTIONS, FUNCTIONS, NILADIC

_COMPARISONS = ("=", "<>", "!=", "<", ">", "<=", ">=", "!<", "!>")
_ARITHMETIC = ("+", "-", "*", "/", "%", "&", "|", "^", "||", "<<", ">>")
_JOINING = ("+", "||")
_CONVERSIONS = frozenset({"CAST", "TRY_CAST", "PARSE", "TRY_PARSE"})
_TEXTS = frozenset({"CHAR", "VARCHAR", "NCHAR", "NVARCHAR", "TEXT", "NTEXT"})
_ROOMY = 30  # characters that every number fits, and the length of a text whose type gives none


def expression(c: Cursor) -> Expr:
    """Read one expression, a condition or a value. Raises Doubt."""
    c.enter()
    terms = [_conjunction(c)]
    while c.accept("OR"):
        terms.append(_conjunction(c))
    c.leave()
    return _fold("or", terms)


def expressions(c: Cursor) -> tuple[Expr, ...]:
    """Read one or more expressions with commas between."""
    found = [expression(c)]
    while c.accept(","):
        found.append(expression(c))
    return tuple(found)


def type_name(c: Cursor) -> bool:
    """Read the name of a data type with its length; whether it is a text that any number or date fits into."""
    text = c.key in _TEXTS
    if c.accept("NATIONAL"):
        c.expect("CHAR", "CHARACTER", "TEXT")
    elif c.accept("DOUBLE"):
        c.expect("PRECISION")
    else:
        c.name(limit=3)
    c.accept("VARYING")
    if c.accept("("):
        if not c.accept("MAX"):
            size = c.number()
            text &= size.isdigit() and int(size) >= _ROOMY
            if c.accept(","):
                c.number()
        c.expect(")")
    return text


def ordering(c: Cursor) -> tuple[Expr, ...]:
    """Read the expressions of an ORDER BY, after its two words."""
    found: list[Expr] = []
    while True:
        found.append(expression(c))
        c.accept("ASC", "DESC")
        if not c.accept(","):
            return tuple(found)


def _fold(op: str, terms: list[Expr]) -> Expr:
    return terms[0] if len(terms) == 1 else Node(op, tuple(terms))


def _conjunction(c: Cursor) -> Expr:
    terms = [_negation(c)]
    while c.accept("AND"):
        terms.append(_negation(c))
    return _fold("and", terms)


def _negation(c: Cursor) -> Expr:
    negated = False
    while c.accept("NOT"):
        negated = not negated
    predicate = _predicate(c)
    return Node("not", (predicate,)) if negated else predicate


def _predicate(c: Cursor) -> Expr:
    left = operand(c)
    if operator := c.accept(*_COMPARISONS):
        if c.accept("ANY", "SOME", "ALL"):
            return Node("in", (left, _subquery(c)))
        return Node("equal" if operator == "=" else "compare", (left, operand(c)))
    if c.accept("IS"):
        return _is(c, left)
    negated = c.key == "NOT" and c.ahead().key in ("LIKE", "IN", "BETWEEN") and bool(c.accept("NOT"))
    predicate = _membership(c, left)
    return Node("not", (predicate,)) if negated else predicate


def _is(c: Cursor, left: Expr) -> Expr:
    c.accept("NOT")
    if c.accept("DISTINCT"):
        c.expect("FROM")
        return Node("compare", (left, operand(c)))
    c.expect("NULL")
    return Node("is", (left,))


def _membership(c: Cursor, left: Expr) -> Expr:
    if c.accept("LIKE"):
        pattern = operand(c)
        escape = (operand(c),) if c.accept("ESCAPE") else ()
        return Node("like", (left, pattern, *escape))
    if c.accept("BETWEEN"):
        low = operand(c)
        c.expect("AND")
        return Node("between", (left, low, operand(c)))
    if c.accept("IN"):
        if _query_follows(c):
            return Node("in", (left, _subquery(c)))
        c.expect("(")
        members = expressions(c)
        c.expect(")")
        return Node("in", (left, *members))
    return left


def operand(c: Cursor) -> Expr:
    """Read a value: operands with arithmetic between, no condition at the top."""
    values, joins = [_unary(c)], True
    while operator := c.accept(*_ARITHMETIC):
        joins &= operator in _JOINING
        values.append(_unary(c))
    return _fold("join" if joins and any(map(is_wordy, values)) else "arithmetic", values)


def _unary(c: Cursor) -> Expr:
    changed = False
    while sign := c.accept("+", "-", "~"):
        changed |= sign != "+"
    value = _primary(c)
    if changed and not isinstance(value, Constant):
        value = Node("arithmetic", (value,))
    while True:
        if c.accept("COLLATE"):
            c.identifier()
            value = Node("collate", (value,))
        elif c.key == "AT" and c.ahead().key == "TIME" and c.ahead(2).key == "ZONE":
            c.accept_all("AT", "TIME", "ZONE")
            value = Node("at time zone", (value, _primary(c)))
        else:
            return value


def _primary(c: Cursor) -> Expr:
    token = c.token
    if token.kind in (STRING, NUMBER, BINARY):
        return Constant(c.take().value, kind=token.kind)
    if token.kind == VARIABLE:
        return _variable(c)
    reader = _SPECIAL.get(token.key)
    if reader is None:
        reader = _function if token.key in FUNCTIONS and c.ahead().key == "(" else _named
    return reader(c)


def _variable(c: Cursor) -> Expr:
    name = c.variable()
    if c.key == ".":
        raise Doubt(f"A method of {name} is called; methods of variables are not read.")
    return Constant(name, variable=not name.startswith("@@"), kind=VARIABLE)


def _parenthesised(c: Cursor) -> Expr:
    if _query_follows(c):
        return _subquery(c)
    c.expect("(")
    inner = expression(c)
    c.expect(")")
    if c.key == ".":
        raise c.doubt("no method on an expression")
    return inner


def _query_follows(c: Cursor) -> bool:
    """Whether the parentheses that open here hold a query, and not a value that begins with one."""
    if c.key != "(":
        return False
    if c.ahead().key != "(":
        return c.ahead().key == "SELECT"
    return c.ahead(_closing(c, 1) + 1).key in queries.SET_OPERATORS


def _closing(c: Cursor, distance: int) -> int:
    """How far ahead the parenthesis closes that opens ``distance`` ahead."""
    depth = 0
    while True:
        token = c.ahead(distance)
        depth += (token.key == "(") - (token.key == ")")
        if depth == 0 or token.kind == END:
            return distance
        distance += 1


def _subquery(c: Cursor, *, exists: bool = False) -> Subquery:
    c.expect("(")
    c.enter()
    query = queries.query(c)
    c.leave()
    c.expect(")")
    return Subquery(query, exists)


def _exists(c: Cursor) -> Expr:
    c.expect("EXISTS")
    return _subquery(c, exists=True)


def _null(c: Cursor) -> Expr:
    c.take()
    return NULL


def _niladic(c: Cursor) -> Expr:
    return Constant(c.take().key)


def _case(c: Cursor) -> Expr:
    c.expect("CASE")
    parts: list[Expr] = [] if c.key == "WHEN" else [expression(c)]
    while c.accept("WHEN"):
        parts.append(expression(c))
        c.expect("THEN")
        parts.append(expression(c))
    if c.accept("ELSE"):
        parts.append(expression(c))
    c.expect("END")
    return Node("case", tuple(parts))


def _convert(c: Cursor) -> Expr:
    c.expect("CONVERT", "TRY_CONVERT")
    c.expect("(")
    text = type_name(c)
    c.expect(",")
    values = expressions(c)
    c.expect(")")
    return Node("to text" if text else "convert", values)


def _cast(c: Cursor) -> Expr:
    if c.ahead().key != "(":
        return _named(c)
    c.take()
    c.expect("(")
    value = expression(c)
    c.expect("AS")
    text = type_name(c)
    values = (value, expression(c)) if c.accept("USING") else (value,)
    c.expect(")")
    return Node("to text" if text else "cast", values)


def _trim(c: Cursor) -> Expr:
    if c.ahead().key != "(":
        return _named(c)
    c.take()
    c.expect("(")
    if c.key in ("LEADING", "TRAILING", "BOTH") and c.ahead().key not in (")", "FROM", "."):
        c.take()
    values = [expression(c)]
    if c.accept("FROM"):
        values.append(expression(c))
    c.expect(")")
    return Node("trim", tuple(values))


def _full_text(c: Cursor) -> Expr:
    """``CONTAINS(column | (columns) | *, condition)``."""
    c.expect("CONTAINS", "FREETEXT")
    c.expect("(")
    if c.accept("*"):
        columns: tuple[Expr, ...] = (Star(),)
    elif c.accept("("):
        columns = expressions(c)
        c.expect(")")
    else:
        columns = (expression(c),)
    c.expect(",")
    values = expressions(c)
    c.expect(")")
    return Node("contains", (*columns, *values))


def _next_value(c: Cursor) -> Expr:
    if not c.accept_all("NEXT", "VALUE", "FOR"):
        return _named(c)
    parts = c.name(limit=3)
    args = _over(c)
    return Routine(parts, args, sequence=True)


def _json(c: Cursor) -> Expr:
    """``JSON_OBJECT('name' : value, ... [NULL | ABSENT ON NULL])`` or ``JSON_ARRAY(value, ... [...])``."""
    if c.ahead().key != "(":
        return _named(c)
    name = c.take().key
    c.expect("(")
    values: list[Expr] = []
    while c.key not in (")", "ABSENT") and not (c.key == "NULL" and c.ahead().key == "ON"):
        values.append(expression(c))
        if name == "JSON_OBJECT":
            c.expect(":")
            values.append(expression(c))
        if not c.accept(","):
            break
    if c.accept("NULL", "ABSENT"):
        c.expect("ON")
        c.expect("NULL")
    c.expect(")")
    return Node(name.lower(), tuple(values))


_SPECIAL = {
    "(": _parenthesised,
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
    "JSON_OBJECT": _json,
    "JSON_ARRAY": _json,
    **dict.fromkeys(_CONVERSIONS, _cast),
    **dict.fromkeys(NILADIC, _niladic),
}


def _function(c: Cursor) -> Expr:
    name = c.take().key
    c.expect("(")
    args: tuple[Expr, ...] = ()
    if name in DATE_PART_FUNCTIONS and c.is_identifier():
        c.take()
        c.expect(",")
    if c.key != ")":
        args = _arguments(c)
    c.expect(")")
    if c.accept_all("WITHIN", "GROUP"):
        c.expect("(")
        c.expect("ORDER")
        c.expect("BY")
        args += (Node("over", ordering(c)),)
        c.expect(")")
    if c.key in ("IGNORE", "RESPECT") and c.ahead().key == "NULLS":
        c.at += 2
    args += _over(c)
    if name == "ERROR_MESSAGE":  # the text of an error may quote any value that was read
        args = (Star(),)
    return Node("count" if name == "COUNT_BIG" else name.lower(), args)


def _arguments(c: Cursor) -> tuple[Expr, ...]:
    distinct = c.accept("DISTINCT", "ALL") == "DISTINCT"
    found = [_argument(c)]
    while c.accept(","):
        found.append(_argument(c))
    return (Node("distinct", tuple(found)),) if distinct else tuple(found)


def _argument(c: Cursor) -> Expr:
    return Star() if c.accept("*") else expression(c)


def _over(c: Cursor) -> tuple[Expr, ...]:
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
        found += expressions(c)
    if c.accept_all("ORDER", "BY"):
        found += ordering(c)
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


def _named(c: Cursor) -> Expr:
    """A column, ``t.*`` in a select list, or a call of what is not a function of the server."""
    first = c.token
    parts = c.name(limit=5)
    if c.accept_all(".", "*"):
        return Star(parts)
    if c.key != "(":
        return Column(parts, doubtful=len(parts) == 1 and first.kind == NAME and first.quoted == '"')
    if len(parts) == 1:
        raise Doubt(f"{parts[0]!a} is not a function known to be harmless.")
    c.expect("(")
    args = () if c.key == ")" else _arguments(c)
    c.expect(")")
    if c.key == ".":
        raise c.doubt("no method on a call")
    return Routine(parts, (*args, *_over(c)))
