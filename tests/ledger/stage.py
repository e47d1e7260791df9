"""A small ledger of invented people: what the tests of this folder begin from."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from hoopcli.ledger import drafts
from hoopcli.ledger.keys import load_or_create
from hoopcli.ledger.note import Signer, Verifier
from hoopcli.ledger.record import Draft
from hoopcli.ledger.report import Report
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.tally import Tally
from hoopcli.ledger.verify import verify
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Approve, Decision, Effect, Json, Limit, Mask, Statement
from hoopcli.model.outcome import Outcome, Piece, Status
from hoopcli.model.session import Session
from tests.support.clock import Clock

ALLOW = Decision(
    Effect.ALLOW, "agents-read-shop", "reading is fine", (Mask("ssn", fields=("*.ssn",)), Limit(10)), revision="r1"
)
DENY = Decision(Effect.DENY, "no-drops", "not in production", (Approve(),), revision="r1")


def statement(text: str = "SELECT name FROM dbo.customers", facts: dict[str, Json] | None = None) -> Statement:
    return Statement(
        text,
        text.encode("utf-16-le", "surrogatepass"),
        (Action("sql:select", ("shop.dbo.customers",)),),
        facts or {},
        "application/sql",
    )


class Story:
    """The drafts of one session, with its tally."""

    def __init__(self, name: str = "s1", subject: str = "agent:claire", opened: datetime | None = None) -> None:
        opened = opened or Clock().time
        principal = Principal(subject, PrincipalKind.AGENT, "Claire", on_behalf_of="omar@example.com")
        connection = Connection("azure-sql", "sql")
        self.session = Session(name, principal, connection, opened, opened + timedelta(hours=1), "ticket 7")
        self.tally = Tally()
        self.drafts: list[Draft] = []

    def _add(self, draft: Draft) -> Story:
        self.tally.add(draft.type, draft.body)
        self.drafts.append(draft)
        return self

    def open(self) -> Story:
        return self._add(drafts.session_open(self.session, target="db.example.com", revision="r1", version="0.1.0"))

    def ask(self, exchange: str, decision: Decision = ALLOW, text: str = "SELECT name FROM dbo.customers") -> Story:
        return self._add(drafts.exchange_request(self.session.id, exchange, statement(text), decision, shown=text))

    def answer(self, exchange: str, kept: bytes = b"Nadia\nOmar\n", *, whole: bool = True) -> Story:
        outcome = Outcome(
            exchange, Status.COMPLETED, 2, 4096, "ab" * 32, {"ssn": 2}, ("error 50000",), kept, whole, "text/csv"
        )
        return self._add(drafts.exchange_outcome(self.session.id, outcome))

    def piece(self, exchange: str, number: int, kept: bytes = b"Nadia\n") -> Story:
        return self._add(drafts.exchange_piece(self.session.id, Piece(exchange, number, kept, "text/csv")))

    def beat(self) -> Story:
        return self._add(drafts.session_heartbeat(self.session.id, self.tally.statements))

    def close(self, why: str = "closed") -> Story:
        return self._add(drafts.session_close(self.session.id, why, self.tally))


def whole_story(name: str = "s1", subject: str = "agent:claire") -> list[Draft]:
    """Open, a permitted exchange, a denied one, a long statement, close: nine records."""
    story = Story(name, subject).open()
    story.ask(f"{name}-1").answer(f"{name}-1").ask(f"{name}-2", DENY, "DROP TABLE dbo.customers").beat()
    story.ask(f"{name}-3", text="SELECT 1 -- " + "x" * 20_000).answer(f"{name}-3", b"", whole=False)
    return story.close().drafts


@contextmanager
def ledger(folder: Path, clock: Clock | None = None) -> Iterator[Ledger]:
    """The ledger of a folder, made if need be."""
    opened = Ledger.open(folder / "ledger.db", signer(folder), now=clock or Clock(), busy_seconds=0.05)
    try:
        yield opened
    finally:
        opened.close()


def signer(folder: Path) -> Signer:
    return load_or_create(folder).signer


def key(folder: Path) -> Verifier:
    return signer(folder).verifier


def filled(folder: Path, stories: int = 2, clock: Clock | None = None) -> Path:
    """A ledger of whole stories, each signed, a minute apart."""
    clock = clock or Clock()
    with ledger(folder, clock) as opened:
        for number in range(1, stories + 1):
            for draft in whole_story(f"s{number}"):
                opened.append([draft])
                clock.forward(seconds=1)
            opened.sign()
            clock.forward(minutes=1)
    return folder / "ledger.db"


def check(path: Path, vkey: Verifier | None = None, *, now: datetime | None = None) -> Report:
    """Verify, a day later."""
    return verify(path, vkey or key(path.parent), now=now or Clock().time + timedelta(days=1))


def tamper(path: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Change the file as someone would who knows it: triggers off, and on again."""
    db = sqlite3.connect(path, isolation_level=None)
    triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")
    change(db)
    for _, sql in triggers:
        db.execute(sql)
    db.close()
