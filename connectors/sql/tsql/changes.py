"""UPDATE, DELETE and MERGE ("UPDATE (Transact-SQL)" and kin)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from connectors.sql.tsql import expressions, queries, sources
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.filters import narrows
from connectors.sql.tsql.lexer import NUMBER, VARIABLE
from connectors.sql.tsql.lineage import Lineage
from connectors.sql.tsql.relations import Relation
from connectors.sql.tsql.targets import (
    Target,
    aimed,
    assigned,
    assignments,
    change,
    is_table,
    output_clauses,
    read_target,
    relations_of,
    returned,
    same,
)
from connectors.sql.tsql.tree import Cte, Expr


def update(ctx: Context, ctes: Sequence[Cte] = ()) -> None:
    """Read UPDATE."""
    c = ctx.cursor
    c.expect("UPDATE")
    if c.accept("STATISTICS"):
        _statistics(ctx)
        return
    lineage = _begin(ctx, ctes)
    target = read_target(ctx)
    c.expect("SET")
    _finish(ctx, "sql:update", target, lineage, assignments(ctx))


def delete(ctx: Context, ctes: Sequence[Cte] = ()) -> None:
    """Read DELETE."""
    c = ctx.cursor
    c.expect("DELETE")
    lineage = _begin(ctx, ctes)
    c.accept("FROM")
    _finish(ctx, "sql:delete", read_target(ctx), lineage, [])


def merge(ctx: Context, ctes: Sequence[Cte] = ()) -> None:
    """Read MERGE with all its branches; each branch is an action of its own on the target."""
    c = ctx.cursor
    c.expect("MERGE")
    lineage = _begin(ctx, ctes)
    c.accept("INTO")
    target = read_target(ctx)
    alias = "" if c.key == "USING" else c.alias()
    c.expect("USING")
    if c.key == "USING":
        raise c.doubt("a source")
    found, joins = sources.sources(c)
    relations = [*relations_of(ctx, target, alias, lineage), *lineage.relations(found)]
    c.expect("ON")
    condition = expressions.expression(c)
    lineage.walk((*joins, condition), relations)
    change(ctx, "sql:merge", target, lineage)
    filtered = narrows(condition, joined=not any(same(ctx, source, target) for source in found))
    while c.accept("WHEN"):
        _branch(ctx, target, lineage, relations, filtered=filtered)
    returned(ctx, output_clauses(ctx), [target], relations, lineage)
    queries.option(c)


def _begin(ctx: Context, ctes: Sequence[Cte]) -> Lineage:
    lineage = ctx.lineage(ctes)
    lineage.walk(queries.top(ctx.cursor)[0], ())
    return lineage


def _finish(ctx: Context, verb: str, target: Target, lineage: Lineage, assigns: list[tuple[str, Expr]]) -> None:
    """The rest of UPDATE and DELETE: OUTPUT, FROM, WHERE, OPTION; then what it all means."""
    c = ctx.cursor
    clauses = output_clauses(ctx)
    found, joins = sources.sources(c) if c.accept("FROM") else ((), ())
    current, condition = _where(ctx)
    queries.option(c)
    targets, others, alias = aimed(ctx, target, found)
    relations: list[Relation] = []
    for each in targets:
        change(ctx, verb, each, lineage)
        relations += relations_of(ctx, each, alias, lineage)
    relations += lineage.relations(others)
    lineage.walk(joins if condition is None else (*joins, condition), relations)
    for column, value in assigns:
        assigned(ctx, column, value, lineage.sources(value, relations), targets)
    returned(ctx, clauses, targets, relations, lineage)
    joined = bool(found) and sum(same(ctx, source, targets[0]) for source in found) <= 1
    if any(isinstance(each, tuple) and not is_table(each) for each in targets):
        return
    ctx.effects.filtered &= current or narrows(condition, joined=joined)


def _where(ctx: Context) -> tuple[bool, Expr | None]:
    """``WHERE condition``, or ``WHERE CURRENT OF cursor``, which is one row."""
    c = ctx.cursor
    if not c.accept_all("WHERE", "CURRENT", "OF"):
        return False, queries.where(c)
    c.accept("GLOBAL")
    if c.kind == VARIABLE:
        c.variable()
    else:
        c.identifier()
    return True, None


def _branch(ctx: Context, target: Target, lineage: Lineage, relations: list[Relation], *, filtered: bool) -> None:
    """``[NOT] MATCHED [BY TARGET | SOURCE] [AND condition] THEN ...``, after WHEN."""
    c = ctx.cursor
    by_source = False
    if c.accept("NOT"):
        c.expect("MATCHED")
        by_source = bool(c.accept("BY")) and c.expect("SOURCE", "TARGET") == "SOURCE"
    else:
        c.expect("MATCHED")
    extra = expressions.expression(c) if c.accept("AND") else None
    lineage.walk(() if extra is None else (extra,), relations)
    c.expect("THEN")
    if c.accept("INSERT"):
        _inserting_branch(ctx, target, lineage, relations)
        return
    ctx.effects.filtered &= narrows(extra) or (filtered and not by_source)
    if c.accept("DELETE"):
        change(ctx, "sql:delete", target, lineage)
        return
    c.expect("UPDATE")
    c.expect("SET")
    change(ctx, "sql:update", target, lineage)
    for column, value in assignments(ctx):
        assigned(ctx, column, value, lineage.sources(value, relations), [target])


def _inserting_branch(ctx: Context, target: Target, lineage: Lineage, relations: list[Relation]) -> None:
    c = ctx.cursor
    change(ctx, "sql:insert", target, lineage)
    columns = c.names_in_parentheses() if c.key == "(" else ()
    if c.accept_all("DEFAULT", "VALUES"):
        return
    for column, item in zip_longest(columns, sources.values(c).branches[0].items):
        if item is not None:
            assigned(ctx, column or "", item.expr, lineage.sources(item.expr, relations), [target])


def _statistics(ctx: Context) -> None:
    """``UPDATE STATISTICS table [statistics] [WITH option, ...]``, after its two words."""
    c = ctx.cursor
    ctx.effects.on("sql:alter", c.name(), ctx.scope)
    if c.key == "(":
        c.names_in_parentheses()
    elif c.is_identifier():
        c.identifier()
    if not c.accept("WITH"):
        return
    while True:
        if c.accept("SAMPLE") and c.kind == NUMBER:
            c.number()
            c.expect("PERCENT", "ROWS")
        elif not c.accept("ALL", "COLUMNS", "INDEX"):
            c.identifier()
            if c.accept("=") and not c.accept("ON", "OFF"):
                c.number()
        if not c.accept(","):
            return
