"""What stands in FROM: tables, joins, derived tables, functions, and rows from elsewhere ("FROM (Transact-SQL)")."""

from __future__ import annotations

from connectors.sql.tsql import expressions, queries
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import STRING, VARIABLE, Doubt
from connectors.sql.tsql.tree import (
    Column,
    Constant,
    Derived,
    Expr,
    Foreign,
    Item,
    Pivoted,
    Query,
    Rowset,
    Select,
    Source,
    Star,
    TableRef,
)
from connectors.sql.tsql.words import FOREIGN, JOIN_HINTS, ROWSET_FUNCTIONS, TABLE_HINTS

_FULL_TEXT = frozenset({"CONTAINSTABLE", "FREETEXTTABLE"})
_BULK = frozenset({"BULK"})


def sources(c: Cursor) -> tuple[tuple[Source, ...], tuple[Expr, ...]]:
    """Read the sources of a FROM, after its word, and the conditions of their joins. Raises Doubt."""
    found: list[Source] = []
    conditions: list[Expr] = []
    _joined(c, found, conditions)
    while c.accept(","):
        _joined(c, found, conditions)
    return tuple(found), tuple(conditions)


def hints(c: Cursor) -> None:
    """Read ``WITH (hint, ...)`` if it comes next."""
    if c.key == "WITH" and c.ahead().key == "(":
        c.take()
        _hint_list(c)


def _joined(c: Cursor, found: list[Source], conditions: list[Expr]) -> None:
    """One source and all that is joined to it; ``a JOIN b JOIN c ON .. ON ..`` nests its conditions."""
    c.enter()
    _primary(c, found, conditions)
    while True:
        if c.accept_all("CROSS", "APPLY") or c.accept_all("OUTER", "APPLY") or c.accept_all("CROSS", "JOIN"):
            _primary(c, found, conditions)
        elif _join(c):
            _joined(c, found, conditions)
            c.expect("ON")
            conditions.append(expressions.expression(c))
        elif c.accept("PIVOT"):
            found.append(_pivot(c))
        elif c.accept("UNPIVOT"):
            found.append(_unpivot(c))
        else:
            break
    c.leave()


def _join(c: Cursor) -> bool:
    if c.accept("JOIN"):
        return True
    if c.accept("LEFT", "RIGHT", "FULL"):
        c.accept("OUTER")
    elif not c.accept("INNER"):
        return False
    c.accept(*JOIN_HINTS)
    c.expect("JOIN")
    return True


def _primary(c: Cursor, found: list[Source], conditions: list[Expr]) -> None:
    if c.key == "(":
        if _is_joined_table(c):
            c.expect("(")
            _joined(c, found, conditions)
            c.expect(")")
        else:
            found.append(_derived(c))
    elif c.key in FOREIGN:
        found.append(_foreign(c))
    elif c.key in _FULL_TEXT:
        found.append(_full_text(c, conditions))
    elif c.kind == VARIABLE:
        name = c.variable()
        if c.key == ".":
            raise Doubt(f"A method of {name} is called; methods of variables are not read.")
        found.append(TableRef((name,), c.alias()))
    else:
        found.append(_table_or_function(c, conditions))


def _is_joined_table(c: Cursor) -> bool:
    distance = 0
    while c.ahead(distance).key == "(":
        distance += 1
    return c.ahead(distance).key not in ("SELECT", "VALUES") or _is_joined_derived(c)


def _is_joined_derived(c: Cursor) -> bool:
    """Whether ``((SELECT ..) x JOIN ..)`` opens here: then the inner parentheses are followed by an alias."""
    if c.ahead().key != "(":
        return False
    depth, distance = 0, 1
    while True:
        token = c.ahead(distance)
        depth += (token.key == "(") - (token.key == ")")
        distance += 1
        if depth == 0 or token is c.tokens[-1]:
            return c.ahead(distance).key not in (*queries.SET_OPERATORS, ")", "ORDER")


def _derived(c: Cursor) -> Source:
    c.expect("(")
    c.enter()
    body = values(c) if c.key == "VALUES" else queries.query(c)
    c.leave()
    c.expect(")")
    alias = c.alias()
    if not alias:
        raise c.doubt("the alias of a derived table")
    columns = c.names_in_parentheses() if c.key == "(" else ()
    return Derived(body, alias, columns)


def values(c: Cursor) -> Query:
    """Read ``VALUES (..), (..)`` as a query of one branch a row."""
    c.expect("VALUES")
    rows = [_row(c)]
    while c.accept(","):
        rows.append(_row(c))
    return Query(tuple(rows), limited=True)


def _row(c: Cursor) -> Select:
    c.expect("(")
    items = expressions.expressions(c)
    c.expect(")")
    return Select(tuple(Item(expr) for expr in items), limited=True)


