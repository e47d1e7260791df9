"""Recordings of terminals as asciicast v2: a line of JSON for the header, then one for each event.

Events are ``o`` (output), ``i`` (input), ``r`` (resize, as ``80x24``) and ``m`` (marker).
"""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hoopcli.errors import ProtocolError

MEDIA_TYPE = "application/x-asciicast"
_VERSION = 2
_CODES = frozenset("oirm")
_MOST_CELLS = 65535
_FALLBACK_SIZE = (80, 24)


@dataclass(frozen=True, slots=True)
class CastHeader:
    """What a recording says of itself. ``timestamp`` is when it began, in Unix seconds."""

    width: int
    height: int
    timestamp: int
    command: str = ""
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CastEvent:
    """One event. ``time`` is in seconds since the begin."""

    time: float
    code: str
    data: str


def encode_header(header: CastHeader) -> bytes:
    """The first line. A size that is not known is 80 by 24."""
    width, height = (header.width, header.height) if header.width and header.height else _FALLBACK_SIZE
    fields: dict[str, object] = {"version": _VERSION, "width": width, "height": height, "timestamp": header.timestamp}
    if header.command:
        fields["command"] = header.command
    if header.env:
        fields["env"] = dict(header.env)
    return json.dumps(fields).encode() + b"\n"


def encode_event(event: CastEvent) -> bytes:
    """The line of an event."""
    return json.dumps([round(event.time, 6), event.code, event.data]).encode() + b"\n"


class CastRecorder:
    """Writes a recording of at most ``limit`` bytes, in whole lines; ``kept_all`` says whether all of it is there."""

    def __init__(self, header: CastHeader, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._time = 0.0
        self._taken = 0
        self.kept_all = True
        self._write(encode_header(header))

    @property
    def kept(self) -> bytes:
        """The part that is kept: a recording by itself."""
        return bytes(self._kept)

    @property
    def fresh(self) -> int:
        """How many bytes were kept since the last ``take``."""
        return len(self._kept) - self._taken

    def take(self) -> bytes:
        """What was kept since the last time: whole lines. All that was taken and this are a recording."""
        taken = bytes(self._kept[self._taken :])
        self._taken = len(self._kept)
        return taken

    def output(self, time: float, data: bytes, source: str = "stdout") -> None:
        """Bytes of one source that were shown. What is not UTF-8 becomes U+FFFD."""
        self._text(time, "o", data, source)

    def input(self, time: float, data: bytes) -> None:
        """Bytes that were typed."""
        self._text(time, "i", data, "stdin")

    def resize(self, time: float, cols: int, rows: int) -> None:
        """The terminal has another size."""
        self._event(time, "r", f"{cols}x{rows}")

    def marker(self, time: float, label: str) -> None:
        """A place to find again."""
        self._event(time, "m", label)

    def end(self, time: float) -> None:
        """No more comes: a character that is still cut in two is written as it is."""
        for source in list(self._decoders):
            self._text(time, "i" if source == "stdin" else "o", b"", source, final=True)

    def _text(self, time: float, code: str, data: bytes, source: str, *, final: bool = False) -> None:
        if not self.kept_all:
            return
        decoder = self._decoders.setdefault(source, codecs.getincrementaldecoder("utf-8")("replace"))
        if text := decoder.decode(data, final):
            self._event(time, code, text)

    def _event(self, time: float, code: str, data: str) -> None:
        self._time = max(self._time, time)  # a clock that is set back does not make a recording invalid
        self._write(encode_event(CastEvent(self._time, code, data)))

    def _write(self, line: bytes) -> None:
        self.kept_all = self.kept_all and len(self._kept) + len(line) <= self._limit
        if self.kept_all:
            self._kept += line


def read_cast(recording: bytes) -> tuple[CastHeader, Iterator[CastEvent]]:
    """The header and the events of a recording. Raises ProtocolError, also while iterating, where it is none."""
    first, *rest = recording.split(b"\n")
    return _read_header(first), _read_events(rest)


def _read_header(line: bytes) -> CastHeader:
    fields = _parse(line)
    if not isinstance(fields, dict) or fields.get("version") != _VERSION:
        raise ProtocolError("this is no recording of a terminal (asciicast v2)")
    width, height, timestamp = (fields.get(name, 0) for name in ("width", "height", "timestamp"))
    command, env = fields.get("command", ""), fields.get("env", {})
    sizes = all(_is_count(value) and value <= _MOST_CELLS for value in (width, height))
    if not sizes or not _is_count(timestamp) or not isinstance(command, str) or not isinstance(env, dict):
        raise ProtocolError("the header of the recording is wrong")
    return CastHeader(width, height, timestamp, command, {str(name): str(value) for name, value in env.items()})


def _read_events(lines: list[bytes]) -> Iterator[CastEvent]:
    last = 0.0
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        match _parse(line):
            case [int() | float() as time, str(code), str(data)] if code in _CODES and last <= time < math.inf:
                last = float(time)
                yield CastEvent(last, code, data)
            case _:
                raise ProtocolError(f"line {number} of the recording is no event")


def _parse(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ProtocolError("a line of the recording is no JSON") from error


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
