"""Searching the index: the newest first, a page at a time, and how many there are of what among the newest.

Every function works within a transaction of ``snapshot``, in which also what the asker may read was looked up.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, text

from hoopcli.server.database import Database
from hoopcli.server.records.keys import HIGHEST, moment
from hoopcli.server.records.newest import STATEMENTS, newest, rows
from hoopcli.server.records.sight import Sight
from hoopcli.server.records.words import asked, fts_query, resource_term, term, ts_query
from hoopcli.server.tables import records as tables

PAGE: Final = 50
COUNTED: Final = 1_000
"""Facets count the newest so many."""
_FEW: Final = 300
_VERY_FEW: Final = 20
"""So many terms of a sight are looked for, by SQLite and by PostgreSQL; of more, each that is found is checked."""
_SCOPE: Final = tables.scopes.c
FACETS: Final = {
    "person": "principal",
    "on_behalf_of": "on_behalf_of",
    "connection": "connection",
    "connector": "connector",
    "verb": "verbs",
    "effect": "effect",
    "rule": "rule",
}


@dataclass(frozen=True, slots=True)
class Query:
    """What to find; what is empty or None does not matter. ``text`` are words, all of which must be there.

    A word may end in ``*``. ``resource`` is a table, a container or a folder, whole or in short.
    """

    text: str = ""
    person: str = ""
    on_behalf_of: str = ""
    connection: str = ""
    connector: str = ""
    verb: str = ""
    resource: str = ""
    effect: str = ""
    rule: str = ""
    masked: bool = False
    waited: bool = False
    live: bool = False
    after: datetime | None = None
    before: datetime | None = None

    @property
    def terms(self) -> list[str]:
        """The terms that a statement must have."""
        named = {
            "p": self.person,
            "o": self.on_behalf_of,
            "c": self.connection,
            "k": self.connector,
            "v": self.verb,
            "e": self.effect,
            "u": self.rule,
            "m": "1" if self.masked else "",
            "w": "1" if self.waited else "",
        }
        found = [term(kind, value) for kind, value in named.items() if value]
        return [*found, resource_term(self.resource)] if self.resource else found

    @property
    def of_statements(self) -> bool:
        """Whether it asks for something that statements have and sessions have not."""
        return bool(self.text or self.verb or self.resource or self.effect or self.rule)


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, the newest first. ``next`` is the key to go on below, None at the end; times are as recorded."""

    rows: Sequence[RowMapping]
    next: int | None
    facets: Mapping[str, Sequence[tuple[str, int]]] = field(default_factory=dict)
    counted: int = 0


@contextmanager
def snapshot(database: Database) -> Iterator[Connection]:
    """A transaction whose reads all see the database as it was at one moment."""
    with database.read() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        yield connection


def sessions(connection: Connection, query: Query, sight: Sight, now: str, below: int | None = None) -> Page:
    """The sessions that match. ``now`` is as recorded times are: a live one has not expired."""
    rows = _sessions(connection, query, sight, now, below, PAGE + 1)
    return _page(rows)


def session_facets(connection: Connection, query: Query, sight: Sight, now: str) -> Page:
    """How many of the newest sessions that match there are of each person and so on."""
    rows = _sessions(connection, query, sight, now, None, COUNTED)
    return Page([], None, _facets(rows), len(rows))


def statements(connection: Connection, query: Query, sight: Sight, below: int | None = None) -> Page:
    """The statements that match."""
    rows = _statements(connection, query, sight, below, PAGE + 1)
    return _page(rows)


def statement_facets(connection: Connection, query: Query, sight: Sight) -> Page:
    """The same of statements."""
    rows = _statements(connection, query, sight, None, COUNTED)
    return Page([], None, _facets(rows), len(rows))


def _page(rows: Sequence[RowMapping]) -> Page:
    more = len(rows) > PAGE
    shown = rows[:PAGE]
    return Page(shown, shown[-1]["key"] if more else None)


