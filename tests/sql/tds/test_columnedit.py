"""Whole columns of texts: the same as their cells one by one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sql.tds.celledit import detect_in_cells, mask_cells
from connectors.sql.tds.collation import DOUBLE_BYTE, LATIN1, Collation
from connectors.sql.tds.columnedit import decoded
from connectors.sql.tds.types import TypeId, TypeInfo
from connectors.sql.tds.values import decode_text, encode_text
from hoopcli.errors import ProtocolError
from tests.sql.tds.masks_support import FakePlan, Stars

UTF8 = Collation((0x0409 | 1 << 26).to_bytes(4, "little") + b"\x00")
JAPANESE = Collation(b"\x11\x04\xd0\x00\x00")
TYPES = [
    TypeInfo(TypeId.NVARCHAR, 60, collation=LATIN1),
    TypeInfo(TypeId.BIGVARCHAR, 30, collation=LATIN1),
    TypeInfo(TypeId.BIGVARCHAR, 30, collation=UTF8),
    TypeInfo(TypeId.BIGVARCHAR, 30, collation=JAPANESE),
]
TEXTS = st.one_of(
    st.sampled_from(["SECRET0042", "a SECRET0042 b", "SECRETARY", "", "\n", "SECRET\n0042", "é", "\ud800", "Æ\nø"]),
    st.text(max_size=8),
)
NULL, ABSENT = b"\xff\xff", b""


def cell(text: str, info: TypeInfo) -> bytes:
    raw = encode_text(text, info.codec or "")[: info.size]
    return len(raw).to_bytes(2, "little") + raw


@settings(max_examples=200)
@given(
    st.sampled_from(TYPES), st.lists(st.none() | st.just(ABSENT) | TEXTS | st.binary(max_size=6), max_size=8), st.data()
)
def test_as_one_by_one(info: TypeInfo, values: list[str | bytes | None], data: st.DataObject) -> None:
    cells = [NULL if v is None else ABSENT if v == ABSENT else cell(v, info) if isinstance(v, str) else
             (len(v) & ~1).to_bytes(2, "little") + v[: len(v) & ~1] for v in values]  # fmt: skip
    form = data.draw(
        st.sampled_from(["unset", None, "much too long for any of these columns, really", "short", "\u2588"])
    )
    for make in (
        lambda tally: mask_cells(info, Stars("m", keep=2, form=form), tally),
        lambda tally: detect_in_cells(info, FakePlan(detects=True), tally, lambda: None),
    ):
        one, many = {}, {}
        edit, treatment = make(one).edit, make(many)
        assert treatment.column is not None
        assert treatment.many(list(cells)) == [edit(c) if c else c for c in cells]
        assert {k: n for k, n in many.items() if n} == one


@pytest.mark.parametrize("raws", [[b"a"], [b"a", b"b"], [b"a\0", b"b", b"\n\0c"], [b"\n", b"x", b"a\0"]])
def test_odd_bytes_are_never_read_across_cells(raws: list[bytes]) -> None:
    with pytest.raises(ProtocolError):
        decoded(raws, "utf-16-le")


@settings(max_examples=200)
@given(
    st.lists(st.binary(max_size=8), min_size=1, max_size=6),
    st.sampled_from(["cp1252", "cp437", "utf-8", *sorted(DOUBLE_BYTE)]),
)
def test_any_bytes_are_decoded_as_alone(raws: list[bytes], codec: str) -> None:
    assert decoded(raws, codec) == [decode_text(raw, codec) for raw in raws]


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=8).map(lambda b: b[: len(b) & ~1]), min_size=1, max_size=6))
def test_any_utf_16_is_decoded_as_alone(raws: list[bytes]) -> None:
    assert decoded(raws, "utf-16-le") == [decode_text(raw, "utf-16-le") for raw in raws]
