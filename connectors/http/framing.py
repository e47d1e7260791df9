"""Bodies: where they end, read and written."""

from __future__ import annotations

from typing import Protocol

import h11

from connectors.http.head import content_length, is_chunked
from connectors.http.message import Headers
from hoopcli.errors import ProtocolError

_NO_BODY = frozenset({204, 304})


class BodyReader(Protocol):
    """Takes a body off a buffer. ``done`` once all of it has been taken."""

    done: bool

    def take(self, buffer: bytearray) -> bytes:
        """What is there of the body; what follows it stays in the buffer. Raises ProtocolError."""


class LengthReader:
    """A body of so many bytes. h11 is not asked: counting is all there is to do, and it is done for every byte."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0

    def take(self, buffer: bytearray) -> bytes:
        """What is there of the body."""
        if len(buffer) <= self._left:
            data = bytes(buffer)
            buffer.clear()
        else:
            data = bytes(memoryview(buffer)[: self._left])
            del buffer[: self._left]
        self._left -= len(data)
        self.done = self._left == 0
        return data


class ChunkedReader:
    """A body in chunks, decoded by h11. Trailers are refused: nothing decides on them."""

    def __init__(self, role: h11.Connection) -> None:
        self._role = role
        self.done = False

    def take(self, buffer: bytearray) -> bytes:
        """What is there of the body."""
        pieces: list[bytes] = []
        try:
            self._role.receive_data(bytes(buffer))
            buffer.clear()
            while not self.done:
                event = self._role.next_event()
                if isinstance(event, h11.Data):
                    pieces.append(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    self._end(event, buffer)
                else:
                    break
        except h11.RemoteProtocolError as error:
            raise ProtocolError(f"the chunks of a body cannot be read: {error}") from error
        return b"".join(pieces)

    def _end(self, event: h11.EndOfMessage, buffer: bytearray) -> None:
        if event.headers:
            raise ProtocolError("trailers are refused")
        buffer += self._role.trailing_data[0]
        self.done = True


def reader_of_request(headers: Headers, role: h11.Connection) -> BodyReader:
    """What reads the body of a request."""
    return ChunkedReader(role) if is_chunked(headers) else LengthReader(content_length(headers) or 0)


def reader_of_response(method: str, status: int, headers: Headers, role: h11.Connection) -> BodyReader:
    """What reads the body of a final response. Raises ProtocolError where only its end would tell its length."""
    if method == "HEAD" or status in _NO_BODY:
        return LengthReader(0)
    if is_chunked(headers):
        return ChunkedReader(role)
    length = content_length(headers)
    if length is None:
        raise ProtocolError("the upstream does not say how long its answer is")
    return LengthReader(length)


class BodyWriter:
    """Frames a body that is sent: so many bytes, or chunks where ``length`` is None. ``bodiless`` sends none.

    Raises ProtocolError when more or less comes than was announced: the connection must be cut then.
    """

    def __init__(self, length: int | None, *, bodiless: bool = False) -> None:
        self._left = length
        self._bodiless = bodiless

    def frame(self, data: bytes) -> list[bytes]:
        """Buffers that carry a piece of the body."""
        if not data or self._bodiless:
            return []
        if self._left is None:
            return [b"%x\r\n" % len(data), data, b"\r\n"]
        self._left -= len(data)
        if self._left < 0:
            raise ProtocolError("a body is longer than it was announced")
        return [data]

    def end(self) -> list[bytes]:
        """Buffers that end it."""
        if self._bodiless:
            return []
        if self._left is None:
            return [b"0\r\n\r\n"]
        if self._left:
            raise ProtocolError("a body is shorter than it was announced")
        return []
