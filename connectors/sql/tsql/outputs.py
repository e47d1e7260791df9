"""Columns of results and of tables that a session made, and where their values come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Output:
    """One column of a result.

    ``sources`` are the qualified columns that its value derives from (``shop.dbo.customers.ssn``); None means that
    this is not known. A ``star`` stands for any number of columns: one called ``c`` derives from ``sources`` and from
    the column ``c`` of each of ``tables``. ``plain`` says that the value is that of a table's column as it is: what a
    mask keeps of it (its last four) is then the same however often it is asked for.
    """

    name: str
    sources: frozenset[str] | None
    star: bool = False
    tables: tuple[str, ...] = ()
    plain: bool = False

    def joined(self, other: Output) -> Output:
        """This column where it may also hold what another holds."""
        sources = None if self.sources is None or other.sources is None else self.sources | other.sources
        tables = tuple(dict.fromkeys((*self.tables, *other.tables)))
        return replace(self, sources=sources, tables=tables, plain=self.plain and other.plain)


Outputs = tuple[Output, ...] | None


def carries(outputs: Outputs) -> bool:
    """Whether a result may hold a value of a table."""
    return outputs is None or any(output.star or output.sources != frozenset() for output in outputs)


def resolved(outputs: Outputs) -> bool:
    """Whether it is known of every column where it comes from."""
    return outputs is not None and all(output.sources is not None for output in outputs)


def everything(outputs: Outputs) -> frozenset[str] | None:
    """All that some columns may derive from; ``table.*`` for any column of a table."""
    if outputs is None or any(output.sources is None for output in outputs):
        return None
    tables = frozenset(f"{table}.*" for output in outputs for table in output.tables)
    return tables.union(*(output.sources or () for output in outputs))


def either(one: Outputs, other: Outputs) -> Outputs:
    """The columns of a table that may be one or the other."""
    if one is None or other is None:
        return None
    if [(o.name, o.star) for o in one] == [(o.name, o.star) for o in other]:
        return tuple(a.joined(b) for a, b in zip(one, other, strict=True))
    return (_any_of((*one, *other)),)


def poured(table: Outputs, columns: Iterable[str], rows: Outputs) -> Outputs:
    """The columns of a table once rows are put into the named columns, or into all in order where none is named."""
    if table is None or rows is None:
        return None
    names = [column.lower() for column in columns] or [output.name.lower() for output in table]
    places = [[at for at, output in enumerate(table) if output.name.lower() == name] for name in names]
    starred = any(output.star for output in (*table, *rows))
    if starred or len(places) != len(rows) or any(len(found) != 1 for found in places):
        spilled = Output("", everything(rows))
        return tuple(output.joined(spilled) for output in table)
    filled = list(table)
    for (at,), output in zip(places, rows, strict=True):
        filled[at] = filled[at].joined(replace(output, plain=False))
    return tuple(filled)


def _any_of(outputs: tuple[Output, ...]) -> Output:
    """One column for all of these, whatever they are called."""
    found = Output("*", frozenset(), star=True)
    for output in outputs:
        found = found.joined(output)
    return found
