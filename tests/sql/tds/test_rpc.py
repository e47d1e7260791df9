from __future__ import annotations

import struct
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sql.tds import rpc
from connectors.sql.tds.buffer import Reader
from connectors.sql.tds.headers import AUTOCOMMIT, Headers, TransactionDescriptor, write_headers
from connectors.sql.tds.packet import MessageReader
from connectors.sql.tds.procedures import ProcId
from connectors.sql.tds.rpc import (
    Parameter,
    ParameterFlags,
    RpcCall,
    RpcOptions,
    RpcRequest,
    Separator,
    decode_rpc,
    encode_rpc,
)
from connectors.sql.tds.tvp import ColumnFlags, TableColumn, TableType, TableValue
from connectors.sql.tds.types import MAX, TypeId, TypeInfo, UdtInfo, read_type_info, write_type_info
from hoopcli.errors import ProtocolError

HEADERS = write_headers(AUTOCOMMIT)
INT = TypeInfo(TypeId.INTN, 4)
# As it comes back from the wire, with the collation that encoding puts in.
NVARCHAR = read_type_info(Reader(write_type_info(TypeInfo(TypeId.NVARCHAR, 8000))))
NVARCHAR_MAX = replace(NVARCHAR, size=MAX)
NTEXT = read_type_info(Reader(write_type_info(TypeInfo(TypeId.NTEXT, 0x7FFFFFFE))))
IMAGE = TypeInfo(TypeId.IMAGE, 0x7FFFFFFF)
DECIMAL = TypeInfo(TypeId.DECIMALN, 9, precision=10, scale=2)
UDT = TypeInfo(TypeId.UDT, MAX, udt=UdtInfo("", "sys", "geography"))

text = st.text(max_size=30)
values = st.one_of(
    st.tuples(st.just(INT), st.none() | st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just(DECIMAL), st.none() | st.decimals(-9999999, 9999999, places=2)),
    st.tuples(st.sampled_from([NVARCHAR, NVARCHAR_MAX, NTEXT]), st.none() | text),
    st.tuples(st.sampled_from([IMAGE, UDT]), st.none() | st.binary(max_size=50)),
)
names = st.text("abcXYZ_é0", max_size=20).map(lambda name: name and "@" + name)
flags = st.sampled_from([ParameterFlags.NONE, ParameterFlags.BY_REF_VALUE, ParameterFlags.DEFAULT_VALUE])
short = st.integers(0, 0xFFFF)


@st.composite
def tables(draw: Any) -> TableValue:
    cells = draw(st.lists(values, min_size=1, max_size=4))
    columns = tuple(
        TableColumn(draw(names), info, draw(st.sampled_from(ColumnFlags)), draw(st.integers(0, 9))) for info, _ in cells
    )
    row = tuple(value for column, (_, value) in zip(columns, cells, strict=True) if column.sent)
    orders = draw(st.lists(st.tuples(short, st.integers(0, 255)), max_size=3))
    return TableValue(
        columns, (row,) * draw(st.integers(0, 3)), tuple(orders), tuple(draw(st.lists(short, max_size=3)))
    )


parameters = st.one_of(
    st.builds(lambda pair, name, flag: Parameter(*pair, name, flag), values, names, flags),
    st.builds(Parameter, st.builds(TableType, text, text, text), st.none() | tables(), names, flags),
)
calls = st.builds(
    RpcCall,
    st.text(min_size=1, max_size=30),
    parameters=st.lists(parameters, max_size=4).map(tuple),
    options=st.sampled_from(RpcOptions),
    separator=st.sampled_from(Separator),
)
numbered = calls.flatmap(
    lambda call: st.sampled_from(ProcId).map(lambda number: replace(call, name="", proc_id=number))
)


