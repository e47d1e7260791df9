"""The tables that statements change, however they name them: alias, common table expression, rows of elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from connectors.sql.tsql import expressions, sources
from connectors.sql.tsql.context import Context
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.lexer import STRING, VARIABLE, Doubt
from connectors.sql.tsql.lineage import Lineage
from connectors.sql.tsql.names import resolve, segment
from connectors.sql.tsql.outputs import Output
from connectors.sql.tsql.relations import Relation, table_relation
from connectors.sql.tsql.temps import filled, is_temporary
from connectors.sql.tsql.tree import NULL, Column, Constant, Expr, Foreign, Item, Node, Parts, Source, TableRef
from connectors.sql.tsql.variables import Sources
from connectors.sql.tsql.words import FOREIGN
from hoopcli.masking.methods import looks_masked

#: What a statement changes: a name, a table variable (which has no resource), or rows of elsewhere.
Target = Parts | Foreign

ASSIGN = ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=")


@dataclass(frozen=True, slots=True)
class OutputClause:
    """One OUTPUT clause: its columns, and whether they are ``kept`` in a table rather than returned."""

    items: tuple[Item, ...]
    kept: bool


def read_target(ctx: Context) -> Target:
    """Read what a statement changes, with its hints."""
    c = ctx.cursor
    target: Target
    if c.kind == VARIABLE:
        target = (c.variable(),)
    elif c.key in FOREIGN:
        target = Foreign(sources.foreign(c))
    else:
        target = c.name()
    sources.hints(c)
    return target


def is_table(target: Target) -> TypeGuard[Parts]:
    """Whether a target is named like a table."""
    return not isinstance(target, Foreign) and not target[0].startswith("@")


def change(ctx: Context, verb: str, target: Target, lineage: Lineage) -> None:
    """Note the change of a target; through a common table expression it reaches the tables under it."""
    if not is_table(target):
        ctx.effects.act(verb)
        if isinstance(target, Foreign):
            ctx.effects.act("sql:external", segment(target.name))
            ctx.effects.unknown()
        return
    known = lineage.common(target)
    if known is not None:
        ctx.effects.act(verb, *known.tables)
    if known is None or known.name != target[0]:
        ctx.effects.on(verb, target, ctx.scope)


def returned(
    ctx: Context,
    clauses: Sequence[OutputClause],
    targets: Sequence[Target],
    relations: Sequence[Relation],
    lineage: Lineage,
) -> None:
    """Note what OUTPUT clauses return of the rows before and after a change, and of the ``relations`` beside them."""
    if not clauses:
        return
    rows: list[Relation] = []
    for target in targets:
        if is_table(target) and lineage.common(target) is None and ctx.scope.temp(target) is None:
            ctx.effects.read(target, ctx.scope)
        for name in ("inserted", "deleted"):
            rows += relations_of(ctx, target, name, lineage)
    for clause in clauses:
        outputs = lineage.project(clause.items, [*rows, *relations])
        if clause.kept:
            ctx.effects.store()
        else:
            ctx.effects.results.append(outputs)


def relations_of(ctx: Context, target: Target, alias: str, lineage: Lineage) -> list[Relation]:
    """The target as a relation. Its values may be read, so it counts among the tables seen."""
    if isinstance(target, Foreign):
        return [Relation(alias, None)]
    if not is_table(target) or lineage.common(target) is not None:
        return lineage.relations([TableRef(target, alias)])
    temporary = ctx.scope.temp(target)
    if temporary is not None:
        ctx.effects.based(temporary)
        return [Relation(alias or target[-1], temporary)]
    name = resolve(target, ctx.scope)
    ctx.effects.seen(name)
    ctx.effects.copied |= name.temporary
    return [table_relation(target, ctx.scope, alias)]


def aimed(ctx: Context, target: Target, found: Sequence[Source]) -> tuple[list[Target], list[Source], str]:
    """The tables that a target may be, the other sources of the FROM, and the alias of the target there.

    A one-part target is an alias of the FROM when one has its name; where only the case differs the collation
    decides, so it may be both.
    """
    if isinstance(target, Foreign):
        return [target], [*found], ""
    targets: list[Target] = []
    others: list[Source] = []
    alias = ""
    for source in found:
        if len(target) == 1 and source.alias.lower() == target[0].lower():
            if not isinstance(source, TableRef):
                raise Doubt(f"The target {target[0]!a} of a change is not a table.")
            targets.append(source.parts)
            alias = source.alias
        elif source.alias or not same(ctx, source, target):
            others.append(source)
    if alias != target[-1]:
        targets.append(target)
    return targets, others, alias


def same(ctx: Context, source: Source, target: Target) -> bool:
    """Whether a source of a FROM is the table that is changed."""
    if not isinstance(source, TableRef) or isinstance(target, Foreign):
        return False
    if source.parts[0].startswith("@") or target[0].startswith("@"):
        return source.parts == target
    return resolve(source.parts, ctx.scope).resource == resolve(target, ctx.scope).resource


def assignments(ctx: Context) -> list[tuple[str, Expr]]:
    """Read ``column = value``, ``@v = value`` or ``@v = column = value``, ...: the name and the value of each."""
    found = _assignment(ctx)
    while ctx.cursor.accept(","):
        found += _assignment(ctx)
    return found


def _assignment(ctx: Context) -> list[tuple[str, Expr]]:
    c = ctx.cursor
    parts = (c.variable(),) if c.kind == VARIABLE else c.name()
    if len(parts) > 1 and parts[-1].upper() == "WRITE" and c.accept("("):
        return [_written(c, parts[-2])]
    names = [parts[-1]]
    c.expect(*ASSIGN)
    if names[0].startswith("@") and c.is_identifier() and c.ahead().key in ASSIGN:
        names.append(c.name()[-1])
        c.expect(*ASSIGN)
    value = expressions.expression(c)
    return [(name.lower(), value) for name in names]


def _written(c: Cursor, column: str) -> tuple[str, Expr]:
    """``column.WRITE (value, offset, length)``, after its parenthesis: a part of the column is another."""
    values = expressions.expressions(c)
    c.expect(")")
    return column.lower(), Node("write", (Column((column,)), *values))


def assigned(ctx: Context, column: str, value: Expr, found: Sources, targets: Sequence[Target]) -> None:
    """Note a value given to a column: computed from itself it stays where it is, else values of tables are copied.

    An empty column is one that is not known.
    """
    own = {
        f"{resolve(target, ctx.scope).resource}.{segment(column) if column else '*'}"
        for target in targets
        if is_table(target) and not column.startswith("@")
    }
    given(ctx, own, value)
    if column.startswith("@"):
        ctx.assign(column, found)
        return
    if column and len(targets) == 1 and is_table(targets[0]) and is_temporary(targets[0]):
        if filled(ctx, targets[0], (column,), (Output(column, found),)):
            return
    else:
        ctx.effects.moved |= found or frozenset()
    if found is None or not found <= own:
        ctx.effects.store()


def given(ctx: Context, columns: Iterable[str], value: Expr) -> None:
    """Note columns that are given a masked form, or the value of a variable, which may be one."""
    while isinstance(value, Node) and value.op in ("to text", "cast", "convert", "collate"):
        value = value.args[0]
    if isinstance(value, Constant) and value.variable:
        ctx.effects.taken.update(columns)
    elif isinstance(value, Constant) and value.kind == STRING and looks_masked(value.text):
        ctx.effects.written_back.update(columns)


def output_clauses(ctx: Context) -> list[OutputClause]:
    """Read ``OUTPUT items [INTO target [(columns)]]``, once or twice, if it comes next."""
    c = ctx.cursor
    found: list[OutputClause] = []
    while c.accept("OUTPUT"):
        items = [_output_item(c)]
        while c.accept(","):
            items.append(_output_item(c))
        kept = bool(c.accept("INTO"))
        if kept:
            _output_into(ctx)
        found.append(OutputClause(tuple(items), kept))
    return found


def _output_item(c: Cursor) -> Item:
    expr = NULL if c.accept("$ACTION") else expressions.expression(c)
    alias = c.output_alias()
    return Item(expr, alias or (expr.parts[-1] if isinstance(expr, Column) else ""))


def _output_into(ctx: Context) -> None:
    c = ctx.cursor
    if c.kind == VARIABLE:
        c.variable()
    else:
        ctx.effects.on("sql:insert", c.name(), ctx.scope)
    if c.key == "(" and c.ahead().key != "SELECT":
        c.names_in_parentheses()
