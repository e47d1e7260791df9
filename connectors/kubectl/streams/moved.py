"""What a bridge has to send."""

from __future__ import annotations

from dataclasses import dataclass, field

from hoopcli.errors import ProtocolError


@dataclass(slots=True)
class Moved:
    """What is to be sent to either end. ``error`` says why the stream must end once that is done.

    With ``release_in``, the bridge wants its ``release`` called after so many seconds. ``over`` says that a peer has
    ended the stream in the protocol's own way: all that may still come is the other's word that it has heard. ``ping``
    goes to the upstream where the client has pinged, to keep the connection alive as the client means to.
    """

    to_client: list[bytes] = field(default_factory=list)
    to_upstream: list[bytes] = field(default_factory=list)
    release_in: float | None = None
    over: bool = False
    ping: bytes = b""
    error: ProtocolError | None = None
