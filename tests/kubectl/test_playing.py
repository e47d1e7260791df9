from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from connectors.kubectl.asciicast import MEDIA_TYPE, CastHeader, CastRecorder
from connectors.kubectl.connector import KubectlConnector
from connectors.kubectl.playing import frames, listed
from hoopcli.cli.audit_replay import Pace, play
from hoopcli.errors import ProtocolError
from hoopcli.ledger.replay import Answered, Content, Event, Opened
from hoopcli.spi import Frame

ENTER, LEAVE = "\x1b[?1049h\x1b[2J\x1b[H", "\x1b[0m\x1b[?1049l"


def recording() -> bytes:
    cast = CastRecorder(CastHeader(80, 24, 0), 10_000)
    cast.output(0.5, b"\x1b]0;owned\x07$ ")
    cast.input(0.7, b"ls\r")
    cast.output(1.0, b"ls\r\n")
    cast.marker(1.0, "$ ls")
    cast.resize(1.5, 100, 30)
    cast.output(2.0, b"\x1b[31mred.txt\x1b[0m\r\n\x1b[6n$ ")
    return cast.kept


def test_frames_are_what_was_shown_and_steer_nothing() -> None:
    assert list(frames(recording())) == [
        Frame(0.5, "$ "), Frame(1.0, "ls\r\n"), Frame(2.0, "\x1b[31mred.txt\x1b[0m\r\n$ "),
    ]  # fmt: skip


def test_lines_of_a_recording() -> None:
    assert listed(recording()).rows == [
        [0.7, "typed", "ls"],
        [1.0, "shown", "$ ls"],
        [1.0, "command", "$ ls"],
        [1.5, "resized", "100x30"],
        [2.0, "shown", "red.txt"],
        [2.0, "shown", "$"],
    ]


def test_what_is_no_recording_is_said_to_be_none() -> None:
    with pytest.raises(ProtocolError):
        list(frames(b"words"))
    damaged = recording() + b'[9, "o"]\n'
    with pytest.raises(ProtocolError):
        list(frames(damaged))
    assert listed(b"words").note
    assert listed(damaged).note == "line 8 of the recording is no event"
    assert len(listed(damaged).rows) == 5


def test_a_long_recording_is_listed_in_part() -> None:
    cast = CastRecorder(CastHeader(80, 24, 0), 1_000_000)
    cast.output(0.0, b"line\r\n" * 2000)
    assert (len(listed(cast.kept).rows), listed(cast.kept).note) == (1000, "the rest is left out")


def test_only_recordings_are_played() -> None:
    connector = KubectlConnector()
    assert connector.frames("application/json", b"{}") is None
    assert connector.frames(MEDIA_TYPE, recording()) is not None
    assert next(connector.render(MEDIA_TYPE, recording())).columns == ("time", "event", "text")


def session(payload: bytes, media_type: str = MEDIA_TYPE) -> list[Event]:
    time = datetime(2026, 3, 1, tzinfo=UTC)
    who: dict[str, Any] = {"subject": "ann", "kind": "human"}
    opened = Opened(0.0, 0, time, "s1", who, {"name": "aks", "kind": "kubectl"}, "")
    return [
        opened,
        Answered(5.0, 2, "x1", "completed", 0, 9, {}, (), media_type, Content.WHOLE, payload),
    ]  # fmt: skip


def played(payload: bytes, speed: float = 2.0, *, terminal: bool = True) -> tuple[str, list[float]]:
    stream, pauses = io.StringIO(), list[float]()
    play(session(payload), Pace(speed, sleep=pauses.append), console=Console(file=stream, force_terminal=terminal))
    return stream.getvalue(), pauses


def test_a_terminal_is_played_on_a_screen_of_its_own_as_fast_as_it_was() -> None:
    shown, pauses = played(recording())
    assert f"{ENTER}$ ls\r\n\x1b[31mred.txt\x1b[0m\r\n$ {LEAVE}" in shown
    assert pauses == [0.0, 0.25, 0.25, 0.5, 1.5]
    assert "red.txt" in shown.partition(LEAVE)[2], "its lines stay"


@pytest.mark.parametrize(("speed", "terminal"), [(0.0, True), (1.0, False)])
def test_without_time_or_a_terminal_there_are_only_lines(speed: float, *, terminal: bool) -> None:
    shown, _ = played(recording(), speed, terminal=terminal)
    assert ENTER not in shown
    assert "red.txt" in shown


def test_a_damaged_recording_is_played_as_far_as_it_goes() -> None:
    shown, _ = played(recording() + b"[")
    assert shown.count(LEAVE) == 1
    assert "is no" in shown
