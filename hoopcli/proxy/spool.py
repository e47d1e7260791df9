"""Masked contents on disk: encrypted, nameless, and gone with the process.

Each file is a temporary one without a name, so that nothing stays behind a crash. It is AES-256-GCM in chunks, under a
key of its own that never leaves memory; the nonce is the number of the chunk, and no chunk is written twice. The last,
incomplete chunk waits in memory. Complete contents stay for further readers until room is needed; the one used longest
ago goes first.

Reads and writes go to the page cache and are not awaited. Not for several threads.
"""

from __future__ import annotations

import tempfile
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hoopcli.errors import HoopError
from hoopcli.sansio.notice import Notice

CHUNK = 65_536
_TAG = 16
DEFAULT_LIMIT = 4 << 30


class SpoolFullError(HoopError):
    """There is no room for a content: all that is there is in use."""


class SpoolLostError(HoopError):
    """A content was given up before its end, or what is on disk is not what was written."""


class SpoolFile:
    """One content in the spool, shared by those who opened it.

    ``grown`` is given when it has grown, is complete or has failed. ``facts`` are what its maker said at the end.
    """

    def __init__(self, spool: Spool, directory: Path) -> None:
        self.size = 0
        self.complete = False
        self.failed = False
        self.facts: Mapping[str, int] = {}
        self.grown = Notice()
        self.users = 1
        self._spool = spool
        self._file = tempfile.TemporaryFile(dir=directory, prefix="spool-", buffering=0)  # noqa: SIM115 - see discard
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._tail = bytearray()

    def append(self, data: bytes) -> None:
        """Add bytes at the end. Raises SpoolFullError, SpoolLostError for a content that has ended."""
        if self.complete or self.failed:
            raise SpoolLostError("the content in the spool has ended")
        self._spool.reserve(len(data))
        self.size += len(data)
        self._tail += data
        sealed = self._sealed - len(self._tail) // CHUNK
        while len(self._tail) >= CHUNK:
            self._file.seek(sealed * (CHUNK + _TAG))
            self._file.write(self._cipher.encrypt(_nonce(sealed), bytes(self._tail[:CHUNK]), None))
            del self._tail[:CHUNK]
            sealed += 1
        self.grown.give()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from an offset, as many as there are so far. Raises SpoolLostError."""
        if self.failed:
            raise SpoolLostError("the content in the spool was given up before its end")
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        first, last = offset // CHUNK, (end - 1) // CHUNK
        data = b"".join(self._chunk(number) for number in range(first, last + 1))
        return data[offset - first * CHUNK : end - first * CHUNK]

    def finish(self, facts: Mapping[str, int]) -> None:
        """Say that the content is complete, and how many values are masked in it."""
        self.facts = dict(facts)
        self.complete = True
        self.grown.give()

    def fail(self) -> None:
        """Say that the content will never be complete. Does nothing to one that is."""
        if not self.complete and not self.failed:
            self.failed = True
            self._spool.drop(self)
            self.grown.give()

    def close(self) -> None:
        """One of its users is done with it."""
        self.users -= 1
        self._spool.closed(self)

    def discard(self) -> None:
        """Give back the disk, and forget the key."""
        self._file.close()
        self._tail.clear()

    @property
    def _sealed(self) -> int:
        return self.size // CHUNK

    def _chunk(self, number: int) -> bytes:
        if number == self._sealed:
            return bytes(self._tail)
        self._file.seek(number * (CHUNK + _TAG))
        try:
            return self._cipher.decrypt(_nonce(number), self._file.read(CHUNK + _TAG), None)
        except InvalidTag:
            raise SpoolLostError("the spool on disk was changed by somebody else") from None


class Spool:
    """The contents in the spool of one process, at most ``limit`` bytes of them, in a directory."""

    def __init__(self, directory: Path, limit: int = DEFAULT_LIMIT) -> None:
        self.used = 0
        self._directory = directory
        self._limit = limit
        self._files: OrderedDict[Hashable, SpoolFile] = OrderedDict()

    def open(self, key: Hashable) -> tuple[SpoolFile, bool]:
        """The file of a content, and whether the caller is to make it: append, then finish or fail. To be closed."""
        if file := self._files.get(key):
            self._files.move_to_end(key)
            file.users += 1
            return file, False
        self._files[key] = file = self.scratch()
        return file, True

    def scratch(self) -> SpoolFile:
        """A file that nobody else finds. To be closed."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SpoolFile(self, self._directory)

    def reserve(self, size: int) -> None:
        """Make room for so many bytes. Raises SpoolFullError."""
        idle = (file for file in list(self._files.values()) if file.complete and not file.users)
        while self.used + size > self._limit:
            oldest = next(idle, None)
            if oldest is None:
                raise SpoolFullError("there is no room in the spool for masked contents", "try again later")
            self.drop(oldest)
        self.used += size

    def closed(self, file: SpoolFile) -> None:
        """Drop a file without users that nobody can find, or that is not complete."""
        if file.users:
            return
        file.fail()
        if file.complete and file not in self._files.values():
            self.drop(file)

    def drop(self, file: SpoolFile) -> None:
        """Take a file out and give back its disk."""
        for key in [key for key, found in self._files.items() if found is file]:
            del self._files[key]
        self.used -= file.size
        file.discard()

    def close(self) -> None:
        """Drop everything. What is in use fails, or is lost to its users."""
        for file in list(self._files.values()):
            file.fail()
            if file.complete:
                self.drop(file)


def _nonce(number: int) -> bytes:
    return number.to_bytes(12, "big")
