"""Moves the bytes of an upgraded connection through a bridge until the stream is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from connectors.http.exchange import Exchange
from connectors.http.link import PeerGoneError
from connectors.kubectl.streams.moved import Moved
from hoopcli.errors import UpstreamError
from hoopcli.model.outcome import Piece, Status
from hoopcli.sansio.commands import ClosePeer, Drain, Keep, SetTimer
from hoopcli.sansio.events import Drained, Peer, PeerClosed, Wakeup
from hoopcli.sansio.layer import NOBODY, Steps, receive

#: How long a peer may take to answer that it has heard of the end, in seconds.
CLOSE_SECONDS = 5.0
#: How much may be sent back to a peer, as the answers to its pings are, before it must have taken that.
_MOST_SENT_BACK = 64 << 10
#: A recording is kept in pieces of at least so many bytes, or after so many seconds: a killed broker loses no more.
_PIECE = 64 << 10
PIECE_SECONDS = 5.0


class Bridge(Protocol):
    """What decodes both ends of a stream, and says what is to be sent to either."""

    def from_client(self, data: bytes) -> Moved:
        """Take bytes of the client."""

    def from_upstream(self, data: bytes) -> Moved:
        """Take bytes of the upstream."""

    def end(self, reason: str = "") -> Moved:
        """The stream is not to go on."""


@runtime_checkable
class Releasing(Protocol):
    """A bridge that holds output back for a moment."""

    def release(self) -> Moved:
        """The time has come to show what can be shown of what is held back."""


class Recording(Protocol):
    """A recording that grows with the stream."""

    @property
    def fresh(self) -> int:
        """How many bytes of it are in no piece yet."""

    def piece(self) -> Piece:
        """Those bytes, as its next piece."""


class Relay:
    """One stream. ``errors`` says what went wrong, ``idle`` after how many seconds of silence it ends, if ever.

    ``run`` returns CANCELLED where the client left first, LOST where the upstream did, BLOCKED where it was ended.

    A ping is not taken for a sign of life: programs send them, not people.
    """

    def __init__(
        self,
        exchange: Exchange,
        bridge: Bridge,
        elapsed: Callable[[], float],
        *,
        idle: float | None = None,
        recording: Recording | None = None,
    ) -> None:
        self._exchange = exchange
        self._bridge = bridge
        self._elapsed = elapsed
        self._idle = idle
        self._recording = recording
        self._piece_due: float | None = None
        self._active = elapsed()
        self._releases = False
        self._over: Peer | None = None
        self._missed = False
        self._sent_back = 0
        self.errors: list[str] = []

    def run(self) -> Steps[Status]:
        """Serve the stream. Raises ProtocolError, UpstreamError for what a peer must not send."""
        yield SetTimer(self._idle)
        status: Status | None = None
        try:
            while status is None:
                status = yield from self._step()
        except PeerGoneError as gone:
            status = self._left(gone.peer)
        yield SetTimer(None)
        yield from self._send(self._bridge.end())
        yield ClosePeer(Peer.UPSTREAM)
        return status

    def _step(self) -> Steps[Status | None]:
        got = yield from self._exchange.duplex()
        if got is None:
            return (yield from self._woken())
        peer, data = got
        moved = self._bridge.from_client(data) if peer is Peer.CLIENT else self._bridge.from_upstream(data)
        yield from self._send(moved)
        yield from self._note(peer, moved)
        if moved.error is not None:
            yield from self._send(self._bridge.end())
            if peer is Peer.CLIENT:
                raise moved.error
            raise UpstreamError(f"the upstream's stream cannot be used: {moved.error.message}") from moved.error
        return None

    def _note(self, peer: Peer, moved: Moved) -> Steps[None]:
        """Take note of what was moved: whether it shows life, what time is to pass, and who must be waited for."""
        there, back = (moved.to_upstream, moved.to_client)[:: 1 if peer is Peer.CLIENT else -1]
        if there:
            self._active = self._elapsed()
        if moved.over and self._over is None:
            self._over = peer
            yield SetTimer(CLOSE_SECONDS)
        elif moved.release_in is not None and self._over is None:
            self._releases = True
            yield SetTimer(moved.release_in)
        yield from self._keep()
        self._sent_back += sum(map(len, back))
        if self._sent_back > _MOST_SENT_BACK:
            self._sent_back = 0
            yield from self._drained(peer)

    def _keep(self) -> Steps[None]:
        """Record a piece of what was shown where there is enough of it, or it is time to; else see that it will be."""
        if self._recording is None or not self._recording.fresh:
            return
        now = self._elapsed()
        if self._recording.fresh >= _PIECE or (self._piece_due is not None and now >= self._piece_due):
            self._piece_due = None
            yield Keep(self._recording.piece())
        elif self._piece_due is None:
            self._piece_due = now + PIECE_SECONDS
            if not self._releases and self._over is None:
                yield from self._rearm()

    def _rearm(self) -> Steps[None]:
        """Set the timer to what is next: the end of too long a silence, or a piece."""
        ends = None if self._idle is None else self._active + self._idle
        if due := [at for at in (ends, self._piece_due) if at is not None]:
            yield SetTimer(max(0.0, min(due) - self._elapsed()))

    def _woken(self) -> Steps[Status | None]:
        """The time is up that was set last."""
        if self._over is not None:
            return self._left(self._over)
        if self._releases and isinstance(self._bridge, Releasing):
            self._releases = False
            yield from self._send(self._bridge.release())
        yield from self._keep()
        if self._idle is None or self._active + self._idle > self._elapsed():
            yield from self._rearm()
            return None
        self.errors.append(f"nothing happened for {self._idle:g} seconds")
        yield from self._send(self._bridge.end(f"hoop: {self.errors[-1]}: the policy ends such a stream"))
        return Status.BLOCKED

    def _left(self, peer: Peer) -> Status:
        """What it means that a peer is gone: the one that said so first, where one did."""
        return Status.CANCELLED if (self._over or peer) is Peer.CLIENT else Status.LOST

    def _send(self, moved: Moved) -> Steps[None]:
        if to_client := [data for data in moved.to_client if data]:
            yield self._exchange.client.send(to_client)
        if to_upstream := [data for data in moved.to_upstream if data]:
            yield self._exchange.upstream.link.send(to_upstream)
        if moved.ping:
            yield self._exchange.upstream.link.send([moved.ping])

    def _drained(self, peer: Peer) -> Steps[None]:
        """Wait until a peer has taken what it was sent back. Raises PeerGoneError."""
        yield Drain(peer)
        while True:
            match (yield from receive(NOBODY)):
                case Drained():
                    break
                case PeerClosed(peer=gone):
                    raise PeerGoneError(gone)
                case Wakeup():
                    self._missed = True
        if self._missed:
            self._missed = False
            yield SetTimer(0)
