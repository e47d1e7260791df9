from __future__ import annotations

import hashlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.streams.spdy import (
    DataFrame,
    Frame,
    FrameReader,
    FrameWriter,
    GoAway,
    Ping,
    RstStream,
    SynReply,
    SynStream,
)
from connectors.kubectl.streams.spdy_headers import DICTIONARY, MOST_BLOCK, HeaderDecoder, HeaderEncoder, field
from hoopcli.errors import ProtocolError
from tests.kubectl.streams.cuts import CUTS, feed_all

_ID = st.integers(1, 0x7FFF_FFFF)
_WORD = st.integers(1, 0xFFFF_FFFF)
_NAME = st.text("abcdefghijklmnopqrstuvwxyz-:", min_size=1, max_size=20)
_HEADERS = st.dictionaries(_NAME, st.text(st.characters(max_codepoint=255), max_size=50), max_size=8)
FRAMES = st.lists(
    st.builds(SynStream, _ID, _HEADERS, st.booleans())
    | st.builds(SynReply, _ID, _HEADERS, st.booleans())
    | st.builds(RstStream, _ID, _WORD)
    | st.builds(Ping, _WORD)
    | st.builds(GoAway, st.integers(0, 0x7FFF_FFFF), st.integers(0, 2))
    | st.builds(DataFrame, _ID, st.binary(max_size=200) | st.just(b"x" * 3_000_000), st.booleans()),
    max_size=6,
)


def merged(frames: list[Frame]) -> list[Frame]:
    """Pieces of one stream's data joined, up to the one that ends it."""
    result: list[Frame] = []
    for frame in frames:
        last = result[-1] if result else None
        goes_on = isinstance(last, DataFrame) and not last.fin
        if isinstance(frame, DataFrame) and isinstance(last, DataFrame) and goes_on and last.stream == frame.stream:
            result[-1] = DataFrame(frame.stream, last.data + frame.data, frame.fin)
        else:
            result.append(frame)
    return result


@given(FRAMES, CUTS)
def test_frames_arrive_however_they_are_cut(frames: list[Frame], cuts: list[int]) -> None:
    writer = FrameWriter()
    data = b"".join(map(writer.encode, frames))
    assert merged(feed_all(FrameReader().feed, data, cuts)) == merged(frames)


@given(st.binary(max_size=200), CUTS)
def test_garbage_raises_protocol_error_for_ever(data: bytes, cuts: list[int]) -> None:
    reader = FrameReader()
    try:
        feed_all(reader.feed, data, cuts)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            list(reader.feed(b""))


def control(kind: int, payload: bytes, *, flags: int = 0, version: int = 3) -> bytes:
    return struct.pack(">II", 1 << 31 | version << 16 | kind, flags << 24 | len(payload)) + payload


_PLAIN = HeaderEncoder().encode({"streamtype": "stdin"})


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(control(1, struct.pack(">IIBB", 1, 0, 0, 0) + _PLAIN, version=2), id="version 2"),
        pytest.param(control(1, struct.pack(">IIBB", 0, 0, 0, 0) + _PLAIN), id="stream 0"),
        pytest.param(control(1, struct.pack(">IIBB", 1 << 31, 0, 0, 0) + _PLAIN), id="a reserved bit"),
        pytest.param(control(1, struct.pack(">IIBB", 1, 0, 0, 0) + _PLAIN, flags=2), id="unidirectional"),
        pytest.param(control(1, b"\0\0\0\1"), id="a short SYN_STREAM"),
        pytest.param(control(2, b"\0\0"), id="a short SYN_REPLY"),
        pytest.param(control(2, struct.pack(">I", 1) + _PLAIN, flags=4), id="flags of a SYN_REPLY"),
        pytest.param(control(3, struct.pack(">II", 1, 0)), id="a reset without reason"),
        pytest.param(control(3, struct.pack(">I", 1)), id="a short reset"),
        pytest.param(control(6, struct.pack(">I", 1), flags=1), id="flags of a ping"),
        pytest.param(control(7, struct.pack(">I", 1)), id="a short GOAWAY"),
        pytest.param(control(8, struct.pack(">I", 1) + _PLAIN), id="HEADERS"),
        pytest.param(control(5, b""), id="NOOP of SPDY/2"),
        pytest.param(struct.pack(">II", 0, 0), id="data of stream 0"),
        pytest.param(struct.pack(">II", 1, 2 << 24), id="unknown flags of data"),
        pytest.param(control(1, b"\0" * 20_000), id="a long control frame"),
    ],
)
def test_what_the_protocol_forbids_is_refused(wrong: bytes) -> None:
    with pytest.raises(ProtocolError, match="SPDY"):
        list(FrameReader().feed(wrong))


def test_flow_control_and_settings_are_left_alone() -> None:
    data = control(9, struct.pack(">II", 1, 65536)) + control(4, struct.pack(">III", 1, 4, 100))
    assert list(FrameReader().feed(data)) == []


def test_the_dictionary_is_that_of_the_specification() -> None:
    assert len(DICTIONARY) == 1423
    digest = hashlib.sha256(DICTIONARY).hexdigest()
    assert digest == "51d27341373f923f3cd88e1eb7162aeaa3723d7585ff2399201dc06498407f02"


def block(plain: bytes) -> bytes:
    compressor = zlib.compressobj(zdict=DICTIONARY)
    return compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH)


def counted(*texts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(text)) + text for text in texts)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(b"no zlib", id="not compressed"),
        pytest.param(zlib.compress(b"\0\0\0\0"), id="another dictionary, and an end"),
        pytest.param(block(b"\0"), id="no count"),
        pytest.param(block(struct.pack(">I", 1)), id="no header"),
        pytest.param(block(struct.pack(">I", 65)), id="too many headers"),
        pytest.param(block(struct.pack(">III", 1, 99, 0)), id="a name past the end"),
        pytest.param(block(struct.pack(">I", 1) + counted(b"a", b"b") + b"!"), id="bytes at the end"),
        pytest.param(block(struct.pack(">I", 2) + counted(b"a", b"b", b"a", b"c")), id="a name twice"),
        pytest.param(block(struct.pack(">I", 1) + counted(b"A", b"b")), id="a name in capitals"),
        pytest.param(block(struct.pack(">I", 1) + counted(b"", b"b")), id="no name"),
        pytest.param(b"x" * (MOST_BLOCK + 1), id="a long block"),
    ],
)
def test_a_wrong_header_block_is_refused(wrong: bytes) -> None:
    with pytest.raises(ProtocolError):
        HeaderDecoder().decode(wrong)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = block(b"\0" * 10_000_000)
    assert len(bomb) < MOST_BLOCK
    with pytest.raises(ProtocolError, match="too long"):
        HeaderDecoder().decode(bomb)


def test_an_end_of_the_compression_is_refused() -> None:
    compressor = zlib.compressobj(zdict=DICTIONARY)
    with pytest.raises(ProtocolError, match="ends the compression"):
        HeaderDecoder().decode(compressor.compress(b"\0\0\0\0") + compressor.flush())


def test_a_field_must_be_there_with_one_value() -> None:
    assert field({"port": "80"}, "port") == "80"
    for headers in ({}, {"port": ""}, {"port": "80\x0081"}):
        with pytest.raises(ProtocolError):
            field(headers, "port")
