"""Taking in a batch: proved while nothing is locked, stored in one transaction, cosigned when the tree is whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hoopcli.errors import LedgerError, ProtocolError
from hoopcli.ledger.batch import Batch, decode
from hoopcli.ledger.note import Checkpoint, Note
from hoopcli.server.records import indexing
from hoopcli.server.services import Services
from hoopcli.server.sync import store, witness
from hoopcli.server.sync.alerts import Kind, raise_alert
from hoopcli.server.sync.proving import ForkError, Proved, StaleError, prove
from hoopcli.server.sync.store import Held, StoredTree

_TURNS: Final = 5


@dataclass(frozen=True, slots=True)
class Receipt:
    """How many records of a ledger are stored, and the cosigned checkpoint over them if the batch made it whole."""

    size: int
    checkpoint: str | None


def ingest(services: Services, data: bytes) -> Receipt:
    """Take in a batch. The same batch again gives the same answer and stores nothing.

    Raises:
        ProtocolError, Problem (404), and what ``prove`` raises; a fork is kept as an alert first.
    """
    batch = decode(data, services.settings.body_limit)
    origin = origin_of(batch.checkpoint)
    try:
        return _ingest(services, origin, batch)
    except ForkError as error:
        raise_alert(services, origin, Kind.FORK, error.message, batch.checkpoint)
        raise


def origin_of(note: str) -> str:
    """Which ledger a note claims to be of. Raises ProtocolError if it is malformed."""
    try:
        return Checkpoint.parse(Note.parse(note).text).origin
    except LedgerError as error:
        raise ProtocolError("malformed checkpoint") from error


def _ingest(services: Services, origin: str, batch: Batch) -> Receipt:
    for _ in range(_TURNS):
        with services.database.read() as connection:
            held = store.find(connection, origin)
            proved = prove(batch, held.key, StoredTree(connection, held.id, held.size))
        if (receipt := _store(services, held, batch, proved)) is not None:
            return receipt
    raise StaleError(held.size)  # others kept being faster


def _store(services: Services, seen: Held, batch: Batch, proved: Proved) -> Receipt | None:
    """Store what was proved against ``seen``; None if the ledger has grown meanwhile."""
    now = services.now()
    with services.database.write() as connection:
        held = store.find(connection, seen.origin, lock=True)
        if held.size != seen.size:
            return None
        size = max(held.size, batch.end)
        store.add_rows(connection, held.id, proved.rows, proved.payloads)
        store.add_sessions(connection, held.id, proved.sessions)
        if len(proved.rows) <= indexing.AT_ONCE:
            indexing.extend(connection, held.id, held.size, [(row.index, row.data) for row in proved.rows])
        whole = proved.whole and size == batch.end
        note = {"note": batch.checkpoint} if whole else {}
        store.set_values(connection, held.id, size=size, heard=now.timestamp(), **note)
        tree = StoredTree(connection, held.id, size)
        cosigned = (
            witness.cosign_stored(connection, held, services.witness, batch.checkpoint, tree, now) if whole else None
        )
    services.metrics.records.inc(len(proved.rows))
    if cosigned is not None:
        services.metrics.cosignatures.inc()
    return Receipt(size, None if cosigned is None else cosigned.note)
