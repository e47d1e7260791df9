"""The fast path writes what the rfc8785 package writes, and only canonical bytes are read."""

from __future__ import annotations

import math

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.errors import LedgerError
from hoopcli.ledger.canonical import MAX_DEPTH, MAX_INTEGER, dumps, loads, plain
from hoopcli.model.decision import Effect

TEXT = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["\ud800", "a\udc00b", "\U0001f600", "\ue000", "\x7f\u2028\x00"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4))


@given(JSON)
def test_what_is_plain_is_written_as_rfc_8785_asks(value: object) -> None:
    prepared = plain(value)
    assert dumps(prepared) == rfc8785.dumps(prepared)
    assert loads(dumps(prepared)) == prepared
    assert plain(prepared) == prepared


@given(st.binary(max_size=40) | JSON.map(lambda v: repr(v).replace("'", '"').encode("utf-8", "replace")))
def test_garbage_raises_one_error(data: bytes) -> None:
    try:
        value = loads(data)
    except LedgerError:
        return
    assert rfc8785.dumps(value) == data


@pytest.mark.parametrize(
    "data",
    [
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":-0}',
        b'{"a":NaN}',
        b'{"a":9007199254740993}',
        b"[12345678901234567890]",
        b'"\\u00e9"',
        b'"\\/"',
        b'"\\ud800"',
        b'"\xff"',
        b"",
        b"[" * 100_000,
        '{"\U0001f600":1,"\ue000":2}'.encode()[:0] + '{"\ue000":2,"\U0001f600":1}'.encode(),
        b'["' + b"1" * 5000,
        b"[" + b"1" * 5000 + b"]",
    ],
)
def test_other_spellings_are_refused(data: bytes) -> None:
    with pytest.raises(LedgerError):
        loads(data)


def test_numbers_that_are_not_integers_survive() -> None:
    assert loads(dumps(plain({"a": 0.5, "b": 3.0, "c": 1e-7, "d": math.inf}))) == {
        "a": 0.5,
        "b": 3,
        "c": "1e-07",
        "d": "inf",
    }


def test_large_integers_become_text() -> None:
    assert plain([MAX_INTEGER, MAX_INTEGER + 1, -(10**400)]) == [MAX_INTEGER, str(MAX_INTEGER + 1), hex(-(10**400))]


def test_an_enumeration_is_its_text() -> None:
    assert type(plain(Effect.DENY)) is str


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(LedgerError, match="a bytes cannot be recorded"):
        plain({"a": b"x"})  # type: ignore[dict-item]


def test_deep_nesting_is_refused() -> None:
    value: list[object] = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(LedgerError, match="nested"):
        plain(value)  # type: ignore[arg-type]
