"""Values too long to be held whole: they pass in pieces, as they are or through a sink that masks."""

from __future__ import annotations

import codecs
from typing import Protocol

from connectors.sql.tds.buffer import Reader, TruncatedError
from connectors.sql.tds.cells import CHUNK_END, PLP_NULL, PLP_UNKNOWN_LENGTH
from connectors.sql.tds.masks import TextStream
from connectors.sql.tds.rowscan import WHOLE
from connectors.sql.tds.types import Layout
from connectors.sql.tds.values import encode_text
from hoopcli.errors import ProtocolError

_CHUNK = 8192


class Sink(Protocol):
    """What becomes of a long value; each method returns what to deliver."""

    def begin(self, header: bytes, size: int) -> bytes:
        """The value begins: its header as received (with text pointer or declared length), and its size."""

    def data(self, piece: bytes) -> bytes:
        """More of the value, without framing."""

    def end(self) -> bytes:
        """The value is complete."""


class NullSink:
    """The value becomes NULL."""

    def __init__(self, null: bytes, mask: str, tally: dict[str, int]) -> None:
        self._null = null
        tally[mask] = tally.get(mask, 0) + 1

    def begin(self, header: bytes, size: int) -> bytes:
        """NULL stands for all of it."""
        return self._null

    def data(self, piece: bytes) -> bytes:
        """Nothing."""
        return b""

    def end(self) -> bytes:
        """Nothing."""
        return b""


class DetectingSink:
    """What detectors find is masked in the stream of the value.

    A PLP value leaves as one of unknown length, in chunks of a fixed size whatever the pieces were. A text value's
    length was sent ahead, so it is filled up with blanks or cut to it.
    """

    def __init__(self, layout: Layout, codec: str, stream: TextStream, tally: dict[str, int]) -> None:
        self._plp = layout is Layout.PLP
        self._codec = codec
        self._decoder = codecs.getincrementaldecoder(codec)(
            "surrogatepass" if codec == "utf-16-le" else "surrogateescape"
        )
        self._stream = stream
        self._tally = tally
        self._ready = bytearray()
        self._room = 0

    def begin(self, header: bytes, size: int) -> bytes:
        """A length that may turn out otherwise, or the one that must be kept."""
        self._room = size
        return PLP_UNKNOWN_LENGTH.to_bytes(8, "little") if self._plp else header

    def data(self, piece: bytes) -> bytes:
        """What the detectors let pass so far."""
        return self._emit(self._stream.feed(self._decoded(piece)))

    def end(self) -> bytes:
        """The rest, and the end mark or the filling."""
        last = self._emit(self._stream.feed(self._decoded(b"", final=True)) + self._stream.flush())
        for id_, count in self._stream.counts.items():
            self._tally[id_] = self._tally.get(id_, 0) + count
        if self._plp:
            rest = bytes(self._ready)
            return last + (len(rest).to_bytes(4, "little") + rest if rest else b"") + CHUNK_END
        blank = b" \x00" if self._codec == "utf-16-le" else b" "
        return last + blank * (self._room // len(blank))

    def _decoded(self, piece: bytes, *, final: bool = False) -> str:
        try:
            return self._decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            raise ProtocolError(f"a long value is not {self._codec}: {error.reason}") from None

    def _emit(self, text: str) -> bytes:
        raw = encode_text(text, self._codec)
        if not self._plp:
            raw = raw[: self._room]
            self._room -= len(raw)
            return raw
        self._ready += raw
        whole = len(self._ready) // _CHUNK * _CHUNK
        chunks = [self._ready[i : i + _CHUNK] for i in range(0, whole, _CHUNK)]
        del self._ready[:whole]
        return b"".join(_CHUNK.to_bytes(4, "little") + chunk for chunk in chunks)


class LongCell:
    """A PLP, text, ntext or image value on its way. ``sink`` masks it; without one it passes as it is."""

    def __init__(self, layout: Layout, sink: Sink | None) -> None:
        self.done = False
        self._plp = layout is Layout.PLP
        self._sink = sink
        self._begun = False
        self._declared = 0
        self._taken = 0
        self._left = 0

    def feed(self, data: bytes, position: int, out: list[bytes | memoryview]) -> int:
        """Take what belongs to the value; return where it stopped for want of bytes, or where the value ended.

        Raises ProtocolError if the chunks do not add up to the declared length.
        """
        start = position
        while not self.done:
            at = self._step(data, position, out)
            if at == position:
                break
            position = at
        if self._sink is None and position > start:
            out.append(memoryview(data)[start:position])
        return position

    def _step(self, data: bytes, position: int, out: list[bytes | memoryview]) -> int:
        if not self._begun:
            return self._begin(data, position, out)
        if self._left:
            return self._take(data, position, out)
        return self._next_chunk(data, position, out) if self._plp else position

    def _begin(self, data: bytes, position: int, out: list[bytes | memoryview]) -> int:
        header = read_header(data, position, plp=self._plp)
        if header is None:
            return position
        end, size = header
        self._begun = True
        self.done = size is None or (size == 0 and not self._plp)
        self._declared = size or 0
        self._left = 0 if self._plp else self._declared
        if self._sink is not None:
            out.append(self._sink.begin(data[position:end], self._declared))
        return end

    def _take(self, data: bytes, position: int, out: list[bytes | memoryview]) -> int:
        end = min(position + self._left, len(data))
        self._left -= end - position
        if self._sink is not None:
            out.append(self._sink.data(data[position:end]))
        if not self._left and not self._plp:
            self._finish(out)
        return end

    def _next_chunk(self, data: bytes, position: int, out: list[bytes | memoryview]) -> int:
        if len(data) - position < 4:
            return position
        self._left = int.from_bytes(data[position : position + 4], "little")
        self._taken += self._left
        known = self._declared != PLP_UNKNOWN_LENGTH
        if known and (self._taken > self._declared or (not self._left and self._taken < self._declared)):
            raise ProtocolError(f"a value declared with {self._declared} bytes has {self._taken}")
        if not self._left:
            self._finish(out)
        return position + 4

    def _finish(self, out: list[bytes | memoryview]) -> None:
        self.done = True
        if self._sink is not None:
            out.append(self._sink.end())


def read_header(data: bytes, position: int, *, plp: bool) -> tuple[int, int | None] | None:
    """Where a long value's header ends and the size it declares (``None`` is NULL); ``None`` if it is cut off."""
    reader = Reader(data, position)
    try:
        if plp:
            size = reader.u64()
            return reader.position, None if size == PLP_NULL else size
        pointer = reader.u8()
        if not pointer:
            return reader.position, None
        reader.bytes(pointer + 8)
        return reader.position + 4, reader.u32()
    except TruncatedError:
        return None


def exceeds(data: bytes, position: int, *, plp: bool) -> bool:
    """Whether the value that begins here, perhaps cut off, is known to have more than ``WHOLE`` bytes."""
    header = read_header(data, position, plp=plp)
    if header is None:
        return False
    position, size = header
    if size is None:
        return False
    if not plp or (size != PLP_UNKNOWN_LENGTH and size > WHOLE):
        return size > WHOLE
    total = 0
    while position + 4 <= len(data) and total <= WHOLE:
        chunk = int.from_bytes(data[position : position + 4], "little")
        if not chunk:
            break
        total += chunk
        position += 4 + chunk
    return total > WHOLE
