"""What a layer can ask for.

Every command but ``Receive`` is carried out at once and answered with ``None``. The asks (``OpenUpstream``,
``GetCredential``, ``Authorize``, ``Await``, ``Drain``) start something; their typed reply comes as an event out of a
later ``Receive``, among whatever the peers send meanwhile, so a waiting layer still hears a cancel or a hang-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hoopcli.model.decision import Statement
from hoopcli.model.outcome import Outcome, Piece
from hoopcli.sansio.events import Peer
from hoopcli.sansio.notice import Notice

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Receive:
    """Wait for the next event. Data is taken from ``peers`` only; closes, replies and timers always come.

    Data of a peer comes only while what was sent to the other one has drained: that is the backpressure.
    """

    peers: frozenset[Peer] = frozenset()


@dataclass(frozen=True, slots=True)
class SendData:
    """Send these buffers, in order, to a peer."""

    peer: Peer
    buffers: Sequence[Buffer]


@dataclass(frozen=True, slots=True)
class ClosePeer:
    """Flush, then close a peer."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class OpenUpstream:
    """Ask: connect to the upstream. Reply: ``UpstreamOpened`` or ``UpstreamFailed``. Replaces an earlier upstream."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class GetCredential:
    """Ask: the broker's own credential for the upstream. Reply: ``CredentialGranted`` or ``CredentialRefused``.

    ``resource`` is the audience of an Entra token (``https://database.windows.net/``); ``fresh`` skips the cache.
    """

    resource: str = ""
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Authorize:
    """Ask: may this statement run? Reply: ``Permit`` or ``Deny``, after the record is durable."""

    statement: Statement


@dataclass(frozen=True, slots=True)
class CancelAuthorize:
    """Withdraw the ask in flight: no reply will come; the withdrawal is recorded."""


@dataclass(frozen=True, slots=True)
class Record:
    """Record the outcome of a permitted statement. If it cannot be recorded, the session ends."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Keep:
    """Record a piece of what a permitted statement gives, before it ends. As with ``Record``, or the session ends."""

    piece: Piece


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Have a ``Wakeup`` after so many seconds, replacing the timer before; ``None`` clears it."""

    seconds: float | None = field(default=None)


@dataclass(frozen=True, slots=True)
class Await:
    """Ask: tell when this notice is given. Reply: ``Noticed``, for each ask, also one that came long ago."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class Drain:
    """Ask: tell when what was sent to a peer has gone out, but for a little. Reply: ``Drained``.

    For what is sent without data of the other peer to wait for, which is the backpressure otherwise.
    """

    peer: Peer


Command = (
    Receive
    | SendData
    | ClosePeer
    | OpenUpstream
    | GetCredential
    | Authorize
    | CancelAuthorize
    | Record
    | Keep
    | SetTimer
    | Await
    | Drain
)
