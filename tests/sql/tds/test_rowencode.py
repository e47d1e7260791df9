from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sql.tds.cells import NULLS
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.rowencode import encode_rows
from connectors.sql.tds.temporal import DateTime2
from connectors.sql.tds.tokenstream import write_row
from connectors.sql.tds.types import TypeId, TypeInfo, scaled
from hoopcli.errors import ProtocolError
from tests.sql.tds.value_support import ALL, NULLABLE, typed_values

T = TypeId
MOMENT = datetime(2024, 2, 29, 23, 59, 59, 999_999)  # noqa: DTZ001 - SQL's datetime2 has no zone


@pytest.mark.parametrize(("info", "values"), ALL, ids=lambda part: getattr(part, "name", ""))
@settings(max_examples=5)
@given(data=st.data())
def test_every_type(info, values, data):
    columns, row = [Column("c", info)], (data.draw(values),)
    assert encode_rows(columns, [row]) == write_row(columns, row)


@given(st.lists(typed_values(), min_size=1, max_size=8), st.integers(0, 3))
def test_the_same_as_one_value_at_a_time(pairs, count):
    columns = [Column("c", info) for info, _ in pairs]
    values = tuple(value for _, value in pairs)
    assert encode_rows(columns, [values] * count) == write_row(columns, values) * count


@pytest.mark.parametrize("info", [info for info, _ in NULLABLE], ids=lambda info: info.name)
def test_null(info):
    assert encode_rows([Column("c", info)], [(None,)]) == b"\xd1" + NULLS.get(info.layout, b"")


@pytest.mark.parametrize("scale", range(8))
def test_python_datetimes(scale):
    columns = [Column("c", scaled(T.DATETIME2N, scale))]
    assert encode_rows(columns, [(MOMENT,)]) == write_row(columns, (DateTime2.of(MOMENT),))


@pytest.mark.parametrize(
    ("info", "value"),
    [
        (TypeInfo(T.INTN, 4), 1 << 31),
        (TypeInfo(T.INTN, 4), "x"),
        (TypeInfo(T.NVARCHAR, 4, collation=LATIN1), "abc"),
        (TypeInfo(T.NVARCHAR, 4, collation=LATIN1), 7),
        (TypeInfo(T.BIGVARCHAR, 4, collation=LATIN1), 7),
        (TypeInfo(T.DECIMALN, 5, 4, 2), Decimal(100)),
        (TypeInfo(T.DECIMALN, 5, 4, 2), Decimal("Infinity")),
        (TypeInfo(T.DECIMALN, 5, 4, 2), Decimal("NaN")),
        (TypeInfo(T.DECIMALN, 5, 4, 2), "x"),
        (scaled(T.DATETIME2N, 7), "x"),
        (TypeInfo(T.INT4, 4), None),
    ],
)
def test_what_does_not_fit(info, value):
    with pytest.raises(ProtocolError):
        encode_rows([Column("c", info)], [(value,)])


def test_a_short_row():
    with pytest.raises(ProtocolError):
        encode_rows([Column("a", TypeInfo(T.INTN, 4)), Column("b", TypeInfo(T.INTN, 4))], [(1, 2), (1,)])
