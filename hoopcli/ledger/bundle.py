"""Evidence to hand over: records with what proves them, in plain files that need neither hoop nor SQLite.

A bundle is a folder, or the same files in one ``.tar.zst``:

- ``manifest.json``: the format, the ledger's origin, and which sessions it holds (none named: all records);
- ``checkpoint``: the signed note that everything is proved against;
- ``records.jsonl``: the canonical bytes of one record a line;
- ``proofs.jsonl``, if it is an excerpt: for the record of the same line, its index and its inclusion proof;
- ``payloads.jsonl``, unless left out: index, slot, salt and content of the payloads, uncompressed.
"""

from __future__ import annotations

import base64
import json
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Final

import zstandard

from hoopcli.errors import LedgerError
from hoopcli.ledger.reader import PayloadRow, StoredRecord, payload_id
from hoopcli.ledger.record import MEMBERS, Record, parse

FORMAT: Final = "hoop-evidence"
VERSION: Final = 1
PACKED: Final = ".tar.zst"
MANIFEST, CHECKPOINT, RECORDS = "manifest.json", "checkpoint", "records.jsonl"
PROOFS, PAYLOADS = "proofs.jsonl", "payloads.jsonl"
FILES: Final = (MANIFEST, CHECKPOINT, RECORDS, PROOFS, PAYLOADS)
MAX_UNPACKED: Final = 64 << 30
"""Bytes that an archive may unpack to."""
MAX_TEXT: Final = 16 << 20
_COPY: Final = 1 << 20
_SLOTS: Final = {member: slot for slot, member in MEMBERS.items()}


class Bundle:
    """A bundle to read. Its methods raise LedgerError when a file is missing or malformed."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self._folder = folder
        manifest = _object(self._text(MANIFEST), MANIFEST)
        sessions, size = manifest.get("sessions"), manifest.get("records")
        if manifest.get("format") != FORMAT or manifest.get("v") != VERSION:
            raise LedgerError(
                f"{folder} is not a bundle that this version of hoop knows", "check the path, or upgrade hoop"
            )
        if type(size) is not int or not (sessions is None or isinstance(sessions, list)):
            raise LedgerError(f"{MANIFEST} of the bundle is malformed")
        self.size = size
        self.origin = str(manifest.get("origin"))
        self.sessions: tuple[str, ...] | None = None if sessions is None else tuple(map(str, sessions))
        self.checkpoint = self._text(CHECKPOINT)

    @classmethod
    def open(cls, path: Path) -> Bundle:
        """Open a folder, or an archive, which is unpacked until the bundle is closed."""
        if path.is_dir():
            return cls(path)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hoop-bundle-")))
            _unpack(path, folder)
            bundle = cls(folder)
            bundle._stack = stack.pop_all()
            return bundle

    def close(self) -> None:
        """Remove what was unpacked."""
        self._stack.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def rows(self) -> Iterator[StoredRecord]:
        """The records in order, with their proofs if this is an excerpt."""
        with ExitStack() as stack:
            records = stack.enter_context(self._open(RECORDS))
            proofs = None if self.sessions is None else stack.enter_context(self._open(PROOFS))
            for number, line in enumerate(records):
                index, proof = _proof(proofs.readline()) if proofs is not None else (number, ())
                yield StoredRecord(index, b"", line.removesuffix(b"\n"), proof)
            if proofs is not None and proofs.readline():
                raise LedgerError(f"{PROOFS} of the bundle has more lines than {RECORDS}")

    def containing(self, member: str, value: str) -> Iterator[Record]:
        """The records whose top-level member has this value."""
        needle = f'"{member}":"{value}"'.encode()
        for row in self.rows():
            if needle in row.data:
                record = parse(row.index, row.data)
                if record.body.get(member) == value:
                    yield record

    def payload_rows(self) -> Iterator[PayloadRow] | None:
        """The payloads in order; None if they were left out."""
        return self._payload_rows() if (self._folder / PAYLOADS).exists() else None

    def _payload_rows(self) -> Iterator[PayloadRow]:
        with self._open(PAYLOADS) as file:
            for line in file:
                row = _object(line, PAYLOADS)
                try:
                    identity = payload_id(row["index"], _SLOTS[row["slot"]])
                    salt = None if row["salt"] is None else bytes.fromhex(row["salt"])
                    content = None if row["content"] is None else base64.b64decode(row["content"], validate=True)
                except (KeyError, TypeError, AttributeError, ValueError) as error:
                    raise LedgerError(f"{PAYLOADS} is malformed: {error}") from error
                yield PayloadRow(identity, salt, content, compressed=False)

    def _text(self, name: str) -> str:
        try:
            with self._open(name) as file:
                return file.read(MAX_TEXT).decode()
        except UnicodeDecodeError as error:
            raise LedgerError(f"{name} of the bundle is malformed") from error

    def _open(self, name: str) -> IO[bytes]:
        try:
            return (self._folder / name).open("rb")
        except OSError as error:
            raise LedgerError(f"the bundle cannot be read: {error}") from error


def is_bundle(path: Path) -> bool:
    """Whether a path names a bundle rather than a ledger."""
    return path.is_dir() or path.name.endswith(PACKED)


def _proof(line: bytes) -> tuple[int, tuple[bytes, ...]]:
    row = _object(line, PROOFS)
    try:
        return int(row["index"]), tuple(base64.b64decode(node, validate=True) for node in row["proof"])
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"{PROOFS} of the bundle is malformed: {error}") from error


def _object(text: bytes | str, name: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"{name} of the bundle is malformed: {error}") from error
    if not isinstance(value, dict):
        raise LedgerError(f"{name} of the bundle is malformed")
    return value


def _unpack(path: Path, folder: Path) -> None:
    """Unpack the files of a bundle, and nothing else, within a limit of size."""
    left = MAX_UNPACKED
    try:
        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(file) as plain,
            tarfile.open(fileobj=plain, mode="r|") as archive,
        ):
            for member in archive:
                content = archive.extractfile(member) if member.isreg() and member.name in FILES else None
                if content is None:
                    raise LedgerError(f"{path} holds {member.name!r}, which no bundle does")
                left -= _copy(content, folder / member.name, left)
    except (OSError, tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise LedgerError(f"{path} cannot be unpacked: {error}", "ask for the bundle again") from error


def _copy(source: IO[bytes], target: Path, limit: int) -> int:
    copied = 0
    with target.open("xb") as file:
        while block := source.read(_COPY):
            copied += len(block)
            if copied > limit:
                raise LedgerError("the bundle is larger than any that hoop makes")
            file.write(block)
    return copied
