"""Masking of what gzip holds (RFC 1952): decompressed, masked, compressed again, in constant memory.

Several members are read as one. What follows the last but zeros, or an end before the end, is refused, and so is what
grows beyond any measure. The length changes: a compressed content is served from the spool.
"""

from __future__ import annotations

import zlib
from collections import Counter

from connectors.blob.content.base import ContentMasker, Unreadable

_GZIP = 31
_PIECE = 1 << 20
_LEVEL = 4
#: A content may grow to this without question, and beyond it by this factor; DEFLATE's utmost is 1032.
FREE_GROWTH = 64 << 20
MOST_GROWTH = 300


class GzipMasker:
    """Masks a compressed content by the masker of what is in it."""

    def __init__(self, inner: ContentMasker) -> None:
        self.masked: Counter[str] = inner.masked
        self._inner = inner
        self._member = zlib.decompressobj(_GZIP)
        self._out = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._taken = 0
        self._grown = 0
        self._ended = False
        self._padded = False

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return what of all so far can be delivered. Raises Unreadable."""
        self._taken += len(data)
        pieces: list[bytes] = []
        while data:
            if self._ended:
                data = self._next_member(data)
            if data:
                data = self._decompressed(data, pieces)
        return b"".join(pieces)

    def finish(self) -> bytes:
        """End the content; return the rest of it. Raises Unreadable."""
        if not self._ended:
            raise Unreadable("the content in gzip ends before it is complete")
        return self._out.compress(self._inner.finish()) + self._out.flush()

    def _decompressed(self, data: bytes, pieces: list[bytes]) -> bytes:
        """Go on in a member; what of the data is after its end."""
        while True:
            try:
                plain = self._member.decompress(data, _PIECE)
            except zlib.error:
                raise Unreadable("the content is not in gzip, or damaged") from None
            pieces.append(self._masked(plain))
            data = self._member.unconsumed_tail
            if self._member.eof:
                self._ended = True
                return self._member.unused_data
            if not data and len(plain) < _PIECE:
                return b""

    def _masked(self, plain: bytes) -> bytes:
        self._grown += len(plain)
        if self._grown > max(FREE_GROWTH, self._taken * MOST_GROWTH):
            raise Unreadable("the content in gzip grows beyond any measure")
        return self._out.compress(self._inner.feed(plain))

    def _next_member(self, data: bytes) -> bytes:
        """Begin another member with what is not padding. Zeros are, and after them comes nothing else."""
        rest = data.lstrip(b"\0")
        self._padded = self._padded or len(rest) < len(data)
        if rest:
            if self._padded:
                raise Unreadable("something follows the content in gzip")
            self._member, self._ended = zlib.decompressobj(_GZIP), False
        return rest
