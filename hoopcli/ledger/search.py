"""Finding sessions and exchanges, by an index beside the ledger that is brought up to date when it is asked.

The index is derived: it is no part of what is signed, and whoever deletes it loses nothing but the time to fill it
again. Appending never touches it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hoopcli.errors import LedgerError
from hoopcli.ledger.reader import Reader, explained
from hoopcli.ledger.record import Record, format_time, parse

VERSION: Final = 2
_SCHEMA: Final = f"""
CREATE TABLE progress (origin TEXT NOT NULL, size INTEGER NOT NULL) STRICT;
CREATE TABLE sessions (
  id TEXT PRIMARY KEY, opened TEXT NOT NULL, closed TEXT NOT NULL DEFAULT '', why TEXT NOT NULL DEFAULT '',
  principal TEXT NOT NULL, kind TEXT NOT NULL, connection TEXT NOT NULL, reason TEXT NOT NULL,
  statements INTEGER NOT NULL DEFAULT 0, denied INTEGER NOT NULL DEFAULT 0,
  rows INTEGER NOT NULL DEFAULT 0, masked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE exchanges (
  idx INTEGER PRIMARY KEY, session TEXT NOT NULL, id TEXT NOT NULL, time TEXT NOT NULL, text TEXT NOT NULL,
  verbs TEXT NOT NULL, effect TEXT NOT NULL, rule TEXT NOT NULL, status TEXT NOT NULL DEFAULT '',
  rows INTEGER NOT NULL DEFAULT 0, masked INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX exchanges_by_id ON exchanges (session, id);
PRAGMA user_version = {VERSION};
"""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session in short. Times as recorded; ``closed`` is empty while it goes on, or if it was abandoned."""

    id: str
    opened: str
    closed: str
    why: str
    principal: str
    kind: str
    connection: str
    reason: str
    statements: int
    denied: int
    rows: int
    masked: int


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """An exchange in short: ``index`` is its request's record, ``verbs`` are set apart by spaces."""

    index: int
    session: str
    id: str
    time: str
    text: str
    verbs: str
    effect: str
    rule: str
    status: str
    rows: int
    masked: int
    principal: str
    connection: str


@dataclass(frozen=True, slots=True)
class Query:
    """What to find; what is empty or None does not matter.

    ``text`` is found in any case, anywhere in a statement and in the commands that were typed into a shell.
    """

    text: str = ""
    session: str = ""
    principal: str = ""
    connection: str = ""
    verb: str = ""
    rule: str = ""
    after: datetime | None = None
    before: datetime | None = None
    denied: bool | None = None
    masked: bool | None = None


class Index:
    """The index of one ledger. Its methods raise LedgerError when the ledger or the index cannot be read."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._path = reader.path.with_name(f"{reader.path.name}.index")
        with explained(self._path):
            self._db = _connect(self._path, reader)

    def close(self) -> None:
        """Close the index; the reader stays open."""
        self._db.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def sessions(self, query: Query = Query(), limit: int = 100) -> list[SessionRow]:
        """The sessions that match, the newest first. Of ``denied`` and ``masked``: whether they had any."""
        conditions = [
            ("id = ?", query.session),
            ("principal = ?", query.principal),
            ("connection = ?", query.connection),
            ("opened >= ?", _time(query.after)),
            ("opened < ?", _time(query.before)),
            ("(denied > 0) = ?", query.denied),
            ("(masked > 0) = ?", query.masked),
        ]
        within = [("text LIKE ? ESCAPE '\\'", _like(query.text)), ("rule = ?", query.rule), (_VERB, query.verb)]
        where, values = _where(conditions)
        inner, inner_values = _where(within)
        if inner_values:
            where += f" AND id IN (SELECT session FROM exchanges WHERE {inner})"  # noqa: S608 - from the lists above
        sql = f"SELECT * FROM sessions WHERE {where} ORDER BY opened DESC LIMIT ?"  # noqa: S608 - from the lists above
        rows = self._select(sql, *values, *inner_values, limit)
        return [SessionRow(*row) for row in rows]

    def exchanges(self, query: Query = Query(), limit: int = 100) -> list[ExchangeRow]:
        """The exchanges that match, in the order of the ledger."""
        where, values = _where(
            [
                ("text LIKE ? ESCAPE '\\'", _like(query.text)),
                ("session = ?", query.session),
                ("principal = ?", query.principal),
                ("connection = ?", query.connection),
                (_VERB, query.verb),
                ("rule = ?", query.rule),
                ("time >= ?", _time(query.after)),
                ("time < ?", _time(query.before)),
                ("(effect <> 'allow') = ?", query.denied),
                ("(e.masked > 0) = ?", query.masked),
            ]
        )
        joined = "exchanges e JOIN sessions s ON s.id = e.session"
        sql = f"SELECT e.*, principal, connection FROM {joined} WHERE {where} ORDER BY idx LIMIT ?"  # noqa: S608 - as above
        rows = self._select(sql, *values, limit)
        return [ExchangeRow(*row) for row in rows]

    def _select(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        self._catch_up()
        with explained(self._path):
            return self._db.execute(sql, values).fetchall()

    def _catch_up(self) -> None:
        """Index the records that were appended since."""
        with explained(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                (size,) = self._db.execute("SELECT size FROM progress").fetchone()
                for row in self._reader.rows(size):
                    self._take(row.index, row.data)
                    size = row.index + 1
                self._db.execute("UPDATE progress SET size = ?", (size,))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise

    def _take(self, index: int, data: bytes) -> None:
        try:
            record = parse(index, data)
            sql, values = _change(record)
        except (LedgerError, KeyError, TypeError, AttributeError):
            return  # verify names it; searching goes on
        if sql:
            self._db.execute(sql, values)
        if record.type in _COUNTED:
            self._db.execute(*_totals(record))


_COUNTED: Final = frozenset({"exchange.request", "exchange.outcome"})
_VERB: Final = "' ' || verbs || ' ' LIKE '% ' || ? || ' %'"


def _change(record: Record) -> tuple[str, tuple[object, ...]]:
    body = record.body
    match record.type:
        case "session.open":
            who = body["principal"]
            values = (
                record.session,
                body["time"],
                who["subject"],
                who["kind"],
                body["connection"]["name"],
                body["reason"],
            )
            return (
                "INSERT OR IGNORE INTO sessions (id, opened, principal, kind, connection, reason) VALUES (?,?,?,?,?,?)",
                values,
            )
        case "session.close":
            return "UPDATE sessions SET closed = ?, why = ? WHERE id = ?", (body["time"], body["why"], record.session)
        case "exchange.request":
            verbs = " ".join(action["verb"] for action in body["actions"])
            decision = body["decision"]
            request = (record.index, record.session, body["exchange"], body["time"], body["text"], verbs)
            return (
                "INSERT OR IGNORE INTO exchanges (idx, session, id, time, text, verbs, effect, rule)"
                " VALUES (?,?,?,?,?,?,?,?)",
                (*request, decision["effect"], decision["rule"]),
            )
        case "exchange.outcome":
            typed = "".join(f"\n{command}" for command in body.get("facts", {}).get("commands", ()))
            counts = (body["status"], body["rows"], sum(body["masked"].values()))
            return (
                "UPDATE exchanges SET status = ?, rows = ?, masked = ?, text = text || ? WHERE session = ? AND id = ?",
                (*counts, typed, record.session, body["exchange"]),
            )
    return "", ()


def _totals(record: Record) -> tuple[str, tuple[object, ...]]:
    body: Mapping[str, Any] = record.body
    if record.type == "exchange.request":
        denied = body["decision"]["effect"] != "allow"
        return "UPDATE sessions SET statements = statements + 1, denied = denied + ? WHERE id = ?", (
            denied,
            record.session,
        )
    counts = (body["rows"], sum(body["masked"].values()), record.session)
    return "UPDATE sessions SET rows = rows + ?, masked = masked + ? WHERE id = ?", counts


def _connect(path: Path, reader: Reader) -> sqlite3.Connection:
    """Open the index, beginning anew if it is another version's, another ledger's, or ahead of this one."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        known = version == VERSION
        if known:
            origin, size = connection.execute("SELECT origin, size FROM progress").fetchone()
            known = origin == reader.origin and size <= reader.size
    except sqlite3.DatabaseError:
        known = False
    if known:
        return connection
    connection.close()
    path.unlink()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(_SCHEMA)
    connection.execute("INSERT INTO progress VALUES (?, 0)", (reader.origin,))
    return connection


def _where(conditions: Sequence[tuple[str, object]]) -> tuple[str, list[object]]:
    given = [(sql, value) for sql, value in conditions if value is not None and value != ""]
    return " AND ".join(["TRUE", *(sql for sql, _ in given)]), [value for _, value in given]


def _time(time: datetime | None) -> str:
    return "" if time is None else format_time(time)


def _like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%" if text else ""
