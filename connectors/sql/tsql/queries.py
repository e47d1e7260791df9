"""Queries: SELECT with all its clauses ("SELECT (Transact-SQL)"), set operators and common table expressions."""

from __future__ import annotations

from connectors.sql.tsql import expressions, functions, sources
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import NAME, NUMBER, STRING, VARIABLE, WORD, Doubt
from connectors.sql.tsql.tree import NULL, Column, Constant, Cte, Expr, Item, Node, Parts, Query, Select, Star
from connectors.sql.tsql.words import RESERVED

SET_OPERATORS = frozenset({"UNION", "EXCEPT", "INTERSECT"})
_ASSIGNMENTS = frozenset({"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^="})
_OPTIONS = frozenset({"MERGE", "USE"})


def query(c: Cursor, *, within: bool = True) -> Query:
    """Read a query with its ORDER BY and FOR; OPTION too unless it is ``within`` another. Raises Doubt."""
    branches, compared = _branches(c)
    order: tuple[Expr, ...] = ()
    limited = all(branch.limited or not branch.sources for branch in branches)
    if c.accept("ORDER"):
        c.expect("BY")
        order = expressions.ordering(c)
        offset = _offset(c)
        order, limited = (*order, *(Node("paging", (each,)) for each in offset)), limited or len(offset) > 1
    wrapped = _for(c)
    if not within:
        option(c)
    return Query(branches, order, limited, wrapped, compared)


def option(c: Cursor) -> None:
    """Read ``OPTION (...)`` if it comes next."""
    if c.accept("OPTION"):
        c.balanced(_OPTIONS)


def ctes(c: Cursor) -> tuple[Cte, ...]:
    """Read ``WITH name [(columns)] AS (query), ...`` after its first word."""
    found = [_cte(c)]
    while c.accept(","):
        found.append(_cte(c))
    return tuple(found)


def top(c: Cursor) -> tuple[tuple[Expr, ...], bool]:
    """Read ``TOP (n)`` if it comes next: its expressions, and whether it limits the number of rows."""
    if not c.accept("TOP"):
        return (), False
    if c.accept("("):
        count: Expr = expressions.expression(c)
        c.expect(")")
    elif c.kind in (NUMBER, VARIABLE):
        token = c.take()
        count = Constant(token.value, token.value.startswith("@") and token.value[1:2] != "@", token.kind)
    else:
        raise c.doubt("how many rows")
    limits = not c.accept("PERCENT")
    if c.accept("WITH"):
        c.expect("TIES")
    return (count,), limits


def where(c: Cursor) -> Expr | None:
    """Read ``WHERE condition`` if it comes next."""
    return expressions.expression(c) if c.accept("WHERE") else None


def _cte(c: Cursor) -> Cte:
    name = c.identifier()
    columns = c.names_in_parentheses() if c.key == "(" else ()
    c.expect("AS")
    c.expect("(")
    c.enter()
    body = query(c)
    c.leave()
    c.expect(")")
    return Cte(name, body, columns)


def _branches(c: Cursor) -> tuple[tuple[Select, ...], bool]:
    """The branches of a query, and whether an operator between any of them compares their rows."""
    found, compared = _branch(c)
    while operator := c.accept(*SET_OPERATORS):
        compared |= operator != "UNION" or not c.accept("ALL")
        c.accept("ALL")
        more, within = _branch(c)
        found, compared = found + more, compared or within
    return found, compared


def _branch(c: Cursor) -> tuple[tuple[Select, ...], bool]:
    if c.accept("("):
        c.enter()
        found = _branches(c)
        c.leave()
        c.expect(")")
        return found
    c.expect("SELECT")
    return (_select(c),), False


def _select(c: Cursor) -> Select:
    distinct = c.accept("ALL", "DISTINCT") == "DISTINCT"
    conditions, limited = top(c)
    items = [_item(c)]
    while c.accept(","):
        items.append(_item(c))
    into: Parts = c.name() if c.accept("INTO") else ()
    if into and c.accept("ON"):
        c.identifier()
    tables, joins = sources.sources(c) if c.accept("FROM") else ((), ())
    condition = where(c)
    conditions += joins + ((condition,) if condition else ()) + _grouping(c) + _windows(c)
    return Select(tuple(items), tables, condition, conditions, limited, into, distinct)


