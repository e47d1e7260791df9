from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.render import CUT, plain, render
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import AltColumn, AltMetadata, Column, write_columns
from connectors.sql.tds.temporal import DateTime2, Time
from connectors.sql.tds.tokens import Done, DoneStatus, Order, ReturnStatus, ReturnValue, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tds.tokenstream import write_row
from connectors.sql.tds.types import TypeId, TypeInfo, scaled
from connectors.sql.tds.values import Variant, encode_value
from hoopcli.spi import Table

T = TypeId
COLUMNS = (Column("id", TypeInfo(T.INTN, 4)), Column("name", TypeInfo(T.NVARCHAR, 40, collation=LATIN1)))
RESULT = write_columns(COLUMNS) + write_row(COLUMNS, (1, "Ada")) + write_row(COLUMNS, (2, None))
COUNTED = Done(DoneStatus.COUNT, 0xC1, 2).encode()


def tables(payload):
    return list(render(payload))


def notes(*tokens):
    return [table.note for table in render(b"".join(token.encode() for token in tokens))]


def test_a_result():
    assert tables(RESULT + COUNTED) == [Table(["id", "name"], [[1, "Ada"], [2, None]], "2 rows")]


def test_several_results():
    payload = RESULT + Done(DoneStatus.MORE | DoneStatus.COUNT, 0xC1, 2).encode() + write_columns(COLUMNS[:1])
    payload += write_row(COLUMNS[:1], (7,)) + Done(DoneStatus.COUNT, 0xC1, 1).encode()
    assert [(table.columns, table.note) for table in render(payload)] == [(["id", "name"], "2 rows"), (["id"], "1 row")]


def test_a_result_that_another_follows_without_done():
    assert [table.note for table in render(RESULT + RESULT + COUNTED)] == ["2 rows", "2 rows"]


def test_all_else_is_notes():
    assert notes(
        Done(DoneStatus.COUNT, 0xC3, 5),
        ServerMessage(208, "Invalid object name"),
        ServerMessage(0, "printed", token=TokenType.INFO),
        EnvChange(EnvType.DATABASE, "shop", "master"),
        EnvChange(EnvType.LANGUAGE, "x", "y"),
        ReturnStatus(0),
        ReturnStatus(3),
        Order((1,)),
        Done(DoneStatus.ATTENTION),
    ) == [
        "5 rows affected",
        "error 208: Invalid object name",
        "info: printed",
        "database is now shop",
        "procedure returned 3",
        "cancelled by the client",
    ]


def test_output_values_and_totals():
    info = TypeInfo(T.INTN, 4)
    payload = ReturnValue(1, "@n", info).encode() + encode_value(info, 5)
    payload += ReturnValue(0, "", info).encode() + encode_value(info, None)
    payload += write_columns(COLUMNS) + AltMetadata(1, (), (AltColumn(0x4D, 1, COLUMNS[0]),)).encode()
    payload += b"\xd3\x01\x00" + encode_value(info, 9) + Done().encode()
    assert [table.note for table in render(payload)] == ["@n = 5", "result = None", "total: 9", "0 rows"]


@given(st.integers(0, len(RESULT)))
def test_cut_off_anywhere(cut):
    found = tables((RESULT + COUNTED)[:cut])
    if cut:
        assert found[-1].note.endswith(CUT)
        assert found[-1].rows in ([], [[1, "Ada"]], [[1, "Ada"], [2, None]])
    else:
        assert found == []


def test_cut_off_between_results():
    payload = RESULT + Done(DoneStatus.MORE | DoneStatus.COUNT, 0xC1, 2).encode()
    assert [table.note for table in render(payload)] == ["2 rows", CUT]


def test_damage_is_said():
    found = tables(RESULT + b"\x00")
    assert found[0].rows == [[1, "Ada"], [2, None]]
    assert "cannot be read further: unknown token 0x00" in found[0].note


@pytest.mark.parametrize(
    ("value", "info", "shown"),
    [
        (None, None, None),
        (True, None, True),
        (1 << 60, None, str(1 << 60)),
        (1.5, None, 1.5),
        (float("inf"), None, "inf"),
        (b"\xab\x01", None, "0xAB01"),
        (Decimal("1E-7"), None, "0.0000001"),
        (UUID("aabbccdd-4455-6677-8899-aabbccddeeff"), None, "AABBCCDD-4455-6677-8899-AABBCCDDEEFF"),
        (date(2024, 1, 2), None, "2024-01-02"),
        (datetime(2024, 1, 2, 3, 4, 5, 7000), None, "2024-01-02 03:04:05.007"),  # noqa: DTZ001 - SQL's has no zone
        (Time(0), scaled(T.TIMEN, 2), "00:00:00.00"),
        (DateTime2(date(2024, 1, 2), Time(1)), None, "2024-01-02 00:00:00.0000001"),
        (Variant(scaled(T.TIMEN, 0), Time(0)), None, "00:00:00"),
    ],
)
def test_values_as_json_has_them(value, info, shown):
    assert plain(value, info) == shown
