from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sql.tds.buffer import Reader
from connectors.sql.tds.cells import read_cell
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.rowscan import WHOLE, row_gatherer, row_scanner
from connectors.sql.tds.tokenstream import write_nbcrow, write_row
from connectors.sql.tds.types import MAX, TypeId, TypeInfo
from tests.sql.tds.value_support import typed_values

T = TypeId
MANY = 1 << 60


@st.composite
def results(draw):
    """Types, and some encoded rows of them, ROW and NBCROW mixed."""
    pairs = draw(st.lists(typed_values(), min_size=1, max_size=10))
    columns = [Column("c", info) for info, _ in pairs]
    values = [value for _, value in pairs]
    writers = draw(st.lists(st.sampled_from((write_row, write_nbcrow)), min_size=1, max_size=4))
    return [info for info, _ in pairs], [write(columns, values) for write in writers]


@settings(max_examples=50)
@given(results())
def test_whole_rows_are_found(result):
    types, rows = result
    data = b"".join(rows)
    assert row_scanner(types)(data, 0, MANY) == (len(data), len(rows))
    assert row_scanner(types)(data + b"\xfd", 0, MANY) == (len(data), len(rows))
    assert row_scanner(types)(data, 0, 1) == (len(rows[0]), 1)
    assert row_scanner(types)(b"xx" + data, 2, MANY) == (len(data) + 2, len(rows))


@settings(max_examples=50)
@given(results(), st.data())
def test_a_cut_row_is_left(result, data):
    types, rows = result
    whole = b"".join(rows)
    cut = data.draw(st.integers(0, len(whole) - 1))
    ends = [sum(map(len, rows[:i])) for i in range(len(rows))]
    count = max(i for i, end in enumerate(ends) if end <= cut)
    assert row_scanner(types)(whole[:cut], 0, MANY) == (ends[count], count)


@settings(max_examples=50)
@given(results(), st.data())
def test_gathering(result, data):
    types, rows = result
    whole = b"".join(rows)
    cut = data.draw(st.integers(0, len(whole)))
    limit = data.draw(st.sampled_from((MANY, 0, 1, 2)))
    columns = data.draw(st.sets(st.integers(0, len(types) - 1), min_size=1))
    between, cells = [], {i: [] for i in sorted(columns)}
    end, count = row_gatherer(types, frozenset(columns))(b"xx" + whole[:cut], 2, limit, between, *cells.values())
    assert (end - 2, count) == row_scanner(types)(whole[:cut], 0, limit)
    assert {len(column) for column in cells.values()} == {count}
    assert len(between) == count * len(columns) + 1
    again = [piece for row in zip(*cells.values(), strict=True) for piece in row]
    pieces = [piece for pair in zip(between, [*again, b""], strict=True) for piece in pair]
    assert b"".join(pieces) == whole[: end - 2]


@settings(max_examples=50)
@given(results(), st.data())
def test_cells_are_gathered_whole(result, data):
    types, rows = result
    column = data.draw(st.integers(0, len(types) - 1))
    between, cells = [], []
    row_gatherer(types, frozenset({column}))(b"".join(rows), 0, MANY, between, cells)
    for cell in filter(None, cells):
        reader = Reader(cell)
        read_cell(reader, types[column])
        assert reader.position == len(cell)


@settings(max_examples=50)
@given(results(), st.data())
def test_noise_never_raises(result, data):
    types, rows = result
    noisy = bytearray(b"".join(rows))
    noisy[data.draw(st.integers(0, len(noisy) - 1))] = data.draw(st.integers(0, 255))
    end, count = row_scanner(types)(bytes(noisy), 0, MANY)
    assert 0 <= end <= len(noisy)
    assert count >= 0


@pytest.mark.parametrize(
    ("info", "cell"),
    [
        (TypeInfo(T.INTN, 4), b"\x02\x00\x00"),
        (TypeInfo(T.NVARCHAR, 8), b"\x0a\x00" + b"x" * 10),
        (TypeInfo(T.NVARCHAR, 8), b"\x08\x01" + b"x" * 300),
        (TypeInfo(T.NVARCHAR, 8), b"\x00\xff" + b"x" * 70_000),
        (TypeInfo(T.NVARCHAR, 800), b"\x22\x03" + b"x" * 802),
        (TypeInfo(T.SSVARIANT, 8009), (9000).to_bytes(4, "little") + b"x" * 9000),
        (TypeInfo(T.NVARCHAR, MAX), (5).to_bytes(8, "little") + b"\x04\x00\x00\x00abcd" + b"\x00" * 4),
        (TypeInfo(T.NTEXT, 8), b"\x01p" + b"t" * 8 + (WHOLE + 1).to_bytes(4, "little") + b"x" * (WHOLE + 1)),
        (
            TypeInfo(T.BIGVARBINARY, MAX),
            b"\xfe" + b"\xff" * 7 + (WHOLE + 1).to_bytes(4, "little") + b"x" * (WHOLE + 1) + b"\x00" * 4,
        ),
    ],
)
def test_left_to_the_careful_path(info, cell):
    last = TypeInfo(T.INT1, 1)
    assert row_scanner([info, last])(b"\xd1" + cell + b"\x00", 0, MANY) == (0, 0)


def test_any_text_of_exactly_the_declared_size():
    for size in (254, 256, 8000):
        info = TypeInfo(T.BIGVARCHAR, size, collation=LATIN1)
        row = write_row([Column("c", info)], ["x" * size])
        assert row_scanner([info])(row, 0, MANY) == (len(row), 1)
