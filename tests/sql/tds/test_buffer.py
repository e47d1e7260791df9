from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds import buffer
from connectors.sql.tds.buffer import Reader, TruncatedError
from hoopcli.errors import ProtocolError


def test_reads_little_endian_in_turn():
    reader = Reader(bytes(range(1, 20)))
    assert reader.u8() == 1
    assert reader.u16() == 0x0302
    assert reader.u32() == 0x07060504
    assert reader.u64() == 0x0F0E0D0C0B0A0908
    assert reader.remaining == 4
    assert reader.rest() == bytes((16, 17, 18, 19))
    reader.expect_end("all")


def test_signed():
    assert Reader(b"\xfe\xff\xff\xff").i32() == -2


def test_left_over_bytes_are_an_error():
    with pytest.raises(ProtocolError, match="1 bytes are left over after it"):
        Reader(b"x").expect_end("it")


@pytest.mark.parametrize(
    "method", ["u8", "u16", "u32", "u64", "i32", "b_varchar", "us_varchar", "b_varbyte", "l_varbyte"]
)
def test_nothing_is_read_past_the_end(method):
    with pytest.raises(TruncatedError):
        getattr(Reader(b""), method)()


def _is_whole(text):
    """Whether no two surrogates stand side by side, which would be read as one character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass") == text


@pytest.mark.parametrize(
    ("write", "read", "longest"),
    [("b_varchar", "b_varchar", 255), ("us_varchar", "us_varchar", 300)],
)
@given(data=st.data())
def test_strings(write, read, longest, data):
    text = data.draw(st.text(st.characters(max_codepoint=0xFFFF), max_size=longest).filter(_is_whole))
    raw = getattr(buffer, write)(text)
    reader = Reader(raw)
    assert getattr(reader, read)() == text
    reader.expect_end("the string")
    with pytest.raises(TruncatedError):
        getattr(Reader(raw[:-1]), read)()


@pytest.mark.parametrize("name", ["b_varbyte", "us_varbyte", "l_varbyte"])
@given(raw=st.binary(max_size=255))
def test_bytes(name, raw):
    assert getattr(Reader(getattr(buffer, name)(raw)), name)() == raw


def test_lone_surrogates_survive_and_odd_lengths_do_not():
    assert buffer.encode_ucs2(buffer.decode_ucs2(b"\x00\xd8")) == b"\x00\xd8"
    with pytest.raises(ProtocolError, match="odd"):
        buffer.decode_ucs2(b"abc")


def test_a_text_too_long_for_its_length():
    with pytest.raises(ProtocolError, match="too long"):
        buffer.b_varchar("x" * 256)
