"""What the triggers of the tables that a request changes add to it: results, and values that messages may quote.

What they change is left to who wrote them; what they return goes to the client like any other result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connectors.sql.catalog import Catalog
from connectors.sql.expand import changed_by
from connectors.sql.tsql.called import Called
from connectors.sql.tsql.outputs import resolved
from connectors.sql.understand import Understood
from hoopcli.model.decision import Action


def fired(understood: Understood, catalog: Catalog) -> Sequence[Called | None]:
    """The triggers that a request may fire, and those that these fire in turn; None for one that is not known."""
    found: list[Called | None] = []
    seen, wanted = set[str](), set(changed_by(understood.statement.actions, catalog))
    while wanted:
        table = wanted.pop()
        seen.add(table)
        for trigger in catalog.triggers(table):
            called = catalog.calls.fired(trigger, table)
            found.append(called)
            if called is not None:
                actions = [Action(verb, tuple(names)) for verb, names in called.effects.actions.items()]
                wanted |= changed_by(actions, catalog) - seen
    return found


def with_triggers(understood: Understood, found: Sequence[Called | None]) -> Understood:
    """The request with what its triggers may return and read.

    One that is not known may return anything: where the request returns something itself, its lineage is unresolved;
    where it does not, all that comes is redacted.
    """
    known = [called for called in found if called is not None]
    results = tuple(outputs for called in known for outputs in called.effects.results)
    reads = frozenset[str]().union(*(called.effects.reads for called in known))
    returns = any(batch.results != () for batch in understood.batches)
    doubted = (None in found and returns) or not all(map(resolved, results)) or (bool(results) and _several(understood))
    batches = tuple(
        replace(
            batch,
            results=None if doubted or batch.results is None else batch.results + results,
            reads=batch.reads | reads,
        )
        for batch in understood.batches
    )
    if doubted:
        statement = understood.statement
        understood = replace(understood, statement=replace(statement, facts={**statement.facts, "unresolved": True}))
    return replace(understood, batches=batches)


def _several(understood: Understood) -> bool:
    return len(understood.batches) != 1
