# ruff: noqa: DTZ001 - the datetimes of SQL have no zone
from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sql.tds.buffer import Reader, TruncatedError
from connectors.sql.tds.cells import NULLS, read_cell, write_cell
from connectors.sql.tds.collation import LATIN1, UTF8
from connectors.sql.tds.temporal import DateTime2, DateTimeOffset, Time
from connectors.sql.tds.types import MAX, Layout, TypeId, TypeInfo, scaled
from connectors.sql.tds.values import Variant, decode, encode, encode_text, encode_value, join_variant, read_value
from hoopcli.errors import ProtocolError
from tests.sql.tds.value_support import ALL, IN_VARIANT, typed_values

T = TypeId


@given(typed_values())
def test_round_trip(pair):
    info, value = pair
    raw = encode_value(info, value)
    reader = Reader(raw)
    assert read_value(reader, info) == value
    reader.expect_end("the value")


@pytest.mark.parametrize(("info", "values"), IN_VARIANT, ids=lambda part: getattr(part, "name", ""))
@settings(max_examples=10)
@given(data=st.data())
def test_every_type_in_a_variant(info, values, data):
    value = Variant(info, data.draw(values))
    variant = TypeInfo(T.SSVARIANT, 8009)
    assert read_value(Reader(encode_value(variant, value)), variant) == value


@given(typed_values(), st.data())
def test_a_cut_value_is_truncated(pair, data):
    info, value = pair
    raw = encode_value(info, value)
    with pytest.raises(TruncatedError):
        read_value(Reader(raw[: data.draw(st.integers(0, len(raw) - 1))]), info)


@given(st.sampled_from([info for info, _ in ALL]), st.binary(max_size=60))
def test_garbage(info, raw):
    try:
        value = read_value(Reader(raw), info)
    except ProtocolError:
        return
    if value is not None and info.id is not T.SSVARIANT:
        number = isinstance(value, float) and math.isnan(value)
        assert decode(info, encode(info, value)) == value or number or info.padded or info.codec


@given(typed_values([(info, values) for info, values in ALL if info.layout is Layout.PLP]), st.data())
def test_plp_in_chunks_of_unknown_length(pair, data):
    info, value = pair
    if value is None:
        return
    raw, chunks = encode(info, value), b""
    while raw:
        size = data.draw(st.integers(1, len(raw)))
        chunks, raw = chunks + size.to_bytes(4, "little") + raw[:size], raw[size:]
    cell = b"\xfe" + b"\xff" * 7 + chunks + b"\x00" * 4
    assert read_value(Reader(cell), info) == value


def test_plp_that_does_not_add_up():
    cell = (5).to_bytes(8, "little") + b"\x04\x00\x00\x00abcd" + b"\x00" * 4
    with pytest.raises(ProtocolError, match="declared with 5 bytes has 4"):
        read_value(Reader(cell), TypeInfo(T.BIGVARBINARY, MAX))


@pytest.mark.parametrize(
    ("info", "cell"),
    [
        (TypeInfo(T.INTN, 4), b"\x02\x00\x00"),
        (TypeInfo(T.NVARCHAR, 4), b"\x06\x00a\x00b\x00c\x00"),
        (TypeInfo(T.NVARCHAR, 4), b"\x03\x00a\x00b"),
        (TypeInfo(T.DECIMALN, 5, 5, 0), b"\x05\x02\x00\x00\x00\x00"),
        (scaled(T.TIMEN, 0), b"\x03\xff\xff\xff"),
        (TypeInfo(T.DATEN, 3), b"\x03\xff\xff\xff"),
        (TypeInfo(T.DATETIMN, 8), b"\x08" + b"\x00\x00\x00\x7f" + b"\x00" * 4),
        (TypeInfo(T.DATETIMN, 4), b"\x04\x00\x00\xff\xff"),
        (scaled(T.DATETIMEOFFSETN, 0), b"\x08" + b"\x00" * 6 + b"\xff\x7f"),
        (TypeInfo(T.SSVARIANT, 8009), b"\xff\xff\x00\x00"),
        (TypeInfo(T.SSVARIANT, 8009), b"\x02\x00\x00\x00\x23\x00"),
        (TypeInfo(T.SSVARIANT, 8009), b"\x05\x00\x00\x00\x38\x00abc"),
        (TypeInfo(T.SSVARIANT, 8009), b"\x05\x00\x00\x00\x38\x01abc"),
    ],
)
def test_wrong_values(info, cell):
    with pytest.raises(ProtocolError):
        read_value(Reader(cell), info)


