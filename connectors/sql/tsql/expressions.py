"""Expressions: conditions and values, as the grammar of the Transact-SQL reference has them ("Expressions").

What the server accepts is read as the server reads it; some texts that it refuses are let through, and harm nothing.
Precedence is kept where filters need it (OR, AND, NOT, predicates); arithmetic is a flat list of operands.
"""

from __future__ import annotations

from connectors.sql.tsql import functions, queries
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.inference import is_wordy
from connectors.sql.tsql.lexer import BINARY, END, NAME, NUMBER, STRING, VARIABLE, Doubt
from connectors.sql.tsql.tree import Column, Constant, Expr, Node, Routine, Star, Subquery
from connectors.sql.tsql.words import FUNCTIONS

_COMPARISONS = ("=", "<>", "!=", "<", ">", "<=", ">=", "!<", "!>")
_ARITHMETIC = ("+", "-", "*", "/", "%", "&", "|", "^", "||", "<<", ">>")
_JOINING = ("+", "||")
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
            return Node("in", (left, subquery(c)))
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
            return Node("in", (left, subquery(c)))
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
    if token.key == "(":
        return _parenthesised(c)
    reader = functions.READERS.get(token.key)
    if reader is None:
        reader = functions.function if token.key in FUNCTIONS and c.ahead().key == "(" else named
    return reader(c)


def _variable(c: Cursor) -> Expr:
    name = c.variable()
    if c.key == ".":
        raise Doubt(f"A method of {name} is called; methods of variables are not read.")
    return Constant(name, variable=not name.startswith("@@"), kind=VARIABLE)


def _parenthesised(c: Cursor) -> Expr:
    if _query_follows(c):
        return subquery(c)
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


def subquery(c: Cursor, *, exists: bool = False) -> Subquery:
    """Read a query in parentheses."""
    c.expect("(")
    c.enter()
    query = queries.query(c)
    c.leave()
    c.expect(")")
    return Subquery(query, exists)


def named(c: Cursor) -> Expr:
    """Read a column, ``t.*`` in a select list, or a call of what is not a function of the server."""
    first = c.token
    parts = c.name(limit=5)
    if c.accept_all(".", "*"):
        return Star(parts)
    if c.key != "(":
        return Column(parts, doubtful=len(parts) == 1 and first.kind == NAME and first.quoted == '"')
    if len(parts) == 1:
        raise Doubt(f"{parts[0]!a} is not a function known to be harmless.")
    c.expect("(")
    args = () if c.key == ")" else functions.arguments(c)
    c.expect(")")
    if c.key == ".":
        raise c.doubt("no method on a call")
    return Routine(parts, (*args, *functions.over(c)))
