"""Where contents wait that cannot be passed on as they come: what a connector may ask of the store behind it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Protocol

from hoopcli.sansio.notice import Notice


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
        """Say that this user of the file is done with it. A file that its maker closes before its end has failed."""


class Spool(Protocol):
    """The store of a session: encrypted, nameless, gone with the process."""

    def open(self, key: Hashable) -> tuple[SpoolFile, bool]:
        """The file of a content, and whether the caller is to make it. To be closed. Raises HoopError."""

    def scratch(self) -> SpoolFile:
        """A file that nobody else finds, for what is needed only while something is done. To be closed."""
