"""One answer on its way to the client: filtered, counted, digested, and kept as far as policy says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from connectors.sql.plan import ResultPlan
from connectors.sql.tds.packet import PacketType, PacketWriter
from connectors.sql.tds.response import UNCLASSIFIED, Classification, ResponseFilter
from connectors.sql.understand import Understood
from hoopcli.errors import HoopError, ProtocolError
from hoopcli.model.decision import Limit
from hoopcli.model.outcome import Outcome, Status
from hoopcli.sansio.commands import Buffer
from hoopcli.sansio.events import Permit
from hoopcli.spi import LayerContext

MEDIA_TYPE = "application/vnd.hoop.tds"
#: The same with the sensitivity of results in version 1, which is written otherwise.
MEDIA_TYPE_1 = f"{MEDIA_TYPE};classification=1"


class Answer:
    """The upstream's answer to one permitted request, as packets for the client.

    It is one message. Once ``cancelled`` it ends with the acknowledgement of that, in this message or in one more.
    """

    def __init__(
        self,
        context: LayerContext,
        understood: Understood,
        permit: Permit,
        packet_size: int,
        classification: Classification = UNCLASSIFIED,
    ) -> None:
        masking = context.masking(permit.decision.masks)
        limits = [o.rows for o in permit.decision.obligations if isinstance(o, Limit)]
        self._filter = ResponseFilter(
            plan=ResultPlan(masking, understood.batches, understood.catalog),
            row_limit=min(limits, default=None),
            classification=classification,
        )
        self._told = classification.told
        self._exchange = permit.exchange
        self._keep = permit.decision.keep
        self._packet_size = packet_size
        self._writer: PacketWriter | None = None
        self._digest = hashlib.sha256()
        self._size = 0
        self._kept: list[bytes] = []
        self._kept_size = 0
        self._ended = 0  # messages
        self.cancelled = False
        self.failure: HoopError | None = None

    def feed(self, pieces: Sequence[tuple[memoryview, bool]]) -> list[bytes]:
        """Take the payload of received packets; return packets for the client.

        Where it cannot be decoded or must not be delivered, ``failure`` is set, and nothing comes after that point.
        """
        packets: list[bytes] = []
        run: list[memoryview] = []
        for piece, last in pieces:
            run.append(piece)
            if last and self.failure is None:
                packets += self._pass(run, last=True)
                run = []
        if run and self.failure is None:
            packets += self._pass(run, last=False)
        return packets

    def _pass(self, run: list[memoryview], *, last: bool) -> list[bytes]:
        if self._ended > self.cancelled or self.complete:
            self.refuse_more()
            return []
        if self._writer is None:
            self._writer = PacketWriter(PacketType.TABULAR_RESULT, self._packet_size)
        packets: list[bytes] = []
        try:
            delivered = self._filter.feed(run[0] if len(run) == 1 else b"".join(run))
            self._note(delivered)
            packets += self._writer.write(*delivered)
            if last:
                self._filter.finish()
        except HoopError as error:
            self.failure = error
        if not last or self.failure is not None:
            return packets + self._writer.flush()
        packets += self._writer.finish()
        self._writer = None
        self._ended += 1
        return packets

    def refuse_more(self) -> None:
        """Something follows the answer."""
        self.failure = ProtocolError("the upstream sent more than the answer to what it was asked")

    def _note(self, delivered: Sequence[Buffer]) -> None:
        for buffer in delivered:
            self._digest.update(buffer)
            self._size += len(buffer)
            if self._kept_size < self._keep:
                kept = bytes(buffer[: self._keep - self._kept_size])
                self._kept.append(kept)
                self._kept_size += len(kept)

    @property
    def complete(self) -> bool:
        """Whether the answer has ended."""
        return self._ended > 0 and (not self.cancelled or self._filter.attention_acknowledged)

    def abort(self, tokens: bytes) -> list[bytes]:
        """End the answer early with these tokens; nothing if it stands inside a token."""
        if not self._filter.between_tokens:
            return []
        writer = self._writer or PacketWriter(PacketType.TABULAR_RESULT, self._packet_size)
        return writer.write(tokens) + writer.finish()

    def outcome(self, status: Status | None = None) -> Outcome:
        """What was delivered so far, exactly. Without a status it is as it ended: cancelled, failed or completed."""
        found = self._filter
        ended = Status.FAILED if found.errors else Status.COMPLETED
        return Outcome(
            self._exchange,
            status or (Status.CANCELLED if self.cancelled else ended),
            rows=found.rows,
            size=self._size,
            digest=self._digest.hexdigest(),
            masked=dict(found.masked),
            errors=tuple(found.errors),
            kept=b"".join(self._kept),
            kept_all=self._kept_size == self._size,
            media_type=MEDIA_TYPE_1 if self._told == 1 else MEDIA_TYPE,
        )

    @property
    def failed(self) -> bool:
        """Whether the upstream answered with an error."""
        return bool(self._filter.errors)

    @property
    def database(self) -> str:
        """The database that the answer switched to, if it did."""
        return self._filter.database

    @property
    def handles(self) -> list[int | None]:
        """The return values, in order; None for what is no integer."""
        return self._filter.handles
