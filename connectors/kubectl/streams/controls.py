"""The two channels that carry JSON: the size of the terminal, and how the command ended."""

from __future__ import annotations

import json
from collections.abc import Iterator

from connectors.kubectl.streams.events import ErrorStatus, Resize
from hoopcli.errors import ProtocolError

_MOST_RESIZE = 1024
_MOST_ERROR = 256 * 1024
_MOST_CELLS = 65535


class ResizeReader:
    """Reads ``{"Width": 80, "Height": 24}``, one after the other, from bytes cut anywhere."""

    def __init__(self) -> None:
        self._buffer = b""
        self._decoder = json.JSONDecoder()

    def feed(self, data: bytes) -> Iterator[Resize]:
        """Take bytes; iterate the sizes in them. Raises ProtocolError for what is no size."""
        self._buffer = (self._buffer + data).lstrip(b"\r\n\t ")
        while b"}" in self._buffer:
            end = self._buffer.index(b"}") + 1
            document, self._buffer = self._buffer[:end], self._buffer[end:].lstrip(b"\r\n\t ")
            yield _size(document)
        if len(self._buffer) > _MOST_RESIZE:
            raise ProtocolError("a terminal size is too long")


def _size(document: bytes) -> Resize:
    """One size. Go reads its keys in any case, and ignores others."""
    try:
        pairs = json.loads(document, object_pairs_hook=list)
        sizes = [(key.lower(), value) for key, value in pairs if key.lower() in {"width", "height"}]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError("a terminal size is no JSON object") from error
    if len(sizes) != len(dict(sizes)) or not all(_is_cells(value) for _, value in sizes):
        raise ProtocolError("a terminal size is not two numbers")
    by_name = dict(sizes)
    return Resize(by_name.get("width", 0), by_name.get("height", 0))


def _is_cells(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_CELLS


def encode_resize(cols: int, rows: int) -> bytes:
    """A size as Kubernetes clients send it."""
    return b'{"Width":%d,"Height":%d}\n' % (cols, rows)


class ErrorReader:
    """Gathers the ``Status`` of a command's end, in bounded memory."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take a part of it. Raises ProtocolError where it grows too long."""
        self._buffer += data
        if len(self._buffer) > _MOST_ERROR:
            raise ProtocolError("the status of a command is too long")

    def take(self) -> ErrorStatus:
        """The whole of it."""
        status = ErrorStatus(bytes(self._buffer))
        self._buffer.clear()
        return status
