"""Sessions of invented people on three kinds of connection, with all that a page of theirs shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from connectors.sql.answer import MEDIA_TYPE
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.tokens import Done, DoneStatus
from connectors.sql.tds.tokenstream import write_row
from connectors.sql.tds.types import TypeId, TypeInfo
from hoopcli.ledger import drafts
from hoopcli.ledger.record import Draft
from hoopcli.ledger.tally import Tally
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.decision import Action, Approve, Decision, Effect, Json, Mask, Statement
from hoopcli.model.outcome import Outcome, Status
from hoopcli.model.session import Session
from tests.server.pages.stage import Machine

XSS = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"'><svg/onload=window.pwned=1>{{7*7}}"
CLAIRE = Principal("agent:claire", PrincipalKind.AGENT, on_behalf_of="omar@example.com")
OMAR = Principal("omar@example.com")
READ = Decision(
    Effect.ALLOW, "agents-read-shop", "reading is for all", (Mask("ssn", fields=("*.ssn",)),), revision="r1"
)
REFUSED = Decision(Effect.DENY, "no-drops", "not in production", (Approve(),), revision="r1")
WORDS = TypeInfo(TypeId.NVARCHAR, 400, collation=LATIN1)
BEGAN = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)


def rows_of(names: Sequence[str], *rows: Sequence[str | None]) -> bytes:
    """A result as SQL Server sends it."""
    columns = tuple(Column(name, WORDS) for name in names)
    written = [write_row(columns, tuple(row)) for row in rows]
    return write_columns(columns) + b"".join(written) + Done(DoneStatus.COUNT, 0xC1, len(rows)).encode()


class Acted:
    """A session as it is recorded, a few seconds between its records."""

    def __init__(
        self,
        machine: Machine,
        name: str,
        who: Principal,
        connection: Connection,
        began: datetime = BEGAN,
        why: str = "ticket 7",
    ) -> None:
        self._machine, self.name, self._time = machine, name, began
        self._tally = Tally()
        opened = Session(name, who, connection, began, began + timedelta(hours=1), why)
        self.record(drafts.session_open(opened, target="db.example.com", revision="r1", version="0.1.0"))

    def record(self, *given: Draft, seconds: float = 4.2) -> None:
        for draft in given:
            self._tally.add(draft.type, draft.body)
            self._machine.record(draft, at=self._time)
            self._time += timedelta(seconds=seconds)

    def ask(
        self,
        exchange: str,
        text: str,
        verb: str = "sql:select",
        resource: str = "shop.dbo.customers",
        decision: Decision = READ,
        facts: dict[str, Json] | None = None,
    ) -> None:
        told: dict[str, Json] = {"filtered": True, "tables": [resource], "columns": ["name", "ssn"]}
        statement = Statement(text, text.encode(), (Action(verb, (resource,)),), facts or told, "application/sql")
        self.record(drafts.exchange_request(self.name, exchange, statement, decision, shown=text))

    def answer(
        self, exchange: str, kept: bytes = b"", media_type: str = MEDIA_TYPE, *, masked: int = 0, error: str = ""
    ) -> None:
        found = Outcome(
            exchange,
            Status.COMPLETED,
            2,
            4096,
            "ab" * 32,
            {"ssn": masked} if masked else {},
            (error,) if error else (),
            kept,
            True,
            media_type,
        )
        self.record(drafts.exchange_outcome(self.name, found))

    def close(self, why: str = "closed") -> None:
        self.record(drafts.session_close(self.name, why, self._tally))


def sql_session(machine: Machine, name: str = "5e5510a1", who: Principal = CLAIRE, began: datetime = BEGAN) -> None:
    """Read, refused, waited for, closed."""
    acted = Acted(machine, name, who, Connection("azure-sql", "sql"), began)
    acted.ask("x1", "SELECT name, ssn\nFROM dbo.customers\nWHERE city = 'Utrecht'")
    acted.answer("x1", rows_of(["name", "ssn"], ["Nadia", "•••-••-1234"], ["Omar", None]), masked=1)
    acted.ask("x2", "DROP TABLE dbo.customers", "sql:drop", decision=REFUSED)
    waits = drafts.approval_asked(name, "x3", "q7", "ddl", Approve(("dba",)), began + timedelta(minutes=15))
    said = [drafts.Answer("nadia@example.com", True, "go on", began + timedelta(minutes=1))]
    acted.record(waits, drafts.approval_answered(name, "x3", "q7", said), seconds=40)
    acted.ask("x3", "UPDATE dbo.orders SET state = 'paid' WHERE id = 7", "sql:update", "shop.dbo.orders")
    acted.answer("x3", error="error 1205: deadlock victim")
    acted.close()


def shell_session(machine: Machine, name: str = "5e5510b2") -> None:
    """A terminal in a pod."""
    acted = Acted(machine, name, OMAR, Connection("aks", "kubectl"), BEGAN + timedelta(hours=2), "look at the queue")
    acted.ask("k1", "exec shop/worker-0 -it -- sh", "kubectl:exec", "shop/pods/worker-0", facts={"tty": True})
    cast = [{"version": 2, "width": 80, "height": 24}, [0.2, "o", "$ "], [1.0, "o", "ls\r\nqueue.txt\r\n$ "]]
    acted.answer("k1", "".join(json.dumps(line) + "\n" for line in cast).encode(), "application/x-asciicast")


def hostile_session(machine: Machine, name: str = XSS[:100]) -> None:
    """Every text is a script."""
    who = Principal(XSS, PrincipalKind.AGENT, on_behalf_of=XSS)
    acted = Acted(machine, name, who, Connection(XSS[:100], "sql"), BEGAN + timedelta(hours=3), XSS)
    bad = Decision(Effect.DENY, XSS[:100], XSS, (), revision="r1")
    acted.ask("h1", XSS + " hostile", XSS, XSS, bad, {XSS: XSS, "list": [XSS], "deep": {XSS: [1]}})
    acted.ask("h2", XSS + " hostile", XSS, XSS)
    acted.answer("h2", rows_of([XSS], [XSS]), error=XSS)
    said = [drafts.Answer(XSS, False, XSS, BEGAN)]
    acted.record(drafts.approval_answered(name, "h3", XSS, said))
    acted.close(XSS)
    listed = Acted(machine, "5e5510c3", OMAR, Connection("invoices", "blob"), BEGAN + timedelta(hours=3))
    listed.ask("b1", "GET /invoices?restype=container&comp=list", "blob:list", f"invoices/{XSS}")
    escaped = XSS.replace("&", "&amp;").replace("<", "&lt;")
    blobs = f"<EnumerationResults><Blobs><Blob><Name>{escaped}</Name></Blob></Blobs></EnumerationResults>"
    listed.answer("b1", blobs.encode(), "application/xml")
    listed.answer("b1", XSS.encode(), "text/html")
