"""What reaches the client in answer to one exchange: counted, digested, and kept as far as policy says."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

from hoopcli.model.decision import Json
from hoopcli.model.outcome import Outcome, Status
from hoopcli.sansio.events import Permit


class Delivery:
    """The answer to one permitted request. ``masked`` counts masked values by the id of the mask.

    ``media_type`` is that of the body; ``facts`` go into the outcome.
    """

    def __init__(self, permit: Permit) -> None:
        self.exchange = permit.exchange
        self.masked: Counter[str] = Counter()
        self.media_type = "application/octet-stream"
        self.rows = 0
        self.facts: dict[str, Json] = {}
        self.errors: list[str] = []
        self._keep = permit.decision.keep
        self._digest = hashlib.sha256()
        self._size = 0
        self._kept = bytearray()

    def note(self, data: bytes) -> bytes:
        """Take account of bytes of the body on their way to the client; returns them."""
        self._digest.update(data)
        self._size += len(data)
        room = self._keep - len(self._kept)
        if room > 0:
            self._kept += data[:room]
        return data

    def count(self, masked: Mapping[str, int]) -> None:
        """Add to the counts of masked values."""
        self.masked.update(masked)

    def outcome(self, status: Status) -> Outcome:
        """What was delivered so far, exactly."""
        return Outcome(
            self.exchange,
            status,
            rows=self.rows,
            size=self._size,
            digest=self._digest.hexdigest(),
            masked=dict(self.masked),
            errors=tuple(self.errors),
            kept=bytes(self._kept),
            kept_all=len(self._kept) == self._size,
            media_type=self.media_type,
            facts=dict(self.facts),
        )
