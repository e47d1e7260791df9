"""The bridge of an exec or attach: events of the client to the upstream and back, masked and recorded on their way.

Both ends are decoded and encoded anew, so nothing unread is passed on. Output is masked across any cut. On a terminal
what is held back must not wait: ``Moved.release_in`` says when to call ``release``; what a release may show of a secret
that comes slowly is in ``prefixes``. A short output on a terminal, as the echo of a key is one, is released at once,
since those bounds hold whenever a release comes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from connectors.kubectl.streams.echo import MaskedBytes
from connectors.kubectl.streams.events import (
    Channel,
    Closed,
    Data,
    ErrorStatus,
    ExecEvent,
    HalfClosed,
    Opened,
    Reply,
    Resize,
)
from connectors.kubectl.streams.moved import Moved
from connectors.kubectl.streams.record import ExecRecord
from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Json

#: How long output may be held back because a secret may begin in it, in seconds.
RELEASE_AFTER = 0.02
_MOST_ECHO = 64
_POLICY_VIOLATION = 1008
_GOING_AWAY = 1001

Detect = Callable[[str], tuple[str, Mapping[str, int]]]


class ExecCodec(Protocol):
    """One end of an exec: ``ChannelCodec`` or ``SpdyExecCodec``."""

    def feed(self, data: bytes) -> Iterator[ExecEvent]:
        """Take bytes; iterate what they complete. Raises ProtocolError."""

    def ping(self) -> bytes:
        """A ping to the peer."""

    def send(self, event: ExecEvent) -> bytes:
        """The bytes that tell the peer of an event. Raises ProtocolError."""


class ExecStream:
    """One exec or attach. ``elapsed`` gives the seconds since it began.

    ``tty`` says whether it has a terminal, ``stdin`` whether it takes input; from a client that sends some all the same
    it is refused. Output of a channel that ``maskers`` does not name passes as it is. ``detect`` masks the text of the
    final status.
    """

    def __init__(
        self,
        client: ExecCodec,
        upstream: ExecCodec,
        record: ExecRecord,
        elapsed: Callable[[], float],
        *,
        maskers: Mapping[Channel, MaskedBytes] | None = None,
        detect: Detect | None = None,
        tty: bool = False,
        stdin: bool = True,
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._record = record
        self._elapsed = elapsed
        self._maskers = maskers or {}
        self._detect = detect
        self._tty = tty
        self._stdin = stdin
        self._due = False
        self._in_status: Counter[str] = Counter()
        self.status: ErrorStatus | None = None

    @property
    def masked(self) -> Mapping[str, int]:
        """How many values were masked so far, by the id of the mask."""
        counts = Counter(self._in_status)
        for masker in self._maskers.values():
            counts.update(masker.counts)
        return counts

    def from_client(self, data: bytes) -> Moved:
        """Take bytes of the client."""
        moved = Moved()
        try:
            for event in self._client.feed(data):
                self._ask(event, moved)
        except ProtocolError as error:
            moved.error = error
        return moved

    def _ask(self, event: ExecEvent, moved: Moved) -> None:
        match event:
            case Reply(data):
                moved.to_client.append(data)
                moved.ping = self._upstream.ping()
                return
            case Data(Channel.STDIN) | Opened(Channel.STDIN) if not self._stdin:
                raise ProtocolError("the client sends input to a stream that it asked for without input")
            case Data(Channel.STDIN, data):
                self._record.input(self._elapsed(), data)
            case Resize(cols, rows):
                self._record.resize(self._elapsed(), cols, rows)
            case Closed():
                moved.over = True
        moved.to_upstream.append(self._upstream.send(event))

    def from_upstream(self, data: bytes) -> Moved:
        """Take bytes of the upstream."""
        moved = Moved()
        try:
            for event in self._upstream.feed(data):
                self._answer(event, moved)
        except ProtocolError as error:
            moved.error = error
        if not self._due and any(masker.pending for masker in self._maskers.values()):
            self._due = True
            moved.release_in = RELEASE_AFTER
        return moved

    def _answer(self, event: ExecEvent, moved: Moved) -> None:
        match event:
            case Reply(data):
                moved.to_upstream.append(data)
                return
            case Data(channel, data):
                self._deliver(channel, self._masked(channel, data), moved)
                return
            case HalfClosed(channel):
                self._flush(channel, moved)
            case ErrorStatus():
                self._flush_all(moved)
                event = self.status = self._masked_status(event)
            case Closed():
                self._flush_all(moved)
                moved.over = True
        moved.to_client.append(self._client.send(event))

    def _masked(self, channel: Channel, data: bytes) -> bytes:
        masker = self._maskers.get(channel)
        if masker is None:
            return data
        shown = masker.feed(data)
        return shown + masker.show() if self._tty and len(data) <= _MOST_ECHO else shown

    def _deliver(self, channel: Channel, data: bytes, moved: Moved) -> None:
        if data:
            moved.to_client.append(self._client.send(Data(channel, data)))
            self._record.output(self._elapsed(), channel, data)

    def release(self) -> Moved:
        """The time has come to show what can be shown of what is held back."""
        moved = Moved()
        self._due = False
        for channel, masker in self._maskers.items():
            self._deliver(channel, masker.show(), moved)
        return moved

    def _flush(self, channel: Channel, moved: Moved) -> None:
        if channel in self._maskers:
            self._deliver(channel, self._maskers[channel].flush(), moved)

    def _flush_all(self, moved: Moved) -> None:
        for channel in self._maskers:
            self._flush(channel, moved)

    def _masked_status(self, status: ErrorStatus) -> ErrorStatus:
        """The status with all its text masked. What is no JSON is masked as it stands."""
        if self._detect is None:
            return status
        found = Counter[str]()
        if (document := status.status) is not None:
            raw = json.dumps(_mask_texts(document, self._detect, found)).encode()
        else:
            text, counts = self._detect(status.raw.decode("utf-8", "replace"))
            found.update(counts)
            raw = text.encode()
        self._in_status += found
        return ErrorStatus(raw) if found else status

    def end(self, reason: str = "", *, denied: bool = False) -> Moved:
        """A peer is gone, or the stream is not to go on: what is held back is delivered, and both ends are closed.

        A client whose command has not ended is told the reason as the command's status, which is what clients show.
        """
        moved = Moved()
        try:
            self._flush_all(moved)
            if reason and self.status is None:
                moved.to_client.append(self._client.send(ErrorStatus.refusal(reason)))
                moved.to_client.append(self._client.send(HalfClosed(Channel.ERROR)))
            closed = Closed(_POLICY_VIOLATION if denied else _GOING_AWAY, reason)
            moved.to_client.append(self._client.send(closed))
            moved.to_upstream.append(self._upstream.send(closed))
        except ProtocolError as error:
            moved.error = error
        self._record.end(self._elapsed())
        return moved


def _mask_texts(value: Json, detect: Detect, found: Counter[str]) -> Json:
    if isinstance(value, str):
        text, counts = detect(value)
        found.update(counts)
        return text
    if isinstance(value, Mapping):
        return {key: _mask_texts(item, detect, found) for key, item in value.items()}
    if isinstance(value, list):
        return [_mask_texts(item, detect, found) for item in value]
    return value
