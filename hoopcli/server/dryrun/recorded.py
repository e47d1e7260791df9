"""Statements as ledgers recorded them, the newest first, ready to be decided again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection as Database
from sqlalchemy import select

from hoopcli.errors import LedgerError
from hoopcli.ledger.record import format_time, parse_time
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Statement
from hoopcli.server.sync.store import record_rows
from hoopcli.server.tables import ledgers as tables

KEPT_SESSIONS: Final = 1_000
_MALFORMED: Final = (LedgerError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
_FOLDED_CASE: Final = frozenset({"sql"})
"""The connectors whose names mean the same in any case; records do not say it of each statement."""
MayRead = Callable[[str, str], bool]
_LEDGER = tables.ledgers.c
_SESSION = tables.sessions.c


@dataclass(frozen=True, slots=True)
class Span:
    """Records ``start`` to ``end - 1`` of a ledger, which are yet to be read, from the end."""

    ledger: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Opening:
    """Who opened a session, on which connection, and why."""

    principal: Principal
    connection: Connection
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A statement with all that a policy sees of it."""

    opening: Opening
    statement: Statement
    time: datetime


def spans(database: Database, since: datetime) -> list[Span]:
    """The records of every ledger since a time."""
    ledgers = database.execute(select(_LEDGER.id, _LEDGER.size).order_by(_LEDGER.heard.desc())).all()
    found = [Span(row.id, _first_since(database, row.id, row.size, format_time(since)), row.size) for row in ledgers]
    return [span for span in found if span.start < span.end]


class Statements:
    """Reads statements. ``settings`` are what the catalog knows of each connection.

    ``may_read`` says whose statements, by connection and person, may be looked at. ``hidden`` counts the others, and
    ``unreadable`` those that cannot be read at all.
    """

    def __init__(self, database: Database, settings: Mapping[str, Connection], may_read: MayRead) -> None:
        self.hidden = 0
        self.unreadable = 0
        self._database = database
        self._settings = settings
        self._may_read = may_read
        self._readable: dict[tuple[str, str], bool] = {}
        self._openings: dict[tuple[int, str], Opening | None] = {}

    def of(self, span: Span) -> Iterator[Asked]:
        """The statements of a span, the newest first."""
        rows = list(record_rows(self._database, span.ledger, span.start, span.end))
        for _, data in reversed(rows):
            if b'"type":"exchange.request"' not in data:
                continue
            try:
                found = self._asked(span.ledger, json.loads(data))
            except _MALFORMED:
                found = None
            if found is None:
                self.unreadable += 1
            elif self._is_readable(found.opening):
                yield found
            else:
                self.hidden += 1

    def _is_readable(self, opening: Opening) -> bool:
        scope = (opening.connection.name, opening.principal.subject)
        if scope not in self._readable:
            self._readable[scope] = self._may_read(*scope)
        return self._readable[scope]

    def _asked(self, ledger: int, body: dict[str, Any]) -> Asked | None:
        opening = self._opening(ledger, body["session"])
        if opening is None:
            return None
        actions = tuple(Action(each["verb"], tuple(each["resources"])) for each in body["actions"])
        exact = opening.connection.kind not in _FOLDED_CASE
        statement = Statement(body["text"], b"", actions, body["facts"], body["media_type"], exact)
        return Asked(opening, statement, parse_time(body["time"]))

    def _opening(self, ledger: int, session: str) -> Opening | None:
        key = (ledger, session)
        if key not in self._openings:
            if len(self._openings) >= KEPT_SESSIONS:
                self._openings.clear()
            self._openings[key] = self._read_opening(ledger, session)
        return self._openings[key]

    def _read_opening(self, ledger: int, session: str) -> Opening | None:
        query = select(_SESSION.first).where(_SESSION.ledger == ledger, _SESSION.session == session[:200])
        first = self._database.execute(query).scalar()
        for _, data in record_rows(self._database, ledger, first, first + 1) if first is not None else ():
            body = json.loads(data)
            who, named = body["principal"], body["connection"]
            principal = Principal(
                who["subject"], PrincipalKind(who["kind"]), who["name"], who["email"], frozenset(who["groups"]),
                who.get("on_behalf_of"),
            )  # fmt: skip
            known = self._settings.get(named["name"])
            connection = known if known and known.kind == named["kind"] else Connection(named["name"], named["kind"])
            return Opening(principal, connection, body["reason"])
        return None


def _first_since(database: Database, ledger: int, size: int, since: str) -> int:
    """The first record since a time, by halving: a ledger's records are in the order of their times."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if _time_of(database, ledger, middle) < since:
            low = middle + 1
        else:
            high = middle
    return low


def _time_of(database: Database, ledger: int, index: int) -> str:
    for _, data in record_rows(database, ledger, index, index + 1):
        try:
            return str(json.loads(data)["time"])
        except _MALFORMED:
            return ""
    return ""
