"""Whether a ledger tells whole stories: every session closed, every permitted request answered, every count right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from hoopcli.ledger.record import Record, parse_time
from hoopcli.ledger.report import Findings, OpenSession
from hoopcli.ledger.tally import Tally
from hoopcli.model.decision import Effect

SILENCE: Final = timedelta(minutes=3)
"""A session that was not closed and has been silent for longer is taken to be abandoned."""


@dataclass(slots=True)
class _Session:
    index: int
    opened: str
    last_seen: str
    tally: Tally = field(default_factory=Tally)
    exchanges: set[str] = field(default_factory=set)
    pending: dict[str, int] = field(default_factory=dict)
    pieces: Counter[str] = field(default_factory=Counter)


class Completeness:
    """Follows the sessions of a ledger; ``expected`` are those that must be in it.

    Memory grows with what is open, and a little with the number of sessions.
    """

    def __init__(self, findings: Findings, expected: Sequence[str] = ()) -> None:
        self._findings = findings
        self._expected = expected
        self._open: dict[str, _Session] = {}
        self._closed: set[str] = set()
        self.sessions = 0
        self.exchanges = 0

    def feed(self, record: Record) -> None:
        """Take the next record. What it says amiss becomes a finding."""
        if not record.session:
            return
        try:
            self._follow(record)
        except (KeyError, TypeError, AttributeError):
            self._add(record, "lacks a member that records of its type have")

    def finish(self, now: datetime) -> tuple[OpenSession, ...]:
        """The sessions that are still going on; those that were left without a word become findings."""
        for name in self._expected:
            if name not in self._open and name not in self._closed:
                self._findings.add(None, "session", "", f"nothing is here of session {name}")
        live = []
        for name, session in self._open.items():
            if now - parse_time(session.last_seen) <= SILENCE:
                live.append(OpenSession(name, session.opened, session.last_seen, session.tally.statements))
                continue
            why = f"session {name} was never closed; its last sign of life is of {session.last_seen}"
            self._findings.add(session.index, "session.open", session.opened, why)
            self._unanswered(session, session.last_seen)
        return tuple(live)

    def _follow(self, record: Record) -> None:
        name, body = record.session, record.body
        if record.type == "session.open":
            self._opened(record)
            return
        session = self._open.get(name)
        if session is None:
            state = "was closed before" if name in self._closed else "was never opened"
            self._add(record, f"belongs to session {name}, which {state}")
            return
        session.last_seen = body["time"]
        session.tally.add(record.type, body)
        if record.type == "exchange.request":
            self._requested(record, session)
        elif record.type == "exchange.outcome":
            if session.pending.pop(body["exchange"], None) is None:
                self._add(record, f"is of exchange {body['exchange']}, which was not permitted or has ended before")
            del session.pieces[body["exchange"]]
        elif record.type == "exchange.piece":
            self._kept(record, session)
        elif record.type == "session.close":
            self._close(record, session)

    def _opened(self, record: Record) -> None:
        name = record.session
        self.sessions += 1
        if name in self._open or name in self._closed:
            self._add(record, f"opens session {name} a second time")
            return
        self._open[name] = _Session(record.index, record.body["time"], record.body["time"])

    def _requested(self, record: Record, session: _Session) -> None:
        exchange = record.body["exchange"]
        self.exchanges += 1
        if exchange in session.exchanges:
            self._add(record, f"is a second request of exchange {exchange}")
        session.exchanges.add(exchange)
        if record.body["decision"]["effect"] == Effect.ALLOW:
            session.pending[exchange] = record.index

    def _kept(self, record: Record, session: _Session) -> None:
        exchange = record.body["exchange"]
        if exchange not in session.pending:
            self._add(record, f"is of exchange {exchange}, which was not permitted or has ended before")
        elif (number := record.body["number"]) != (due := session.pieces[exchange]):
            self._add(record, f"is piece {number!r} of exchange {exchange} where piece {due} was due")
        session.pieces[exchange] += 1

    def _close(self, record: Record, session: _Session) -> None:
        del self._open[record.session]
        self._closed.add(record.session)
        for name, counted in session.tally.counts().items():
            if record.body[name] != counted:
                why = f"counts {name} {record.body[name]!r} where the records of the session say {counted!r}"
                self._add(record, why)
        self._unanswered(session, record.body["time"])

    def _unanswered(self, session: _Session, time: str) -> None:
        for exchange, index in session.pending.items():
            self._findings.add(index, "exchange.request", time, f"exchange {exchange} was permitted and has no outcome")

    def _add(self, record: Record, why: str) -> None:
        self._findings.add(record.index, record.type, record.body["time"], why)
