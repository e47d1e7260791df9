"""Port-forward as SPDY streams, bare or inside the messages of a WebSocket: a data and an error stream a connection.

Frames are decoded and encoded anew, stream by stream under the same number. A port that is not permitted is refused
to the client on the connection's error stream, and the upstream never hears of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from connectors.kubectl.streams.events import Closed, Reply, Side
from connectors.kubectl.streams.forwards import Forward, Forwards
from connectors.kubectl.streams.moved import Moved
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
from connectors.kubectl.streams.websocket import WebSocket
from hoopcli.errors import ProtocolError

_MOST_OPEN = 2048
_GOING_AWAY = 1001

#: Says why a port must not be forwarded; nothing where it may.
Refuses = Callable[[int], str]


@dataclass(slots=True)
class _Stream:
    """One stream. ``refused``: the upstream does not know of it."""

    forward: Forward
    carries_data: bool
    refused: bool = False
    client_done: bool = False
    upstream_done: bool = False


class _End:
    """One end: its frames, and the WebSocket around them if there is one."""

    def __init__(self, side: Side, *, tunnelled: bool) -> None:
        self._socket = WebSocket(side) if tunnelled else None
        self._reader = FrameReader()
        self._writer = FrameWriter()
        self._queue: list[bytes] = []

    def feed(self, data: bytes) -> Iterator[Frame | Reply | Closed]:
        if self._socket is None:
            yield from self._reader.feed(data)
            return
        for event in self._socket.feed(data):
            if isinstance(event, Reply | Closed):
                yield event
            else:
                yield from self._reader.feed(event.data)

    def send(self, frame: Frame) -> None:
        self._queue.append(self._writer.encode(frame))

    def take(self) -> bytes:
        """The bytes of all frames since the last time."""
        frames = b"".join(self._queue)
        self._queue.clear()
        return self._socket.send(frames) if self._socket and frames else frames

    def ping(self) -> bytes:
        return self._socket.ping() if self._socket else self._writer.encode(Ping(1))

    def close(self, code: int, reason: str) -> bytes:
        return self._socket.close(code, reason) if self._socket else b""


class PortForward:
    """One port-forward. ``refuses`` is asked for the port of each connection before the upstream hears of it."""

    def __init__(
        self, *, client_tunnelled: bool, upstream_tunnelled: bool, forwards: Forwards, refuses: Refuses
    ) -> None:
        self._client = _End(Side.SERVER, tunnelled=client_tunnelled)
        self._upstream = _End(Side.CLIENT, tunnelled=upstream_tunnelled)
        self._forwards = forwards
        self._refuses = refuses
        self._streams: dict[int, _Stream] = {}
        self._halves: dict[str, tuple[str, Forward]] = {}
        self._last = 0

    def from_client(self, data: bytes) -> Moved:
        """Take bytes of the client."""
        moved = Moved()
        try:
            for frame in self._client.feed(data):
                self._ask(frame, moved)
        except ProtocolError as error:
            moved.error = error
        return self._taken(moved)

    def from_upstream(self, data: bytes) -> Moved:
        """Take bytes of the upstream."""
        moved = Moved()
        try:
            for frame in self._upstream.feed(data):
                self._answer(frame, moved)
        except ProtocolError as error:
            moved.error = error
        return self._taken(moved)

    def end(self, reason: str = "") -> Moved:
        """The stream is not to go on: both ends are told."""
        self._client.send(GoAway(self._last))
        self._upstream.send(GoAway(0))
        moved = self._taken(Moved())
        moved.to_client.append(self._client.close(_GOING_AWAY, reason))
        moved.to_upstream.append(self._upstream.close(_GOING_AWAY, reason))
        return moved

    def _taken(self, moved: Moved) -> Moved:
        if data := self._client.take():
            moved.to_client.append(data)
        if data := self._upstream.take():
            moved.to_upstream.append(data)
        return moved

    # --- from the client ---------------------------------------------------------------------------------------------

    def _ask(self, frame: Frame | Reply | Closed, moved: Moved) -> None:
        match frame:
            case DataFrame():
                self._ask_data(frame)
            case SynStream():
                self._open(frame)
            case RstStream(number):
                self._ask_reset(frame, self._streams.pop(number, None))
            case Ping(id_):
                if id_ % 2:  # else the answer to a ping, of which there was none
                    self._client.send(frame)
                    moved.ping = self._upstream.ping()
            case GoAway():
                moved.over = True
                self._upstream.send(GoAway(0))
            case Reply(data):
                moved.to_client.append(data)
                moved.ping = self._upstream.ping()
            case Closed(code, reason):
                moved.over = True
                moved.to_upstream.append(self._upstream.take() + self._upstream.close(code, reason))
            case SynReply():
                raise ProtocolError("SPDY: a client that replies")

    def _open(self, frame: SynStream) -> None:
        number, kind = frame.stream, field(frame.headers, "streamtype")
        if number % 2 == 0 or number <= self._last or len(self._streams) >= _MOST_OPEN or kind not in {"data", "error"}:
            raise ProtocolError("SPDY: a stream of a wrong number or type, or too many of them")
        self._last = number
        port, request = _port(field(frame.headers, "port")), field(frame.headers, "requestid")
        stream = _Stream(self._forward(request, kind, port), carries_data=kind == "data", client_done=frame.fin)
        self._streams[number] = stream
        if why := self._refuses(port):
            self._refuse(number, stream, why)
            return
        headers = {"streamtype": kind, "port": str(port), "requestid": request}
        self._upstream.send(SynStream(number, headers, frame.fin))

    def _forward(self, request: str, kind: str, port: int) -> Forward:
        """The connection that a stream belongs to: it has one of each kind, and both name the same port."""
        if request not in self._halves:
            if len(self._halves) >= _MOST_OPEN:
                raise ProtocolError("SPDY: too many connections with one stream")
            forward = self._forwards.open(port)
            self._halves[request] = (kind, forward)
            return forward
        other, forward = self._halves.pop(request)
        if other == kind or forward.port != port:
            raise ProtocolError("SPDY: a connection with two streams of a kind, or to two ports")
        return forward

    def _refuse(self, number: int, stream: _Stream, why: str) -> None:
        stream.refused = stream.upstream_done = True
        stream.forward.error = why
        self._client.send(SynReply(number))
        self._client.send(DataFrame(number, b"" if stream.carries_data else why.encode(), fin=True))
        self._forget(number, stream)

    def _ask_data(self, frame: DataFrame) -> None:
        stream = self._known(frame.stream)
        if stream is None:
            return
        if stream.client_done or (frame.data and not stream.carries_data):
            raise ProtocolError("SPDY: data of a client after its end, or on an error stream")
        stream.client_done = frame.fin
        if not stream.refused:
            stream.forward.sent.add(frame.data)
            self._upstream.send(frame)
        self._forget(frame.stream, stream)

    def _ask_reset(self, frame: RstStream, stream: _Stream | None) -> None:
        if stream and not stream.refused:
            self._upstream.send(frame)

    # --- from the upstream -------------------------------------------------------------------------------------------

    def _answer(self, frame: Frame | Reply | Closed, moved: Moved) -> None:
        match frame:
            case DataFrame():
                self._answer_data(frame)
            case SynReply() | RstStream():
                self._answer_open(frame)
            case Ping(id_):
                if not id_ % 2:
                    self._upstream.send(frame)
            case GoAway():
                moved.over = True
                self._client.send(GoAway(self._last))
            case Reply(data):
                moved.to_upstream.append(data)
            case Closed(code, reason):
                moved.over = True
                moved.to_client.append(self._client.take() + self._client.close(code, reason))
            case SynStream():
                raise ProtocolError("SPDY: a server that opens streams")

    def _answer_open(self, frame: SynReply | RstStream) -> None:
        """The upstream accepts a stream, or gives it up."""
        if self._known(frame.stream) is None:
            return
        if isinstance(frame, RstStream):
            del self._streams[frame.stream]
            self._client.send(frame)
        else:
            self._client.send(SynReply(frame.stream))

    def _answer_data(self, frame: DataFrame) -> None:
        stream = self._known(frame.stream)
        if stream is None:
            return
        if stream.upstream_done:
            raise ProtocolError("SPDY: data of a server after its end")
        stream.upstream_done = frame.fin
        if stream.carries_data:
            stream.forward.received.add(frame.data)
        else:
            stream.forward.fail(frame.data)
        self._client.send(frame)
        self._forget(frame.stream, stream)

    def _known(self, number: int) -> _Stream | None:
        """A stream by its number; None if it is over. Raises ProtocolError if it never was."""
        if number > self._last or number % 2 == 0:
            raise ProtocolError("SPDY: a frame of a stream that was never opened")
        return self._streams.get(number)

    def _forget(self, number: int, stream: _Stream) -> None:
        if stream.client_done and stream.upstream_done:
            del self._streams[number]


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    if not 0 < port < 65536:
        raise ProtocolError(f"SPDY: {text[:20]!r} is no port")
    return port
