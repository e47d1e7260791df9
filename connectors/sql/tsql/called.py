"""What a call of a procedure or function gives and does, for the readers of what calls it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from connectors.sql.tsql.outputs import Outputs
from connectors.sql.tsql.variables import NOTHING, Sources, Variables

if TYPE_CHECKING:
    from connectors.sql.tsql.effects import Effects
    from connectors.sql.tsql.names import Scope

#: The kinds of routines, as ``sys.objects`` calls them.
PROCEDURE, SCALAR, INLINE, TABLE, TRIGGER = "P", "FN", "IF", "TF", "TR"
ROWSETS = frozenset({INLINE, TABLE})
FUNCTIONS = ROWSETS | {SCALAR}


@dataclass(frozen=True, slots=True)
class Given:
    """A value given to a parameter, by its name or, where that is empty, by its place.

    ``table`` are the columns of a table variable, None for a value that is none.
    """

    sources: Sources = NOTHING
    name: str = ""
    table: Outputs = None


def passed(variables: Variables, variable: str, parameter: str = "") -> Given:
    """A variable given to a parameter; a table whose columns are not known is a value of which nothing is."""
    if variable.lower() not in variables.tables:
        return Given(variables.of(variable), parameter)
    table = variables.table(variable)
    return Given(NOTHING if table is not None else None, parameter, table)


@dataclass(frozen=True, slots=True)
class Called:
    """One call: what it does, and where what comes out of it comes from.

    ``outputs`` are the columns of a function's table, ``value`` that of a scalar function or a procedure's status,
    ``out`` the parameters in their order, by name, with what they may hold at the end.
    """

    effects: Effects
    outputs: Outputs = None
    value: Sources = NOTHING
    out: tuple[tuple[str, Sources], ...] = ()

    def parameter(self, at: int, name: str) -> Sources:
        """What a parameter may hold at the end; None for one that is not there."""
        if name:
            return dict(self.out).get(name.lower())
        return self.out[at][1] if at < len(self.out) else None


class Modules(Protocol):
    """The procedures and functions whose definitions are known."""

    def called(self, resource: str, given: Sequence[Given], scope: Scope, kinds: frozenset[str]) -> Called | None:
        """A call of an object if it is of these kinds; None if what it does is not known."""

    def schema(self, database: str, schema: str, name: str) -> str:
        """The schema that an object is in which a definition of the schema names without one."""
