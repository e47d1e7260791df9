"""Port-forward as channels of a WebSocket (v4.channel.k8s.io), as the Python client speaks it.

The request names the ports. The port with index n has channel 2n for data and 2n + 1 for errors; the first message of
the server on each is the number of the port, two bytes with the least significant first.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.kubectl.streams.events import Closed, Reply, Side
from connectors.kubectl.streams.forwards import Forward, Forwards
from connectors.kubectl.streams.moved import Moved
from connectors.kubectl.streams.websocket import Piece, WebSocket
from hoopcli.errors import ProtocolError

_MOST_PORTS = 127
_GOING_AWAY = 1001


class _Messages:
    """Takes the channel off messages that come in pieces."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._channel: int | None = None

    def feed(self, piece: Piece) -> tuple[int, bytes] | None:
        """The channel and the data of a piece; None where it has neither. Raises ProtocolError."""
        channel, data = self._channel, piece.data
        if channel is None and data:
            channel, data = data[0], data[1:]
            if channel >= self._channels:
                raise ProtocolError(f"channel {channel} of a port-forward that has {self._channels}")
        if channel is None and piece.last:
            raise ProtocolError("a message names no channel")
        self._channel = None if piece.last else channel
        return None if channel is None else (channel, data)


class ChannelForward:
    """One port-forward to ports that were permitted when the request was."""

    def __init__(self, ports: Sequence[int], forwards: Forwards) -> None:
        if not 0 < len(ports) <= _MOST_PORTS:
            raise ProtocolError("a port-forward over channels names 1 to 127 ports")
        self._client = WebSocket(Side.SERVER)
        self._upstream = WebSocket(Side.CLIENT)
        self._forwards: list[Forward] = [forwards.open(port) for port in ports]
        self._asked = _Messages(2 * len(ports))
        self._answered = _Messages(2 * len(ports))
        self._greetings = [port.to_bytes(2, "little") for port in ports for _ in ("data", "error")]

    def from_client(self, data: bytes) -> Moved:
        """Take bytes of the client."""
        moved = Moved()
        try:
            for event in self._client.feed(data):
                self._ask(event, moved)
        except ProtocolError as error:
            moved.error = error
        return moved

    def _ask(self, event: Piece | Reply | Closed, moved: Moved) -> None:
        match event:
            case Piece():
                if message := self._asked.feed(event):
                    channel, data = message
                    if channel % 2 and data:
                        raise ProtocolError("a client that writes to the channel of errors")
                    self._forwards[channel // 2].sent.add(data)
                    moved.to_upstream.append(self._upstream.send(bytes((channel,)) + data))
            case Reply(data):
                moved.to_client.append(data)
                moved.ping = self._upstream.ping()
            case Closed(code, reason):
                moved.over = True
                moved.to_upstream.append(self._upstream.close(code, reason))

    def from_upstream(self, data: bytes) -> Moved:
        """Take bytes of the upstream."""
        moved = Moved()
        try:
            for event in self._upstream.feed(data):
                self._answer(event, moved)
        except ProtocolError as error:
            moved.error = error
        return moved

    def _answer(self, event: Piece | Reply | Closed, moved: Moved) -> None:
        match event:
            case Piece():
                if message := self._answered.feed(event):
                    channel, data = message
                    self._count(channel, self._greeted(channel, data))
                    moved.to_client.append(self._client.send(bytes((channel,)) + data))
            case Reply(data):
                moved.to_upstream.append(data)
            case Closed(code, reason):
                moved.over = True
                moved.to_client.append(self._client.close(code, reason))

    def _greeted(self, channel: int, data: bytes) -> bytes:
        """The data without the number of the port, which must be the one that was asked for."""
        due = self._greetings[channel]
        said, data = data[: len(due)], data[len(due) :]
        if not due.startswith(said):
            raise ProtocolError("the upstream forwards another port than the one that was asked for")
        self._greetings[channel] = due[len(said) :]
        return data

    def _count(self, channel: int, data: bytes) -> None:
        forward = self._forwards[channel // 2]
        if channel % 2:
            forward.fail(data)
        else:
            forward.received.add(data)

    def end(self, reason: str = "") -> Moved:
        """The stream is not to go on: both ends are told."""
        return Moved([self._client.close(_GOING_AWAY, reason)], [self._upstream.close(_GOING_AWAY, reason)])
