"""Frames of SPDY/3.1 as Kubernetes speaks it (its spdystream library), in both roles.

Neither end of Kubernetes keeps SPDY's flow control: WINDOW_UPDATE and SETTINGS are read and left alone. HEADERS is
never sent and is refused. Data comes in the pieces in which it arrives, so no frame is held in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from connectors.kubectl.streams.spdy_headers import MOST_BLOCK, HeaderDecoder, HeaderEncoder
from hoopcli.errors import ProtocolError

VERSION = 3
_HEADER = struct.Struct(">II")
_TWO = struct.Struct(">II")
_ONE = struct.Struct(">I")
_SYN_STREAM = struct.Struct(">IIBB")
_CONTROL = 0x8000_0000
_STREAM = 0x7FFF_FFFF
_LENGTH = 0x00FF_FFFF
_FIN = 0x01
_MOST_CONTROL = MOST_BLOCK + _SYN_STREAM.size
_MOST_WRITTEN = 1 << 20


class Kind(IntEnum):
    """The types of control frames that may come (2.6)."""

    SYN_STREAM = 1
    SYN_REPLY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 9


#: Status codes of RST_STREAM (2.6.3).
REFUSED_STREAM = 3
CANCEL = 5


@dataclass(frozen=True, slots=True)
class SynStream:
    """A stream begins (2.6.1). ``fin``: the opener will send no data on it."""

    stream: int
    headers: Mapping[str, str]
    fin: bool = False


@dataclass(frozen=True, slots=True)
class SynReply:
    """A stream is accepted (2.6.2)."""

    stream: int
    headers: Mapping[str, str] = field(default_factory=dict)
    fin: bool = False


@dataclass(frozen=True, slots=True)
class RstStream:
    """A stream is given up (2.6.3)."""

    stream: int
    status: int = CANCEL


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping, or its answer (2.6.5)."""

    id: int


@dataclass(frozen=True, slots=True)
class GoAway:
    """No more streams will be accepted (2.6.6)."""

    last_stream: int
    status: int = 0


@dataclass(frozen=True, slots=True)
class DataFrame:
    """A piece of a stream's data (2.2.2); ``fin`` says that it is the last."""

    stream: int
    data: bytes
    fin: bool = False


Frame = SynStream | SynReply | RstStream | Ping | GoAway | DataFrame


