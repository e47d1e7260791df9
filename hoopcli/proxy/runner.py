"""The only place that does I/O for a layer: sockets, timers and asks, for one accepted client connection.

The layer is stepped synchronously from transport callbacks, so that a statement crosses the broker without waiting
for the scheduler. Data of one peer is handed over only while the other peer's send buffer has room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Protocol, cast

from hoopcli.errors import HoopError
from hoopcli.model.decision import Statement
from hoopcli.model.outcome import Outcome, Piece
from hoopcli.proxy.dial import dial
from hoopcli.sansio.commands import (
    Authorize,
    Await,
    CancelAuthorize,
    ClosePeer,
    Command,
    Drain,
    GetCredential,
    Keep,
    OpenUpstream,
    Receive,
    Record,
    SendData,
    SetTimer,
)
from hoopcli.sansio.events import (
    CredentialGranted,
    CredentialRefused,
    DataReceived,
    Deny,
    Drained,
    Event,
    Noticed,
    Peer,
    PeerClosed,
    Permit,
    UpstreamFailed,
    UpstreamOpened,
    Wakeup,
)
from hoopcli.sansio.layer import Layer

HIGH_WATER = 1 << 20
#: How long a peer has to take what it is told of the end of a session, in seconds.
_LAST_WORDS = 0.5
_OTHER = {Peer.CLIENT: Peer.UPSTREAM, Peer.UPSTREAM: Peer.CLIENT}


class Asks(Protocol):
    """What the runner turns to for everything that is not bytes."""

    async def authorize(self, statement: Statement) -> Permit | Deny:
        """Decide and record one statement; the reply comes once it is durable."""

    async def credential(self, resource: str, *, fresh: bool) -> CredentialGranted | CredentialRefused:
        """The broker's own credential for the upstream."""

    async def record(self, outcome: Outcome) -> None:
        """Make an outcome durable."""

    async def keep(self, piece: Piece) -> None:
        """Make a piece of what an outcome will keep durable."""

    def fault(self, error: Exception) -> None:
        """Note that a connection ended by an error."""


