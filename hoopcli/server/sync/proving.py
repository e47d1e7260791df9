"""Whether a batch is what its ledger's key signed, and goes on from what the server has. Pure.

Four outcomes: it does (the rows to store); it begins behind a gap (``StaleError``); it is not what was signed
(``AlteredError``); or it is, and contradicts what was signed before (``ForkError``), which is proof of two histories
under one key, since both are signed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from zstandard import ZstdDecompressor, ZstdError

from hoopcli.errors import LedgerError
from hoopcli.ledger.batch import Batch
from hoopcli.ledger.merkle import EMPTY_ROOT, CompactRange, NodeReader, leaf_hash, tree_hash, verify_consistency
from hoopcli.ledger.note import Checkpoint, Verifier, open_checkpoint
from hoopcli.ledger.reader import HASH_SIZE, PayloadRow, open_payload
from hoopcli.ledger.record import SLOTS, STORED, Record, Reference, parse, references

_SESSION_ENDS: Final = frozenset({"session.open", "session.close"})
_AT_ONCE: Final = 1 << 20
_WINDOW: Final = 1 << 27


class StaleError(LedgerError):
    """The batch begins after the end of what is stored, which is ``size``."""

    def __init__(self, size: int) -> None:
        super().__init__(f"the server has {size} records of this ledger", "send the next one")
        self.size = size


class UnsignedError(LedgerError):
    """The checkpoint is not signed by the ledger's key."""


class AlteredError(LedgerError):
    """Records, payloads or proofs are not what was signed. Nobody knows who altered them: it is no proof of a fork."""


class ForkError(LedgerError):
    """Two signed checkpoints of one ledger contradict each other."""


class Tree(Protocol):
    """What the server has of a ledger."""

    @property
    def size(self) -> int:
        """The number of records."""

    @property
    def node(self) -> NodeReader:
        """Reads the hashes of complete subtrees."""


@dataclass(frozen=True, slots=True)
class Row:
    """One record to store, and the node hashes that it completes, beginning with its leaf."""

    index: int
    nodes: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Proved:
    """What a batch adds: ``rows`` and their ``payloads``, and those of its records that open and close sessions.

    ``tree`` is the head after it; ``whole`` tells whether that is the very tree of ``checkpoint``.
    """

    checkpoint: Checkpoint
    rows: Sequence[Row]
    payloads: Sequence[PayloadRow]
    sessions: Sequence[Record]
    tree: CompactRange

    @property
    def whole(self) -> bool:
        """Whether the server now holds all that the checkpoint covers."""
        return self.tree.size == self.checkpoint.size


def checkpoint_of(note: str, key: Verifier) -> Checkpoint:
    """The checkpoint of a note. Raises UnsignedError unless this key signed it."""
    try:
        return open_checkpoint(note, key)
    except LedgerError as error:
        raise UnsignedError(error.message) from error


def consistent(first: int, first_root: bytes, second: Checkpoint, proof: Sequence[bytes]) -> bool:
    """Whether a checkpoint extends a tree, which may be the empty one, of which every tree is an extension."""
    if first == 0:
        empty = second.size > 0 or second.root == EMPTY_ROOT
        return not proof and first_root == EMPTY_ROOT and empty
    return verify_consistency(first, second.size, first_root, second.root, proof)


