"""What every masker of contents has in common."""

from __future__ import annotations

import codecs
from collections import Counter
from typing import Protocol

from hoopcli.errors import ProtocolError

#: The longest line, cell or string that is looked into, in bytes or characters; a longer one is masked whole.
LONGEST = 1 << 20


class Unreadable(ProtocolError):  # noqa: N818 - it says what a content is
    """A content is not what its kind says, so it cannot be masked. Nothing that follows may be delivered."""


class ContentMasker(Protocol):
    """Masks one content that comes in pieces. What it returns, joined, is the same at any chunking.

    Of a content of a kind that keeps its length, the result is exactly as long in bytes. ``masked`` counts the masked
    values by the id of the mask.
    """

    masked: Counter[str]

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return what of all so far can be delivered. Raises Unreadable."""

    def finish(self) -> bytes:
        """End the content; return the rest of it. Raises Unreadable."""


class Utf8:
    """Decodes UTF-8 that comes in pieces. A byte order mark is a character of the text. Raises Unreadable."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The characters that are complete. Raises Unreadable for what is no text: no UTF-8, or a NUL in it."""
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError:
            raise Unreadable("the content is not text in UTF-8") from None
        if "\0" in text:
            raise Unreadable("the content is not text: it holds a NUL")
        return text


def stars(text: str) -> bytes:
    """As many stars as the text has bytes."""
    return b"*" * (len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")))
