"""Whether a condition chooses among rows, or is true of all of them.

A guard against accidents and against the plainest tricks (``1 = 1``, ``id = id``, ``name LIKE '%'``); a condition that
happens to be true of every row of the data cannot be told from one that is not.
"""

from __future__ import annotations

from connectors.sql.tsql.tree import Column, Constant, Expr, Node, Query, Routine, Subquery

_PREDICATES = frozenset({"equal", "compare", "like", "in", "between", "is", "contains"})


def narrows(condition: Expr | None, *, joined: bool = False) -> bool:
    """Whether a WHERE depends on the row in a way that can be false.

    ``joined`` says that columns of the same name under different qualifiers are columns of different tables.
    """
    return condition is not None and _narrows(condition, joined=joined, negated=False)


def _narrows(condition: Expr, *, joined: bool, negated: bool) -> bool:
    if isinstance(condition, Subquery):
        return condition.exists and _chooses(condition.query)
    if not isinstance(condition, Node):
        return False
    if condition.op == "not":
        return _narrows(condition.args[0], joined=joined, negated=not negated)
    if condition.op in ("and", "or"):
        every = (condition.op == "or") != negated
        parts = (_narrows(part, joined=joined, negated=negated) for part in condition.args)
        return all(parts) if every else any(parts)
    return condition.op in _PREDICATES and _compares(condition, joined=joined)


def _compares(predicate: Node, *, joined: bool) -> bool:
    left, others = predicate.args[0], predicate.args[1:]
    if predicate.op == "in" and isinstance(others[0], Subquery):
        return bool(_columns(left)) and (_chooses(others[0].query) or not _selects(others[0].query, left))
    return not _always_like(predicate) and _differ(left, others, joined=joined)


def _differ(left: Expr, others: tuple[Expr, ...], *, joined: bool) -> bool:
    """Whether a column is compared with something that is not itself."""
    mine = _columns(left)
    theirs = frozenset().union(*(_columns(other) for other in others))
    if not joined or not all(len(parts) > 1 for parts in mine | theirs):
        mine, theirs = _unqualified(mine), _unqualified(theirs)
    return bool(mine | theirs) and not mine & theirs


def _unqualified(columns: frozenset[tuple[str, ...]]) -> frozenset[tuple[str, ...]]:
    return frozenset(parts[-1:] for parts in columns)


def _always_like(condition: Node) -> bool:
    if condition.op != "like" or len(condition.args) < 2:
        return False
    pattern = condition.args[1]
    while isinstance(pattern, Node) and pattern.op == "collate":
        pattern = pattern.args[0]
    if isinstance(pattern, Column):
        return pattern.doubtful and not pattern.parts[0].strip("%")
    return isinstance(pattern, Constant) and not pattern.variable and not pattern.text.strip("%")


def _columns(expr: Expr) -> frozenset[tuple[str, ...]]:
    """The columns of a value, as their last two parts in lower case; not those of subqueries, nor doubtful ones."""
    if isinstance(expr, Column):
        return frozenset() if expr.doubtful else frozenset({tuple(part.lower() for part in expr.parts[-2:])})
    if isinstance(expr, Node | Routine):
        return frozenset().union(*(_columns(arg) for arg in expr.args))
    return frozenset()


def _chooses(query: Query) -> bool:
    return all(narrows(branch.where, joined=True) for branch in query.branches)


def _selects(query: Query, column: Expr) -> bool:
    """Whether a query returns a column of this name, as ``id IN (SELECT id FROM t)`` does."""
    wanted = {parts[-1] for parts in _columns(column)}
    return any(
        not isinstance(item.expr, Column) or item.expr.parts[-1].lower() in wanted
        for branch in query.branches
        for item in branch.items
    )
