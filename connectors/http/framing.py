"""Bodies: where they end, read and written."""

from __future__ import annotations

import re
from typing import Protocol

import h11

from connectors.http.head import content_length, is_chunked
from connectors.http.message import Headers
from hoopcli.errors import ProtocolError

_NO_BODY = frozenset({204, 304})
#: The end of a body in chunks, or the size of a chunk; and what may yet become one of them.
_SIZE = rb"(?:(0{1,16})\r\n\r\n|(?!0{1,16}\r)([0-9A-Fa-f]{1,16})\r\n)"
_PART = rb"(?:[0-9A-Fa-f]{0,16}|[0-9A-Fa-f]{1,16}\r|0{1,16}\r\n\r?)"
_FIRST = re.compile(_SIZE), re.compile(_PART)
_NEXT = re.compile(rb"\r\n" + _SIZE), re.compile(rb"\r|\r\n" + _PART)


class BodyReader(Protocol):
    """Takes a body off a buffer. ``done`` once all of it has been taken."""

    done: bool

    def take(self, buffer: bytearray) -> bytes:
        """What is there of the body; only what follows its end stays in the buffer. Raises ProtocolError."""


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
    """A body in chunks ([RFC 9112] 7.1), in its plainest form only: extensions, blanks and trailers are refused.

    Nothing decides on those, and readers differ in what they make of them.
    """

    def __init__(self) -> None:
        self._left = 0
        self._partial = b""
        self._whole, self._part = _FIRST
        self.done = False

    def take(self, buffer: bytearray) -> bytes:
        """What is there of the body."""
        pieces: list[bytes] = []
        buffer[:0] = self._partial
        at = 0
        while at < len(buffer) and not self.done:
            if self._left:
                piece = bytes(memoryview(buffer)[at : at + self._left])
                self._left -= len(piece)
                at += len(piece)
                pieces.append(piece)
            elif used := self._size(buffer, at):
                at += used
            else:
                break
        del buffer[:at]
        self._partial = b""
        if not self.done:
            self._partial = bytes(buffer)
            buffer.clear()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _size(self, buffer: bytearray, at: int) -> int:
        """Read what stands between two chunks; how long it is, 0 while it is not whole."""
        match = self._whole.match(buffer, at)
        if match is None:
            if not self._part.fullmatch(buffer, at):
                raise ProtocolError("the chunks of a body cannot be read, or have extensions or trailers")
            return 0
        self._left = int(match[1] or match[2], 16)
        self._whole, self._part = _NEXT
        self.done = not self._left
        return match.end() - at


def reader_of_request(headers: Headers, role: h11.Connection) -> BodyReader:
    """What reads the body of a request."""
    return ChunkedReader() if is_chunked(headers) else LengthReader(content_length(headers) or 0)


def reader_of_response(method: str, status: int, headers: Headers) -> BodyReader:
    """What reads the body of a final response. Raises ProtocolError where only its end would tell its length."""
    if method == "HEAD" or status in _NO_BODY:
        return LengthReader(0)
    if is_chunked(headers):
        return ChunkedReader()
    length = content_length(headers)
    if length is None:
        raise ProtocolError("the upstream does not say how long its answer is")
    return LengthReader(length)


class BodyWriter:
    """Frames a body that is sent: so many bytes, or chunks where ``length`` is None. ``bodiless`` sends none.

    ``done`` once it has been ended. Raises ProtocolError when more or less comes than was announced: the connection
    must be cut then.
    """

    def __init__(self, length: int | None, *, bodiless: bool = False) -> None:
        self.done = False
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
        if self._left and not self._bodiless:
            raise ProtocolError("a body is shorter than it was announced")
        self.done = True
        return [b"0\r\n\r\n"] if self._left is None and not self._bodiless else []
