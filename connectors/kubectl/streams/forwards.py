"""What is known of forwarded connections: to which port, how many bytes each way, and their digests.

What goes over them is TCP of any kind: it is passed on, counted and digested, never masked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from hoopcli.model.decision import Json

_MOST_KEPT = 100
_MOST_ERROR = 1024


@dataclass(slots=True)
class Direction:
    """The bytes that went one way. ``total`` counts them too, among those of other connections."""

    size: int = 0
    sha256: hashlib._Hash = field(default_factory=hashlib.sha256)
    total: Direction | None = None

    def add(self, data: bytes) -> None:
        """Count bytes that are passed on."""
        self.size += len(data)
        self.sha256.update(data)
        if self.total is not None:
            self.total.add(data)


@dataclass(slots=True)
class Forward:
    """One forwarded connection. ``error`` is what the upstream, or the policy, said against it."""

    port: int
    sent: Direction = field(default_factory=Direction)
    received: Direction = field(default_factory=Direction)
    error: str = ""

    def fail(self, data: bytes) -> None:
        """Take a part of an error's text; its begin is kept."""
        self.error = (self.error + data.decode("utf-8", "replace"))[:_MOST_ERROR]

    def facts(self) -> Mapping[str, Json]:
        """What is recorded of it."""
        return {
            "port": self.port,
            "sent": self.sent.size,
            "sent_sha256": self.sent.sha256.hexdigest(),
            "received": self.received.size,
            "received_sha256": self.received.sha256.hexdigest(),
            **({"error": self.error} if self.error else {}),
        }


class Forwards:
    """All forwarded connections of one stream; the first hundred are kept, the others only counted.

    ``received`` is what all of them delivered, in the order of delivery.
    """

    def __init__(self) -> None:
        self.received = Direction()
        self._kept: list[Forward] = []
        self._count = 0
        self._ports: set[int] = set()

    def open(self, port: int) -> Forward:
        """A connection to a port begins."""
        forward = Forward(port, received=Direction(total=self.received))
        self._count += 1
        self._ports.add(port)
        if len(self._kept) < _MOST_KEPT:
            self._kept.append(forward)
        return forward

    def facts(self) -> Mapping[str, Json]:
        """What is recorded of the stream."""
        return {
            "ports": sorted(self._ports),
            "connections": self._count,
            "forwards": [forward.facts() for forward in self._kept],
        }
