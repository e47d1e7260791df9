from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.blob.content.ranges import ByteRange, Cut, NotSatisfiable, asked_range, content_range
from hoopcli.errors import ProtocolError


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"range": ""}, None),
        ({"range": "bytes=0-9"}, ByteRange(0, 9)),
        ({"range": " Bytes=5- "}, ByteRange(5)),
        ({"range": "bytes=0-9", "x-ms-range": "bytes=3-4"}, ByteRange(3, 4)),
        ({"x-ms-range": "bytes=-7"}, ByteRange(suffix=7)),
    ],
)
def test_what_is_asked_for(headers: dict[str, str], expected: ByteRange | None) -> None:
    assert asked_range(headers.get) == expected


@pytest.mark.parametrize(
    "value",
    [
        *("bytes=0-1,3-4", "bytes=9-0", "bytes=-", "bytes=a-b", "items=0-1", "bytes=0-1;", "0-1", "bytes=+1-2"),
        *("bytes=0x1-2", "bytes=1 -2", "bytes=1-" + "9" * 20, "bytes=\u0661-\u0662", "bytes=0--1"),
    ],
)
def test_what_cannot_be_read_is_refused(value: str) -> None:
    with pytest.raises(ProtocolError):
        asked_range({"range": value}.get)


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        (ByteRange(0, 9), (0, 10)),
        (ByteRange(90, 200), (90, 10)),
        (ByteRange(99), (99, 1)),
        (ByteRange(suffix=5), (95, 5)),
        (ByteRange(suffix=500), (0, 100)),
    ],
)
def test_the_part_of_a_content(asked: ByteRange, part: tuple[int, int]) -> None:
    assert asked.of(100) == part


@pytest.mark.parametrize(("asked", "size"), [(ByteRange(100), 100), (ByteRange(0, 0), 0), (ByteRange(suffix=0), 9)])
def test_nothing_after_the_end(asked: ByteRange, size: int) -> None:
    with pytest.raises(NotSatisfiable):
        asked.of(size)


def test_content_range() -> None:
    assert content_range(5, 10, 100) == "bytes 5-14/100"


@given(st.binary(max_size=60), st.integers(0, 70), st.integers(1, 70), st.integers(1, 9))
def test_a_cut_of_any_pieces_is_the_slice(data: bytes, offset: int, length: int, size: int) -> None:
    cut = Cut(offset, length)
    part = b"".join(cut.feed(data[at : at + size]) for at in range(0, len(data), size))
    assert part == data[offset : offset + length]
    assert cut.done == (offset + length <= len(data))