def _item(c: Cursor) -> Item:
    if c.accept("*"):
        return Item(Star())
    follows = c.ahead().key
    if c.kind == VARIABLE and follows in _ASSIGNMENTS:
        name = c.variable()
        c.take()
        return Item(expressions.expression(c), variable=name)
    if follows == "=" and (c.kind == STRING or c.is_identifier()):
        alias = c.take().value
        c.take()
        return Item(expressions.expression(c), alias)
    if c.kind == WORD and c.key == "IDENTITY" and follows == "(":
        c.take()
        c.balanced()
        return Item(NULL, c.output_alias())
    expr = expressions.expression(c)
    alias = c.output_alias()
    return Item(expr, alias or _own_name(expr))


def _own_name(expr: Expr) -> str:
    """The name of a column that no alias names, also of one under another collation."""
    while isinstance(expr, Node) and expr.op == "collate":
        expr = expr.args[0]
    return expr.parts[-1] if isinstance(expr, Column) else ""


def _grouping(c: Cursor) -> tuple[Expr, ...]:
    """GROUP BY with all its extensions, and HAVING."""
    found: tuple[Expr, ...] = ()
    if c.accept("GROUP"):
        c.expect("BY")
        c.accept("ALL")
        found += _grouping_elements(c)
        if c.accept("WITH"):
            c.expect("ROLLUP", "CUBE")
    if c.accept("HAVING"):
        found += (expressions.expression(c),)
    return found


def _windows(c: Cursor) -> tuple[Expr, ...]:
    """``WINDOW name AS (...), ...``: what the windows are parted and sorted by."""
    if not c.accept("WINDOW"):
        return ()
    found: tuple[Expr, ...] = ()
    while True:
        c.identifier()
        c.expect("AS")
        found += functions.window(c)
        if not c.accept(","):
            return found


def _grouping_elements(c: Cursor) -> tuple[Expr, ...]:
    found = _grouping_element(c)
    while c.accept(","):
        found += _grouping_element(c)
    return found


def _grouping_element(c: Cursor) -> tuple[Expr, ...]:
    if c.accept_all("GROUPING", "SETS") or (c.ahead().key == "(" and c.accept("ROLLUP", "CUBE")):
        c.expect("(")
        found = _grouping_elements(c)
        c.expect(")")
        return found
    if c.key == "(" and c.ahead().key == ")":
        c.at += 2
        return ()
    if c.key == "(" and _is_list(c):
        c.expect("(")
        found = expressions.expressions(c)
        c.expect(")")
        return found
    return (expressions.expression(c),)


def _is_list(c: Cursor) -> bool:
    """Whether the parentheses here hold a list with commas, as in ``GROUPING SETS ((a, b))``."""
    depth, distance = 0, 0
    while True:
        key = c.ahead(distance).key
        depth += (key == "(") - (key == ")")
        if depth == 0 or c.ahead(distance) is c.tokens[-1]:
            return False
        if depth == 1 and key == ",":
            return True
        distance += 1


def _offset(c: Cursor) -> tuple[Expr, ...]:
    """``OFFSET n ROWS [FETCH NEXT m ROWS ONLY]``: one expression, or two if the rows are limited."""
    if not c.accept("OFFSET"):
        return ()
    found = [expressions.operand(c)]
    c.expect("ROW", "ROWS")
    if c.accept("FETCH"):
        c.expect("FIRST", "NEXT")
        found.append(expressions.operand(c))
        c.expect("ROW", "ROWS")
        c.expect("ONLY")
    return tuple(found)


def _for(c: Cursor) -> str:
    """``FOR XML`` and ``FOR JSON`` make the rows a text, ``FOR BROWSE`` adds hidden columns: which it is, if any."""
    if c.key != "FOR" or c.ahead().key not in ("BROWSE", "XML", "JSON"):
        return ""
    c.take()
    made = c.take().key
    if made == "BROWSE":
        return made
    _directive(c)
    while c.accept(","):
        _directive(c)
    return made


def _directive(c: Cursor) -> None:
    if c.kind not in (WORD, NAME) or c.key in RESERVED:
        raise Doubt("A directive of FOR XML or FOR JSON is not known.")
    c.take()
    if c.is_identifier() and c.key in ("BASE64", "XSINIL", "ABSENT"):
        c.take()
    if c.key == "(":
        c.balanced()
