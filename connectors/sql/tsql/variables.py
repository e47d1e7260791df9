"""Variables of one batch, with what their values may derive from, wherever in the batch they get them.

A variable holds what any statement of the batch may give it: before, behind, in a branch or a loop. Order, jumps and
errors change nothing then. A batch is read again where a variable turns out to hold more than one of its readers saw.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.sql.tsql.outputs import Output, Outputs, either, everything, poured

Sources = frozenset[str] | None
NOTHING: Sources = frozenset()
_ANYTHING: Outputs = (Output("*", frozenset(), star=True),)


def union(*sources: Sources) -> Sources:
    """All of these sources; not known if one of them is not."""
    found: set[str] = set()
    for some in sources:
        if some is None:
            return None
        found |= some
    return frozenset(found)


@dataclass(slots=True)
class Variables:
    """What is known of the variables of a batch.

    ``given`` are the sources of the values that it is called with. Names that are not ASCII may be equal under the
    server's collation, so a value given to one is not followed.
    """

    given: Sources = NOTHING
    scalars: dict[str, Sources] = field(default_factory=dict)
    tables: dict[str, Outputs] = field(default_factory=dict)
    cursors: dict[str, Outputs] = field(default_factory=dict)
    roomy: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    settled: bool = True

    def again(self) -> None:
        """The batch is read from its start."""
        self.seen.clear()
        self.settled = True

    def of(self, name: str) -> Sources:
        """What the value of a variable may derive from."""
        key = name.lower()
        self.seen.add(key)
        found = self.scalars.get(key, NOTHING) if key.isascii() else self.all
        return None if found is None or self.given is None else found | self.given

    @property
    def all(self) -> Sources:
        """What any variable may derive from."""
        found = self.given
        for sources in self.scalars.values():
            found = None if found is None or sources is None else found | sources
        return found

    def assign(self, name: str, sources: Sources) -> bool:
        """Note a value; whether it is followed from here on."""
        key = name.lower()
        known = self.scalars.get(key, NOTHING)
        joined = None if known is None or sources is None else known | sources
        if joined != known:
            self.scalars[key] = joined
            self.settled &= key not in self.seen
        return sources == NOTHING or (sources is not None and key.isascii())

    def declare(self, name: str, *, roomy: bool) -> None:
        """Note a type: ``roomy`` is a text that any number or date fits into, so that no value fails to."""
        if roomy:
            self.roomy.add(name.lower())

    def fits(self, name: str) -> bool:
        """Whether any value can be given to a variable."""
        return name.lower() in self.roomy

    def table(self, name: str) -> Outputs:
        """The columns of a table variable; one that was not declared here has any."""
        key = name.lower()
        self.seen.add(key)
        found = self.tables.get(key, _ANYTHING) if key.isascii() else None
        if self.given == NOTHING or found is None:
            return found
        return tuple(output.joined(Output("", self.given)) for output in found)

    def keep(self, name: str, outputs: Outputs) -> None:
        """Note the declared columns of a table variable."""
        if name.lower() not in self.tables:
            self.tables[name.lower()] = outputs or _ANYTHING

    def pour(self, name: str, columns: tuple[str, ...], rows: Outputs) -> bool:
        """Note rows put into a table variable; whether they are followed from here on."""
        key = name.lower()
        known = self.tables.get(key, _ANYTHING)
        found = poured(known, columns, rows) if everything(rows) is not None else None
        if found != known:
            self.tables[key] = found
            self.settled &= key not in self.seen
        return found is not None and key.isascii()

    def point(self, name: str, outputs: Outputs) -> None:
        """Note the query of a cursor that only this batch sees; None: it is not known."""
        key = name.lower()
        found = either(self.cursors[key], outputs) if key in self.cursors else outputs
        if key in self.cursors and found != self.cursors[key]:
            self.settled &= key not in self.seen
        self.cursors[key] = found if key.isascii() else None

    def fetched(self, name: str) -> Outputs:
        """The columns that a cursor gives, if they are known."""
        self.seen.add(name.lower())
        return self.cursors.get(name.lower())
