"""Whether a ledger is what was recorded and signed: records, tree, checkpoints, payloads."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from hoopcli.errors import LedgerError
from hoopcli.ledger.merkle import CompactRange, leaf_hash, verify_inclusion
from hoopcli.ledger.note import Checkpoint, Verifier, open_checkpoint
from hoopcli.ledger.reader import HASH_SIZE, PayloadRow, StoredRecord, open_payload, payload_id
from hoopcli.ledger.record import SALT_SIZE, SLOTS, STORED, Record, Reference, parse, references
from hoopcli.ledger.report import Findings


class TreeCheck(Protocol):
    """Checks records against checkpoints: ``signed`` of them agree with one, whose root is ``root``."""

    signed: int
    root: bytes
    checkpoints: int

    def feed(self, row: StoredRecord) -> None:
        """Take the next record."""

    def finish(self) -> None:
        """Take the end."""


class Heads:
    """The checkpoints of a ledger in order of size, each verified; what is wrong with one becomes a finding."""

    def __init__(
        self, stored: Iterable[tuple[int, str]], others: Iterable[str], verifier: Verifier, findings: Findings
    ) -> None:
        self._verifier = verifier
        self._findings = findings
        elsewhere = [(c.size, note) for note in others if (c := self._open(note)) is not None]
        self._merged = iter(heapq.merge(stored, sorted(elsewhere), key=lambda head: head[0]))
        self._last_note = ""

    def __iter__(self) -> Iterator[Checkpoint]:
        for size, note in self._merged:
            if note == self._last_note:
                continue
            self._last_note = note
            checkpoint = self._open(note)
            if checkpoint is not None and checkpoint.size != size:
                self._findings.add(
                    size, "checkpoint", "", f"is stored as of {size} records, but says {checkpoint.size}"
                )
            elif checkpoint is not None:
                yield checkpoint

    def _open(self, note: str) -> Checkpoint | None:
        try:
            return open_checkpoint(note, self._verifier)
        except LedgerError as error:
            self._findings.add(None, "checkpoint", "", error.message)
            return None


class WholeTree:
    """Computes the tree over all records, and compares it with the stored nodes and with every checkpoint."""

    def __init__(self, heads: Iterable[Checkpoint], findings: Findings, *, nodes_stored: bool = True) -> None:
        self._heads = iter(heads)
        self._next = next(self._heads, None)
        self._findings = findings
        self._nodes_stored = nodes_stored
        self._tree = CompactRange()
        self._broken = False
        self._mismatched = False
        self.signed = 0
        self.root = b""
        self.checkpoints = 0

    def feed(self, row: StoredRecord) -> None:
        """Take the next record."""
        if self._broken:
            return
        if row.index != self._tree.size:
            self._broken = True
            self._findings.add(self._tree.size, "", "", f"missing: the next record is number {row.index}")
            return
        self._compare()
        leaf = leaf_hash(row.data)
        if self._nodes_stored and row.nodes[:HASH_SIZE] != leaf:
            self._findings.add(row.index, *_named(row), "was changed: its hash is not the one in the tree")
            if len(row.nodes) >= HASH_SIZE:  # go on with the hash that was recorded, to find what else is wrong
                leaf = row.nodes[:HASH_SIZE]
        nodes = b"".join(self._tree.append(leaf))
        if self._nodes_stored and nodes != row.nodes:
            self._findings.add(row.index, *_named(row), "the nodes of the tree that end here were changed")

    def finish(self) -> None:
        """Take the end: whatever was signed beyond it is missing."""
        if self._broken:
            return
        self._compare()
        largest = max((head.size for head in self._rest()), default=0)
        if largest > self._tree.size:
            cut = f"records {self._tree.size} to {largest - 1} were signed and are missing"
            self._findings.add(self._tree.size, "", "", f"{cut}: the end was cut off, or an older ledger put back")

    def _rest(self) -> Iterator[Checkpoint]:
        if self._next is not None:
            yield self._next
            yield from self._heads

    def _compare(self) -> None:
        while self._next is not None and self._next.size <= self._tree.size:
            head, self._next = self._next, next(self._heads, None)
            self.checkpoints += 1
            if head.root == self._tree.root():
                self.signed, self.root, self._mismatched = head.size, head.root, False
            elif not self._mismatched:
                self._mismatched = True
                changed = f"one of records {self.signed} to {head.size - 1} is not the one that was signed"
                self._findings.add(self.signed, "", "", f"{changed}, or the ledger forked")


class Excerpt:
    """Checks the inclusion proof of every record of an excerpt against its checkpoint.

    Of the other checkpoints that are known, only one of the same size can be compared with it.
    """

    def __init__(self, head: Checkpoint | None, known: Iterable[Checkpoint], findings: Findings) -> None:
        self._head = head
        self._findings = findings
        for other in known:
            if head and other.size == head.size and other.root != head.root:
                findings.add(None, "checkpoint", "", f"two trees of {head.size} records were signed: the ledger forked")
        self._last = -1
        self.signed = head.size if head else 0
        self.root = head.root if head else b""
        self.checkpoints = 1 if head else 0

    def feed(self, row: StoredRecord) -> None:
        """Take the next record."""
        if row.index <= self._last:
            self._findings.add(row.index, *_named(row), "is out of order, or there twice")
        self._last = row.index
        head = self._head
        if head and not verify_inclusion(leaf_hash(row.data), row.index, head.size, row.proof, head.root):
            self._findings.add(row.index, *_named(row), "is not in the tree that was signed")

    def finish(self) -> None:
        """Take the end."""


class RecordCheck:
    """Checks each record by itself, its time against the one before, and its payloads."""

    def __init__(self, payloads: Iterable[PayloadRow] | None, expired_before: str, findings: Findings) -> None:
        self._payloads = None if payloads is None else iter(payloads)
        self._next = None if self._payloads is None else next(self._payloads, None)
        self._expired_before = expired_before
        self._findings = findings
        self._time = ""
        self.payloads = 0
        self.expired = 0

    def feed(self, row: StoredRecord) -> Record | None:
        """Take the next record; None if it cannot be read."""
        try:
            record = parse(row.index, row.data)
            named = list(references(record.body))
        except LedgerError as error:
            self._findings.add(row.index, "", "", error.message)
            return None
        time = record.body["time"]
        if time < self._time:
            self._findings.add(row.index, record.type, time, f"is dated before the record ahead of it ({self._time})")
        self._time = max(time, self._time)
        if self._payloads is not None:
            self._check_payloads(record, named)
        return record

    def finish(self) -> None:
        """Take the end."""
        while self._next is not None:
            self._stray(self._next)
            self._advance()

    def _check_payloads(self, record: Record, named: list[Reference]) -> None:
        rows: dict[int, PayloadRow] = {}
        while self._next is not None and self._next.id < (record.index + 1) * SLOTS:
            rows[self._next.id] = self._next
            self._advance()
        for reference in named:
            row = rows.pop(payload_id(record.index, reference.slot), None)
            self.payloads += 1
            why = self._payload_fault(record.body, reference, row)
            if why:
                name = reference.slot.name.lower()
                self._findings.add(record.index, record.type, record.body["time"], f"its payload {name} {why}")
        for row in rows.values():
            self._stray(row)

    def _payload_fault(self, body: Mapping[str, str], reference: Reference, row: PayloadRow | None) -> str:
        if row is None:
            return "was removed"
        if row.salt is None and row.content is None:
            if body["time"] >= self._expired_before:
                return "was removed, though no recorded expiry covers it"
            self.expired += 1
            return ""
        salted = row.salt is not None and len(row.salt) == SALT_SIZE
        if not salted or (row.content is None) == (reference.slot in STORED):
            return "was removed in part"
        try:
            open_payload(row, reference)
        except LedgerError as error:
            return f"was changed ({error.message})"
        return ""

    def _stray(self, row: PayloadRow) -> None:
        self._findings.add(row.id // SLOTS, "payload", "", f"payload {row.id} is named by no record")

    def _advance(self) -> None:
        self._next = None if self._payloads is None else next(self._payloads, None)


def _named(row: StoredRecord) -> tuple[str, str]:
    """The type and time that a record gives itself, as far as it can be read."""
    try:
        record = parse(row.index, row.data)
    except LedgerError:
        return "", ""
    return record.type, record.body["time"]
