"""Exec and attach over WebSocket: v5.channel.k8s.io and v4.channel.k8s.io.

Each message is one byte that names the channel, and data. v5 adds channel 255, whose data is the number of a channel
that its writer has closed; in v4 the end of stdin cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kubectl.streams.controls import ErrorReader, ResizeReader, encode_resize
from connectors.kubectl.streams.events import (
    Aborted,
    Channel,
    Closed,
    Data,
    ErrorStatus,
    ExecEvent,
    HalfClosed,
    Opened,
    Reply,
    Resize,
    Side,
)
from connectors.kubectl.streams.handshake import CHANNEL_PROTOCOLS
from connectors.kubectl.streams.websocket import Piece, WebSocket
from hoopcli.errors import ProtocolError

_CLOSE_CHANNEL = 255
_CHANNELS = frozenset(Channel)
_V5 = CHANNEL_PROTOCOLS[0]


class ChannelCodec:
    """Events of one end of an exec over WebSocket."""

    def __init__(self, side: Side, protocol: str) -> None:
        self._side = side
        self._closes = protocol == _V5
        self._socket = WebSocket(side)
        self._channel: int | None = None
        self._closing = bytearray()
        self._resize = ResizeReader()
        self._error = ErrorReader()

    def feed(self, data: bytes) -> Iterator[ExecEvent]:
        """Take bytes; iterate what they complete. Raises ProtocolError at the first that is not allowed."""
        for event in self._socket.feed(data):
            if isinstance(event, Piece):
                yield from self._piece(event)
            else:
                yield event

    def _piece(self, piece: Piece) -> Iterator[ExecEvent]:
        data = piece.data
        if self._channel is None and data:
            self._channel, data = data[0], data[1:]
            self._check(self._channel)
        if self._channel is None:
            if piece.last:
                raise ProtocolError("a message names no channel")
            return
        yield from self._read(self._channel, data, last=piece.last)
        if piece.last:
            self._channel = None

    def _check(self, channel: int) -> None:
        """Only what the peer may write to: the client stdin and resize, the server the rest."""
        if channel == _CLOSE_CHANNEL and self._closes:
            return
        if channel not in _CHANNELS or Channel(channel).from_client is not (self._side is Side.SERVER):
            raise ProtocolError(f"the peer writes to channel {channel}, which is not its own")

    def _read(self, channel: int, data: bytes, *, last: bool) -> Iterator[ExecEvent]:
        if channel == _CLOSE_CHANNEL:
            yield from self._read_close(data, last=last)
        elif channel == Channel.RESIZE:
            yield from self._resize.feed(data)
        elif channel == Channel.ERROR:
            self._error.feed(data)
            if last:
                yield self._error.take()
        elif data or last:
            yield Data(Channel(channel), data)

    def _read_close(self, data: bytes, *, last: bool) -> Iterator[ExecEvent]:
        self._closing += data
        if len(self._closing) > 1 or (last and not self._closing):
            raise ProtocolError("a close names one channel")
        if last:
            channel = self._closing.pop()
            if channel not in _CHANNELS:
                raise ProtocolError(f"a close of channel {channel}, which does not exist")
            yield HalfClosed(Channel(channel))

    def ping(self) -> bytes:
        """A ping, to which the peer answers what is dropped here."""
        return self._socket.ping()

    def send(self, event: ExecEvent) -> bytes:
        """The bytes that tell the peer of an event; empty where the protocol has no word for it."""
        match event:
            case Data(channel, data):
                return self._socket.send(bytes((channel,)) + data)
            case Resize(cols, rows):
                return self._socket.send(bytes((Channel.RESIZE,)) + encode_resize(cols, rows))
            case ErrorStatus(raw):
                return self._socket.send(bytes((Channel.ERROR,)) + raw)
            case HalfClosed(channel) if self._closes:
                return self._socket.send(bytes((_CLOSE_CHANNEL, channel)))
            case Closed(code, reason):
                return self._socket.close(code, reason)
            case Opened() | HalfClosed() | Aborted() | Reply():
                return b""
