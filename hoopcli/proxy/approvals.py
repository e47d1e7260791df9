"""Requests that wait for a person, and their answers, shared by the processes of one machine.

A request is bound to principal, connection, rule and the digest of the exact request bytes; it has an absolute expiry
and a number of uses. Whoever made a request, and any agent, cannot answer it. A request outlives the client that asked:
once approved, the next identical try runs. The file holds statements as they are, so it is private and forgets.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from hoopcli.errors import DeniedError, HoopError, UsageError
from hoopcli.model.access import Principal
from hoopcli.model.approval import Answer, Binding, Question, Request, State, check_approver, state_of, touches_of
from hoopcli.model.decision import Approve

__all__ = ["Answer", "Approvals", "Binding", "Desk", "Question", "Request", "State", "check_approver"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, session TEXT NOT NULL, principal TEXT NOT NULL, on_behalf_of TEXT NOT NULL,
    connection TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL, digest TEXT NOT NULL,
    groups TEXT NOT NULL, needed INTEGER NOT NULL, uses INTEGER NOT NULL, asked REAL NOT NULL, expires REAL NOT NULL,
    touches TEXT NOT NULL DEFAULT '[]'
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    request TEXT NOT NULL REFERENCES requests(id), approver TEXT NOT NULL, approve INTEGER NOT NULL,
    comment TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (request, approver)
) STRICT;
CREATE INDEX IF NOT EXISTS requests_by_binding ON requests (digest, principal, connection, rule);
"""
WAITING_LIMIT = 100
POLL_SECONDS = 0.05
_KEEP_SECONDS = 24 * 3600


class Desk(Protocol):
    """Where the statements of a broker wait for people: on this machine, or at a server."""

    async def submit(self, question: Question, terms: Approve) -> Request:
        """Make a request, or return the one that is open for the same binding. Raises HoopError."""

    async def settled(self, request: Request) -> Request:
        """Wait until it no longer waits. Holds no thread. Raises HoopError."""

    async def spend(self, request: Request, binding: Binding) -> bool:
        """Take one use of it; False if it is not approved for exactly this binding. Raises HoopError."""

    def withdraw(self, request: Request) -> None:
        """Say, without waiting, that the client is gone. The request stays open for the next identical try."""

    async def waiting(self, session: str) -> Sequence[Request]:
        """The requests of a session that wait."""


