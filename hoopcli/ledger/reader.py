"""Reading a ledger: records, tree nodes, payloads and checkpoints, in bounded memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from hoopcli.errors import LedgerError
from hoopcli.ledger import schema
from hoopcli.ledger.record import SLOTS, Record, Reference, Slot, decompress, digest, format_time, parse

HASH_SIZE = 32


class LedgerBusyError(LedgerError):
    """Another process holds the ledger; nothing was lost, and trying again may work."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as it is on disk. ``nodes`` end at its leaf; ``proof``, in an excerpt, leads from there to the root."""

    index: int
    nodes: bytes
    data: bytes
    proof: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """A payload as it is on disk; salt and content are None once it has expired."""

    id: int
    salt: bytes | None
    content: bytes | None
    compressed: bool = True


class Reader:
    """Reads one ledger. Its methods raise LedgerError when the file cannot be read."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self.path = path

    @classmethod
    def open(cls, path: Path) -> Reader:
        """Open for reading only."""
        with explained(path):
            return cls(schema.connect(path, read_only=True), path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, all reads see the ledger as it was at one moment, whoever appends meanwhile."""
        with explained(self.path):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("ROLLBACK")

    @property
    def origin(self) -> str:
        """The name that the ledger was created under, which is that of its key."""
        row = self._one("SELECT origin FROM ledger")
        if row is None:
            raise LedgerError(f"{self.path} has no origin: it was tampered with")
        return str(row[0])

    @property
    def size(self) -> int:
        """The number of records."""
        row = self._one("SELECT idx FROM records ORDER BY idx DESC LIMIT 1")
        return 0 if row is None else int(row[0]) + 1

    def node(self, level: int, index: int) -> bytes:
        """The hash of the complete subtree at (level, index)."""
        record = ((index + 1) << level) - 1
        row = self._one(
            "SELECT substr(nodes, ?, ?) FROM records WHERE idx = ?", level * HASH_SIZE + 1, HASH_SIZE, record
        )
        if row is None or len(row[0]) != HASH_SIZE:
            raise LedgerError(f"the tree of {self.path} has a hole at record {record}", "run: hoop audit verify")
        return bytes(row[0])

    def record(self, index: int) -> Record:
        """One record."""
        row = self._one("SELECT record FROM records WHERE idx = ?", index)
        if row is None:
            raise LedgerError(f"there is no record {index}", "run: hoop audit verify")
        return parse(index, row[0])

    def rows(self, start: int = 0) -> Iterator[StoredRecord]:
        """Every record from ``start`` on, in order of index, as stored."""
        with explained(self.path):
            for row in self._db.execute("SELECT idx, nodes, record FROM records WHERE idx >= ? ORDER BY idx", (start,)):
                yield StoredRecord(*row)

    def containing(self, member: str, value: str) -> Iterator[Record]:
        """The records whose top-level member has this value (plain ASCII), in order."""
        needle = f'"{member}":"{value}"'.encode()
        with explained(self.path):
            for index, data in self._db.execute(
                "SELECT idx, record FROM records WHERE instr(record, ?) ORDER BY idx", (needle,)
            ):
                record = parse(index, data)
                if record.body.get(member) == value:
                    yield record

    def payload_rows(self, start: int = -(1 << 63)) -> Iterator[PayloadRow]:
        """Every payload from the id ``start`` on, in order of id, as stored; also those that no record can have."""
        with explained(self.path):
            for row in self._db.execute("SELECT id, salt, content FROM payloads WHERE id >= ? ORDER BY id", (start,)):
                yield PayloadRow(*row)

    def payload(self, index: int, reference: Reference) -> bytes | None:
        """The content of a record's payload, checked against its digest; None if it is not kept, or has expired.

        Raises:
            LedgerError: it is not what the record says.
        """
        row = self.payload_row(index, reference.slot)
        return None if row is None else open_payload(row, reference)

    def payload_row(self, index: int, slot: Slot) -> PayloadRow | None:
        """A record's payload as stored."""
        row = self._one("SELECT id, salt, content FROM payloads WHERE id = ?", payload_id(index, slot))
        return None if row is None else PayloadRow(*row)

    def checkpoints(self) -> Iterator[tuple[int, str]]:
        """Every checkpoint as (size, note), in order of size."""
        with explained(self.path):
            yield from self._db.execute("SELECT size, note FROM checkpoints ORDER BY size")

    def last_checkpoint(self) -> str | None:
        """The note of the largest checkpoint."""
        row = self._one("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1")
        return None if row is None else str(row[0])

    def kept_checkpoint(self) -> str | None:
        """The note in the file beside the ledger, which tells when the ledger itself was put back or cut off."""
        try:
            return checkpoint_file(self.path).read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerError(f"{checkpoint_file(self.path)} cannot be read: {error}") from error

    def index_at(self, time: datetime) -> int:
        """The index of the first record that is not older than ``time``; the size if all are."""
        wanted = format_time(time)
        low, high = 0, self.size
        while low < high:
            middle = (low + high) // 2
            if self.record(middle).body["time"] < wanted:
                low = middle + 1
            else:
                high = middle
        return low

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        with explained(self.path):
            row: tuple[Any, ...] | None = self._db.execute(sql, values).fetchone()
            return row


def payload_id(index: int, slot: Slot) -> int:
    """Where a record's payload is stored."""
    return index * SLOTS + slot


def open_payload(row: PayloadRow, reference: Reference) -> bytes | None:
    """The content of a stored payload; None if only its digest is kept, or it has expired.

    Raises:
        LedgerError: it is not what the record says.
    """
    if row.salt is None or row.content is None:
        return None
    content = decompress(row.content, reference.size) if row.compressed else row.content
    if digest(row.salt, content) != reference.digest:
        raise LedgerError(f"the payload {reference.slot.name.lower()} is not the one that was recorded")
    return content


def checkpoint_file(path: Path) -> Path:
    """Where the latest checkpoint is kept a second time."""
    return path.with_name(f"{path.name}.checkpoint")


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into LedgerError, saying what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error


def explain(error: sqlite3.Error, path: Path) -> LedgerError:
    """What an error of SQLite means for a ledger."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return LedgerBusyError(
            f"another process holds the ledger {path}", "try again; to find who: fuser -v " + str(path)
        )
    said, hint = _MEANINGS.get(code, ("cannot be used", "run: hoop doctor"))
    return LedgerError(f"the ledger {path} {said}: {error}", hint)


_MEANINGS = {
    sqlite3.SQLITE_FULL: ("cannot grow", "free some space on its disk"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", "move its folder aside for examination; a new one starts by itself"),
    sqlite3.SQLITE_NOTADB: ("is damaged", "move its folder aside for examination; a new one starts by itself"),
    sqlite3.SQLITE_READONLY: ("cannot be written", "make it and its folder writable"),
    sqlite3.SQLITE_PERM: ("cannot be opened", "make it and its folder accessible"),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "check the path and its permissions"),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", "check its disk"),
    sqlite3.SQLITE_CONSTRAINT: ("refuses the change", "run: hoop audit verify"),
}