@pytest.mark.parametrize(
    ("info", "value"),
    [
        (TypeInfo(T.INTN, 1), -1),
        (TypeInfo(T.INTN, 2), 1 << 15),
        (TypeInfo(T.INT4, 4), None),
        (TypeInfo(T.INT4, 4), "x"),
        (TypeInfo(T.DECIMALN, 5, 4, 2), Decimal(100)),
        (TypeInfo(T.DECIMALN, 5, 4, 2), Decimal("NaN")),
        (TypeInfo(T.NVARCHAR, 4), "abc"),
        (TypeInfo(T.BIGVARBINARY, 2), b"abc"),
        (TypeInfo(T.BIGVARBINARY, 2), 7),
        (TypeInfo(T.VARCHAR, 2), "abc"),
        (TypeInfo(T.GUID, 16), "not a guid"),
        (TypeInfo(T.FLTN, 4), 1e300),
        (TypeInfo(T.DATEN, 3), 7),
        (TypeInfo(T.SSVARIANT, 8009), 7),
        (TypeInfo(T.SSVARIANT, 8009), Variant(TypeInfo(T.IMAGE, 4), b"x")),
        (TypeInfo(T.SSVARIANT, 8009), Variant(TypeInfo(T.NVARCHAR, 8000), "x" * 8010)),
    ],
)
def test_what_a_type_cannot_hold(info, value):
    with pytest.raises(ProtocolError):
        encode_value(info, value)


def test_python_times_are_taken_too():
    moment = datetime(2024, 2, 29, 13, 14, 15, 160_000)
    offset = moment.replace(tzinfo=timezone(timedelta(hours=2)))
    for info, given_, kept in (
        (scaled(T.TIMEN, 7), moment.time(), Time.of(moment.time())),
        (scaled(T.DATETIME2N, 7), moment, DateTime2.of(moment)),
        (scaled(T.DATETIMEOFFSETN, 7), offset, DateTimeOffset.of(offset)),
    ):
        assert read_value(Reader(encode_value(info, given_)), info) == kept


def test_times_print_as_sql_server_prints_them():
    assert Time.of(time(1, 2, 3, 456_789)).isoformat() == "01:02:03.4567890"
    assert Time(0).isoformat(0) == "00:00:00"
    assert DateTime2(date(2024, 1, 2), Time(1)).isoformat(7) == "2024-01-02 00:00:00.0000001"
    west = DateTimeOffset(DateTime2(date(2024, 1, 1), Time(0)), -90)
    assert west.isoformat(0) == "2023-12-31 22:30:00 -01:30"
    assert west.to_datetime() == datetime(2024, 1, 1, tzinfo=UTC)
    assert DateTimeOffset.of(datetime(2024, 1, 1)).offset == 0


def test_datetime_rounds_to_its_ticks():
    info = TypeInfo(T.DATETIME, 8)
    for given_, kept in ((998_000, 997_000), (999_900, 0)):
        value = read_value(Reader(encode_value(info, datetime(2024, 1, 1, 23, 59, 59, given_))), info)
        assert value.microsecond == kept
    assert value == datetime(2024, 1, 2)


def test_null_has_no_bytes_in_a_void_column():
    assert read_value(Reader(b""), TypeInfo(T.NULL)) is None
    assert write_cell(TypeInfo(T.NULL), None) == b""


@pytest.mark.parametrize("layout", NULLS)
def test_nulls(layout):
    info = next(info for info, _ in ALL if info.layout is layout)
    assert read_cell(Reader(NULLS[layout]), info) is None
    assert encode_value(info, None) == NULLS[layout]


def test_bytes_that_a_code_page_lacks_survive():
    info = TypeInfo(T.BIGVARCHAR, 10, collation=LATIN1)
    assert encode(info, decode(info, b"a\x81")) == b"a\x81"
    utf8 = TypeInfo(T.BIGVARCHAR, 10, collation=UTF8)
    assert encode(utf8, decode(utf8, b"a\xff")) == b"a\xff"


def test_characters_that_a_code_page_lacks_become_question_marks():
    assert encode_text("a\u2588", "cp1252") == b"a?"


def test_other_values():
    guid = UUID("00112233-4455-6677-8899-aabbccddeeff")
    assert encode(TypeInfo(T.GUID, 16), guid) == guid.bytes_le
    assert math.isnan(read_value(Reader(encode_value(TypeInfo(T.FLT8, 8), math.nan)), TypeInfo(T.FLT8, 8)))
    assert encode(TypeInfo(T.BIGBINARY, 4), b"a") == b"a\x00\x00\x00"
    assert encode(TypeInfo(T.BIGVARBINARY, 4), bytearray(b"ab")) == b"ab"
    assert encode(TypeInfo(T.DECIMALN, 5, 5, 1), Decimal("0.25")) == b"\x01\x03\x00\x00\x00"
    assert join_variant(TypeInfo(T.NVARCHAR, 4), b"") == bytes((T.NVARCHAR, 7)) + LATIN1.raw + b"\x04\x00"
