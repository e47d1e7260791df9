from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.asciicast import CastEvent, CastHeader, CastRecorder, encode_header, read_cast
from hoopcli.errors import ProtocolError

HEADER = CastHeader(120, 40, 1_790_000_000, "kubectl exec -it web-1 -- sh", {"TERM": "xterm-256color"})


def test_a_recording_is_read_as_it_was_written() -> None:
    recorder = CastRecorder(HEADER, 100_000)
    recorder.output(0.5, b"$ ")
    recorder.input(1.0, b"ls\r")
    recorder.output(1.25, "ls\r\n\u00e9\x1b[0m".encode())
    recorder.output(1.3, b"warning", "stderr")
    recorder.resize(2, 100, 30)
    recorder.marker(2, "ls")
    recorder.end(3)
    header, events = read_cast(recorder.kept)
    assert header == HEADER
    assert list(events) == [
        CastEvent(0.5, "o", "$ "),
        CastEvent(1.0, "i", "ls\r"),
        CastEvent(1.25, "o", "ls\r\n\u00e9\x1b[0m"),
        CastEvent(1.3, "o", "warning"),
        CastEvent(2.0, "r", "100x30"),
        CastEvent(2.0, "m", "ls"),
    ]
    assert recorder.kept_all


@given(st.binary(max_size=60), st.integers(1, 7))
def test_characters_may_be_cut_anywhere(data: bytes, step: int) -> None:
    recorder = CastRecorder(HEADER, 100_000)
    for at in range(0, len(data), step):
        recorder.output(0, data[at : at + step])
    recorder.end(1)
    _, events = read_cast(recorder.kept)
    assert "".join(event.data for event in events) == data.decode("utf-8", "replace")


def test_only_whole_lines_are_kept_up_to_the_limit() -> None:
    recorder = CastRecorder(HEADER, len(encode_header(HEADER)) + 60)
    recorder.output(1, b"a" * 20)
    recorder.output(2, b"b" * 100)
    recorder.output(3, b"c")
    assert not recorder.kept_all
    _, events = read_cast(recorder.kept)
    assert [event.data for event in events] == ["a" * 20], "and nothing after what did not fit"


def test_a_clock_that_is_set_back_does_not_spoil_it() -> None:
    recorder = CastRecorder(HEADER, 10_000)
    recorder.output(5, b"a")
    recorder.output(4, b"b")
    assert [event.time for event in read_cast(recorder.kept)[1]] == [5, 5]


def test_an_unknown_size_is_80_by_24() -> None:
    header, _ = read_cast(encode_header(CastHeader(0, 0, 0)))
    assert header == CastHeader(80, 24, 0)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"no json",
        b"[" * 100_000,
        b"[]",
        b'{"version": 1}',
        b'{"version": 2, "width": -1}',
        b'{"version": 2, "width": true}',
        b'{"version": 2, "width": 70000}',
        b'{"version": 2, "command": 1}',
        b'{"version": 2, "env": []}',
        b'{"version": 2, "timestamp": "now"}',
    ],
)
def test_what_is_no_recording_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_cast(header)


@pytest.mark.parametrize(
    "line", [b"{}", b'[1, "o"]', b'[1, "x", ""]', b'["1", "o", ""]', b'[-1, "o", ""]', b'[1e999, "o", ""]', b"[1"]
)
def test_what_is_no_event_is_refused(line: bytes) -> None:
    _, events = read_cast(encode_header(HEADER) + line)
    with pytest.raises(ProtocolError):
        list(events)


def test_time_never_goes_back() -> None:
    _, events = read_cast(encode_header(HEADER) + b'[2, "o", ""]\n[1, "o", ""]\n')
    with pytest.raises(ProtocolError, match="line 3"):
        list(events)


@given(st.binary(max_size=200))
def test_garbage_raises_protocol_error_only(data: bytes) -> None:
    for recording in (data, encode_header(HEADER) + data):
        try:
            list(read_cast(recording)[1])
        except ProtocolError:
            continue


def test_a_line_is_ascii_whatever_was_shown() -> None:
    recorder = CastRecorder(HEADER, 10_000)
    recorder.output(0, "\u2028 </script>\n".encode())
    line = recorder.kept.splitlines()[1]
    assert line.isascii()
    assert json.loads(line)[2] == "\u2028 </script>\n"
