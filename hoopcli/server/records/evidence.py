"""The proof that a session's records are in its ledger: their bytes, inclusion proofs, and the cosigned checkpoint."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, RowMapping, func, select

from hoopcli.ledger.merkle import inclusion_proof
from hoopcli.ledger.note import Checkpoint, Note
from hoopcli.server.services import Services
from hoopcli.server.sync import store
from hoopcli.server.sync.store import Held, StoredTree
from hoopcli.server.tables import ledgers
from hoopcli.server.tables import records as tables

AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class ProvedRecord:
    """A record's bytes in base64, and its inclusion proof from the leaf's sibling up, in hex. None: not covered yet."""

    index: int
    data: str
    proof: list[str] | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one verifies with: the checkpoint ``note``, the keys that signed it, and the records from one on.

    ``total`` counts the session's records; ``next`` is the index to go on from, None at the end.
    """

    origin: str
    key: str
    witness: str
    note: str
    total: int
    records: list[ProvedRecord]
    next: int | None


def origin(connection: Connection, ledger: int) -> str:
    """The name of a ledger."""
    return str(connection.execute(select(ledgers.ledgers.c.origin).where(ledgers.ledgers.c.id == ledger)).scalar_one())


def of(connection: Connection, services: Services, session: RowMapping, start: int = 0) -> Evidence:
    """The evidence of a session's records from an index on."""
    held = store.find(connection, origin(connection, session["ledger"]))
    note, size = _checkpoint(held)
    node = lru_cache(maxsize=None)(StoredTree(connection, held.id, held.size).node)
    member, record = tables.members.c, ledgers.records.c
    found = connection.execute(
        select(record.idx, record.record)
        .join(tables.members, (member.idx == record.idx) & (member.session == session["key"]))
        .where(record.ledger == held.id, record.idx >= start)
        .order_by(record.idx)
        .limit(AT_ONCE + 1)
    ).all()
    total = connection.execute(select(func.count()).where(member.session == session["key"])).scalar_one()
    shown = [
        ProvedRecord(index, b64encode(data).decode(), [h.hex() for h in inclusion_proof(index, size, node)])
        if index < size
        else ProvedRecord(index, b64encode(data).decode(), None)
        for index, data in found[:AT_ONCE]
    ]
    more = found[AT_ONCE].idx if len(found) > AT_ONCE else None
    return Evidence(held.origin, str(held.key), str(services.witness.verifier), note, total, shown, more)


def _checkpoint(held: Held) -> tuple[str, int]:
    """The cosigned checkpoint, else the latest one that is signed at all; empty if there is none."""
    for note in (held.witnessed_note, held.note):
        if note is not None:
            size = Checkpoint.parse(Note.parse(note).text).size
            if size <= held.size:
                return note, size
    return "", 0
