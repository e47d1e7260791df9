"""What is kept of an exec or attach: the recording of the terminal, the commands, and what was copied."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.kubectl.asciicast import CastRecorder
from connectors.kubectl.cast_text import Commands
from connectors.kubectl.streams.echo import MaskedBytes
from connectors.kubectl.streams.events import Channel
from connectors.kubectl.tarlist import TarList

_MOST_LINES = 1000


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")("replace")


@dataclass(slots=True)
class ExecRecord:
    """Records a stream as it goes.

    ``commands`` is for terminals: each command line becomes a marker, and the first of them are in ``lines``. ``typed``
    keeps the input, masked; without it no input is kept. ``archives`` list what is copied over a channel, which then is
    not in the recording, as long as it is an archive. ``size`` and ``digest`` are of every byte of output that was
    delivered, in the order of delivery.
    """

    cast: CastRecorder
    commands: Commands | None = None
    typed: MaskedBytes | None = None
    archives: Mapping[Channel, TarList] = field(default_factory=dict)
    size: int = 0
    lines: list[str] = field(default_factory=list)
    _sha256: hashlib._Hash = field(default_factory=hashlib.sha256)
    _shown: codecs.IncrementalDecoder = field(default_factory=_decoder)
    _input: codecs.IncrementalDecoder = field(default_factory=_decoder)

    @property
    def digest(self) -> str:
        """SHA-256 of the output delivered so far, in hex."""
        return self._sha256.hexdigest()

    def output(self, time: float, channel: Channel, data: bytes) -> None:
        """Bytes that are delivered to the client."""
        self.size += len(data)
        self._sha256.update(data)
        if channel in self.archives:
            self.archives[channel].feed(data)
            if self.archives[channel].readable:
                return
        self.cast.output(time, data, channel.name.lower())
        if self.commands and channel is Channel.STDOUT:
            for command in self.commands.shown(self._shown.decode(data)):
                self.cast.marker(time, command)
                if len(self.lines) < _MOST_LINES:
                    self.lines.append(command)

    def input(self, time: float, data: bytes) -> None:
        """Bytes that are passed on to the upstream."""
        if Channel.STDIN in self.archives:
            self.archives[Channel.STDIN].feed(data)
        if self.commands:
            self.commands.typed(self._input.decode(data))
        if self.typed:
            self.cast.input(time, self.typed.feed(data) + self.typed.show())

    def resize(self, time: float, cols: int, rows: int) -> None:
        """The client's terminal has another size."""
        self.cast.resize(time, cols, rows)
        if self.commands and cols:
            self.commands.lines.cols = cols

    def end(self, time: float) -> None:
        """No more comes."""
        if self.typed:
            self.cast.input(time, self.typed.flush())
        self.cast.end(time)