class _Wire(asyncio.Protocol):
    """One transport of a runner. It forwards callbacks while it is the current one of its side."""

    def __init__(self, runner: Runner, peer: Peer) -> None:
        self.runner = runner
        self.peer = peer
        self.transport: asyncio.Transport | None = None
        self.inbox: deque[bytes] = deque()
        self.closed = False
        self.close_told = False
        self.writable = True
        self.reading = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance
        self.transport.set_write_buffer_limits(high=HIGH_WATER)
        if self.peer is Peer.CLIENT:
            self.runner.start(self)

    def data_received(self, data: bytes) -> None:
        self.inbox.append(data)
        self.runner.step()

    def eof_received(self) -> bool:
        self.closed = True
        self.runner.step()
        return True  # what is still to be sent may go out; the layer decides when to close

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self.writable = True
        self.runner.step()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self.runner.step()

    def set_reading(self, wanted: bool) -> None:
        if wanted != self.reading and self.transport is not None and not self.transport.is_closing():
            self.reading = wanted
            (self.transport.resume_reading if wanted else self.transport.pause_reading)()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Runner:
    """Drives one layer. ``asyncio.Protocol`` factory for the listener: pass ``runner.accept``."""

    def __init__(self, layer: Layer, asks: Asks, on_end: Callable[[Runner], None]) -> None:
        self._layer = layer
        self._asks = asks
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._wires: dict[Peer, _Wire | None] = {Peer.CLIENT: None, Peer.UPSTREAM: None}
        self._replies: deque[Event] = deque()
        self._draining: Peer | None = None
        self._wanted: frozenset[Peer] | None = None  # None while the layer itself runs, or after it ended
        self._tasks: set[asyncio.Task[None]] = set()
        self._authorizing: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.ended = False

    def accept(self) -> asyncio.Protocol:
        """The protocol of the accepted client."""
        return _Wire(self, Peer.CLIENT)

    def start(self, wire: _Wire) -> None:
        """Begin with a connected client."""
        self._wires[Peer.CLIENT] = wire
        self._advance(None)
        self.step()

    def stop(self) -> None:
        """End at once in both directions: the session is over. The layer hears it, to record what was delivered.

        What it says to that may still go out, but nobody who takes it slowly is waited for.
        """
        if self._wanted is not None:
            self._advance(PeerClosed(Peer.CLIENT))
        if not self.ended:
            self._finish(abort=True)
        self._loop.call_later(_LAST_WORDS, self._abort)

    def _abort(self) -> None:
        for wire in self._wires.values():
            if wire is not None:
                wire.abort()

    def step(self) -> None:
        """Hand the layer every event that it may have now."""
        while self._wanted is not None:
            event = self._next_event()
            if event is None:
                self._throttle()
                return
            self._advance(event)

    def _next_event(self) -> Event | None:
        if self._replies:
            return self._replies.popleft()
        assert self._wanted is not None
        if self._draining is not None and ((drained := self._wires[self._draining]) is None or drained.writable):
            self._draining = None
            return Drained()
        for peer, wire in self._wires.items():
            if wire is None:
                continue
            if wire.inbox and peer in self._wanted:
                other = self._wires[_OTHER[peer]]
                if other is None or other.writable:
                    return DataReceived(peer, wire.inbox.popleft())
            elif wire.closed and not wire.close_told:
                wire.close_told = True
                return PeerClosed(peer)
        return None

    def _throttle(self) -> None:
        for wire in self._wires.values():
            if wire is not None:
                wire.set_reading(not wire.inbox)

    def _advance(self, event: Event | None) -> None:
        """Run the layer from one event to its next ``Receive``, carrying out what it asks for."""
        self._wanted = None
        reply = event
        try:
            while True:
                command = self._layer.send(reply)
                reply = None
                if type(command) is Receive:
                    self._wanted = command.peers
                    return
                self._perform(command)
        except StopIteration:
            self._finish()
        except HoopError as error:
            self._asks.fault(error)
            self._finish()  # the layer has said what it had to say; that may still go out
        except Exception as error:  # noqa: BLE001 - whatever went wrong in a layer, nothing more may pass
            self._asks.fault(error)
            self._finish(abort=True)

    def _perform(self, command: Command) -> None:
        match command:
            case SendData(peer, buffers):
                wire = self._wires[peer]
                if wire is not None and wire.transport is not None and not wire.transport.is_closing():
                    wire.transport.writelines(buffers)
            case Record(outcome):
                self._spawn(self._durable(partial(self._asks.record, outcome)))
            case Keep(piece):
                self._spawn(self._durable(partial(self._asks.keep, piece)))
            case SetTimer(seconds):
                self._set_timer(seconds)
            case ClosePeer(peer):
                if (wire := self._wires[peer]) is not None:
                    wire.close()
            case _:
                self._begin(command)

    def _begin(self, command: Command) -> None:
        """Start an ask, or withdraw the one in flight."""
        match command:
            case Authorize(statement):
                self._authorizing = self._ask(self._asks.authorize(statement))
            case CancelAuthorize():
                self._withdraw()
            case OpenUpstream(host, port):
                self._drop_upstream()
                self._ask(self._open(host, port))
            case Drain(peer):
                self._draining = peer
            case Await(notice):
                notice.subscribe(lambda: self._loop.call_soon(self._reply, Noticed()))
            case GetCredential(resource, fresh):
                self._ask(self._asks.credential(resource, fresh=fresh))
            case _:
                raise TypeError(f"a layer yielded {command!r}")

    def _ask(self, question: Coroutine[None, None, Event]) -> asyncio.Task[None]:
        return self._spawn(self._answer(question))

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _answer(self, question: Coroutine[None, None, Event]) -> None:
        try:
            reply = await question
        except Exception as error:  # noqa: BLE001 - an ask that fails in an unforeseen way ends the connection
            self._asks.fault(error)
            self.stop()
            return
        if isinstance(reply, Permit | Deny):
            if asyncio.current_task() is not self._authorizing:
                return  # withdrawn
            self._authorizing = None
        self._reply(reply)

    def _withdraw(self) -> None:
        """Cancel the question in flight once it has begun, so that it is recorded in any case."""
        if self._authorizing is not None:
            self._loop.call_soon(self._authorizing.cancel)
            self._authorizing = None

    def _reply(self, reply: Event) -> None:
        self._replies.append(reply)
        self.step()

    async def _durable(self, recording: Callable[[], Awaitable[None]]) -> None:
        try:
            await recording()
        except Exception as error:  # noqa: BLE001 - what cannot be recorded must not go on
            self._asks.fault(error)
            self.stop()

    async def _open(self, host: str, port: int) -> Event:
        wire = _Wire(self, Peer.UPSTREAM)
        failure = await dial(lambda: wire, host, port)
        if failure:
            return UpstreamFailed(failure)
        if self.ended:
            wire.abort()
        else:
            self._wires[Peer.UPSTREAM] = wire
        return UpstreamOpened()

    def _drop_upstream(self) -> None:
        if (wire := self._wires[Peer.UPSTREAM]) is not None:
            self._wires[Peer.UPSTREAM] = None
            wire.close()

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = self._loop.call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._reply(Wakeup())

    def _finish(self, *, abort: bool = False) -> None:
        if self.ended:
            return
        self.ended = True
        self._wanted = None
        self._set_timer(None)
        self._layer.close()
        self._withdraw()
        for wire in self._wires.values():
            if wire is not None:
                wire.abort() if abort else wire.close()
        self._on_end(self)

    async def settled(self) -> None:
        """Wait until every record of this connection is durable."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
