"""SELECT, INSERT, TRUNCATE and bulk loads as statements, and the WITH that can stand before them."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.sql.tsql import queries, sources
from connectors.sql.tsql.changes import delete, merge, update
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.execute import execute
from connectors.sql.tsql.lexer import STRING, Doubt
from connectors.sql.tsql.lineage import Lineage
from connectors.sql.tsql.names import resolve, segment
from connectors.sql.tsql.outputs import Outputs, carries, everything
from connectors.sql.tsql.targets import Target, change, given, is_table, output_clauses, read_target, returned
from connectors.sql.tsql.temps import filled, is_temporary, made
from connectors.sql.tsql.tree import Cte, Foreign, Query


def with_ctes(ctx: Context) -> None:
    """Read ``WITH name AS (query), ...`` and the statement that uses them."""
    c = ctx.cursor
    c.expect("WITH")
    if c.key in ("XMLNAMESPACES", "CHANGE_TRACKING_CONTEXT"):
        raise Doubt(f"WITH {c.key} is not read.")
    found = queries.ctes(c)
    readers = {"SELECT": select, "(": select, "INSERT": insert, "UPDATE": update, "DELETE": delete, "MERGE": merge}
    reader = readers.get(c.key)
    if reader is None:
        raise c.doubt("the statement of the common table expressions")
    reader(ctx, found)


def select(ctx: Context, ctes: Sequence[Cte] = ()) -> None:
    """Read a SELECT statement: its rows go to the client, into a table, or into variables."""
    query = ctx.query()
    ctx.effects.act("sql:select")
    items = [item for branch in query.branches for item in branch.items]
    into = [branch.into for branch in query.branches if branch.into]
    if not into and not any(item.variable for item in items):
        ctx.result(query, ctes)
        return
    outputs = ctx.lineage(ctes).outputs(query)
    ctx.effects.limited &= query.limited
    if not into:
        _assign(ctx, query, outputs)
        return
    for parts in into:
        ctx.effects.on("sql:create", parts, ctx.scope)
        ctx.effects.on("sql:insert", parts, ctx.scope)
    if len(into) != 1 or any(item.variable for item in items) or not made(ctx, into[0], _named_once(outputs)):
        _copied(ctx, outputs)


def _assign(ctx: Context, query: Query, outputs: Outputs) -> None:
    """``SELECT @a = value, ...``; where a star stands among them, any has any."""
    names = [item.variable for branch in query.branches for item in branch.items]
    for at, name in enumerate(names):
        sure = outputs is not None and len(outputs) == len(names)
        ctx.assign(name, outputs[at].sources if outputs is not None and sure else everything(outputs))


def _named_once(outputs: Outputs) -> Outputs:
    """The columns that SELECT INTO makes; None where a name could mean several."""
    if outputs is None or any(output.star for output in outputs):
        return outputs
    names = [output.name.lower() for output in outputs]
    return outputs if len(set(names)) == len(names) else None


def insert(ctx: Context, ctes: Sequence[Cte] = ()) -> None:
    """Read INSERT, and the INSERT BULK by which drivers announce a bulk load."""
    c = ctx.cursor
    c.expect("INSERT")
    if c.accept("BULK"):
        _bulk_target(ctx)
        if c.key == "(":
            c.balanced()
        _with_options(ctx)
        return
    lineage = ctx.lineage(ctes)
    lineage.walk(queries.top(c)[0], ())
    c.accept("INTO")
    target = read_target(ctx)
    columns = c.names_in_parentheses() if c.key == "(" and c.ahead().key not in ("SELECT", "(") else ()
    change(ctx, "sql:insert", target, lineage)
    returned(ctx, output_clauses(ctx), [target], [], lineage)
    _rows(ctx, lineage, target, columns)
    queries.option(c)


def truncate(ctx: Context) -> None:
    """Read TRUNCATE TABLE."""
    c = ctx.cursor
    c.expect("TRUNCATE")
    c.expect("TABLE")
    ctx.effects.on("sql:truncate", c.name(), ctx.scope)
    _with_options(ctx)


def bulk_insert(ctx: Context) -> None:
    """Read BULK INSERT from a file that the server can reach."""
    c = ctx.cursor
    c.expect("BULK")
    c.expect("INSERT")
    _bulk_target(ctx)
    c.expect("FROM")
    if c.kind == STRING:
        c.take()
    else:
        c.identifier()
    _with_options(ctx)


def _with_options(ctx: Context) -> None:
    if ctx.cursor.accept("WITH"):
        ctx.cursor.balanced()


def _bulk_target(ctx: Context) -> None:
    parts = ctx.cursor.name()
    ctx.effects.on("sql:bulk-insert", parts, ctx.scope)
    ctx.effects.on("sql:insert", parts, ctx.scope)


def _rows(ctx: Context, lineage: Lineage, target: Target, columns: Sequence[str]) -> None:
    """What INSERT inserts."""
    c = ctx.cursor
    if c.accept_all("DEFAULT", "VALUES"):
        return
    if c.key == "VALUES":
        _insert(ctx, sources.values(c), lineage, target, columns)
    elif c.key in ("EXEC", "EXECUTE"):
        results, ctx.effects.results = ctx.effects.results, []
        execute(ctx)
        inserted, ctx.effects.results = ctx.effects.results, results
        _executed(ctx, target, tuple(columns), inserted)
    else:
        _insert(ctx, queries.query(c), lineage, target, columns)


def _insert(ctx: Context, query: Query, lineage: Lineage, target: Target, columns: Sequence[str]) -> None:
    outputs = lineage.outputs(query)
    ctx.effects.limited &= query.limited
    if not _poured(ctx, target, tuple(columns), outputs):
        _copied(ctx, outputs)
    if not is_table(target) or is_temporary(target):
        return
    table = resolve(target, ctx.scope).resource
    for branch in query.branches:
        for at, item in enumerate(branch.items):
            given(ctx, [f"{table}.{segment(columns[at]) if at < len(columns) else '*'}"], item.expr)


def _executed(ctx: Context, target: Target, columns: tuple[str, ...], results: Sequence[Outputs]) -> None:
    """Note the results of an EXECUTE put into a table."""
    for outputs in results:
        if outputs is None:
            ctx.effects.store()
        elif not _poured(ctx, target, columns, outputs):
            _copied(ctx, outputs)
    if ctx.effects.reads_unknown:
        ctx.effects.store()


def _poured(ctx: Context, target: Target, columns: tuple[str, ...], outputs: Outputs) -> bool:
    """Note rows put into a table that only this session or batch sees; whether they are followed from here on."""
    if is_table(target):
        return filled(ctx, target, columns, outputs)
    if isinstance(target, Foreign) or not ctx.variables.pour(target[0], columns, outputs):
        return False
    ctx.effects.tell(everything(outputs))
    return True


def _copied(ctx: Context, outputs: Outputs) -> None:
    """Note rows that go into a table from where lineage does not follow them."""
    if carries(outputs):
        ctx.effects.store()
    ctx.effects.moved |= everything(outputs) or frozenset()
