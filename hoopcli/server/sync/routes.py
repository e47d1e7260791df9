"""The routes of ledgers: brokers enrol one and send its records; people see which there are and what is wrong.

A batch needs no token: what it holds is proved by the ledger's own signature, and an enrolled key is all that counts.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, Field

from hoopcli.errors import LedgerError, UsageError
from hoopcli.ledger import statements
from hoopcli.ledger.batch import MEDIA_TYPE
from hoopcli.ledger.note import ED25519, Verifier
from hoopcli.server.access import Caller, caller, require
from hoopcli.server.problems import Problem, not_found
from hoopcli.server.services import Served, Services
from hoopcli.server.sync import alerts, store
from hoopcli.server.sync.chores import lifespan
from hoopcli.server.sync.heads import report_head
from hoopcli.server.sync.ingest import ingest
from hoopcli.server.sync.refusals import refusals

MAX_NOTE: Final = 20_000

router = APIRouter(prefix="/v1/ledgers", tags=["ledgers"], lifespan=lifespan)
Who = Annotated[Caller, Depends(caller)]
_BATCH: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class Enrolment(BaseModel):
    """A ledger's public key, and a statement that it signed."""

    vkey: str = Field(max_length=1000)
    statement: str = Field(max_length=MAX_NOTE)


class HeadStatement(BaseModel):
    """How far a ledger says that it has come."""

    origin: str = Field(max_length=500)
    statement: str = Field(max_length=MAX_NOTE)


class Head(BaseModel):
    """How many records of a ledger the server has, the checkpoint it cosigned last, and its own key as a witness."""

    origin: str
    size: int
    checkpoint: str | None
    witness: str


class Stored(BaseModel):
    """How many records are stored after a batch; the cosigned checkpoint if these are all that it covers."""

    size: int
    checkpoint: str | None


class Ledger(BaseModel):
    """A ledger, as those see it who may read the audit. Times are Unix seconds."""

    origin: str
    vkey: str
    enrolled_by: str
    enrolled: float
    size: int
    witnessed_size: int
    heard: float


class AlertDocument(BaseModel):
    """What is wrong with a ledger."""

    id: int
    origin: str
    kind: alerts.Kind
    at: float
    detail: str
    honest: str | None
    other: str | None
    resolved: float | None
    resolved_by: str
    comment: str


@router.post("", status_code=201)
def enrol(body: Enrolment, who: Who, services: Served) -> Head:
    """Enrol a ledger in the name of who is signed in. Again by the same person it changes nothing."""
    require(who, services, "ledger:enrol", "ledgers")
    key = _ledger_key(body.vkey)
    statements.check_enrolment(body.statement, key, services.now())
    with services.database.write() as connection:
        try:
            held = store.find(connection, key.name)
        except Problem:
            held = store.enrol(connection, key, who.principal.subject, services.now().timestamp())
    if (held.key, held.enrolled_by) != (key, who.principal.subject):
        raise Problem(409, "enrolled", "this ledger is enrolled already, by another person or with another key")
    return _head(services, held)


@router.get("/head")
def head(origin: Annotated[str, Query(max_length=500)], services: Served) -> Head:
    """How much of a ledger the server has."""
    with services.database.read() as connection:
        return _head(services, store.find(connection, origin))


@router.post("/head", status_code=204)
def say_head(body: HeadStatement, services: Served) -> None:
    """A ledger says how far it has come. One that was rolled back thereby says so."""
    report_head(services, body.origin, body.statement)


@router.post("/batches", openapi_extra=_BATCH)
async def add_batch(request: Request, services: Served) -> Stored:
    """Store consecutive records. 409 with the size if they do not begin where the server's end, 422 if unproved."""
    data = await request.body()
    with refusals():
        receipt = await to_thread.run_sync(ingest, services, data)
    return Stored(size=receipt.size, checkpoint=receipt.checkpoint)


@router.get("")
def ls(who: Who, services: Served) -> list[Ledger]:
    """Every ledger."""
    require(who, services, "audit:read", "ledgers")
    with services.database.read() as connection:
        return [_document(held) for held in store.every(connection)]


@router.get("/alerts")
def ls_alerts(
    who: Who, services: Served, *, open_only: Annotated[bool, Query(alias="open")] = False
) -> list[AlertDocument]:
    """The alerts, newest first."""
    require(who, services, "audit:read", "ledgers")
    with services.database.read() as connection:
        return [
            AlertDocument.model_validate(a, from_attributes=True) for a in alerts.every(connection, open_only=open_only)
        ]


@router.post("/alerts/{identity}/resolve", status_code=204)
def resolve(identity: Annotated[int, Path(ge=1, le=2**31 - 1)], who: Who, services: Served) -> None:
    """Close an alert: somebody has dealt with it."""
    require(who, services, "ledger:resolve", "ledgers")
    with services.database.write() as connection:
        if not alerts.resolve(connection, identity, services.now().timestamp(), who.principal.subject):
            raise not_found(f"there is no open alert {identity}")


def _ledger_key(vkey: str) -> Verifier:
    try:
        key = Verifier.parse(vkey)
    except LedgerError as error:
        raise UsageError(error.message) from error
    if key.algorithm != ED25519 or len(key.name) > 500:
        raise UsageError("a ledger's key is an Ed25519 key with a name of at most 500 characters")
    return key


def _head(services: Services, held: store.Held) -> Head:
    return Head(
        origin=held.origin, size=held.size, checkpoint=held.witnessed_note, witness=str(services.witness.verifier)
    )


def _document(held: store.Held) -> Ledger:
    return Ledger(
        origin=held.origin,
        vkey=str(held.key),
        enrolled_by=held.enrolled_by,
        enrolled=held.enrolled,
        size=held.size,
        witnessed_size=held.witnessed_size,
        heard=held.heard,
    )
