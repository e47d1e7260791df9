"""Alerts about ledgers: forked, rolled back, or silent while sessions are open. An alert stays until it is resolved."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, exists, insert, select, update

from hoopcli.ledger.record import format_time
from hoopcli.server.services import Services
from hoopcli.server.sync.store import find, held_of
from hoopcli.server.tables import ledgers as tables

TOPIC = "ledger-alerts"
_ALERT = tables.alerts.c
_SESSION = tables.sessions.c
_LEDGER = tables.ledgers.c


class Kind(StrEnum):
    """What is wrong."""

    FORK = "fork"
    ROLLBACK = "rollback"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. ``honest`` is the last checkpoint that was accepted, ``other`` the one that contradicts it.

    ``resolved_by`` is empty while it is open, and if a silent ledger spoke again by itself.
    """

    id: int
    origin: str
    kind: Kind
    at: float
    detail: str
    honest: str | None
    other: str | None
    resolved: float | None
    resolved_by: str = ""
    comment: str = ""


def raise_alert(services: Services, origin: str, kind: Kind, detail: str, other: str | None = None) -> bool:
    """Keep an alert, unless the same is open already, and wake whoever watches; whether it is new."""
    now = services.now().timestamp()
    with services.database.write() as connection:
        held = find(connection, origin, lock=True)
        same = select(_ALERT.id).where(_ALERT.ledger == held.id, _ALERT.kind == kind, _ALERT.resolved.is_(None))
        if connection.execute(same).first() is not None:
            return False
        values = {"ledger": held.id, "kind": kind, "at": now, "detail": detail}
        notes = {"honest_note": held.witnessed_note or held.note, "other_note": other}
        connection.execute(insert(tables.alerts).values(values | notes))
    services.metrics.alerts.labels(kind).inc()
    services.wake.notify(TOPIC, origin)
    return True


def every(
    connection: Connection, *, open_only: bool = False, ledger: int | None = None, limit: int = 500
) -> list[Alert]:
    """The alerts, or those of one ledger, newest first."""
    query = select(tables.alerts, _LEDGER.origin).join(tables.ledgers, _LEDGER.id == _ALERT.ledger)
    if open_only:
        query = query.where(_ALERT.resolved.is_(None))
    if ledger is not None:
        query = query.where(_ALERT.ledger == ledger)
    rows = connection.execute(query.order_by(_ALERT.at.desc(), _ALERT.id.desc()).limit(limit)).mappings()
    return [
        Alert(
            r["id"],
            r["origin"],
            Kind(r["kind"]),
            r["at"],
            r["detail"],
            r["honest_note"],
            r["other_note"],
            r["resolved"],
            r["resolved_by"] or "",
            r["comment"] or "",
        )
        for r in rows
    ]


def resolve(connection: Connection, identity: int, now: float, who: str, comment: str = "") -> bool:
    """A person has dealt with it; whether there was such an open alert."""
    mine = (_ALERT.id == identity, _ALERT.resolved.is_(None))
    said = {"resolved": now, "resolved_by": who, "comment": comment}
    return connection.execute(update(tables.alerts).where(*mine).values(said)).rowcount > 0


def check_silence(services: Services) -> int:
    """Flag every ledger with an open session that has said nothing for too long, and unflag those that speak again.

    The number of silent ledgers.
    """
    now = services.now()
    before = now.timestamp() - services.settings.silent_after
    opened = exists().where(_SESSION.ledger == _LEDGER.id, _SESSION.last.is_(None), _SESSION.expires > format_time(now))
    silent = select(tables.ledgers).where(_LEDGER.heard < before, opened)
    with services.database.read() as connection:
        quiet = [held_of(row) for row in connection.execute(silent).mappings()]
    for held in quiet:
        raise_alert(services, held.origin, Kind.SILENT, "nothing has come from this ledger while a session is open")
    heard = select(_LEDGER.id).where(_LEDGER.heard >= before)
    over = (_ALERT.kind == Kind.SILENT, _ALERT.resolved.is_(None), _ALERT.ledger.in_(heard))
    with services.database.write() as connection:
        connection.execute(update(tables.alerts).where(*over).values(resolved=now.timestamp()))
    services.metrics.silent.set(len(quiet))
    return len(quiet)
