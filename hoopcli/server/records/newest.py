"""The newest statements that match, from the index: on PostgreSQL, whose index of words has no order, in two ways.

Where much matches, the newest statements are looked at one by one until there are enough. Else all that match are taken
from the index of words, and sorted. The first few are always looked at; how much further to go is told by the planner's
guess at how many match. Where that was wrong the index is asked after all: to look at everything by time may take a
thousand times as long. Of beginnings of words the planner knows nothing, but what is rare among the first few is soon
sorted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, text

from hoopcli.server.tables import records as tables

STATEMENTS: Final = "audit_statements s"
_FIRST: Final = 30_000
_MARGIN: Final = 4
_NEAR: Final = 0.03
"""The largest share of the time that is looked through statement by statement."""
_MATCH: Final = "words @@ CAST(:match AS tsquery)"
_BY_TIME: Final = f"CASE WHEN key IS NULL THEN FALSE ELSE {_MATCH} END"
"""The same without the index: all places of a common word take longer than a look at a few statements."""
_BY_INDEX: Final = ("enable_seqscan = off", "work_mem = '64MB'", "max_parallel_workers_per_gather = 0", "jit = off")
"""The planner takes all pages of the table for cheaper than the index, and too little memory makes it look at pages
instead of rows."""


def rows(
    connection: Connection, source: str, where: Sequence[str], values: Mapping[str, Any], order: str = "s.key"
) -> Sequence[RowMapping]:
    """Statements with what is known of their sessions, the newest first."""
    columns = ", ".join(f"s.{column.name}" for column in tables.statements.columns)
    found = f"SELECT {columns} FROM {source} WHERE {' AND '.join(where)} ORDER BY {order} DESC LIMIT :limit"  # noqa: S608
    sql = (
        "SELECT f.*, a.session AS name, a.principal, a.kind, a.on_behalf_of, a.connection, a.connector"  # noqa: S608
        f" FROM ({found}) f JOIN audit_sessions a ON a.key = f.session ORDER BY f.key DESC"
    )
    return connection.execute(text(sql), values).mappings().all()


def newest(connection: Connection, where: Sequence[str], values: Mapping[str, Any]) -> Sequence[RowMapping]:
    """What matches ``:match`` on PostgreSQL, ``:limit`` at most, with keys below ``:end`` and from ``:start`` on."""
    first, last = connection.execute(text("SELECT min(key), max(key) FROM audit_statements")).one()
    end = min(values["end"], (last or 0) + 1)
    start = max(values.get("start", 0), first or 0)
    begins, share = [_first(connection, start, end)], _share(connection, where, values)
    if share <= _NEAR:
        begins.append(end - int((end - start) * share))
    for near in begins:
        found = rows(connection, STATEMENTS, [*where, _BY_TIME, "key >= :from"], {**values, "from": near})
        if len(found) >= values["limit"]:
            return found
    for setting in _BY_INDEX:
        connection.execute(text(f"SET LOCAL {setting}"))
    every = f"WITH m AS MATERIALIZED (SELECT key FROM {STATEMENTS} WHERE {' AND '.join([*where, _MATCH])})"  # noqa: S608
    sql = f"{every} SELECT key FROM m ORDER BY key DESC LIMIT :limit"  # noqa: S608 - ours
    keys = connection.execute(text(sql), values).scalars().all()
    return rows(connection, STATEMENTS, ["key = ANY(:keys)"], {"keys": list(keys), "limit": values["limit"]})


def _first(connection: Connection, start: int, end: int) -> int:
    """The key from which on there are as many statements as are looked at first."""
    nth = "SELECT key FROM audit_statements WHERE key >= :start AND key < :end ORDER BY key DESC OFFSET :nth LIMIT 1"
    key: int | None = connection.execute(text(nth), {"start": start, "end": end, "nth": _FIRST}).scalar()
    return start if key is None else key


def _share(connection: Connection, where: Sequence[str], values: Mapping[str, Any]) -> float:
    """The share of the time asked for in which there should be enough; 1 where all that match are sooner sorted."""
    by_time = [part for part in where if part.startswith("key")]
    everything, matching = _guess(connection, by_time, values), _guess(connection, [_MATCH], values)
    wanted = _guess(connection, [*where, _MATCH], values)
    share = _MARGIN * int(values["limit"]) / max(wanted, 1)
    return share if share * everything < matching else 1.0


def _guess(connection: Connection, where: Sequence[str], values: Mapping[str, Any]) -> int:
    """How many rows the planner expects."""
    explain = f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {STATEMENTS} WHERE {' AND '.join(where)}"  # noqa: S608 - ours
    [plan] = connection.execute(text(explain), values).scalar_one()
    return int(plan["Plan"]["Plan Rows"])
