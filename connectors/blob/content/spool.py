"""Where masked contents wait that cannot be served from a stream: what the connector asks of the store behind it.

A masked content is made once for each version of a blob and each set of masks, and served from the spool: in ranges, to
several readers at once, with a length of its own.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from hoopcli.sansio.notice import Notice

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class SpoolKey:
    """What a spooled content is: of which resource, which version or snapshot of it, its ETag, under which masks."""

    resource: str
    version: str
    etag: str
    masks: str


class SpoolFile(Protocol):
    """One content in the spool. Who made it appends; others read as far as it has come.

    ``grown`` is given whenever it has grown, is complete or has failed. ``facts`` are what its maker said of it at the
    end: how many values are masked, by the id of the mask.
    """

    size: int
    complete: bool
    failed: bool
    facts: Mapping[str, int]
    grown: Notice

    def append(self, data: bytes) -> None:
        """Add bytes at the end. Raises HoopError where the spool is full."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes from an offset: fewer than asked for where the content does not go so far yet. Raises HoopError."""

    def finish(self, facts: Mapping[str, int]) -> None:
        """Say that the content is complete."""

    def fail(self) -> None:
        """Say that it will never be: who waits hears it, and the next who asks starts anew."""

    def close(self) -> None:
        """Say that this user of the file is done with it."""


class Spool(Protocol):
    """The store of masked contents."""

    def open(self, key: SpoolKey) -> tuple[SpoolFile, bool]:
        """The file of a content, and whether the caller is to make it: append, then finish or fail. To be closed."""

    def scratch(self) -> SpoolFile:
        """A file that nobody else finds, for what is needed only while a content is made. To be closed."""


class SpoolReader(io.RawIOBase):
    """A spooled content as a seekable binary file, for libraries that want one."""

    def __init__(self, file: SpoolFile) -> None:
        super().__init__()
        self._file = file
        self._at = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place. Raises ValueError for one before the begin."""
        at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._file.size}[whence]
        if at < 0:
            raise ValueError("a place before the begin of the file")
        self._at = at
        return at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Fill a buffer as far as the content goes."""
        view = memoryview(buffer).cast("B")
        data = self._file.read(self._at, len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
