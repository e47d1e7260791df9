"""Ranges of a masked content: what was asked for, and the part of the masked whole that answers it.

A range is always cut out of the masked whole, so it agrees with every other one. [Blob service REST, "Specifying the
range header"]: ``bytes=first-last`` or ``bytes=first-``; x-ms-range goes before Range. A suffix (``bytes=-500``) is
read too; several ranges are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from hoopcli.errors import ProtocolError

_RANGE = re.compile(r"bytes=(?P<first>\d{1,19})-(?P<last>\d{1,19})?|bytes=-(?P<suffix>\d{1,19})", re.ASCII)


class NotSatisfiable(ProtocolError):  # noqa: N818 - RFC 9110 15.5.17 calls it that
    """The range begins after the end of the content: 416, InvalidRange."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A range as it was asked for: from ``first`` to ``last`` (None: the end), or the last ``suffix`` bytes."""

    first: int = 0
    last: int | None = None
    suffix: int | None = None

    def of(self, size: int) -> tuple[int, int]:
        """Offset and length of the range in a content of so many bytes. Raises NotSatisfiable."""
        if self.suffix is not None:
            length = min(self.suffix, size)
            offset = size - length
        else:
            offset = self.first
            length = (size if self.last is None else min(self.last + 1, size)) - offset
        if length <= 0:
            raise NotSatisfiable("the range begins after the end of the blob")
        return offset, length


def asked_range(header: Callable[[str], str | None]) -> ByteRange | None:
    """The range that a request asks for, by a function that gives its headers; None for the whole.

    Raises ProtocolError for one that cannot be read, and for several.
    """
    value = header("x-ms-range") or header("range")
    if value is None or not value.strip(" \t"):
        return None
    match = _RANGE.fullmatch(value.strip(" \t").lower())
    if match is None:
        raise ProtocolError("the range is not of the form bytes=FIRST-LAST or bytes=FIRST-")
    if match["suffix"] is not None:
        return ByteRange(suffix=int(match["suffix"]))
    first, last = int(match["first"]), int(match["last"]) if match["last"] else None
    if last is not None and last < first:
        raise ProtocolError("the range ends before it begins")
    return ByteRange(first, last)


def content_range(offset: int, length: int, size: int) -> str:
    """The value of Content-Range (RFC 9110 14.4)."""
    return f"bytes {offset}-{offset + length - 1}/{size}"


class Cut:
    """Cuts a range out of a content that streams by from its begin."""

    def __init__(self, offset: int, length: int) -> None:
        self._skip = offset
        self._left = length

    @property
    def done(self) -> bool:
        """Whether the range is complete: nothing that follows is part of it."""
        return self._left == 0

    def feed(self, data: bytes) -> bytes:
        """What of this piece is part of the range."""
        if self._skip >= len(data):
            self._skip -= len(data)
            return b""
        part = data[self._skip : self._skip + self._left]
        self._skip = 0
        self._left -= len(part)
        return part