def _sessions(
    connection: Connection, query: Query, sight: Sight, now: str, below: int | None, limit: int
) -> Sequence[RowMapping]:
    where, values = _between(query, below)
    for column, value in (
        ("principal", query.person),
        ("on_behalf_of", query.on_behalf_of),
        ("connection", query.connection),
        ("connector", query.connector),
    ):
        if value:
            where.append(f"{column} = :{column}")
            values[column] = value
    where += ["masked > 0"] if query.masked else []
    where += ["waits > 0"] if query.waited else []
    if query.live:
        where.append("closed = '' AND expires > :now")
        values["now"] = now
    _restrict(connection, sight, where, values, "scope")
    sql = f"SELECT * FROM audit_sessions WHERE {' AND '.join(where)} ORDER BY key DESC LIMIT :limit"  # noqa: S608 - ours
    return connection.execute(text(sql), values | {"limit": limit}).mappings().all()


def _statements(
    connection: Connection, query: Query, sight: Sight, below: int | None, limit: int
) -> Sequence[RowMapping]:
    sight = _narrowed(connection, query, sight)
    if not sight.everything and not sight.scopes:
        return []
    where, values = _between(query, below)
    sqlite = connection.dialect.name == "sqlite"
    any_of = () if sight.everything else sight.terms
    if len(any_of) > (_FEW if sqlite else _VERY_FEW):
        any_of = ()
    if not any_of:
        _restrict(connection, sight, where, values, "scope")
    whole, beginnings = asked(query.text)
    match = (fts_query if sqlite else ts_query)(query.terms, whole, beginnings, any_of)
    values |= {"limit": limit, "match": match}
    if not match:
        found = rows(connection, STATEMENTS, where, values)
    elif sqlite:
        where = [part.replace("key", "w.rowid") if part.startswith("key") else part for part in where]
        source = "audit_words w CROSS JOIN audit_statements s ON s.key = w.rowid"
        found = rows(connection, source, [*where, "audit_words MATCH :match"], values, "w.rowid")
    else:
        found = newest(connection, where, values)
    return [row for row in found if sight.everything or row["scope"] in sight.scopes]  # terms are short digests


def _narrowed(connection: Connection, query: Query, sight: Sight) -> Sight:
    """What somebody reads of the person and the connection that they ask for, if they do not read everything."""
    named = {"principal": query.person, "connection": query.connection}
    wanted = {name: value for name, value in named.items() if value}
    if sight.everything or not wanted:
        return sight
    found = select(_SCOPE.id).where(*(_SCOPE[name] == value for name, value in wanted.items()))
    there = frozenset(connection.execute(found).scalars())
    read = sight.scopes & there
    terms = tuple(term("g", str(scope)) for scope in sorted(read))
    return Sight(read, bool(read) and read == there, terms)


def _between(query: Query, below: int | None) -> tuple[list[str], dict[str, Any]]:
    """The span of keys: of time, and what is left of it behind the last page."""
    end = HIGHEST if query.before is None else moment(query.before)
    values = {"end": min(end, HIGHEST if below is None else below)}
    if query.after is None:
        return ["key < :end"], values
    return ["key < :end", "key >= :start"], values | {"start": moment(query.after)}


def _restrict(connection: Connection, sight: Sight, where: list[str], values: dict[str, Any], column: str) -> None:
    if sight.everything:
        return
    if connection.dialect.name == "sqlite":
        where.append(f"{column} IN (SELECT value FROM json_each(:scopes))")  # noqa: S608 - our column
        values["scopes"] = json.dumps(sorted(sight.scopes))
    else:
        where.append(f"{column} = ANY(:scopes)")
        values["scopes"] = sorted(sight.scopes)


def _facets(rows: Sequence[RowMapping]) -> dict[str, list[tuple[str, int]]]:
    found = {}
    for name, column in FACETS.items():
        if rows and column in rows[0]:
            values = (part for row in rows for part in (row[column].split() if column == "verbs" else [row[column]]))
            found[name] = Counter(value for value in values if value).most_common(8)
    return found
