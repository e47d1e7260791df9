"""The witness: it cosigns a checkpoint only if that extends the last one it cosigned, and remembers before it answers.

Every function works within the caller's transaction, whose commit makes the new state durable; the answer goes out
after that (C2SP tlog-witness).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from hoopcli.ledger.merkle import tree_hash
from hoopcli.ledger.note import Checkpoint, Cosigner, Note
from hoopcli.server.sync import store
from hoopcli.server.sync.proving import AlteredError, ForkError, StaleError, Tree, checkpoint_of, consistent
from hoopcli.server.sync.store import Held


class OldSizeError(AlteredError):
    """The old size is larger than the checkpoint's."""


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint note with the witness's line added, and that line alone."""

    note: str
    line: str


def add_checkpoint(
    connection: Connection, held: Held, witness: Cosigner, note: str, old: int, proof: Sequence[bytes], now: datetime
) -> Cosigned:
    """Cosign by a consistency proof from the last checkpoint. ``held`` must be locked.

    Raises:
        UnsignedError (403), OldSizeError (400), StaleError (409), AlteredError (422), ForkError (409).
    """
    checkpoint = checkpoint_of(note, held.key)
    if old > checkpoint.size:
        raise OldSizeError("the old size is larger than the checkpoint's")
    if old != held.witnessed_size:
        raise StaleError(held.witnessed_size)
    if old == checkpoint.size and held.witnessed_root != checkpoint.root:
        raise ForkError(f"this ledger has two trees of {old} records")
    if not consistent(old, held.witnessed_root, checkpoint, proof):
        raise AlteredError("the consistency proof does not hold")
    return _cosign(connection, held, witness, note, checkpoint, now)


def cosign_stored(
    connection: Connection, held: Held, witness: Cosigner, note: str, tree: Tree, now: datetime
) -> Cosigned | None:
    """Cosign a checkpoint over all that is stored in ``tree``; None if the witness has seen a larger one.

    Raises:
        ForkError: what was cosigned before is no part of that tree.
    """
    checkpoint = checkpoint_of(note, held.key)
    if held.witnessed_size > checkpoint.size:
        return None
    if tree_hash(held.witnessed_size, tree.node) != held.witnessed_root:
        raise ForkError(f"this ledger has another history before record {held.witnessed_size} than was cosigned")
    return _cosign(connection, held, witness, note, checkpoint, now)


def _cosign(
    connection: Connection, held: Held, witness: Cosigner, note: str, checkpoint: Checkpoint, now: datetime
) -> Cosigned:
    parsed = Note.parse(note)
    line = witness.cosign(parsed.text, int(now.timestamp()))
    own = tuple(s for s in parsed.signatures if (s.name, s.key_id) == (held.key.name, held.key.key_id))
    cosigned = Cosigned(str(Note(parsed.text, (*own, line))), str(line))
    store.set_values(
        connection,
        held.id,
        witnessed_size=checkpoint.size,
        witnessed_root=checkpoint.root,
        witnessed_note=cosigned.note,
        heard=now.timestamp(),
    )
    return cosigned