@st.composite
def requests(draw: Any) -> RpcRequest:
    batch = draw(st.lists(calls | numbered, min_size=1, max_size=3))
    batch[-1] = replace(batch[-1], separator=draw(st.none() | st.sampled_from(Separator)))
    return RpcRequest(tuple(batch))


def call(body: bytes) -> bytes:
    return HEADERS + body


SP_EXECUTESQL = struct.pack("<HHH", 0xFFFF, 10, 0)


@given(requests())
def test_round_trip(request_: RpcRequest) -> None:
    assert decode_rpc(encode_rpc(request_)) == request_


@settings(max_examples=200)
@given(requests(), st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=4), st.integers(0, 500))
def test_damage_raises_protocol_error_only(request_: RpcRequest, damage: list[tuple[int, int]], end: int) -> None:
    wire = bytearray(encode_rpc(request_))
    for at, value in damage:
        wire[at % len(wire)] = value
    for data in (bytes(wire), bytes(wire[:end])):
        try:
            decode_rpc(data)
        except ProtocolError:
            continue


def test_the_published_example() -> None:
    wire = bytes.fromhex(
        "03 01 00 2F 00 00 01 00 16 00 00 00 12 00 00 00 02 00 00 00 00 00 00 00 00 01 00 00 00 00 04 00"
        "66 00 6F 00 6F 00 33 00 00 00 00 02 26 02 00"
    )
    (message,) = MessageReader().feed(wire)
    small = Parameter(TypeInfo(TypeId.INTN, 2), None, "", ParameterFlags.DEFAULT_VALUE)
    expected = RpcRequest((RpcCall("foo3", parameters=(small,)),), Headers(TransactionDescriptor(2**56, 0)))
    assert decode_rpc(message.payload) == expected
    assert encode_rpc(expected) == message.payload


def test_the_second_call_of_a_message_is_seen_whatever_separates_it() -> None:
    harmless = RpcCall("sp_help", separator=Separator.BATCH)
    hidden = RpcCall(proc_id=ProcId.SP_EXECUTESQL, parameters=(Parameter(NVARCHAR, "DROP TABLE t"),))
    for separator in Separator:
        request = decode_rpc(encode_rpc(RpcRequest((replace(harmless, separator=separator), hidden))))
        assert [c.well_known for c in request.calls] == [None, ProcId.SP_EXECUTESQL]
        assert request.calls[1].parameters[0].value == "DROP TABLE t"


