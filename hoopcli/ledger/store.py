"""Appending to a ledger: one transaction a batch, durable when it returns, by any number of processes at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hoopcli.errors import LedgerError, UsageError
from hoopcli.ledger import drafts, schema
from hoopcli.ledger.files import replace_file
from hoopcli.ledger.merkle import CompactRange, leaf_hash, tree_hash
from hoopcli.ledger.note import Checkpoint, Signer, open_checkpoint
from hoopcli.ledger.reader import Reader, checkpoint_file, explained, payload_id
from hoopcli.ledger.record import Draft, Sealed, Slot, format_time, seal

WAL_SIZE: Final = 4_000_000
"""Bytes the write-ahead log is grown to at the start: writing over them is twice as fast as growing the file."""
_EXPIRE_BATCH: Final = 1_000


@dataclass(slots=True)
class _Head:
    tree: CompactRange
    time: str


class Ledger:
    """Appends to one ledger. Not for several threads at once; ``LedgerWriter`` is.

    ``size`` and ``signed`` count the records as this process last saw them; ``untidy`` is about how many pages the
    write-ahead log has grown by since ``tidy``. After any LedgerError but LedgerBusyError the caller must take it that
    nothing more can be recorded.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, signer: Signer, now: Callable[[], datetime]) -> None:
        self._path = path
        self._db = connection
        self._signer = signer
        self._now = now
        self._reader = Reader(connection, path)
        self._head: _Head | None = None
        self._clock_is_behind = False
        self.size = 0
        self.signed = 0
        self.untidy = 0

    @classmethod
    def open(
        cls,
        path: Path,
        signer: Signer,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        busy_seconds: float = schema.BUSY_SECONDS,
    ) -> Ledger:
        """Open a ledger, making it first if there is none.

        Raises:
            LedgerError: it cannot be opened, is another key's, or no longer matches what was signed.
        """
        try:
            with explained(path):
                if not path.exists():
                    schema.create(path, signer.name)
                connection = schema.connect(path, read_only=False, busy_seconds=busy_seconds)
        except OSError as error:
            raise LedgerError(f"the ledger {path} cannot be made: {error}", "run: hoop doctor") from error
        ledger = cls(path, connection, signer, now)
        try:
            with explained(path):
                ledger._check()
                ledger._grow_wal()
        except BaseException:
            connection.close()
            raise
        return ledger

    def append(self, batch: Sequence[Draft]) -> list[int]:
        """Append these drafts in one transaction; their indexes. They are on the disk when this returns.

        Raises:
            LedgerBusyError: another process holds the ledger too long; nothing was appended.
            LedgerError: nothing was appended.
        """
        sealed = [seal(draft) for draft in batch]
        with explained(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                size = self._insert(sealed)
                self._db.execute("COMMIT")
            except BaseException:
                self._abort()
                raise
        self.size = size
        return list(range(size - len(batch), size))

    def sign(self) -> Checkpoint:
        """Sign the tree as it is, unless it is signed already, and keep the checkpoint in both places."""
        with explained(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                head = self._current_head()
                checkpoint = Checkpoint(self._signer.name, head.tree.size, head.tree.root())
                if checkpoint.size and not self._is_signed(checkpoint.size):
                    note = str(self._signer.sign(str(checkpoint)))
                    replace_file(checkpoint_file(self._path), note)
                    self._db.execute("INSERT INTO checkpoints (size, note) VALUES (?, ?)", (checkpoint.size, note))
                self._db.execute("COMMIT")
            except BaseException:
                self._abort()
                raise
        self.size = self.signed = checkpoint.size
        return checkpoint

    def expire(self, before: datetime) -> int:
        """Forget the payloads of all records older than ``before``; how many payloads. Their digests stay.

        Recorded first, so that a verifier can tell what has expired from what was taken away.

        Raises:
            UsageError: ``before`` is in the future.
            LedgerError: as ``append``.
        """
        if before > self._now():
            raise UsageError("payloads that are yet to come cannot expire", "give a time in the past")
        self.append([drafts.ledger_expired(before)])
        end = payload_id(self._reader.index_at(before), Slot.REQUEST)
        expired = 0
        with explained(self._path):
            while count := self._db.execute(
                "UPDATE payloads SET salt = NULL, content = NULL WHERE id IN"
                " (SELECT id FROM payloads WHERE id < ? AND salt IS NOT NULL LIMIT ?)",
                (end, _EXPIRE_BATCH),
            ).rowcount:
                expired += count
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return expired

    def tidy(self) -> None:
        """Copy the write-ahead log into the file so that it is written over from its start. Never waits for others."""
        with explained(self._path):
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self.untidy = 0

    def close(self) -> None:
        """Close the file. What was appended is safe whether or not this is called."""
        self._db.close()

    def _insert(self, batch: Sequence[Sealed]) -> int:
        head = self._current_head()
        time = format_time(self._now())
        behind = time < head.time
        if behind:
            if not self._clock_is_behind:
                facts = {"clock": time, "last": head.time}
                batch = [seal(drafts.ledger_note("the clock stepped back", facts)), *batch]
            time = head.time
        records, payloads = [], []
        for sealed in batch:
            data = sealed.encode(time)
            index = head.tree.size
            records.append((index, b"".join(head.tree.append(leaf_hash(data))), data))
            payloads += [(payload_id(index, p.slot), p.salt, p.content) for p in sealed.payloads]
        self._insert_rows("INSERT INTO records (idx, nodes, record) VALUES ", records)
        self._insert_rows("INSERT INTO payloads (id, salt, content) VALUES ", payloads)
        written = sum(len(data) for _, _, data in records) + sum(len(content or b"") for _, _, content in payloads)
        self.untidy += 3 + written // 3000
        head.time = time
        self._clock_is_behind = behind
        return head.tree.size

    def _insert_rows(self, sql: str, rows: Sequence[tuple[object, object, object]]) -> None:
        """Insert by powers of two, few statements of few lengths: each gives the interpreter lock away only once."""
        start = 0
        while start < len(rows):
            count = 1 << (len(rows) - start).bit_length() - 1
            values = [value for row in rows[start : start + count] for value in row]
            self._db.execute(sql + ",".join(["(?,?,?)"] * count), values)
            start += count

    def _current_head(self) -> _Head:
        """The head of the tree, read again if another process has appended."""
        size = self._reader.size
        if size < self.size:
            raise LedgerError(f"the ledger {self._path} has lost records", "run: hoop audit verify")
        if self._head is None or self._head.tree.size != size:
            time = self._reader.record(size - 1).body["time"] if size else ""
            self._head = _Head(CompactRange.load(size, self._reader.node), time)
        return self._head

    def _is_signed(self, size: int) -> bool:
        return self._db.execute("SELECT 1 FROM checkpoints WHERE size = ?", (size,)).fetchone() is not None

    def _abort(self) -> None:
        self._head = None
        if self._db.in_transaction:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def _check(self) -> None:
        """Refuse to go on from a ledger that is not the one last signed: that would sign a fork."""
        hint = "run: hoop audit verify; then move the ledger's folder aside, and a new one starts by itself"
        with self._reader.snapshot():
            if self._reader.origin != self._signer.name:
                raise LedgerError(f"the ledger {self._path} belongs to another key: {self._reader.origin}", hint)
            kept = self._reader.kept_checkpoint()
            self.size = self._reader.size
            for note in (self._reader.last_checkpoint(), kept):
                if note is None:
                    continue
                checkpoint = open_checkpoint(note, self._signer.verifier)
                if checkpoint.size > self.size:
                    missing = checkpoint.size - self.size
                    raise LedgerError(
                        f"the ledger {self._path} has lost the last {missing} of its signed records", hint
                    )
                if tree_hash(checkpoint.size, self._reader.node) != checkpoint.root:
                    raise LedgerError(f"the ledger {self._path} is not the one that was signed", hint)
                self.signed = max(self.signed, checkpoint.size)

    def _grow_wal(self) -> None:
        wal = self._path.with_name(f"{self._path.name}-wal")
        if wal.exists() and wal.stat().st_size >= WAL_SIZE:
            return
        self._db.execute("PRAGMA cache_size = 10")  # so small that the pages spill into the log before the rollback
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("INSERT INTO payloads (id, salt, content) VALUES (-1, NULL, zeroblob(?))", (WAL_SIZE,))
        self._db.execute("ROLLBACK")
        self._db.execute("PRAGMA cache_size = -2000")
