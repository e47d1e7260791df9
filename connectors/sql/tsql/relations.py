"""Relations of a query: which columns they have, what a name among them means, and where its values come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from connectors.sql.tsql.inference import keeps_type
from connectors.sql.tsql.names import Scope, resolve, segment
from connectors.sql.tsql.outputs import Output, Outputs
from connectors.sql.tsql.tree import Expr, Parts, Select, Star
from connectors.sql.tsql.variables import NOTHING, Sources, union


@dataclass(frozen=True, slots=True)
class Relation:
    """Something in FROM: ``name`` is its alias or its own name, ``outputs`` its columns, None if not known."""

    name: str
    outputs: Outputs


@dataclass(frozen=True, slots=True)
class Known:
    """A common table expression in sight: its exact name, its columns, and the tables under it."""

    name: str
    outputs: Outputs
    tables: frozenset[str]


Relations = Sequence[Relation]


def all_of(table: str) -> Output:
    """All columns of a table."""
    return Output("*", NOTHING, star=True, tables=(table,), plain=True)


def is_whole_table(relation: Relation) -> bool:
    """Whether a relation is a table itself, so that its columns are the table's as they are."""
    return relation.outputs is not None and all(output.star and output.plain for output in relation.outputs)


def table_relation(parts: Parts, scope: Scope, alias: str = "") -> Relation:
    """A table as a relation, without noting a read."""
    return Relation(alias or parts[-1], (all_of(resolve(parts, scope).resource),))


def column_sources(parts: Parts, relations: Relations) -> Sources:
    """The columns that a name means; not known where it is none of these relations'."""
    column = parts[-1]
    if len(parts) > 1:
        qualifier = parts[-2].lower()
        named = [relation for relation in relations if relation.name.lower() == qualifier]
        return union(*(_lookup(relation.outputs, column) for relation in named)) if named else None
    holding = [relation for relation in relations if _holds(relation.outputs, column)]
    if not holding:
        return None if relations else NOTHING
    return union(*(_lookup(relation.outputs, column) for relation in holding))


def is_plain(parts: Parts, relations: Relations) -> bool:
    """Whether a name means columns of tables as they are."""
    qualifier = parts[-2].lower() if len(parts) > 1 else ""
    chosen = [r for r in relations if not qualifier or r.name.lower() == qualifier]
    found = [o for r in chosen for o in _matching(r.outputs or (), parts[-1])]
    return bool(found) and all(r.outputs is not None for r in chosen) and all(o.plain for o in found)


def clashes(branches: Sequence[Select]) -> frozenset[int]:
    """Where a branch makes the server convert the values of another, which could fail because of them; -1: anywhere."""
    if len(branches) == 1:
        return frozenset()
    found = {at for b in branches for at, item in enumerate(b.items) if _chooses_type(item.expr)}
    stars = any(isinstance(item.expr, Star) for branch in branches for item in branch.items)
    return frozenset({-1}) if found and stars else frozenset(found)


def _chooses_type(expr: Expr) -> bool:
    return not isinstance(expr, Star) and not keeps_type(expr)


def at_places(outputs: Outputs, places: frozenset[int]) -> Outputs:
    """The columns at some places; all of them where one of these is not known."""
    if outputs is None:
        return None if places else ()
    return tuple(output for at, output in enumerate(outputs) if at in places or -1 in places)


def numbered(outputs: Outputs, number: str) -> Outputs:
    """The column of a result that a number in ORDER BY means; all of them where stars make it uncertain."""
    if outputs is None or any(output.star for output in outputs):
        return outputs
    at = int(number) if number.isdigit() else 0
    return outputs[at - 1 : at] if at else outputs


def _matching(outputs: tuple[Output, ...], column: str) -> list[Output]:
    """The outputs that a name may mean; a name outside ASCII may equal any under the right collation."""
    lowered = column.lower()
    return [o for o in outputs if o.star or o.name.lower() == lowered or not o.name.isascii()]


def _holds(outputs: Outputs, column: str) -> bool:
    return outputs is None or bool(_matching(outputs, column))


def _lookup(outputs: Outputs, column: str) -> Sources:
    matching = _matching(outputs, column) if outputs is not None else []
    if not matching:
        return None
    tables = frozenset(f"{table}.{segment(column)}" for output in matching for table in output.tables)
    return union(tables, *(output.sources for output in matching))


def renamed(outputs: Outputs, columns: tuple[str, ...]) -> Outputs:
    """The columns under the names that a list gives them, if there is one."""
    if not columns:
        return outputs
    if outputs is None or len(outputs) != len(columns) or any(output.star for output in outputs):
        return None
    return tuple(replace(output, name=name) for output, name in zip(outputs, columns, strict=True))


def aligned(branches: Sequence[Outputs]) -> Outputs:
    """The columns of a UNION: position by position, named by its first branch."""
    first = branches[0]
    if len(branches) == 1 or first is None:
        return first
    columns = [branch for branch in branches if branch is not None]
    if len(columns) != len(branches) or any(o.star for branch in columns for o in branch):
        return None
    if any(len(branch) != len(first) for branch in columns):
        return None
    return tuple(
        Output(
            output.name,
            union(*(branch[index].sources for branch in columns)),
            plain=all(branch[index].plain for branch in columns),
        )
        for index, output in enumerate(first)
    )