def test_the_separator_of_old_versions_is_refused() -> None:
    body = SP_EXECUTESQL + b"\x80" + SP_EXECUTESQL
    with pytest.raises(ProtocolError, match="0x80 stands"):
        decode_rpc(call(body))
    with pytest.raises(ProtocolError, match="0x80 stands"):
        decode_rpc(call(SP_EXECUTESQL + b"\x80" + "x".encode("utf-16-le") * 128 + b"\0\x26\x04\0"))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "cut off"),
        (struct.pack("<HH", 0, 0), "names no procedure"),
        (struct.pack("<HHH", 0xFFFF, 0, 0), "no procedure number 0"),
        (struct.pack("<HHH", 0xFFFF, 16, 0), "no procedure number 16"),
        (struct.pack("<HHH", 0xFFFF, 10, 8), "option flags 0x0008"),
        (struct.pack("<H", 0xFFFE) + b"x", "cut off"),
        (SP_EXECUTESQL + b"\xfd", "0xfd stands"),
        (SP_EXECUTESQL + b"\0", "cut off"),
        (SP_EXECUTESQL + b"\0\x08\x26\x04\0", "column encryption was not agreed"),
        (SP_EXECUTESQL + b"\0\x04\x26\x04\0", "status flags 0x04"),
        (SP_EXECUTESQL + b"\0\0\x99", "unknown data type 0x99"),
        (SP_EXECUTESQL + b"\0\0\x26\x04\x04\0\0\0", "cut off"),
        (SP_EXECUTESQL + b"\0\0\x26\x04\x03\0\0\0", "3 bytes in int"),
        (SP_EXECUTESQL + b"\xff\xff", "cut off"),
        (SP_EXECUTESQL + b"\0\0\x22\xff\xff\xff\x7f\xff\xff\xff\x7fabc", "cut off"),
    ],
)
def test_refused(body: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        decode_rpc(call(body))


def test_long_text_has_no_text_pointer_in_a_parameter() -> None:
    (decoded,) = decode_rpc(call(SP_EXECUTESQL + b"\0\0\x22\xff\xff\xff\x7f\x03\0\0\0abc")).calls
    assert decoded.parameters[0].value == b"abc"


def test_values_of_many_kinds() -> None:
    sent = (Parameter(INT, 7, "@id"), Parameter(DECIMAL, Decimal("1.25")), Parameter(NVARCHAR_MAX, "é" * 9000, "@t"))
    (decoded,) = decode_rpc(encode_rpc(RpcRequest((RpcCall("p", parameters=sent),)))).calls
    assert decoded.parameters == sent


TVP = SP_EXECUTESQL + b"\0\0\xf3\0\0\x01t\0"
COLUMN = struct.pack("<IH", 0, 0) + b"\x26\x04\0"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (struct.pack("<H", 0), "cannot have 0 columns"),
        (struct.pack("<H", 1025), "cannot have 1025 columns"),
        (struct.pack("<H", 1) + COLUMN + b"\x12", "0x12 where its metadata should end"),
        (struct.pack("<H", 1) + COLUMN + b"\x10\x01\0\x01\0\x01\x10\x01\0\x01\0\x01\0\0", "0x10 where its metadata"),
        (struct.pack("<H", 1) + COLUMN + b"\x11\x01\0\x01\0\x11\x01\0\x01\0\0\0", "0x11 where its metadata"),
        (struct.pack("<H", 1) + COLUMN + b"\0\x02", "0x02 where a row should begin"),
        (struct.pack("<H", 1) + COLUMN + b"\0\x01\x04\0", "cut off"),
        (struct.pack("<H", 1) + COLUMN + b"\0\x01\0", "cut off"),
        (struct.pack("<H", 0xFFFF) + b"\0\x01\0", "without columns has rows"),
    ],
)
def test_tables_refused(body: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        decode_rpc(call(TVP + body))


def test_a_null_table() -> None:
    (decoded,) = decode_rpc(call(TVP + struct.pack("<H", 0xFFFF) + b"\0\0")).calls
    assert decoded.parameters == (Parameter(TableType(name="t"), None),)


def test_values_are_counted_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "_MAX_VALUES", 20)
    rows = TVP + struct.pack("<H", 1) + COLUMN + b"\0" + b"\x01\0" * 8
    assert decode_rpc(call(rows + b"\0"))
    for body in (rows + b"\x01\0" * 2 + b"\0", SP_EXECUTESQL + b"\0\0\x1f" * 20, (SP_EXECUTESQL + b"\xff") * 21):
        with pytest.raises(ProtocolError, match="more than 20 values"):
            decode_rpc(call(body))
    with pytest.raises(ProtocolError, match="more than 20 values"):
        decode_rpc(call(TVP + struct.pack("<H", 1024)))


def test_calls_by_number_are_plain_and_by_name_as_they_are_spelled() -> None:
    assert RpcCall(proc_id=ProcId.SP_EXECUTE).plain
    assert RpcCall("sys.sp_execute").plain
    odd = RpcCall("sp_execute\0")
    assert (odd.well_known, odd.plain) == (ProcId.SP_EXECUTE, False)
    assert (RpcCall("dbo.report").well_known, RpcCall("dbo.report").plain) == (None, False)


def test_a_table_needs_a_table_type() -> None:
    with pytest.raises(AssertionError):
        encode_rpc(RpcRequest((RpcCall("p", parameters=(Parameter(INT, TableValue(())),)),)))
