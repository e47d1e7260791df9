"""Masked contents in the spool: what tells them apart, and how libraries read them.

A masked content is made once for each version of a blob and each set of masks, and served from the spool: in ranges, to
several readers at once, with a length of its own.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hoopcli.sansio.spool import SpoolFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class SpoolKey:
    """What a spooled content is: of which resource, which version or snapshot of it, its ETag, under which masks."""

    resource: str
    version: str
    etag: str
    masks: str


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
