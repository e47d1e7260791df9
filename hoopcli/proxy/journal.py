"""What one session writes into the ledger. Every method queues its record at once; awaiting it means it is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

from hoopcli import __version__
from hoopcli.errors import HoopError, LedgerError
from hoopcli.ledger import drafts
from hoopcli.ledger.record import Draft
from hoopcli.ledger.tally import Tally
from hoopcli.model.approval import Request
from hoopcli.model.decision import Approve, Decision, Statement
from hoopcli.model.outcome import Outcome, Piece
from hoopcli.model.session import Session


class Writer(Protocol):
    """A ledger that appends in the background."""

    @property
    def failure(self) -> LedgerError | None:
        """Why nothing can be recorded any more, or None."""

    def append(self, draft: Draft, *, lazy: bool = False) -> asyncio.Future[int]:
        """Queue a draft; the future is done when it is on the disk. A lazy one may be held back a little."""


class Journal:
    """The records of one session. ``redact`` takes the secrets out of a text that is kept."""

    def __init__(self, writer: Writer, session: Session, redact: Callable[[str], str]) -> None:
        self._writer = writer
        self._session = session
        self._redact = redact
        self._tally = Tally()

    @property
    def broken(self) -> bool:
        """Whether nothing can be recorded any more."""
        return self._writer.failure is not None

    def opened(self, target: str, revision: str) -> Awaitable[int]:
        """The session begins."""
        return self._append(drafts.session_open(self._session, target=target, revision=revision, version=__version__))

    def closed(self, why: str) -> Awaitable[int]:
        """The session has ended; the counts let anyone see that nothing of it is missing."""
        return self._append(drafts.session_close(self._session.id, why, self._tally))

    def heartbeat(self) -> Awaitable[int]:
        """The session is alive."""
        return self._append(drafts.session_heartbeat(self._session.id, self._tally.statements))

    def request(self, exchange: str, statement: Statement, decision: Decision) -> Awaitable[int]:
        """A statement and what was decided about it."""
        shown = self._redact(statement.text)
        return self._append(drafts.exchange_request(self._session.id, exchange, statement, decision, shown=shown))

    def outcome(self, outcome: Outcome) -> Awaitable[int]:
        """What reached the client."""
        return self._append(drafts.exchange_outcome(self._session.id, outcome), lazy=True)

    def piece(self, piece: Piece) -> Awaitable[int]:
        """A part of what an outcome will keep."""
        return self._append(drafts.exchange_piece(self._session.id, piece))

    def asked(self, exchange: str, request: Request, terms: Approve) -> Awaitable[int]:
        """A statement waits for approval."""
        expires = datetime.fromtimestamp(request.expires, UTC)
        rule = request.binding.rule
        return self._append(drafts.approval_asked(self._session.id, exchange, request.id, rule, terms, expires))

    def answered(self, exchange: str, request: Request) -> Awaitable[int]:
        """People have said yes or no."""
        answers = [
            drafts.Answer(a.approver, a.approve, self._redact(a.comment), datetime.fromtimestamp(a.at, UTC))
            for a in request.answers
        ]
        return self._append(drafts.approval_answered(self._session.id, exchange, request.id, answers))

    def expired(self, exchange: str, request: Request) -> Awaitable[int]:
        """Nobody answered in time."""
        return self._append(drafts.approval_ended("expired", self._session.id, exchange, request.id))

    def used(self, exchange: str, request: Request) -> Awaitable[int]:
        """An approval was spent on this exchange."""
        return self._append(drafts.approval_ended("used", self._session.id, exchange, request.id))

    def withdrawn(self, exchange: str, request: Request) -> Awaitable[int]:
        """The client stopped waiting; the request itself stays open."""
        return self._append(drafts.approval_ended("withdrawn", self._session.id, exchange, request.id))

    def policy_changed(self, previous: str, revision: str, source: str) -> Awaitable[int]:
        """Another policy decides from here on."""
        return self._append(drafts.policy_changed(previous, revision, source))

    def fault(self, error: Exception) -> None:
        """A connection ended by an error: worth a note, as far as notes can be taken."""
        said = error.message if isinstance(error, HoopError) else type(error).__name__
        facts = {"session": self._session.id, "error": self._redact(said)}
        if not self.broken:
            self._append(drafts.ledger_note("a connection of this session was ended by an error", facts))

    def _append(self, draft: Draft, *, lazy: bool = False) -> Awaitable[int]:
        future = self._writer.append(draft, lazy=lazy)
        self._tally.add(draft.type, draft.body)
        future.add_done_callback(_retrieved)
        return future


def _retrieved(future: asyncio.Future[int]) -> None:
    """A failure is told to whoever awaits; that nobody does is no news, the writer refuses from then on anyway."""
    if not future.cancelled():
        future.exception()
