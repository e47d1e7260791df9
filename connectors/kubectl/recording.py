"""What is recorded of a stream: a terminal as asciicast, a copy by its manifest, forwarded ports by digests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from connectors.kubectl.asciicast import MEDIA_TYPE, CastHeader, CastRecorder
from connectors.kubectl.cast_text import Commands
from connectors.kubectl.request_info import RequestInfo
from connectors.kubectl.streams.echo import EchoMasker, MaskedBytes
from connectors.kubectl.streams.events import Channel, ErrorStatus
from connectors.kubectl.streams.exec_stream import ExecCodec, ExecStream
from connectors.kubectl.streams.forwards import Forwards
from connectors.kubectl.streams.record import ExecRecord
from connectors.kubectl.tarlist import Entry, TarList
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Json
from hoopcli.model.outcome import Outcome, Piece, Status
from hoopcli.sansio.events import Permit

#: How many files of a copy, and how many commands of a shell, the outcome itself names.
_MOST_NAMED = 100
_MOST_TEXT = 500
_TAR = re.compile(r"(?:[\w./-]*/)?tar(?: --?[\w-]+)*? -?[a-z]*(?P<does>[cx])[a-z]*f -(?: .*)?", re.DOTALL)
_SIZE = (80, 24)


def copied(command: Sequence[str]) -> Channel | None:
    """The channel on which a command, such as those of ``kubectl cp``, takes or gives an archive; None for others."""
    match list(command):
        case [shell, "-c", script] if shell.rpartition("/")[2] in {"sh", "bash"}:
            found = _TAR.fullmatch(script)
        case words:
            found = _TAR.fullmatch(" ".join(words))
    if found is None:
        return None
    return Channel.STDOUT if found["does"] == "c" else Channel.STDIN


class ExecRecording:
    """One exec or attach on its way into the ledger. ``began`` is in Unix seconds.

    With ``keep_input`` what is typed is kept too, masked as the output is. ``redact`` takes secrets out of what the
    ledger holds in plain sight: commands, and names of files.
    """

    def __init__(
        self,
        info: RequestInfo,
        permit: Permit,
        masking: Masking,
        began: float,
        *,
        redact: Callable[[str], str],
        keep_input: bool = False,
    ) -> None:
        command = info.values("command")
        self._permit = permit
        self._masking = masking
        self._redact = redact
        self._tty = info.flag("tty")
        self._stdin = info.flag("stdin")
        self._copies = None if self._tty else copied(command)
        header = CastHeader(*_SIZE, int(began), redact(" ".join(command))[:_MOST_TEXT])
        self._record = ExecRecord(
            CastRecorder(header, permit.decision.keep),
            Commands(mask=lambda text: masking.detect(text)[0]) if self._tty else None,
            self._masked() if keep_input else None,
            {} if self._copies is None else {self._copies: TarList()},
        )
        self._stream: ExecStream | None = None
        self._pieces = 0

    @property
    def fresh(self) -> int:
        """How many bytes of the recording are in no piece yet."""
        return self._record.cast.fresh

    def piece(self) -> Piece:
        """The next piece of the recording, for the case that its end is never recorded."""
        self._pieces += 1
        return Piece(self._permit.exchange, self._pieces - 1, self._record.cast.take(), MEDIA_TYPE)

    def stream(self, client: ExecCodec, upstream: ExecCodec, elapsed: Callable[[], float]) -> ExecStream:
        """The bridge between two ends that records as it goes."""
        masked = self._masking.detects
        self._stream = ExecStream(
            client,
            upstream,
            self._record,
            elapsed,
            maskers={channel: self._masked() for channel in (Channel.STDOUT, Channel.STDERR)} if masked else {},
            detect=self._masking.detect if masked else None,
            tty=self._tty,
            stdin=self._stdin,
        )
        return self._stream

    def status(self, left: Status) -> Status:
        """How it went; ``left`` says who left first, which matters where nobody said how the command ended."""
        if self._ended is None:
            return left
        return Status.FAILED if self._ended.exit_code is None else Status.COMPLETED

    @property
    def _ended(self) -> ErrorStatus | None:
        return self._stream.status if self._stream else None

    def outcome(self, status: Status, errors: Sequence[str]) -> Outcome:
        """What was delivered, exactly."""
        cast = self._record.cast
        return Outcome(
            self._permit.exchange,
            status,
            size=self._record.size,
            digest=self._record.digest,
            masked=dict(self._stream.masked) if self._stream else {},
            errors=tuple(errors),
            kept=cast.kept,
            kept_all=cast.kept_all,
            media_type=MEDIA_TYPE,
            facts=self._facts(),
        )

    def _masked(self) -> MaskedBytes:
        same_length = self._copies is not None
        return MaskedBytes(self._masking.streamed_by(partial(EchoMasker, same_length=same_length)))

    def _facts(self) -> Mapping[str, Json]:
        facts: dict[str, Json] = {}
        if self._ended is not None:
            facts["exit_code"] = self._ended.exit_code
        if self._record.lines:
            facts["commands"] = [self._redact(line)[:_MOST_TEXT] for line in self._record.lines[:_MOST_NAMED]]
        for channel, archive in self._record.archives.items():
            manifest = archive.manifest()
            facts["copied"] = {
                "to": "pod" if channel is Channel.STDIN else "client",
                "size": manifest.size,
                "sha256": manifest.digest,
                "entries": [self._entry(entry) for entry in manifest.entries[:_MOST_NAMED]],
                "omitted": manifest.omitted + max(0, len(manifest.entries) - _MOST_NAMED),
                "problem": manifest.problem,
            }
        return facts

    def _entry(self, entry: Entry) -> Json:
        told: Mapping[str, Json] = {
            "name": self._redact(entry.name)[:_MOST_TEXT],
            "kind": entry.kind,
            "size": entry.size,
            "sha256": entry.digest,
            "target": self._redact(entry.target)[:_MOST_TEXT],
            "suspicious": entry.suspicious,
        }
        return {name: value for name, value in told.items() if value != ""}


class ForwardRecording:
    """One port-forward on its way into the ledger. What goes over it is digested, and never kept."""

    def __init__(self, permit: Permit) -> None:
        self._permit = permit
        self.forwards = Forwards()

    def status(self, left: Status) -> Status:
        """How it went: a client that leaves is done."""
        return Status.COMPLETED if left is Status.CANCELLED else left

    def outcome(self, status: Status, errors: Sequence[str]) -> Outcome:
        """What was delivered."""
        received = self.forwards.received
        return Outcome(
            self._permit.exchange,
            status,
            size=received.size,
            digest=received.sha256.hexdigest(),
            errors=tuple(errors),
            kept_all=not received.size,
            facts=self.forwards.facts(),
        )
