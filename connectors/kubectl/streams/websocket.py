"""WebSocket messages after the handshake ([RFC 6455] 5), on wsproto's frames.

Messages come in the pieces in which they arrive, so none is ever held in memory. wsproto's ``Connection`` turns a
frame that it cannot parse into the event of a regular close; the layer below it, used here, raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, Opcode, ParseFailed

from connectors.kubectl.streams.events import Closed, Reply, Side
from hoopcli.errors import ProtocolError

_MOST_REASON = 120


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a message: ``last`` ends it. Text comes as its UTF-8."""

    data: bytes
    last: bool


class WebSocket:
    """One end of a WebSocket, without extensions. Pings are answered, pongs dropped, the close handshake is kept."""

    def __init__(self, side: Side) -> None:
        self._frames = FrameProtocol(client=side is Side.CLIENT, extensions=[])
        self._failed = ""
        self._received_close = False
        self._sent_close = False

    @property
    def closed(self) -> bool:
        """Whether the peer has sent its close frame."""
        return self._received_close

    def feed(self, data: bytes) -> Iterator[Piece | Reply | Closed]:
        """Take bytes; iterate what they complete. What follows a close frame is dropped.

        Raises ProtocolError, while iterating, at the first frame that the protocol does not allow, and ever after.
        """
        if self._failed:
            raise ProtocolError(self._failed)
        if self._received_close:
            return
        self._frames.receive_bytes(data)
        try:
            for frame in self._frames.received_frames():  # they end with a close frame
                yield from self._event(frame)
        except ParseFailed as error:
            self._failed = f"WebSocket: {error}"
            raise ProtocolError(self._failed) from error

    def _event(self, frame: Frame) -> Iterator[Piece | Reply | Closed]:
        match frame.opcode, frame.payload:
            case Opcode.PING, bytes() | bytearray() as payload:
                if not self._sent_close:
                    yield Reply(bytes(self._frames.pong(payload)))
            case Opcode.CLOSE, (int(code), str(reason)):
                yield from self._close(int(code), reason)
            case Opcode.BINARY | Opcode.TEXT, payload:
                data = payload.encode() if isinstance(payload, str) else bytes(payload)  # type: ignore[arg-type]
                yield Piece(data, frame.message_finished)
            case _:  # a pong
                pass

    def _close(self, code: int, reason: str) -> Iterator[Reply | Closed]:
        self._received_close = True
        if not self._sent_close:
            yield Reply(self.close(code if code != CloseReason.NO_STATUS_RCVD else CloseReason.NORMAL_CLOSURE))
        yield Closed(code, reason)

    def send(self, data: bytes) -> bytes:
        """A binary message in one frame. After a close, nothing."""
        return b"" if self._sent_close else bytes(self._frames.send_data(data))

    def ping(self) -> bytes:
        """A ping, to see whether the peer still lives."""
        return b"" if self._sent_close else bytes(self._frames.ping())

    def close(self, code: int = 1000, reason: str = "") -> bytes:
        """The close frame; nothing the second time. A reason that is too long is cut."""
        if self._sent_close:
            return b""
        self._sent_close = True
        short = reason.encode()[:_MOST_REASON].decode("utf-8", "ignore")
        return bytes(self._frames.close(code, short or None))
