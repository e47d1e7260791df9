"""Exec and attach over SPDY/3.1 (v4.channel.k8s.io): a stream for each channel, named by its ``streamtype`` header."""

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
from connectors.kubectl.streams.spdy import (
    DataFrame,
    Frame,
    FrameReader,
    FrameWriter,
    GoAway,
    Ping,
    RstStream,
    SynReply,
    SynStream,
)
from connectors.kubectl.streams.spdy_headers import field
from hoopcli.errors import ProtocolError

_BY_TYPE = {channel.name.lower(): channel for channel in Channel}


class SpdyExecCodec:
    """Events of one end of an exec over SPDY.

    As a server it accepts the client's streams at once: Kubernetes waits for that before it sends anything.
    """

    def __init__(self, side: Side) -> None:
        self._side = side
        self._reader = FrameReader()
        self._writer = FrameWriter()
        self._streams: dict[int, Channel] = {}
        self._ids: dict[Channel, int] = {}
        self._aborted: set[Channel] = set()
        self._ended: set[Channel] = set()
        self._last_id = 0
        self._resize = ResizeReader()
        self._error = ErrorReader()
        self._goaway = False

    def feed(self, data: bytes) -> Iterator[ExecEvent]:
        """Take bytes; iterate what they complete. Raises ProtocolError at the first that is not allowed."""
        for frame in self._reader.feed(data):
            yield from self._read(frame)

    def _read(self, frame: Frame) -> Iterator[ExecEvent]:
        match frame:
            case DataFrame():
                yield from self._read_data(frame)
            case SynStream():
                yield from self._open(frame)
            case SynReply(stream):
                if self._side is Side.SERVER or stream not in self._streams:
                    raise ProtocolError("SPDY: a reply to a stream that was not opened")
            case RstStream(stream):
                yield from self._abort(stream)
            case Ping(id_):
                if bool(id_ % 2) is (self._side is Side.SERVER):  # else the answer to a ping of ours
                    yield Reply(self._writer.encode(frame))
            case GoAway():
                yield Closed()

    def _open(self, frame: SynStream) -> Iterator[ExecEvent]:
        channel = _BY_TYPE.get(field(frame.headers, "streamtype"))
        if self._side is Side.CLIENT or channel is None or channel in self._ids:
            raise ProtocolError("SPDY: a stream of unknown type, of a type that is open, or opened by the server")
        if frame.stream % 2 == 0 or frame.stream <= self._last_id:
            raise ProtocolError("SPDY: the number of a new stream is even, or not greater than the last one")
        self._last_id = frame.stream
        self._streams[frame.stream] = channel
        self._ids[channel] = frame.stream
        yield Opened(channel)
        yield Reply(self._writer.encode(SynReply(frame.stream)))
        if frame.fin:
            yield from self._finish(channel)

    def _read_data(self, frame: DataFrame) -> Iterator[ExecEvent]:
        channel = self._streams.get(frame.stream)
        if channel is None or channel in self._ended:
            raise ProtocolError("SPDY: data of a stream that is not open")
        if frame.data:
            if channel.from_client is not (self._side is Side.SERVER):
                raise ProtocolError(f"the peer writes to {channel.name.lower()}, which is not its own")
            yield from self._contents(channel, frame.data)
        if frame.fin:
            yield from self._finish(channel)

    def _contents(self, channel: Channel, data: bytes) -> Iterator[ExecEvent]:
        if channel in self._aborted:
            return
        if channel is Channel.RESIZE:
            yield from self._resize.feed(data)
        elif channel is Channel.ERROR:
            self._error.feed(data)
        else:
            yield Data(channel, data)

    def _finish(self, channel: Channel) -> Iterator[ExecEvent]:
        self._ended.add(channel)
        if channel is Channel.ERROR and (status := self._error.take()).raw:
            yield status
        yield HalfClosed(channel)

    def _abort(self, stream: int) -> Iterator[ExecEvent]:
        channel = self._streams.get(stream)
        if channel is None:
            raise ProtocolError("SPDY: a reset of a stream that was never open")
        if channel not in self._aborted:
            self._aborted.add(channel)
            yield Aborted(channel)

    def ping(self) -> bytes:
        """A ping of a client, to which the peer answers what is dropped here."""
        return b"" if self._goaway else self._writer.encode(Ping(1))

    def send(self, event: ExecEvent) -> bytes:
        """The bytes that tell the peer of an event. Raises ProtocolError for a channel that is not open."""
        match event:
            case Opened(channel):
                return self._open_upstream(channel)
            case Data(channel, data):
                return self._write(channel, data)
            case Resize(cols, rows):
                return self._write(Channel.RESIZE, encode_resize(cols, rows))
            case ErrorStatus(raw):
                return self._write(Channel.ERROR, raw)
            case _:
                return self._send_end(event)

    def _send_end(self, event: ExecEvent) -> bytes:
        match event:
            case HalfClosed(channel):
                return self._write(channel, b"", fin=True)
            case Aborted(channel):
                self._aborted.add(channel)
                return self._writer.encode(RstStream(self._id(channel)))
            case Closed() if not self._goaway:
                self._goaway = True
                return self._writer.encode(GoAway(self._last_id))
            case _:
                return b""

    def _open_upstream(self, channel: Channel) -> bytes:
        if self._side is Side.SERVER or channel in self._ids:
            raise ProtocolError(f"{channel.name.lower()} cannot be opened here")
        stream = 2 * len(self._ids) + 1
        self._ids[channel] = stream
        self._streams[stream] = channel
        return self._writer.encode(SynStream(stream, {"streamtype": channel.name.lower()}))

    def _write(self, channel: Channel, data: bytes, *, fin: bool = False) -> bytes:
        stream = self._id(channel)
        return b"" if channel in self._aborted else self._writer.encode(DataFrame(stream, data, fin))

    def _id(self, channel: Channel) -> int:
        if channel not in self._ids:
            raise ProtocolError(f"the peer has not opened {channel.name.lower()}")
        return self._ids[channel]
