"""The routes of audit: sessions, statements, one session with its proof, and who read what."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel

from hoopcli.errors import UsageError
from hoopcli.server.access import Caller, caller
from hoopcli.server.records import search
from hoopcli.server.records.chores import lifespan
from hoopcli.server.records.entries import plain
from hoopcli.server.records.keys import HIGHEST
from hoopcli.server.records.reading import Reading
from hoopcli.server.services import Served

router = APIRouter(prefix="/v1/audit", tags=["audit"], lifespan=lifespan)

Id = Annotated[int, Path(ge=0, le=HIGHEST)]
Below = Annotated[int | None, Query(ge=0, le=HIGHEST, description="Go on below this one: `next` of the last page.")]
Start = Annotated[int, Query(ge=0, le=1 << 53, description="Go on from this record: `next` of the last answer.")]
Name = Annotated[str, Query(max_length=500)]
Time = Annotated[str, Query(max_length=40, description="RFC 3339, or a day in UTC.")]


class SessionRow(BaseModel):
    """A session in short. `closed` is empty while it is open, or if nothing was heard of it any more."""

    id: str
    session: str
    connection: str
    connector: str
    principal: str
    kind: str
    on_behalf_of: str
    reason: str
    opened: str
    expires: str
    heard: str
    closed: str
    why: str
    live: bool
    statements: int
    denied: int
    waits: int
    rows: int
    masked: int


class StatementRow(BaseModel):
    """A statement in short: `session` is the id of its session, `record` the index of its request in the ledger."""

    id: str
    session: str
    record: int
    time: str
    principal: str
    on_behalf_of: str
    connection: str
    connector: str
    text: str
    verbs: list[str]
    resources: list[str]
    effect: str
    rule: str
    status: str
    rows: int
    masked: int
    waited: bool


class Facets(BaseModel):
    """How many of the newest `counted` there are of each value."""

    counted: int
    of: dict[str, dict[str, int]]


class Sessions(BaseModel):
    """A page of sessions, the newest first."""

    sessions: list[SessionRow]
    next: str | None
    facets: Facets


class Statements(BaseModel):
    """A page of statements, the newest first."""

    statements: list[StatementRow]
    next: str | None
    facets: Facets


class SessionDocument(BaseModel):
    """A session and its records, as they were recorded and as a connector shows them."""

    session: SessionRow
    ledger: str
    steps: list[dict[str, Any]]
    next: int | None


class EvidenceDocument(BaseModel):
    """What one verifies a session with (docs/ledger.md): nothing of it needs to be believed but the two keys."""

    origin: str
    key: str
    witness: str
    note: str
    total: int
    records: list[dict[str, Any]]
    next: int | None


class Read(BaseModel):
    """Who read what."""

    id: int
    at: float
    subject: str
    what: str
    asked: dict[str, Any]
    allowed: bool
    found: int


def reading(services: Served, who: Annotated[Caller, Depends(caller)]) -> Reading:
    """What the caller reads."""
    return Reading(services, who)


def asked(
    text: Annotated[str, Query(max_length=500, description="Words, all of them; `cust*` is a beginning.")] = "",
    person: Name = "",
    on_behalf_of: Name = "",
    connection: Name = "",
    connector: Name = "",
    verb: Name = "",
    resource: Annotated[str, Query(max_length=500, description="A table or a folder, whole or in short.")] = "",
    effect: Name = "",
    rule: Name = "",
    masked: bool = False,
    waited: bool = False,
    live: bool = False,
    after: Time = "",
    before: Time = "",
) -> search.Query:
    """What is looked for. Raises UsageError."""
    return search.Query(
        text=plain(text, 500),
        person=plain(person, 500),
        on_behalf_of=plain(on_behalf_of, 500),
        connection=plain(connection, 500),
        connector=plain(connector, 500),
        verb=plain(verb, 500),
        resource=plain(resource, 500),
        effect=plain(effect, 500),
        rule=plain(rule, 500),
        masked=masked,
        waited=waited,
        live=live,
        after=_time(after),
        before=_time(before),
    )


Reads = Annotated[Reading, Depends(reading)]
Asked = Annotated[search.Query, Depends(asked)]


@router.get("/sessions")
def sessions(reads: Reads, query: Asked, below: Below = None) -> Sessions:
    """The sessions that match and the caller may read. Criteria of statements do not count here."""
    page = reads.sessions(query, below)
    return Sessions(
        sessions=[_session(row, reads.now) for row in page.rows],
        next=None if page.next is None else str(page.next),
        facets=_facets(page),
    )


@router.get("/statements")
def statements(reads: Reads, query: Asked, below: Below = None) -> Statements:
    """The statements that match and the caller may read."""
    page = reads.statements(query, below)
    return Statements(
        statements=[_statement(row) for row in page.rows],
        next=None if page.next is None else str(page.next),
        facets=_facets(page),
    )


@router.get("/sessions/{identity}")
def session(identity: Id, reads: Reads, start: Start = 0) -> SessionDocument:
    """One session: its records in order, a hundred at a time, with the results as they were delivered."""
    told = reads.session(identity, start)
    return SessionDocument(
        session=_session(told.session, reads.now),
        ledger=told.origin,
        steps=[asdict(step) for step in told.steps],
        next=told.next,
    )


@router.get("/sessions/{identity}/evidence")
def evidence(identity: Id, reads: Reads, start: Start = 0) -> EvidenceDocument:
    """The proof that a session's records are in its ledger, under a signed and cosigned checkpoint."""
    return EvidenceDocument(**asdict(reads.evidence(identity, start)))


@router.get("/reads")
def read(reads: Reads, below: Annotated[int | None, Query(ge=0, le=(1 << 31) - 1)] = None) -> list[Read]:
    """Who read what, the newest first."""
    return [Read(**row) for row in reads.reads(below)]


def live(row: Any, now: str) -> bool:
    """Whether a session goes on, as far as anybody has told."""
    return not row["closed"] and row["expires"] > now


def _session(row: Any, now: str) -> SessionRow:
    return SessionRow(id=str(row["key"]), live=live(row, now), **{k: v for k, v in row.items() if k != "key"})


def _statement(row: Any) -> StatementRow:
    listed = {"verbs": row["verbs"].split(), "resources": row["resources"].split("\n") if row["resources"] else []}
    place = {"id": str(row["key"]), "session": str(row["session"]), "record": row["idx"]}
    return StatementRow(**dict(row) | listed | place)


def _facets(page: search.Page) -> Facets:
    return Facets(counted=page.counted, of={name: dict(values) for name, values in page.facets.items()})


def _time(value: str) -> datetime | None:
    if not value.strip():
        return None
    try:
        time = datetime.fromisoformat(value.strip())
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{value!r} is not a time", "write 2026-01-31 or 2026-01-31T09:00:00Z") from error
