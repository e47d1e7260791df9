"""Masking of plain text: what detectors find in it, wherever it stands.

Most text holds nothing. A prefilter looks at whole blocks; only where it suspects something does a stream of detectors
take over, and it gives way again once nothing is pending. What it needs to know of the text before goes along, so the
result does not depend on where it began.
"""

from __future__ import annotations

from collections import Counter

from connectors.blob.content.base import Utf8
from hoopcli.masking.masker import Masking, StreamMasker

#: More than the longest beginning of a value that any detector wants to see, invisible characters included.
_HOLD = 2048
_CONTEXT = 128
_BLOCK = 16_384


class TextMasker:
    """Masks plain text in UTF-8 under the detectors of its masks. Keeps the length."""

    def __init__(self, masking: Masking) -> None:
        self.masked: Counter[str] = Counter()
        self._masking = masking
        self._decode = Utf8()
        self._waiting: list[str] = []
        self._waits = 0
        self._held = ""
        self._context = ""
        self._stream: StreamMasker | None = None

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return what of all so far can be delivered. Raises Unreadable."""
        text = self._decode.feed(data)
        if not self._masking.detects:
            return text.encode()
        self._waiting.append(text)
        self._waits += len(text)
        return self._look() if self._waits >= _BLOCK else b""

    def finish(self) -> bytes:
        """End the text; return the rest of it. Raises Unreadable."""
        self._waiting.append(self._decode.feed(b"", final=True))
        delivered = self._look()
        rest, self._held = self._held, ""
        if self._stream is not None:
            rest = self._stream.flush()
            self._end_stream(self._stream)
        return delivered + rest.encode()

    def _look(self) -> bytes:
        """Look at what waits: let it pass, or hand it to a stream of detectors."""
        text = "".join(self._waiting)
        self._waiting, self._waits = [], 0
        if self._stream is not None and (released := self._stream.release()):
            self._end_stream(self._stream)
            self._context, text = released[0][-_CONTEXT:], released[1] + text
        if self._stream is None:
            text = self._held + text
            if not self._masking.suspect_text((self._context + text).encode()):
                return self._pass(text).encode()
            self._stream = self._masking.keeping_stream(self._context)
            self._held = ""
        return self._stream.feed(text).encode()

    def _pass(self, text: str) -> str:
        """Let pass what cannot be the beginning of a value."""
        safe = max(0, len(text) - _HOLD)
        self._context = (self._context + text[:safe])[-_CONTEXT:]
        self._held = text[safe:]
        return text[:safe]

    def _end_stream(self, stream: StreamMasker) -> None:
        self.masked.update(stream.counts)
        self._stream = None
