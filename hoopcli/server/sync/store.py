"""Ledgers in the server's database: rows in, tree nodes out. Every function works within the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.engine import RowMapping

from hoopcli.errors import LedgerError
from hoopcli.ledger.merkle import EMPTY_ROOT
from hoopcli.ledger.note import Verifier
from hoopcli.ledger.reader import HASH_SIZE, PayloadRow
from hoopcli.ledger.record import SLOTS, Record
from hoopcli.server.problems import not_found
from hoopcli.server.sync.proving import Row
from hoopcli.server.tables import ledgers as tables

_LEDGER = tables.ledgers.c
_RECORD = tables.records.c


@dataclass(frozen=True, slots=True)
class Held:
    """A ledger as the server has it. ``size`` counts the records stored, ``witnessed_*`` the last tree cosigned."""

    id: int
    origin: str
    key: Verifier
    enrolled_by: str
    enrolled: float
    size: int
    note: str | None
    witnessed_size: int
    witnessed_root: bytes
    witnessed_note: str | None
    heard: float


class StoredTree:
    """The tree of a ledger's first ``size`` records, read where it is stored."""

    def __init__(self, connection: Connection, ledger: int, size: int) -> None:
        self._connection = connection
        self._ledger = ledger
        self.size = size

    def node(self, level: int, index: int) -> bytes:
        """The hash of the complete subtree at (level, index)."""
        part = func.substr(_RECORD.nodes, level * HASH_SIZE + 1, HASH_SIZE)
        at = ((index + 1) << level) - 1
        query = select(part).where(_RECORD.ledger == self._ledger, _RECORD.idx == at)
        node = self._connection.execute(query).scalar()
        if node is None or len(node) != HASH_SIZE:
            raise LedgerError(f"the server's tree of this ledger has a hole at record {at}")
        return bytes(node)


def enrol(connection: Connection, key: Verifier, who: str, now: float) -> Held:
    """A new, empty ledger."""
    values = {
        "origin": key.name,
        "vkey": str(key),
        "enrolled_by": who,
        "enrolled": now,
        "size": 0,
        "witnessed_size": 0,
        "witnessed_root": EMPTY_ROOT,
        "heard": now,
    }
    connection.execute(insert(tables.ledgers).values(values))
    return find(connection, key.name)


def find(connection: Connection, origin: str, *, lock: bool = False) -> Held:
    """A ledger by its origin, locked until the transaction ends if asked for. Raises Problem (404)."""
    query = select(tables.ledgers).where(_LEDGER.origin == origin)
    row = connection.execute(query.with_for_update() if lock else query).mappings().first()
    if row is None:
        raise not_found(f"no ledger {origin} is enrolled here", "run: hoop sync")
    return held_of(row)


def every(connection: Connection) -> list[Held]:
    """All ledgers, by origin."""
    return [held_of(row) for row in connection.execute(select(tables.ledgers).order_by(_LEDGER.origin)).mappings()]


def set_values(connection: Connection, ledger: int, **values: object) -> None:
    """Change columns of a ledger's row."""
    connection.execute(update(tables.ledgers).where(_LEDGER.id == ledger).values(**values))


def add_rows(connection: Connection, ledger: int, rows: Sequence[Row], payloads: Sequence[PayloadRow]) -> None:
    """Store records and payloads behind those that are there."""
    records = [(ledger, row.index, row.nodes, row.data) for row in rows]
    _bulk(connection, "ledger_records", ("ledger", "idx", "nodes", "record"), "int4 int8 bytea bytea", records)
    contents = [(ledger, *divmod(row.id, SLOTS), row.salt, row.content) for row in payloads]
    columns = ("ledger", "idx", "slot", "salt", "content")
    _bulk(connection, "ledger_payloads", columns, "int4 int8 int2 bytea bytea", contents)


def add_sessions(connection: Connection, ledger: int, records: Iterable[Record]) -> None:
    """Note which sessions have opened and closed. A record that says it in no way that is known is passed over."""
    column = tables.sessions.c
    for record in records:
        if record.type == "session.close":
            mine = (column.ledger == ledger, column.session == record.session[:200], column.last.is_(None))
            closing = {"last": record.index, "closed": record.body["time"]}
            connection.execute(update(tables.sessions).where(*mine).values(closing))
            continue
        values = _opening(record)
        known = select(column.first).where(column.ledger == ledger, column.session == values["session"])
        if connection.execute(known).first() is None:
            connection.execute(insert(tables.sessions).values(ledger=ledger, **values))


def record_rows(connection: Connection, ledger: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The bytes of records ``start`` to ``end - 1``, in order."""
    query = (
        select(_RECORD.idx, _RECORD.record)
        .where(_RECORD.ledger == ledger, _RECORD.idx >= start, _RECORD.idx < end)
        .order_by(_RECORD.idx)
    )
    for index, data in connection.execute(query):
        yield index, bytes(data)


def held_of(row: RowMapping) -> Held:
    """A ledger from its row."""
    values = dict(row) | {"key": Verifier.parse(row["vkey"]), "witnessed_root": bytes(row["witnessed_root"])}
    del values["vkey"]
    return Held(**values)


def _opening(record: Record) -> dict[str, Any]:
    principal, connection = record.body.get("principal"), record.body.get("connection")
    expires = record.body.get("expires")
    return {
        "session": record.session[:200],
        "principal": str(principal.get("subject", ""))[:500] if isinstance(principal, dict) else "",
        "connection": str(connection.get("name", ""))[:200] if isinstance(connection, dict) else "",
        "first": record.index,
        "opened": record.body["time"],
        "expires": str(expires)[:27] if isinstance(expires, str) else record.body["time"],
    }


def _bulk(connection: Connection, table: str, columns: Sequence[str], types: str, rows: Sequence[Any]) -> None:
    """Insert many rows the fastest way of each database: one prepared statement, or COPY in binary."""
    if not rows:
        return
    driver: Any = connection.connection.driver_connection
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows).close()  # noqa: S608 - our names
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(types.split())
        for row in rows:
            copy.write_row(row)
