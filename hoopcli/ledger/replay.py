"""A session as events in time, for whoever renders it. Nothing here is trusted: verify the ledger first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from hoopcli.errors import LedgerError, UsageError
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.record import Record, Reference, Slot, references


class Content(StrEnum):
    """What became of an exchange's payload."""

    WHOLE = "whole"
    BEGINNING = "beginning"  # the policy keeps no more of it
    CUT = "cut"  # what was recorded before its end, which is not on record
    NONE = "none"  # nothing was kept
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Opened:
    """The session began. ``offset`` is in seconds since then, here as in every event."""

    offset: float
    index: int
    time: datetime
    session: str
    principal: Mapping[str, Any]
    connection: Mapping[str, Any]
    reason: str


@dataclass(frozen=True, slots=True)
class Waited:
    """Something happened to an approval: ``asked``, ``answered``, ``expired``, ``withdrawn`` or ``used``."""

    offset: float
    index: int
    exchange: str
    what: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Requested:
    """A statement was decided. ``text`` is whole unless its payload has expired."""

    offset: float
    index: int
    exchange: str
    text: str
    whole: bool
    media_type: str
    effect: str
    rule: str
    reason: str
    obligations: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A permitted statement ended. ``content`` says what of the delivered bytes ``payload`` has.

    One that has no outcome on record, but pieces of it, is ``unfinished``: the broker was killed, or it goes on.
    """

    offset: float
    index: int
    exchange: str
    status: str
    rows: int
    size: int
    masked: Mapping[str, int]
    errors: tuple[str, ...]
    media_type: str
    content: Content
    payload: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """The session ended, and why; ``counts`` are those of its closing record."""

    offset: float
    index: int
    why: str
    counts: Mapping[str, Any]


Event = Opened | Waited | Requested | Answered | Closed


def replay(reader: Reader, session: str) -> Iterator[Event]:
    """The events of a session, in order. One that goes on, or was abandoned, has no ``Closed``.

    Raises:
        UsageError: there is no such session.
        LedgerError: a record or a payload is not what was recorded.
    """
    start: datetime | None = None
    unfinished: dict[str, Answered] = {}
    for record in reader.containing("session", session):
        start = start or record.time
        try:
            offset = (record.time - start).total_seconds()
            event = _event(reader, record, offset)
            if record.type == "exchange.piece":
                _gather(unfinished, reader, record, offset)
        except (KeyError, TypeError) as error:
            raise LedgerError(f"record {record.index} lacks a member", "run: hoop audit verify") from error
        if isinstance(event, Answered):
            unfinished.pop(event.exchange, None)
        if isinstance(event, Closed):
            yield from unfinished.values()
        if event is not None:
            yield event
        if isinstance(event, Closed):
            return
    yield from unfinished.values()
    if start is None:
        raise UsageError(f"there is no session {session!r} in this ledger", "run: hoop audit sessions")


def _event(reader: Reader, record: Record, offset: float) -> Event | None:
    body = record.body
    match record.type.split("."):
        case ["session", "open"]:
            who, what = body["principal"], body["connection"]
            return Opened(offset, record.index, record.time, record.session, who, what, body["reason"])
        case ["exchange", "request"]:
            return _requested(reader, record, offset)
        case ["exchange", "outcome"]:
            return _answered(reader, record, offset)
        case ["approval", what]:
            return Waited(offset, record.index, body["exchange"], what, body)
        case ["session", "close"]:
            counts = {name: body[name] for name in ("statements", "denied", "rows", "masked")}
            return Closed(offset, record.index, body["why"], counts)
    return None


def _gather(unfinished: dict[str, Answered], reader: Reader, record: Record, offset: float) -> None:
    """Add a piece to what is known of an exchange. Those before it that have expired are left out."""
    body = record.body
    before = unfinished.get(body["exchange"])
    reference = _reference(record, Slot.KEPT)
    payload = None if reference is None else reader.payload(record.index, reference)
    whole = (before.payload if before else b"") + (payload or b"")
    unfinished[body["exchange"]] = Answered(
        offset=offset,
        index=record.index,
        exchange=body["exchange"],
        status="unfinished",
        rows=0,
        size=len(whole),
        masked={},
        errors=(),
        media_type=body["kept"]["media_type"],
        content=Content.CUT if whole else Content.EXPIRED,
        payload=whole,
    )


def _requested(reader: Reader, record: Record, offset: float) -> Requested:
    body, decision = record.body, record.body["decision"]
    shown, whole = body["text"], not body.get("text_truncated", False)
    reference = _reference(record, Slot.TEXT)
    if reference is not None:
        content = reader.payload(record.index, reference)
        if content is not None:
            shown, whole = content.decode("utf-8", "replace"), True
    return Requested(
        offset=offset,
        index=record.index,
        exchange=body["exchange"],
        text=shown,
        whole=whole,
        media_type=body["media_type"],
        effect=decision["effect"],
        rule=decision["rule"],
        reason=decision["reason"],
        obligations=tuple(decision["obligations"]),
    )


def _answered(reader: Reader, record: Record, offset: float) -> Answered:
    body, kept = record.body, record.body["kept"]
    reference = _reference(record, Slot.KEPT)
    payload = None if reference is None else reader.payload(record.index, reference)
    if reference is None:
        content = Content.WHOLE if kept["all"] else Content.NONE
    elif payload is None:
        content = Content.EXPIRED
    else:
        content = Content.WHOLE if kept["all"] else Content.BEGINNING
    return Answered(
        offset=offset,
        index=record.index,
        exchange=body["exchange"],
        status=body["status"],
        rows=body["rows"],
        size=body["delivered"]["size"],
        masked=body["masked"],
        errors=tuple(body["errors"]),
        media_type=kept["media_type"],
        content=content,
        payload=payload or b"",
    )


def _reference(record: Record, slot: Slot) -> Reference | None:
    return next((r for r in references(record.body) if r.slot is slot), None)
