"""Reading what was recorded: as far as the policy lets one, and never without a record of it.

What somebody may not read does not exist for them; that they tried is kept all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, RowMapping, insert, select

from hoopcli.errors import DeniedError
from hoopcli.ledger.record import format_time
from hoopcli.server.access import Caller, require
from hoopcli.server.problems import not_found
from hoopcli.server.records import evidence, search, story
from hoopcli.server.records.evidence import Evidence
from hoopcli.server.records.search import Page, Query, snapshot
from hoopcli.server.records.sight import READ, Sight, may_read, sight_of
from hoopcli.server.records.story import Step
from hoopcli.server.services import Services
from hoopcli.server.tables import records as tables

READS: Final = 100
_Find: TypeAlias = Callable[[Connection, Sight], Page]


@dataclass(frozen=True, slots=True)
class Told:
    """A session, its records from one on, and the index to go on from (None: that was all)."""

    session: RowMapping
    origin: str
    steps: Sequence[Step]
    next: int | None


class Reading:
    """What one caller reads."""

    def __init__(self, services: Services, caller: Caller) -> None:
        self._services = services
        self._caller = caller

    @property
    def now(self) -> str:
        """The time, as records have it."""
        return format_time(self._services.now())

    def sessions(self, query: Query, below: int | None = None) -> Page:
        """The newest sessions that match, and how many there are of what."""
        return self._listed(
            "sessions",
            query,
            lambda connection, sight: search.sessions(connection, query, sight, self.now, below),
            lambda connection, sight: search.session_facets(connection, query, sight, self.now),
        )

    def statements(self, query: Query, below: int | None = None) -> Page:
        """The newest statements that match. Raises UsageError."""
        return self._listed(
            "statements",
            query,
            lambda connection, sight: search.statements(connection, query, sight, below),
            lambda connection, sight: search.statement_facets(connection, query, sight),
        )

    def session(self, key: int, start: int = 0) -> Told:
        """A session and what happened in it. Raises Problem (404)."""
        with snapshot(self._services.database) as connection:
            row = self._session(connection, "session", key)
            steps, more = story.steps(connection, row, start)
            told = Told(row, evidence.origin(connection, row["ledger"]), steps, more)
        self._read("session", {"session": row["session"], "id": str(key)}, len(steps))
        return told

    def evidence(self, key: int, start: int = 0) -> Evidence:
        """The bytes of a session's records, and the proof that they are in the ledger. Raises Problem (404)."""
        with snapshot(self._services.database) as connection:
            row = self._session(connection, "evidence", key)
            found = evidence.of(connection, self._services, row, start)
        self._read("evidence", {"session": row["session"], "id": str(key)}, len(found.records))
        return found

    def cast(self, key: int, index: int) -> bytes:
        """The recording of a terminal, as asciicast. Raises Problem (404)."""
        with snapshot(self._services.database) as connection:
            row = self._session(connection, "terminal", key)
            found = story.cast(connection, row, index)
        self._read("terminal", {"session": row["session"], "id": str(key), "record": index}, int(found is not None))
        if found is None:
            raise not_found("there is no recording of a terminal")
        return found

    def reads(self, below: int | None = None) -> Sequence[RowMapping]:
        """Who read what, the newest first. Raises DeniedError."""
        try:
            require(self._caller, self._services, READ, "reads")
        except DeniedError:
            self._read("reads", {}, 0, allowed=False)
            raise
        column = tables.reads.c
        query = select(tables.reads).order_by(column.id.desc()).limit(READS)
        with self._services.database.read() as connection:
            rows = connection.execute(query if below is None else query.where(column.id < below)).mappings().all()
        self._read("reads", {}, len(rows))
        return rows

    def _listed(self, what: str, query: Query, find: _Find, count: _Find) -> Page:
        with snapshot(self._services.database) as connection:
            sight = sight_of(connection, self._services, self._caller.principal)
            page, counts = find(connection, sight), count(connection, sight)
        asked = {name: _told(value) for name, value in asdict(query).items() if value}
        self._read(what, asked, len(page.rows), allowed=sight.everything or bool(sight.scopes))
        return Page(page.rows, page.next, counts.facets, counts.counted)

    def _session(self, connection: Connection, what: str, key: int) -> RowMapping:
        row = connection.execute(select(tables.sessions).where(tables.sessions.c.key == key)).mappings().first()
        if row is None or not may_read(self._services, self._caller.principal, row["connection"], row["principal"]):
            self._read(what, {"id": str(key)}, 0, allowed=False)
            raise not_found("there is no such session, or you may not read it")
        return row

    def _read(self, what: str, asked: Mapping[str, Any], found: int, *, allowed: bool = True) -> None:
        values = {"at": self._services.now().timestamp(), "subject": self._caller.principal.subject, "what": what}
        with self._services.database.write() as connection:
            connection.execute(insert(tables.reads).values(**values, asked=asked, allowed=allowed, found=found))


def _told(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