def foreign(c: Cursor) -> str:
    """Read rows of elsewhere, OPENROWSET, OPENQUERY or OPENDATASOURCE: the name of where, without an alias."""
    kind = c.take().key
    name = kind.lower()
    if kind == "OPENQUERY" and c.ahead().kind != STRING:
        name = c.ahead().value
    c.balanced(_BULK)
    while c.accept("."):
        if c.key != ".":
            c.identifier()
    return name


def _foreign(c: Cursor) -> Source:
    name = foreign(c)
    alias = c.alias()
    if alias and c.key == "(":
        c.names_in_parentheses()
    return Foreign(name, alias)


def _full_text(c: Cursor, conditions: list[Expr]) -> Source:
    """``CONTAINSTABLE(table, column, condition)``: keys and ranks out of the table, read as the table itself."""
    c.take()
    c.expect("(")
    parts = c.name()
    c.expect(",")
    if c.accept("*"):
        conditions.append(Star())
        c.expect(",")
    conditions.extend(expressions.expressions(c))
    c.expect(")")
    return TableRef(parts, c.alias())


def _table_or_function(c: Cursor, conditions: list[Expr]) -> Source:
    key = c.key
    parts = c.name()
    if c.key == "(" and not _hints_follow(c):
        return _rowset(c, parts, simple=key in ROWSET_FUNCTIONS)
    if c.key == "FOR" and c.ahead().key == "SYSTEM_TIME":
        _system_time(c, conditions)
    alias = c.alias()
    if c.accept("TABLESAMPLE"):
        c.accept("SYSTEM")
        conditions.append(_sample(c))
        if c.accept("REPEATABLE"):
            conditions.append(_sample(c))
    hints(c)
    if c.key == "(" and _hints_follow(c):
        _hint_list(c)
    return TableRef(parts, alias)


def _rowset(c: Cursor, parts: tuple[str, ...], *, simple: bool) -> Source:
    c.expect("(")
    args = () if c.key == ")" else expressions.expressions(c)
    c.expect(")")
    if c.key == ".":
        raise c.doubt("no method on a function")
    if simple and parts[0].upper() == "OPENJSON" and c.key == "WITH" and c.ahead().key == "(":
        c.take()
        c.balanced()
    alias = c.alias()
    hints(c)
    columns = c.names_in_parentheses() if alias and c.key == "(" else ()
    return Rowset((parts[0].upper(),) if simple else parts, args, alias, columns)


def _system_time(c: Cursor, conditions: list[Expr]) -> None:
    """``FOR SYSTEM_TIME`` AS OF, FROM TO, BETWEEN AND, CONTAINED IN, or ALL."""
    c.accept_all("FOR", "SYSTEM_TIME")
    if c.accept("ALL"):
        return
    if c.accept_all("CONTAINED", "IN"):
        c.expect("(")
        conditions.extend(expressions.expressions(c))
        c.expect(")")
        return
    if c.accept("AS"):
        c.expect("OF")
        conditions.append(expressions.operand(c))
        return
    closing = "TO" if c.expect("FROM", "BETWEEN") == "FROM" else "AND"
    conditions.append(expressions.operand(c))
    c.expect(closing)
    conditions.append(expressions.operand(c))


def _sample(c: Cursor) -> Expr:
    c.expect("(")
    size = expressions.operand(c) if c.kind == VARIABLE else Constant(c.number())
    c.accept("PERCENT", "ROWS")
    c.expect(")")
    return size


def _hints_follow(c: Cursor) -> bool:
    """Whether the parentheses here hold table hints of the old form, without WITH."""
    first, second = c.ahead(1).key, c.ahead(2).key
    return (first in TABLE_HINTS and second in (")", ",")) or (first == "INDEX" and second in ("(", "="))


def _hint_list(c: Cursor) -> None:
    c.expect("(")
    while not c.accept(")"):
        if c.accept("INDEX"):
            if c.accept("=") and c.key != "(":
                c.identifier()
            else:
                c.balanced()
        elif c.key in TABLE_HINTS:
            c.take()
            if c.key == "(":
                c.balanced()
        else:
            raise c.doubt("a table hint")
        c.accept(",")


def _pivot(c: Cursor) -> Source:
    c.expect("(")
    aggregate = expressions.expression(c)
    c.expect("FOR")
    column = expressions.operand(c)
    c.expect("IN")
    c.names_in_parentheses()
    c.expect(")")
    return Pivoted((aggregate, column), c.alias())


def _unpivot(c: Cursor) -> Source:
    c.expect("(")
    c.identifier()
    c.expect("FOR")
    c.identifier()
    c.expect("IN")
    columns = c.names_in_parentheses()
    c.expect(")")
    return Pivoted(tuple(Column((column,)) for column in columns), c.alias(), grouped=False)
