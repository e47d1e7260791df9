"""What a request reads and tells, once the catalog says what its names stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from connectors.sql.catalog import Catalog, Origin
from connectors.sql.tsql.outputs import everything
from connectors.sql.understand import Understood
from hoopcli.masking.patterns import segments
from hoopcli.model.decision import Action, Json, Statement

_TEMPORARY = "tempdb."
_KEPT = 512  # statements, for each catalog
_CHANGING = frozenset({"sql:insert", "sql:update", "sql:delete", "sql:merge", "sql:bulk-insert"})
_COLUMNS = ("predicates", "equalities", "moves", "written_back")


def tables_of(understood: Understood) -> frozenset[str]:
    """The tables that a request reads or changes, by the names it gives them, and those that its columns are of."""
    batches = understood.batches
    return frozenset(str(table) for batch in batches for table in _texts(batch.facts, "tables")) | _sources(understood)


def called_by(understood: Understood) -> frozenset[str]:
    """The procedures and functions that a request calls, as far as a catalog could know them."""
    actions = understood.statement.actions
    return frozenset(name for action in actions if action.verb == "sql:execute" for name in action.resources)


def _sources(understood: Understood) -> frozenset[str]:
    """The tables whose columns a request shows or tells of, also of temporary tables that were filled from them."""
    outputs = everything(tuple(output for batch in understood.batches for output in batch.outputs or ())) or ()
    told = (column for batch in understood.batches for name in _COLUMNS for column in _texts(batch.facts, name))
    return frozenset(map(_parent, (*outputs, *told))) - {""}


def _parent(column: str) -> str:
    return ".".join(segments(column)[:-1]) if "[" in column else column.rpartition(".")[0]


def expand(understood: Understood, catalog: Catalog) -> Understood:
    """The request with the facts of what is under its views, synonyms and computed columns."""
    statement = understood.statement
    known = catalog.expanded.get(id(statement.facts))
    if known is None or known[0] is not statement.facts or known[1] != statement.actions:
        found = _expanded(understood, catalog)
        if len(catalog.expanded) >= _KEPT:
            catalog.expanded.clear()
        known = catalog.expanded[id(statement.facts)] = statement.facts, statement.actions, found
    found = known[2]
    expanded = replace(statement, actions=found.actions, facts=found.facts, meaning=found.meaning)
    return replace(understood, statement=expanded, catalog=catalog)


def _expanded(understood: Understood, catalog: Catalog) -> Statement:
    statement = _named(understood.statement, catalog)
    facts = statement.facts
    if not facts:
        return statement
    below = [catalog.tables(table) for table in _texts(facts, "tables")]
    known = frozenset[str]().union(*(found for found in below if found is not None))
    expanded: dict[str, Json] = {
        **facts,
        "tables": sorted(known.union(_texts(facts, "tables"))),
        "predicates": sorted(_columns(catalog, _texts(facts, "predicates")) | _compared(catalog, facts)),
        "equalities": sorted(_equated(catalog, facts)),
        "moves": sorted(_columns(catalog, _texts(facts, "moves"))),
        "written_back": sorted(_columns(catalog, _texts(facts, "written_back"))),
    }
    expanded |= _labels(understood, catalog)
    if None in below:
        expanded |= {"unresolved": True, "reads_unknown": True}
    meaning = catalog.meaning(
        {*map(str, _texts(expanded, "tables")), *called_by(replace(understood, statement=statement))}
    )
    return replace(statement, facts=expanded, meaning=meaning)


def _named(statement: Statement, catalog: Catalog) -> Statement:
    """The statement with what its names mean: the objects behind synonyms, and the tables that it changes by views."""
    actions = tuple(
        replace(action, resources=tuple(dict.fromkeys((*action.resources, *_meant(action, catalog)))))
        for action in statement.actions
    )
    return replace(statement, actions=actions)


def changed_by(actions: Iterable[Action], catalog: Catalog) -> frozenset[str]:
    """The tables and views that actions put rows into, change or delete, whatever they are called."""
    return frozenset(
        name
        for action in actions
        if action.verb in _CHANGING
        for name in (*action.resources, *_meant(action, catalog))
        if not name.startswith(_TEMPORARY)
    )


def _meant(action: Action, catalog: Catalog) -> list[str]:
    named = {each for resource in action.resources for each in catalog.named(resource)}
    if action.verb in _CHANGING:
        named = named.union(*(catalog.tables(resource) or () for resource in named))
    return sorted(named)


def _labels(understood: Understood, catalog: Catalog) -> dict[str, Json]:
    """The facts of sensitivity: which columns have which labels, and of which tables that is known.

    Of temporary tables it is, if it is of what they were filled from.
    """
    named = tables_of(understood)
    below = [catalog.tables(table) for table in named]
    tables = sorted(named.union(*filter(None, below)))
    told = {table: catalog.labels(table) for table in tables}
    known = [table for table in tables if told[table] is not None]
    if None in below or len(known) < len(tables):
        known = [table for table in known if not table.startswith(_TEMPORARY)]
    return {
        "labels_known": list[Json](known),
        "labels": {
            f"{table}.{column}": {"label": label.label, "information_type": label.information_type}
            for table in known
            for column, label in (told[table] or {}).items()
        },
    }


def _columns(catalog: Catalog, columns: Iterable[str]) -> frozenset[str]:
    return frozenset[str]().union(*(catalog.origin(column).columns for column in columns))


def _equalities(catalog: Catalog, facts: Mapping[str, Json]) -> list[Origin]:
    return [catalog.origin(column) for column in _texts(facts, "equalities")]


def _equated(catalog: Catalog, facts: Mapping[str, Json]) -> frozenset[str]:
    plain = (origin.columns for origin in _equalities(catalog, facts) if origin.plain)
    return frozenset[str]().union(*plain) - _compared(catalog, facts)


def _compared(catalog: Catalog, facts: Mapping[str, Json]) -> frozenset[str]:
    """What seemed to be equalities: of computed values, or of one column under several names."""
    origins = _equalities(catalog, facts)
    times = Counter(column for origin in origins for column in origin.columns)
    computed = frozenset[str]().union(*(origin.columns for origin in origins if not origin.plain))
    return computed | {column for column, count in times.items() if count > 1}


def _texts(facts: Mapping[str, Json], name: str) -> list[str]:
    value = facts.get(name)
    return [str(each) for each in value] if isinstance(value, list | tuple) else []
