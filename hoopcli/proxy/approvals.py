"""Requests that wait for a person, and their answers, shared by the processes of one machine.

A request is bound to principal, connection, rule and the digest of the exact request bytes; it has an absolute expiry
and a number of uses. Whoever made a request, and any agent, cannot answer it. A request outlives the client that asked:
once approved, the next identical try runs. The file holds statements as they are, so it is private and forgets.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path

from hoopcli.errors import DeniedError, HoopError, UsageError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.model.decision import Approve

_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
    id TEXT PRIMARY KEY, session TEXT NOT NULL, principal TEXT NOT NULL, on_behalf_of TEXT NOT NULL,
    connection TEXT NOT NULL, rule TEXT NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL, digest TEXT NOT NULL,
    groups TEXT NOT NULL, needed INTEGER NOT NULL, uses INTEGER NOT NULL, asked REAL NOT NULL, expires REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS answers (
    request TEXT NOT NULL REFERENCES requests(id), approver TEXT NOT NULL, approve INTEGER NOT NULL,
    comment TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (request, approver)
) STRICT;
CREATE INDEX IF NOT EXISTS requests_by_binding ON requests (digest, principal, connection, rule);
"""
WAITING_LIMIT = 100
_KEEP_SECONDS = 24 * 3600


class State(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    USED = "used"


@dataclass(frozen=True, slots=True)
class Binding:
    """What an approval holds for, and nothing else: these very bytes, asked by this principal, on this connection."""

    principal: str
    connection: str
    rule: str
    digest: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person said."""

    approver: str
    approve: bool
    comment: str
    at: float


@dataclass(frozen=True, slots=True)
class Request:
    """One request as an approver sees it. ``text`` is shown in full, as it will run. Times are Unix seconds."""

    id: str
    session: str
    binding: Binding
    on_behalf_of: str
    reason: str
    text: str
    groups: tuple[str, ...]
    needed: int
    uses: int
    asked: float
    expires: float
    state: State
    answers: tuple[Answer, ...] = ()


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
        except (sqlite3.Error, OSError) as error:
            raise HoopError(f"the approvals at {path} cannot be opened: {error}", "run: hoop doctor") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def ask(
        self, binding: Binding, terms: Approve, *, session: str, on_behalf_of: str, reason: str, text: str
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
                " groups, needed, uses, asked, expires) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                (identity, session, binding.principal, on_behalf_of, binding.connection, binding.rule, reason, text,
                 binding.digest, json.dumps(terms.groups), terms.count, terms.uses, now,
                 now + terms.expires / timedelta(seconds=1)),
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


def check_approver(request: Request, approver: Principal) -> None:
    """Raise DeniedError unless this person may answer this request."""
    if approver.kind is not PrincipalKind.HUMAN:
        raise DeniedError("only a person can answer an approval request")
    if approver.subject == request.binding.principal:
        raise DeniedError(
            "nobody approves their own request", f"ask one of: {', '.join(request.groups) or 'a colleague'}"
        )
    if request.groups and not approver.groups.intersection(request.groups):
        raise DeniedError(
            f"request {request.id} needs an approver of {' or '.join(request.groups)}; {approver.subject} is in none",
            "set your groups under [identity] in the configuration, or ask someone who has them",
        )


def _state(row: sqlite3.Row, answers: Sequence[Answer], now: float) -> State:
    if any(not a.approve for a in answers):
        return State.DENIED
    if row["uses"] <= 0:
        return State.USED
    if now >= row["expires"]:
        return State.EXPIRED
    return State.APPROVED if len(answers) >= row["needed"] else State.WAITING
