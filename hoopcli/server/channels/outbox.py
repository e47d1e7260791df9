"""Messages to be sent: written in the transaction of the event, sent afterwards, tried again until they arrive.

Any replica sends what is due. One that takes a message leases it, so that another sends it only if the first one died.
A message may so arrive twice, never not at all; its id is the same then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from hoopcli.server.approvals.held import Held
from hoopcli.server.channels.settings import ChannelSettings
from hoopcli.server.tables import approvals as tables

ATTEMPTS = 10
LEASE_SECONDS = 120.0
BATCH = 5
_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 3_600.0
_ROW = tables.deliveries.c


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one channel; ``attempt`` counts from 1."""

    id: int
    request: str
    channel: str
    what: str
    attempt: int


def enqueue(connection: Connection, channels: Sequence[ChannelSettings], held: Held, what: str, now: float) -> None:
    """Have every channel that hears of this event told."""
    rows = [
        {"request": held.request.id, "channel": c.name, "what": what, "due": now, "attempts": 0, "error": ""}
        for c in channels
        if c.hears(held, what)
    ]
    if rows:
        connection.execute(insert(tables.deliveries), rows)


def take(connection: Connection, now: float) -> list[Delivery]:
    """Lease some of what is due."""
    due = select(_ROW.id).where(_ROW.due <= now).order_by(_ROW.due).limit(BATCH).with_for_update(skip_locked=True)
    taken = connection.execute(
        update(tables.deliveries)
        .where(_ROW.id.in_(connection.execute(due).scalars().all()))
        .values(due=now + LEASE_SECONDS, attempts=_ROW.attempts + 1)
        .returning(_ROW.id, _ROW.request, _ROW.channel, _ROW.what, _ROW.attempts)
    )
    return [Delivery(*row) for row in taken]


def settle(connection: Connection, delivery: Delivery, error: str, now: float) -> None:
    """Done, or to be tried again after a pause that doubles; given up after so many attempts."""
    again = bool(error) and delivery.attempt < ATTEMPTS
    pause = min(_FIRST_PAUSE * 2 ** (delivery.attempt - 1), _LONGEST_PAUSE)
    connection.execute(
        update(tables.deliveries)
        .where(_ROW.id == delivery.id)
        .values(due=now + pause if again else None, error=error[:500])
    )
