from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.buffer import Reader, TruncatedError
from connectors.sql.tds.collation import LATIN1, UTF8, Collation
from connectors.sql.tds.types import MAX, Layout, TypeId, TypeInfo, UdtInfo, read_type_info, scaled, write_type_info
from hoopcli.errors import ProtocolError
from tests.sql.tds.value_support import ALL

T = TypeId


@pytest.mark.parametrize("info", [info for info, _ in ALL] + [TypeInfo(T.NULL)], ids=lambda info: info.name)
def test_round_trip_and_cuts(info):
    raw = write_type_info(info)
    reader = Reader(raw)
    assert read_type_info(reader) == info
    reader.expect_end("TYPE_INFO")
    for cut in range(len(raw)):
        with pytest.raises(TruncatedError):
            read_type_info(Reader(raw[:cut]))


def test_every_type_is_covered():
    assert {info.id for info, _ in ALL} | {T.NULL} == set(T)


def test_a_parameter_names_a_clr_type_more_briefly():
    info = TypeInfo(T.UDT, MAX, udt=UdtInfo("shop", "sys", "geography"))
    raw = write_type_info(info, parameter=True)
    assert read_type_info(Reader(raw), parameter=True) == info
    assert len(raw) < len(write_type_info(info))


@given(st.binary(max_size=40), st.booleans())
def test_garbage(raw, parameter):
    try:
        info = read_type_info(Reader(raw), parameter=parameter)
    except ProtocolError:
        return
    assert write_type_info(info, parameter=parameter)[:1] == raw[:1]
    assert isinstance(info.name, str)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"\x00", "unknown data type 0x00"),
        (b"\x26\x03", "INTN cannot have 3 bytes"),
        (b"\x29\x08", "cannot have 8 digits"),
        (b"\x6a\x11\x27\x00", "does not exist"),
        (b"\x6a\x11\x05\x06", "does not exist"),
        (b"\x6a\x12\x05\x02", "does not exist"),
        (b"\xa7\x41\x1f" + LATIN1.raw, "varchar cannot have 8001 bytes"),
        (b"\xaf\xff\xff" + LATIN1.raw, "char cannot have 65535 bytes"),
        (b"\xf1\x02", "xml schema flag"),
    ],
)
def test_what_does_not_exist(raw, why):
    with pytest.raises(ProtocolError, match=why):
        read_type_info(Reader(raw))


def test_a_clr_type_needs_a_name():
    with pytest.raises(ProtocolError, match="no name"):
        write_type_info(TypeInfo(T.UDT, 8))


@pytest.mark.parametrize(
    ("info", "name"),
    [
        (TypeInfo(T.INT4, 4), "int"),
        (TypeInfo(T.INTN, 8), "bigint"),
        (TypeInfo(T.DECIMALN, 9, 10, 2), "decimal(10,2)"),
        (scaled(T.DATETIME2N, 3), "datetime2(3)"),
        (TypeInfo(T.DATEN, 3), "date"),
        (TypeInfo(T.NVARCHAR, 100), "nvarchar(50)"),
        (TypeInfo(T.NVARCHAR, MAX), "nvarchar(max)"),
        (TypeInfo(T.BIGCHAR, 7), "char(7)"),
        (TypeInfo(T.VARBINARY, 7), "varbinary(7)"),
        (TypeInfo(T.VECTOR, 20), "vector(3)"),
        (TypeInfo(T.VECTOR, 14, scale=1), "vector(3)"),
        (TypeInfo(T.UDT, 892, udt=UdtInfo("d", "sys", "geometry")), "sys.geometry"),
        (TypeInfo(T.SSVARIANT, 8009), "sql_variant"),
        (TypeInfo(T.NTEXT, 16), "ntext"),
        (TypeInfo(T.XML, MAX), "xml"),
        (TypeInfo(T.JSON, MAX), "json"),
        (TypeInfo(T.UDT, 892), "udt"),
    ],
)
def test_names(info, name):
    assert info.name == name


def test_nullable_forms():
    assert TypeInfo(T.INT4, 4).nullable == TypeInfo(T.INTN, 4)
    assert TypeInfo(T.NVARCHAR, 4).nullable == TypeInfo(T.NVARCHAR, 4)
    assert all(info.nullable.layout is not Layout.FIXED for info, _ in ALL)


@pytest.mark.parametrize(
    ("raw", "codec"),
    [
        (LATIN1.raw, "cp1252"),
        (UTF8.raw, "utf-8"),
        (b"\x09\x04\x00\x00\x1e", "cp437"),
        (b"\x11\x04\x00\x00\x00", "cp932"),
        (b"\x04\x08\x00\x00\x00", "gbk"),
        (b"\x04\x04\x00\x00\x00", "cp950"),
        (b"\x1a\x0c\x00\x00\x00", "cp1251"),
        (b"\x1a\x04\x00\x00\x00", "cp1250"),
        (b"\x1e\x04\x00\x00\x00", "cp874"),
        (b"\x00\x00\x00\x00\x00", "cp1252"),
        (b"\x19\x04\xd0\x00\x00", "cp1251"),
    ],
)
def test_code_pages(raw, codec):
    assert Collation(raw).codec == codec
    "x".encode(Collation(raw).codec)
