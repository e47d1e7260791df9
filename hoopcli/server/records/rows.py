"""The rows of the index, written and found. Every function works within the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table, bindparam, select, text, update

from hoopcli.ledger.record import Record
from hoopcli.server.records.entries import Entry, Outcome, Session, entry_of
from hoopcli.server.records.keys import key, spread
from hoopcli.server.records.words import ts_vector
from hoopcli.server.tables import ledgers
from hoopcli.server.tables import records as tables

_NEAR: Final = 1 << 16
_AT_ONCE: Final = 5_000
_SESSION = tables.sessions.c
_STATEMENT = tables.statements.c
_SCOPE = tables.scopes.c
_GROWS: Final = ("heard", "closed", "why", "statements", "denied", "waits", "rows", "masked")
_FIXED: Final = ("session", "scope", "connection", "connector", "principal", "kind", "on_behalf_of", "reason")
_SESSION_COLUMNS: Final = ("key", "ledger", *_FIXED, "opened", "expires", *_GROWS)
_ENTRY: Final = ("exchange", "time", "text", "verbs", "resources", "effect", "rule", "status", "rows", "masked")
_ENTRY_COLUMNS: Final = ("key", "session", "scope", "ledger", "idx", *_ENTRY, "waited")


def session(connection: Connection, ledger: int, name: str) -> Session | None:
    """A session of a ledger that is in the index."""
    where = (_SESSION.ledger == ledger, _SESSION.session == name)
    row = connection.execute(select(tables.sessions).where(*where)).mappings().first()
    return None if row is None else Session(**{name: value for name, value in row.items() if name != "ledger"})


def scope(connection: Connection, connection_name: str, principal: str) -> int:
    """What reading this person's sessions on this connection is allowed by; made if it is new."""
    values = {"connection": connection_name, "principal": principal}
    find = select(_SCOPE.id).where(_SCOPE.connection == connection_name, _SCOPE.principal == principal)
    found = connection.execute(find).scalar()
    if found is None:
        sql = "INSERT INTO audit_scopes (connection, principal) VALUES (:connection, :principal) ON CONFLICT DO NOTHING"
        connection.execute(text(sql), values)
        found = connection.execute(find).scalar_one()
    return int(found)


def add_sessions(connection: Connection, ledger: int, new: Sequence[tuple[int, Session]]) -> None:
    """Store sessions, each with the index of the record that opened it. They get their keys."""
    keys = _keys(connection, tables.sessions, [key(found.opened, ledger, index) for index, found in new])
    for (_, found), given in zip(new, keys, strict=True):
        found.key = given
    rows = [(s.key, ledger, *_values(s, _FIXED), s.opened, s.expires, *_values(s, _GROWS)) for _, s in new]
    _bulk(connection, "audit_sessions", _SESSION_COLUMNS, rows)


def add_members(connection: Connection, members: Sequence[tuple[int, int]]) -> None:
    """Store which records belong to which sessions."""
    _bulk(connection, "audit_members", ("session", "idx"), members)


def add_entries(connection: Connection, ledger: int, entries: Sequence[Entry]) -> None:
    """Store statements, and what they are found by."""
    keys = _keys(connection, tables.statements, [key(entry.time, ledger, entry.index) for entry in entries])
    rows = [
        (given, e.session.key, e.session.scope, ledger, e.index, *_values(e, _ENTRY), e.waited)
        for given, e in zip(keys, entries, strict=True)
    ]
    tokens = [entry.all_tokens() for entry in entries]
    if connection.dialect.name == "sqlite":
        _bulk(connection, "audit_statements", _ENTRY_COLUMNS, rows)
        found_by = [(given, " ".join(words)) for given, words in zip(keys, tokens, strict=True)]
        _bulk(connection, "audit_words", ("rowid", "words"), found_by)
    else:
        whole = [(*row, ts_vector(words)) for row, words in zip(rows, tokens, strict=True)]
        _bulk(connection, "audit_statements", (*_ENTRY_COLUMNS, "words"), whole)


def end_entry(connection: Connection, ledger: int, of: Session, ended: Outcome) -> None:
    """Note how a statement ended that was stored before. One that has ended already stays as it is."""
    mine = (_STATEMENT.session == of.key, _STATEMENT.exchange == ended.exchange, _STATEMENT.status == "")
    row = connection.execute(select(tables.statements).where(*mine).order_by(_STATEMENT.key.desc()).limit(1)).first()
    if row is None:
        return
    change = update(tables.statements).where(_STATEMENT.key == row.key)
    connection.execute(change.values(status=ended.status, rows=ended.rows, masked=ended.masked))
    if ended.tokens:
        entry = _stored_entry(connection, ledger, of, row.idx, waited=row.waited)
        _find_by_more(connection, row.key, entry.all_tokens(), ended.tokens)


def update_sessions(connection: Connection, sessions: Iterable[Session]) -> None:
    """Store how sessions have grown."""
    rows = [{"at": s.key} | {name: getattr(s, name) for name in _GROWS} for s in sessions]
    if rows:
        values: dict[str, Any] = {name: bindparam(name) for name in _GROWS}
        connection.execute(update(tables.sessions).where(_SESSION.key == bindparam("at")).values(values), rows)


def _find_by_more(connection: Connection, at: int, before: Sequence[str], more: Sequence[str]) -> None:
    after = [*before, *(token for token in more if token not in before)]
    if connection.dialect.name == "sqlite":  # a table without contents must be told what it is to forget
        forget = "INSERT INTO audit_words (audit_words, rowid, words) VALUES ('delete', :at, :words)"
        connection.execute(text(forget), {"at": at, "words": " ".join(before)})
        connection.execute(
            text("INSERT INTO audit_words (rowid, words) VALUES (:at, :words)"), {"at": at, "words": " ".join(after)}
        )
    else:
        change = "UPDATE audit_statements SET words = CAST(:words AS tsvector) WHERE key = :at"
        connection.execute(text(change), {"at": at, "words": ts_vector(after)})


def _stored_entry(connection: Connection, ledger: int, of: Session, index: int, *, waited: bool) -> Entry:
    """A statement as it was when it was stored: what it is found by is taken from the same record again."""
    column = ledgers.records.c
    query = select(column.record).where(column.ledger == ledger, column.idx == index)
    record = Record(index, json.loads(bytes(connection.execute(query).scalar_one())))
    return entry_of(of, record, waited=waited)


def _keys(connection: Connection, table: Table, wanted: Sequence[int]) -> list[int]:
    def taken(some: Sequence[int]) -> set[int]:
        parts = [some[n : n + _AT_ONCE] for n in range(0, len(some), _AT_ONCE)]
        return {found for part in parts for found in _scalars(select(table.c.key).where(table.c.key.in_(part)))}

    def free(at: int) -> int:
        near = _scalars(select(table.c.key).where(table.c.key >= at, table.c.key < at + _NEAR).order_by(table.c.key))
        for found in near:
            if found != at:
                break
            at += 1
        return at

    def _scalars(query: Any) -> Iterable[int]:
        return connection.execute(query).scalars().all()

    return spread(wanted, taken, free)


def _values(source: object, names: Sequence[str]) -> list[Any]:
    return [getattr(source, name) for name in names]


def _bulk(connection: Connection, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Insert many rows the fastest way of each database: one prepared statement, or COPY."""
    if not rows:
        return
    driver: Any = connection.connection.driver_connection
    names = ", ".join(columns)
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows).close()  # noqa: S608 - our names
        return
    with driver.cursor() as cursor, cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
