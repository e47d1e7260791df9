"""What a request reads and tells, once the catalog says what its names stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from connectors.sql.catalog import Catalog, Origin
from connectors.sql.understand import Understood
from hoopcli.model.decision import Json


def tables_of(understood: Understood) -> frozenset[str]:
    """The tables that a request reads or changes, by the names it gives them."""
    return frozenset(str(table) for batch in understood.batches for table in _texts(batch.facts, "tables"))


def expand(understood: Understood, catalog: Catalog) -> Understood:
    """The request with the facts of what is under its views, synonyms and computed columns."""
    facts = understood.statement.facts
    if not facts:
        return replace(understood, catalog=catalog)
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
    if None in below:
        expanded |= {"unresolved": True, "reads_unknown": True}
    return replace(understood, statement=replace(understood.statement, facts=expanded), catalog=catalog)


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