class FrameReader:
    """Decodes the frames of one end from bytes cut anywhere. After an error every further call raises it again."""

    def __init__(self) -> None:
        self._headers = HeaderDecoder()
        self._buffer = bytearray()
        self._stream = 0
        self._missing = 0  # bytes of the data frame that has begun
        self._fin = False
        self._failed: ProtocolError | None = None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes; iterate the frames in them. Raises ProtocolError at the first that is not allowed."""
        if self._failed:
            raise ProtocolError(self._failed.message)
        self._buffer += data
        try:
            while (frames := self._next()) is not None:
                yield from frames
        except ProtocolError as error:
            self._failed = error
            raise

    def _next(self) -> tuple[Frame, ...] | None:
        """The next frame, none where one is left alone, None where bytes are missing."""
        if self._missing:
            return self._data()
        if len(self._buffer) < _HEADER.size:
            return None
        first, second = _HEADER.unpack_from(self._buffer)
        length, flags = second & _LENGTH, second >> 24
        if not first & _CONTROL:
            return self._begin_data(first, length, flags)
        if length > _MOST_CONTROL:
            raise ProtocolError("SPDY: a control frame is too long")
        if len(self._buffer) < _HEADER.size + length:
            return None
        payload = bytes(memoryview(self._buffer)[_HEADER.size : _HEADER.size + length])
        del self._buffer[: _HEADER.size + length]
        if (first >> 16) & 0x7FFF != VERSION:
            raise ProtocolError("SPDY: a frame is not of version 3")
        return self._control(first & 0xFFFF, flags, payload)

    def _begin_data(self, stream: int, length: int, flags: int) -> tuple[Frame, ...] | None:
        if stream == 0 or flags & ~_FIN:
            raise ProtocolError("SPDY: a data frame of no stream, or with unknown flags")
        del self._buffer[: _HEADER.size]
        self._stream, self._missing, self._fin = stream, length, bool(flags & _FIN)
        return self._data() if length else (DataFrame(stream, b"", self._fin),)

    def _data(self) -> tuple[Frame, ...] | None:
        if not self._buffer:
            return None
        piece = bytes(memoryview(self._buffer)[: self._missing])
        del self._buffer[: len(piece)]
        self._missing -= len(piece)
        return (DataFrame(self._stream, piece, self._fin and not self._missing),)

    def _control(self, kind: int, flags: int, payload: bytes) -> tuple[Frame, ...]:
        match kind:
            case Kind.SYN_STREAM:
                return (self._syn_stream(flags, payload),)
            case Kind.SYN_REPLY:
                return (self._syn_reply(flags, payload),)
            case Kind.RST_STREAM:
                stream, status = _unpack(_TWO, payload, flags)
                if not status:
                    raise ProtocolError("SPDY: a reset without a status")
                return (RstStream(_stream(stream), status),)
            case Kind.PING:
                return (Ping(_unpack(_ONE, payload, flags)[0]),)
            case Kind.GOAWAY:
                last, status = _unpack(_TWO, payload, flags)
                return (GoAway(last & _STREAM, status),)
            case Kind.SETTINGS | Kind.WINDOW_UPDATE:
                return ()
        raise ProtocolError(f"SPDY: a control frame of type {kind}")

    def _syn_stream(self, flags: int, payload: bytes) -> SynStream:
        if len(payload) < _SYN_STREAM.size or flags & ~_FIN:
            raise ProtocolError("SPDY: a SYN_STREAM that is too short, or has unknown flags")
        stream, _associated, _priority, _slot = _SYN_STREAM.unpack_from(payload)
        headers = self._headers.decode(payload[_SYN_STREAM.size :])
        return SynStream(_stream(stream), headers, bool(flags & _FIN))

    def _syn_reply(self, flags: int, payload: bytes) -> SynReply:
        if len(payload) < _ONE.size or flags & ~_FIN:
            raise ProtocolError("SPDY: a SYN_REPLY that is too short, or has unknown flags")
        headers = self._headers.decode(payload[_ONE.size :])
        return SynReply(_stream(_ONE.unpack_from(payload)[0]), headers, bool(flags & _FIN))


def _unpack(layout: struct.Struct, payload: bytes, flags: int) -> tuple[int, ...]:
    if len(payload) != layout.size or flags:
        raise ProtocolError("SPDY: a control frame of the wrong length, or with unknown flags")
    return layout.unpack(payload)


def _stream(stream: int) -> int:
    if not 0 < stream <= _STREAM:
        raise ProtocolError("SPDY: a control frame of no stream")
    return stream


class FrameWriter:
    """Encodes the frames of one end. Frames must be sent in the order in which they were encoded."""

    def __init__(self) -> None:
        self._headers = HeaderEncoder()

    def encode(self, frame: Frame) -> bytes:
        """The bytes of a frame."""
        match frame:
            case DataFrame(stream, data, fin):
                return b"".join(_data_frames(stream, data, fin=fin))
            case SynStream(stream, headers, fin):
                payload = _SYN_STREAM.pack(stream, 0, 0, 0) + self._headers.encode(headers)
                return _control(Kind.SYN_STREAM, payload, fin=fin)
            case SynReply(stream, headers, fin):
                return _control(Kind.SYN_REPLY, _ONE.pack(stream) + self._headers.encode(headers), fin=fin)
            case RstStream(stream, status):
                return _control(Kind.RST_STREAM, _TWO.pack(stream, status))
            case Ping(id_):
                return _control(Kind.PING, _ONE.pack(id_))
            case GoAway(last, status):
                return _control(Kind.GOAWAY, _TWO.pack(last, status))


def _control(kind: int, payload: bytes, *, fin: bool = False) -> bytes:
    return _HEADER.pack(_CONTROL | VERSION << 16 | kind, fin << 24 | len(payload)) + payload


def _data_frames(stream: int, data: bytes, *, fin: bool) -> Iterator[bytes]:
    """The data in frames of a moderate length: a reader such as Go's holds a whole frame in memory."""
    for at in range(0, max(len(data), 1), _MOST_WRITTEN):
        piece = data[at : at + _MOST_WRITTEN]
        last = at + _MOST_WRITTEN >= len(data)
        yield _HEADER.pack(stream, (fin and last) << 24 | len(piece))
        yield piece
