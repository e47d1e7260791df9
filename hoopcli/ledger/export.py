"""Writing a bundle: see ``bundle`` for what is in it."""

from __future__ import annotations

import base64
import json
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final

import zstandard

from hoopcli.errors import LedgerError, UsageError
from hoopcli.ledger import bundle
from hoopcli.ledger.merkle import inclusion_proof
from hoopcli.ledger.note import Checkpoint, Note
from hoopcli.ledger.reader import Reader, StoredRecord
from hoopcli.ledger.record import MEMBERS, Record, decompress, parse, references

_EXPIRED: Final = b'"type":"ledger.expired"'


def export(ledger: Path, target: Path, *, sessions: Sequence[str] | None = None, payloads: bool = True) -> int:
    """Write a bundle of these sessions, or of everything that is signed; the number of its records.

    Args:
        ledger: the ledger's file.
        target: a folder to make, or a file to make whose name ends in ``.tar.zst``.
        sessions: their ids; None for all records.
        payloads: whether to hand over statements and results too, or their digests only.

    Raises:
        UsageError: the target exists, or a session does not.
        LedgerError: the ledger cannot be read, or nothing is signed yet.
    """
    if target.exists():
        raise UsageError(f"{target} exists already", "choose another name")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            Reader.open(ledger) as reader,
            reader.snapshot(),
            tempfile.TemporaryDirectory(dir=target.parent, prefix=".hoop-export-") as scratch,
        ):
            folder = Path(scratch) / "bundle"
            folder.mkdir()
            count = _Writer(reader, sessions).write(folder, payloads=payloads)
            if target.name.endswith(bundle.PACKED):
                folder = _pack(folder)
            folder.rename(target)
            return count
    except OSError as error:
        raise LedgerError(f"the bundle {target} cannot be written: {error}", "choose another place") from error


class _Writer:
    def __init__(self, reader: Reader, sessions: Sequence[str] | None) -> None:
        note = reader.last_checkpoint()
        if note is None:
            raise LedgerError("nothing in this ledger is signed yet", "end its sessions, or wait a second")
        self._reader = reader
        self._note = note
        self._size = Checkpoint.parse(Note.parse(note).text).size
        self._sessions = None if sessions is None else frozenset(sessions)
        self._needles = [f'"session":"{name}"'.encode() for name in sessions or ()]
        self._found: set[str] = set()

    def write(self, folder: Path, *, payloads: bool) -> int:
        count = 0
        with ExitStack() as stack:

            def create(name: str) -> IO[bytes]:
                return stack.enter_context((folder / name).open("xb"))

            records = create(bundle.RECORDS)
            proofs = None if self._sessions is None else create(bundle.PROOFS)
            contents = create(bundle.PAYLOADS) if payloads else None
            for row, record in self._wanted():
                records.write(row.data + b"\n")
                if proofs is not None:
                    proofs.write(self._proof(row.index))
                if contents is not None:
                    contents.writelines(self._payloads(record))
                count += 1
        missing = (self._sessions or frozenset()) - self._found
        if missing:
            raise UsageError(f"there is no session {min(missing)!r} in this ledger", "run: hoop audit sessions")
        (folder / bundle.CHECKPOINT).write_text(self._note, "utf-8", newline="\n")
        (folder / bundle.MANIFEST).write_bytes(self._manifest(count))
        return count

    def _wanted(self) -> Iterator[tuple[StoredRecord, Record]]:
        for row in self._reader.rows():
            if row.index >= self._size:
                return
            if self._sessions is None:
                yield row, parse(row.index, row.data)
            elif _EXPIRED in row.data or any(needle in row.data for needle in self._needles):
                record = parse(row.index, row.data)
                if record.session in self._sessions or record.type == "ledger.expired":
                    self._found.add(record.session)
                    yield row, record

    def _proof(self, index: int) -> bytes:
        proof = inclusion_proof(index, self._size, self._reader.node)
        return _line({"index": index, "proof": [base64.b64encode(node).decode() for node in proof]})

    def _payloads(self, record: Record) -> Iterator[bytes]:
        for reference in references(record.body):
            row = self._reader.payload_row(record.index, reference.slot)
            if row is None:
                continue
            content = None if row.content is None else decompress(row.content, reference.size)
            yield _line(
                {
                    "index": record.index,
                    "slot": MEMBERS[reference.slot],
                    "salt": None if row.salt is None else row.salt.hex(),
                    "content": None if content is None else base64.b64encode(content).decode(),
                }
            )

    def _manifest(self, count: int) -> bytes:
        manifest: dict[str, object] = {"format": bundle.FORMAT, "v": bundle.VERSION, "records": count}
        manifest["origin"] = self._reader.origin
        if self._sessions is not None:
            manifest["sessions"] = sorted(self._sessions)
        return _line(manifest)


def _line(value: dict[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True).encode() + b"\n"


def _pack(folder: Path) -> Path:
    """Put the files of a bundle into one archive beside it."""
    packed = folder.with_name(f"packed{bundle.PACKED}")
    with (
        packed.open("xb") as file,
        zstandard.ZstdCompressor().stream_writer(file) as compressed,
        tarfile.open(fileobj=compressed, mode="w|") as archive,
    ):
        for name in bundle.FILES:
            if (folder / name).exists():
                archive.add(folder / name, arcname=name, filter=_anonymous)
    return packed


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave out who made the archive on which machine's account."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member