def prove(batch: Batch, key: Verifier, stored: Tree) -> Proved:
    """Check a batch against its checkpoint and against what is stored.

    Raises:
        StaleError, UnsignedError, AlteredError, ForkError: as the head of this module says.
    """
    checkpoint = checkpoint_of(batch.checkpoint, key)
    if batch.end > checkpoint.size:
        raise AlteredError("the batch goes beyond its checkpoint")
    if batch.start > stored.size:
        raise StaleError(stored.size)
    if not consistent(batch.start, batch.root, checkpoint, batch.start_proof):
        raise AlteredError("the proof from before the batch to its checkpoint does not hold")
    if batch.root != tree_hash(batch.start, stored.node):
        raise ForkError(f"this ledger has another history before record {batch.start} than the server was sent")
    tree = CompactRange.load(batch.start, stored.node)
    leaves = [leaf_hash(record) for record in batch.records]
    nodes = [b"".join(tree.append(leaf)) for leaf in leaves]
    if not consistent(batch.end, tree.root(), checkpoint, batch.end_proof):
        raise AlteredError("the records are not those that the checkpoint was signed over")
    _check_overlap(batch, nodes, checkpoint, stored)
    sessions = _check_contents(batch)
    known = min(stored.size, batch.end) - batch.start
    rows = [Row(batch.start + n, nodes[n], batch.records[n]) for n in range(known, len(nodes))]
    first_payload = (batch.start + known) * SLOTS
    return Proved(
        checkpoint,
        rows,
        [row for row in batch.payloads if row.id >= first_payload],
        [record for record in sessions if record.index >= batch.start + known],
        tree,
    )


def _check_overlap(batch: Batch, nodes: Sequence[bytes], checkpoint: Checkpoint, stored: Tree) -> None:
    """What was sent before must be the same again."""
    for index in range(batch.start, min(batch.end, stored.size)):
        if nodes[index - batch.start][:HASH_SIZE] != stored.node(0, index):
            raise ForkError(f"this ledger has another record {index} than the server was sent")
    if batch.end < checkpoint.size <= stored.size and tree_hash(checkpoint.size, stored.node) != checkpoint.root:
        raise ForkError(f"this ledger has another history before record {checkpoint.size} than the server was sent")


def _check_contents(batch: Batch) -> list[Record]:
    """Every payload must be what its record says; the records that open and close sessions."""
    payloads = {row.id: row for row in batch.payloads}
    if len(payloads) != len(batch.payloads):
        raise AlteredError("the batch has a payload twice")
    sessions = []
    for index, data in enumerate(batch.records, batch.start):
        about_session = b'"type":"session.' in data
        if not about_session and b'"digest":' not in data:
            continue
        try:
            # Whether the bytes are canonical is for whoever verifies the ledger: the server keeps what was signed.
            record = parse(index, data) if about_session else Record(index, json.loads(data))
            for reference in references(record.body):
                _check_payload(payloads.pop(index * SLOTS + reference.slot, None), reference)
        except (LedgerError, ValueError, AttributeError, RecursionError) as error:
            raise AlteredError(f"record {index} or a payload of it is not one: {error}") from error
        if about_session and record.type in _SESSION_ENDS:
            sessions.append(record)
    if payloads:
        raise AlteredError("the batch has a payload that no record names")
    return sessions


def _check_payload(row: PayloadRow | None, reference: Reference) -> None:
    if row is None:
        raise AlteredError(f"the payload {reference.slot.name.lower()} is missing")
    if row.salt is None:
        return  # expired; that this is so is told by a record further on
    if (row.content is not None) != (reference.slot in STORED):
        raise AlteredError(
            f"the payload {reference.slot.name.lower()} is stored where only its digest is, or not at all"
        )
    if row.content is None:
        return
    if reference.size <= _AT_ONCE:
        open_payload(row, reference)
    elif streamed_digest(row.salt, row.content, reference.size) != reference.digest:
        raise AlteredError(f"the payload {reference.slot.name.lower()} is not the one that was recorded")


def streamed_digest(salt: bytes, content: bytes, size: int) -> str:
    """The digest of a compressed payload in bounded memory; empty if it is not as long as it should be."""
    hasher, left = sha256(salt), size
    try:
        with ZstdDecompressor(max_window_size=_WINDOW).stream_reader(content) as plain:
            while block := plain.read(_AT_ONCE):
                left -= len(block)
                if left < 0:
                    return ""
                hasher.update(block)
    except ZstdError:
        return ""
    return "" if left else hasher.hexdigest()
