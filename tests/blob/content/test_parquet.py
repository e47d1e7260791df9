from __future__ import annotations

import datetime as dt
import decimal
import io
from collections import Counter
from typing import Any

import pytest

from connectors.blob.content.base import Unreadable
from connectors.blob.content.parquet import ParquetMasker
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Method
from tests.blob.content.pieces import by_columns, by_detectors, masking

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

MASKS = masking(by_columns("ssn", "$.items.card", "$.deep..pin"), by_detectors())
CARD = 4111111111111111


def masked(table: Any, masks: Masking = MASKS, **options: Any) -> tuple[Any, Counter[str], bytes]:
    source, sink = io.BytesIO(), io.BytesIO()
    pq.write_table(table, source, **options)
    masker = ParquetMasker(masks)
    for _ in masker.run(source, sink):
        pass
    return pq.read_table(sink), masker.masked, sink.getvalue()


def column(values: Any, name: str = "x", masks: Masking = MASKS) -> list[Any]:
    result: list[Any] = masked(pa.table({name: values}), masks)[0].column(0).to_pylist()
    return result


def test_columns_by_name_and_what_detectors_find() -> None:
    table, counts, data = masked(pa.table({"SSN": ["123-45-6789", None, ""], "mail": ["ann@example.com", "x", "y"]}))
    assert table.to_pydict() == {"SSN": ["[redacted]", None, ""], "mail": ["[redacted]", "x", "y"]}
    assert counts == {"columns": 1, "found": 1}
    assert b"123-45" not in data
    assert b"ann@" not in data


@pytest.mark.parametrize(
    "values",
    [
        [123456789, 1],
        [1.5, 2.5],
        [True, False],
        [dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2)],  # noqa: DTZ001 - a local time
        [dt.date(2024, 1, 1)] * 2,
        [b"\xff\xfe", b"x"],
        [decimal.Decimal("1.0"), decimal.Decimal("2.0")],
    ],
)
def test_what_is_no_text_becomes_null(values: list[Any]) -> None:
    assert column(values, "ssn") == [None, None]
    assert column(values, "other") == values


def test_numbers_and_bytes_are_looked_at() -> None:
    assert column([CARD, CARD + 1, None]) == [None, CARD + 1, None]
    assert column([float(CARD), 1.5, float("inf")]) == [None, 1.5, float("inf")]
    assert column(pa.array([decimal.Decimal(CARD), decimal.Decimal(1)])) == [None, decimal.Decimal(1)]
    assert column([b"ann@example.com", b"\xff ann@example.com", b"\xff"]) == [b"[redacted]", None, b"\xff"]


def test_nested_columns() -> None:
    items = pa.array([[{"card": 1, "x": "ann@example.com"}], [], None])
    assert column(items, "items") == [[{"card": None, "x": "[redacted]"}], [], None]
    deep = pa.array([{"a": {"pin": "12", "q": [True]}}, None])
    assert column(deep, "deep") == [{"a": {"pin": column(["12"], "ssn")[0], "q": [True]}}, None]
    assert column(pa.array([{"a": [1], "b": "x"}]), "ssn") == [{"a": [None], "b": column(["x"], "ssn")[0]}]
    maps = pa.array([[("ssn", "1234"), ("ann@example.com", "b")], None], pa.map_(pa.string(), pa.string()))
    assert column(maps) == [[("ssn", column(["1234"], "ssn")[0]), ("[redacted]", "b")], None]


def test_a_nested_value_that_could_not_be_null() -> None:
    kind = pa.struct([pa.field("ssn", pa.int64(), nullable=False)])
    table = pa.table([pa.array([{"ssn": 1}], kind)], schema=pa.schema([pa.field("s", kind, nullable=False)]))
    assert masked(table)[0].to_pydict() == {"s": [{"ssn": None}]}


def test_keys_of_maps_that_cannot_be_masked() -> None:
    with pytest.raises(Unreadable, match="map"):
        column(pa.array([[(1, "a")]], pa.map_(pa.int64(), pa.string())), "ssn")
    assert column(pa.array([[(1, "a")]], pa.map_(pa.int64(), pa.string()))) == [[(1, "a")]]


def test_dictionaries_and_large_types() -> None:
    assert column(pa.array(["ann@example.com", "b", None]).dictionary_encode()) == ["[redacted]", "b", None]
    assert column(pa.array(["ann@example.com"], pa.large_string())) == ["[redacted]"]
    assert column(pa.array([["ann@example.com"]], pa.large_list(pa.string()))) == [["[redacted]"]]


def test_an_extension_is_what_it_holds() -> None:
    assert column(pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":"ann@example.com"}']))) == [
        '{"a":"[redacted]"}'
    ]


def test_a_method_and_none() -> None:
    keep = masking(by_columns("ssn", method=Method("keep_last", 4)))
    assert column(["123-45-6789"], "ssn", keep) == ["*******6789"]
    assert column(["123-45-6789"], "ssn", masking(by_columns("ssn", method=Method("null")))) == [None]
    assert column(["ann@example.com"], "x", keep) == ["ann@example.com"]


def test_notes_and_names_and_statistics() -> None:
    table = pa.table({"ann@example.com": ["a"], "ssn": ["987-65-4321"]}, metadata={"note": "by bob@example.com"})
    result, _, data = masked(table, write_statistics=True, write_page_index=True)
    assert result.schema.names == ["[redacted]", "ssn"]
    assert result.schema.metadata == {b"note": b"by [redacted]"}
    assert not [secret for secret in (b"987-65", b"ann@", b"bob@") if secret in data]


def test_many_rows_pause_between_batches() -> None:
    source, sink = io.BytesIO(), io.BytesIO()
    pq.write_table(pa.table({"ssn": [str(n) for n in range(100_000)], "n": list(range(100_000))}), source)
    masker = ParquetMasker(MASKS)
    assert len(list(masker.run(source, sink))) > 2
    result = pq.read_table(sink)
    assert result.column("n").to_pylist() == list(range(100_000))
    assert masker.masked == {"columns": 100_000}


@pytest.mark.parametrize("cut", [0, 4, 50, -1])
def test_what_is_no_parquet_is_refused(cut: int) -> None:
    source = io.BytesIO()
    pq.write_table(pa.table({"a": ["x"] * 100}), source)
    with pytest.raises(Unreadable):
        list(ParquetMasker(MASKS).run(io.BytesIO(source.getvalue()[:cut]), io.BytesIO()))


def test_a_row_group_beyond_measure_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.blob.content.parquet._LARGEST_GROUP", 10)
    with pytest.raises(Unreadable, match="too large"):
        column(["x"] * 100)
