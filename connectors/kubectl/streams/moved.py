"""What a bridge has to send."""

from __future__ import annotations

from dataclasses import dataclass, field

from hoopcli.errors import ProtocolError


@dataclass(slots=True)
class Moved:
    """What is to be sent to either end. ``error`` says why the stream must end once that is done.

    With ``release_in``, the bridge wants its ``release`` called after so many seconds.
    """

    to_client: list[bytes] = field(default_factory=list)
    to_upstream: list[bytes] = field(default_factory=list)
    release_in: float | None = None
    error: ProtocolError | None = None
