"""Recordings of terminals for replay: played as they happened, or listed by line."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.kubectl.asciicast import CastEvent, read_cast
from connectors.kubectl.cast_text import Lines, Sanitiser, sanitised
from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Json
from hoopcli.spi import Frame, Table

_COLUMNS = ("time", "event", "text")
_SHOWN = 1000
_NAMES = {"i": "typed", "m": "command", "r": "resized"}


def frames(recording: bytes) -> Iterator[Frame]:
    """What the terminal showed, safe to show on another one. Raises ProtocolError, also while iterating."""
    sanitiser = Sanitiser()
    _, events = read_cast(recording)
    for event in events:
        if event.code == "o" and (text := sanitiser.feed(event.data)):
            yield Frame(event.time, text)


def listed(recording: bytes) -> Table:
    """The recording as lines of text, with what was typed and each command. Never raises."""
    rows: list[list[Json]] = []
    note = ""
    try:
        for row in _rows(recording):
            if len(rows) == _SHOWN:
                note = "the rest is left out"
                break
            rows.append(row)
    except ProtocolError as error:
        note = error.message
    return Table(_COLUMNS, rows, note)


def _rows(recording: bytes) -> Iterator[list[Json]]:
    header, events = read_cast(recording)
    lines = Lines(header.width)
    time = 0.0
    for event in events:
        time = event.time
        for text in _texts(lines, event):
            yield [round(time, 3), _NAMES.get(event.code, "shown"), text]
    if lines.current:
        yield [round(time, 3), "shown", lines.current]


def _texts(lines: Lines, event: CastEvent) -> Iterator[str]:
    if event.code == "o":
        yield from lines.feed(event.data)
    else:
        yield sanitised(event.data).replace("\r", "\n").rstrip("\n") if event.code != "r" else event.data
