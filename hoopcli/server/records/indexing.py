"""Taking records into the index, within the transaction that stores them, or after it where they are many.

A record that makes no sense is passed over: whoever verifies the ledger names it, and searching goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, insert, select, update

from hoopcli.errors import LedgerError
from hoopcli.ledger.record import Record, parse_time
from hoopcli.server.records import rows as stored
from hoopcli.server.records.entries import Entry, Outcome, Session, count, entry_of, outcome_of, plain, session_of
from hoopcli.server.tables import records as tables

AT_ONCE: Final = 1_000
"""Records that are indexed as they are stored. A longer backlog has to be safe soon; a chore takes it in afterwards."""
_STRANGE: Final = (LedgerError, KeyError, TypeError, ValueError, AttributeError, RecursionError)
_PROGRESS = tables.progress.c


def progress(connection: Connection, ledger: int) -> int:
    """How many records of a ledger are in the index."""
    size = connection.execute(select(_PROGRESS.size).where(_PROGRESS.ledger == ledger)).scalar()
    return int(size or 0)


def extend(connection: Connection, ledger: int, start: int, records: Iterable[tuple[int, bytes]]) -> None:
    """Take in the records from ``start`` on. Does nothing if those before it are still to come: a chore does then."""
    if progress(connection, ledger) != start:
        return
    batch = _Batch(connection, ledger)
    size = start
    for index, data in records:
        batch.take(index, data)
        size = index + 1
    if size == start:
        return
    batch.store()
    if connection.execute(update(tables.progress).where(_PROGRESS.ledger == ledger).values(size=size)).rowcount == 0:
        connection.execute(insert(tables.progress).values(ledger=ledger, size=size))


class _Batch:
    """Records that are taken in at once."""

    def __init__(self, connection: Connection, ledger: int) -> None:
        self._connection = connection
        self._ledger = ledger
        self._sessions: dict[str, Session | None] = {}
        self._new: list[tuple[int, Session]] = []
        self._entries: list[Entry] = []
        self._open: dict[tuple[str, str], Entry] = {}
        self._asked: set[tuple[str, str]] = set()
        self._late: list[tuple[Session, Outcome]] = []
        self._members: list[tuple[Session, int]] = []

    def take(self, index: int, data: bytes) -> None:
        """One record."""
        if b'"session":' not in data:
            return
        try:
            record = Record(index, json.loads(data))
            parse_time(record.body["time"])
            session = self._session(record)
            if session is not None:
                self._members.append((session, index))
                session.heard = record.body["time"]
                self._add(session, record)
        except _STRANGE:
            return

    def _session(self, record: Record) -> Session | None:
        name = plain(record.session, 200)
        if name not in self._sessions:
            self._sessions[name] = stored.session(self._connection, self._ledger, name)
        found = self._sessions[name]
        if found is None and record.type == "session.open":
            found = self._sessions[name] = session_of(record)
            found.scope = stored.scope(self._connection, found.connection, found.principal)
            self._new.append((record.index, found))
        return found

    def _add(self, session: Session, record: Record) -> None:
        body = record.body
        match record.type:
            case "exchange.request":
                waited = (session.session, body["exchange"]) in self._asked
                entry = entry_of(session, record, waited=waited)
                self._open[session.session, entry.exchange] = entry
                self._entries.append(entry)
                session.statements += 1
                session.denied += entry.effect != "allow"
            case "exchange.outcome":
                self._end(session, outcome_of(body))
            case "approval.asked":
                self._asked.add((session.session, body["exchange"]))
                session.waits += 1
            case "session.close":
                session.closed, session.why = body["time"], plain(body["why"], 200)

    def _end(self, session: Session, ended: Outcome) -> None:
        entry = self._open.pop((session.session, ended.exchange), None)
        if entry is None:
            self._late.append((session, ended))
        else:
            entry.end(ended)
        session.rows = count(session.rows + ended.rows)
        session.masked = count(session.masked + ended.masked)

    def store(self) -> None:
        """Write all of it."""
        stored.add_sessions(self._connection, self._ledger, self._new)
        stored.add_members(self._connection, [(session.key, index) for session, index in self._members])
        stored.add_entries(self._connection, self._ledger, self._entries)
        for session, ended in self._late:
            stored.end_entry(self._connection, self._ledger, session, ended)
        touched = {id(session): session for session, _ in self._members}
        stored.update_sessions(self._connection, touched.values())