class Approvals:
    """The store of requests in one SQLite file. Safe to use from several threads and processes."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.touch(mode=0o600)
            self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.executescript(_SCHEMA)
            _add_touches(self._db)
        except (sqlite3.Error, OSError) as error:
            raise HoopError(f"the approvals at {path} cannot be opened: {error}", "run: hoop doctor") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def ask(
        self,
        binding: Binding,
        terms: Approve,
        *,
        session: str,
        on_behalf_of: str,
        reason: str,
        text: str,
        touches: Sequence[str] = (),
    ) -> Request:
        """Make a request, or return the one that is open for the same binding. Raises DeniedError past the limit."""
        now = self._now().timestamp()
        with self._transaction() as db:
            self._forget(db, now - _KEEP_SECONDS)
            if (known := self._open_for(db, binding, now)) is not None:
                return known
            rows = db.execute("SELECT id FROM requests WHERE session = ? AND expires > ?", (session, now))
            waiting = sum(self._load(db, row["id"]).state is State.WAITING for row in rows.fetchall())
            if waiting >= WAITING_LIMIT:
                raise DeniedError(f"{waiting} requests of this session already wait for approval")
            identity = secrets.token_hex(4)
            db.execute(
                "INSERT INTO requests (id, session, principal, on_behalf_of, connection, rule, reason, text, digest,"
                " groups, needed, uses, asked, expires, touches) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (identity, session, binding.principal, on_behalf_of, binding.connection, binding.rule, reason, text,
                 binding.digest, json.dumps(terms.groups), terms.count, terms.uses, now,
                 now + terms.expires / timedelta(seconds=1), json.dumps(touches)),
            )  # fmt: skip
            return self._load(db, identity)

    def get(self, identity: str) -> Request:
        """One request. Raises UsageError if there is none."""
        with self._transaction() as db:
            return self._load(db, identity)

    def pending(self) -> list[Request]:
        """The requests that wait, oldest first."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT id FROM requests WHERE expires > ? ORDER BY asked", (self._now().timestamp(),)
            ).fetchall()
            return [r for row in rows if (r := self._load(db, row["id"])).state is State.WAITING]

    def answer(self, identity: str, approver: Principal, *, approve: bool, comment: str = "") -> Request:
        """Answer a request. Raises DeniedError if this person may not, UsageError if it no longer waits."""
        with self._transaction() as db:
            request = self._load(db, identity)
            check_approver(request, approver)
            if request.state is not State.WAITING:
                raise UsageError(f"request {identity} is {request.state} already", "run: hoop approvals ls")
            if any(a.approver == approver.subject for a in request.answers):
                raise UsageError(f"{approver.subject} has answered request {identity} already")
            db.execute(
                "INSERT INTO answers VALUES (?,?,?,?,?)",
                (identity, approver.subject, int(approve), comment, self._now().timestamp()),
            )
            return self._load(db, identity)

    def use(self, identity: str, binding: Binding) -> bool:
        """Take one use of an approved request, atomically. False if it is not approved for exactly this binding."""
        with self._transaction() as db:
            request = self._load(db, identity)
            if request.state is not State.APPROVED or request.binding != binding:
                return False
            db.execute("UPDATE requests SET uses = uses - 1 WHERE id = ?", (identity,))
            return True

    async def submit(self, question: Question, terms: Approve) -> Request:
        """Make a request, as ``ask`` does, off the loop."""
        return await asyncio.to_thread(
            self.ask,
            question.binding,
            terms,
            session=question.session,
            on_behalf_of=question.on_behalf_of,
            reason=question.reason,
            text=question.text,
            touches=touches_of(question.facts),
        )

    async def settled(self, request: Request) -> Request:
        """Wait until it no longer waits."""
        while (request := await asyncio.to_thread(self.get, request.id)).state is State.WAITING:  # noqa: ASYNC110
            await asyncio.sleep(POLL_SECONDS)  # the answer may come from another process
        return request

    async def spend(self, request: Request, binding: Binding) -> bool:
        """Take one use, as ``use`` does, off the loop."""
        return await asyncio.to_thread(self.use, request.id, binding)

    def withdraw(self, request: Request) -> None:
        """On one machine everybody sees what runs: there is nothing to tell."""

    async def waiting(self, session: str) -> Sequence[Request]:
        """The requests of a session that wait."""
        return [r for r in await asyncio.to_thread(self.pending) if r.session == session]

    @staticmethod
    def _forget(db: sqlite3.Connection, before: float) -> None:
        db.execute("DELETE FROM answers WHERE request IN (SELECT id FROM requests WHERE expires < ?)", (before,))
        db.execute("DELETE FROM requests WHERE expires < ?", (before,))

    def _open_for(self, db: sqlite3.Connection, binding: Binding, now: float) -> Request | None:
        rows = db.execute(
            "SELECT id FROM requests WHERE digest = ? AND principal = ? AND connection = ? AND rule = ?"
            " AND expires > ? ORDER BY asked DESC",
            (binding.digest, binding.principal, binding.connection, binding.rule, now),
        ).fetchall()
        requests = (self._load(db, row["id"]) for row in rows)
        return next((r for r in requests if r.state in {State.WAITING, State.APPROVED}), None)

    def _load(self, db: sqlite3.Connection, identity: str) -> Request:
        row = db.execute("SELECT * FROM requests WHERE id = ?", (identity,)).fetchone()
        if row is None:
            raise UsageError(f"there is no approval request {identity!r}", "run: hoop approvals ls")
        answers = tuple(
            Answer(a["approver"], bool(a["approve"]), a["comment"], a["at"])
            for a in db.execute("SELECT * FROM answers WHERE request = ? ORDER BY at", (identity,))
        )
        return Request(
            id=identity,
            session=row["session"],
            binding=Binding(row["principal"], row["connection"], row["rule"], row["digest"]),
            on_behalf_of=row["on_behalf_of"],
            reason=row["reason"],
            text=row["text"],
            groups=tuple(json.loads(row["groups"])),
            needed=row["needed"],
            uses=row["uses"],
            asked=row["asked"],
            expires=row["expires"],
            state=_state(row, answers, self._now().timestamp()),
            answers=answers,
            touches=tuple(json.loads(row["touches"])),
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise HoopError(f"the approvals cannot be read or written: {error}", "run: hoop doctor") from error


def _add_touches(db: sqlite3.Connection) -> None:
    """Files of earlier versions lack the column; two that open one at once may both add it."""
    columns = {row["name"] for row in db.execute("PRAGMA table_info(requests)")}
    if "touches" not in columns:
        with suppress(sqlite3.OperationalError):
            db.execute("ALTER TABLE requests ADD COLUMN touches TEXT NOT NULL DEFAULT '[]'")


def _state(row: sqlite3.Row, answers: Sequence[Answer], now: float) -> State:
    return state_of(
        (a.approve for a in answers), needed=row["needed"], uses=row["uses"], expires=row["expires"], now=now
    )
