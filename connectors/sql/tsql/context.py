"""What the readers of statements share while they go through one batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from connectors.sql.tsql import queries
from connectors.sql.tsql.cursor import Cursor
from connectors.sql.tsql.effects import Effects
from connectors.sql.tsql.lineage import Lineage
from connectors.sql.tsql.names import Scope
from connectors.sql.tsql.tree import Constant, Cte, Expr, Query
from connectors.sql.tsql.variables import NOTHING, Sources, Variables, union


@dataclass(slots=True)
class Context:
    """One batch being read.

    ``scope`` follows USE; ``conditional`` counts the branches and loops around the statement; ``jumps`` and ``moved``
    say that the batch has a GOTO and a USE, which together leave the database unknown. ``nested`` reads a text that
    the batch executes, in the scope and with the variables that it has there. The statements of a routine begin at the
    token ``start``; they are those of a ``function``, or ``sealed``: run as somebody else than who calls them.
    """

    cursor: Cursor
    scope: Scope
    nested: Callable[[str, Scope, Variables], Effects]
    effects: Effects = field(default_factory=Effects)
    conditional: int = 0
    jumps: bool = False
    moved: bool = False
    variables: Variables = field(default_factory=Variables)
    start: int = 0
    function: bool = False
    sealed: bool = False

    @property
    def first(self) -> bool:
        """Whether the batch begins here."""
        return self.cursor.at == self.start

    def lineage(self, ctes: Sequence[Cte] = ()) -> Lineage:
        """A fresh follower of queries for one statement."""
        return Lineage(self.scope, self.effects, ctes, self.variables, repeated=self.repeated)

    @property
    def repeated(self) -> bool:
        """Whether what is read may run more than once, or not at all."""
        return bool(self.conditional) or self.jumps

    def evaluate(self, *exprs: Expr) -> None:
        """Note what expressions outside of any query read; values of tables in them leave by a way not followed."""
        lineage = self.lineage()
        found = union(*(lineage.sources(expr, ()) for expr in exprs))
        if found != NOTHING:
            self.effects.hold()
            self.effects.tell(found)

    def assign(self, name: str, found: Sources) -> None:
        """Note a value given to a variable. Whether it fits the variable's type tells of it."""
        if not self.variables.assign(name, found):
            self.effects.hold()
        if found != NOTHING and not self.variables.fits(name):
            self.effects.tell(found)

    def leave(self, value: Expr) -> None:
        """Note the value that RETURN gives; that of a procedure is its status, which the client is told."""
        if not self.function:
            self.evaluate(value)
        self.assign("", self.lineage().sources(value, ()))

    def spoken(self, expr: Expr) -> None:
        """Note what the text of a message is made of: it is hidden where a masked column is among it."""
        self.lineage().sources(expr, ())

    def used(self, name: str) -> None:
        """Note a variable whose value goes where it is not followed."""
        if self.lineage().sources(Constant(name, variable=True), ()) != NOTHING:
            self.effects.store()
            self.effects.tell(self.variables.of(name))

    def test(self, condition: Expr) -> None:
        """Note what a condition reads; only its truth leaves."""
        self.lineage().walk((condition,), ())

    def result(self, query: Query, ctes: Sequence[Cte] = ()) -> None:
        """Note a query whose rows go to the client."""
        self.effects.results.append(self.lineage(ctes).outputs(query))
        self.effects.limited &= query.limited

    def query(self) -> Query:
        """Read a whole query with its options."""
        return queries.query(self.cursor, within=False)
