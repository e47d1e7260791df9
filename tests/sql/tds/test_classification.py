"""DATACLASSIFICATION in the filter of responses: heard, told as asked for, and refused where it makes no sense."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sql.render import render
from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.features import (
    Feature,
    FeatureId,
    decode_classification,
    decode_classification_ack,
    encode_classification,
    encode_classification_ack,
)
from connectors.sql.tds.response import Classification, ResponseFilter
from connectors.sql.tds.tokens import BrowseColumn, ColInfo, Done, DoneStatus, Order, ServerMessage, TabName
from connectors.sql.tds.tokens_login import DataClassification, Labels, Sensitivity
from connectors.sql.tds.tokenstream import ColMetadata, Row, Token, read_tokens, write_nbcrow, write_row
from connectors.sql.tds.types import TypeId, TypeInfo
from hoopcli.errors import ProtocolError
from tests.sql.tds.masks_support import FakePlan, Stars

ID = Column("id", TypeInfo(TypeId.INT4, 4), flags=0)
NAME = Column("name", TypeInfo(TypeId.NVARCHAR, 40, collation=LATIN1))
COLUMNS = (ID, NAME)
ROWS = [(i, f"SECRET{i:04}") for i in range(20)]
SAID = DataClassification((("Secret", "1"), ("Public", "2")), (("Name", "3"),), ((), (Sensitivity(0, 0, 20),)), 20)
HEADING = write_columns(COLUMNS)
BODY = b"".join(write_row(COLUMNS, row) for row in ROWS)
DONE = Done(DoneStatus.COUNT, 0xC1, len(ROWS)).encode()
ORDER = Order((1,)).encode()
BROWSED = TabName((("dbo", "t"),)).encode() + ColInfo((BrowseColumn(1, 1, 0), BrowseColumn(2, 1, 0))).encode()
BOTH = Classification(2, 2)


def filtered(response: bytes, heard: int = 2, told: int = 0, cuts: list[int] | None = None) -> tuple[bytes, FakePlan]:
    plan = FakePlan({"id": Stars("i")})
    found, out = ResponseFilter(plan=plan, classification=Classification(heard, told)), b""
    for start, end in pairwise([0, *sorted(cut for cut in cuts or [] if cut < len(response)), len(response)]):
        out += b"".join(map(bytes, found.feed(response[start:end])))
    found.finish()
    return out, plan


def kinds(payload: bytes, version: int = 2) -> list[type[Token]]:
    return list(dict.fromkeys(type(token) for token in read_tokens(payload, version)))


@pytest.mark.parametrize("write", [write_row, write_nbcrow])
@pytest.mark.parametrize("between", [(b"", b""), (ORDER, b""), (b"", ORDER), (BROWSED, ORDER)])
def test_a_label_masks_from_the_first_row(write, between: tuple[bytes, bytes]) -> None:
    rows = b"".join(write(COLUMNS, row) for row in ROWS)
    out, _ = filtered(HEADING + between[0] + SAID.encode() + between[1] + rows + DONE)
    assert "SECRET".encode("utf-16-le") not in out
    assert len([token for token in read_tokens(out) if isinstance(token, Row)]) == len(ROWS)
    assert DataClassification not in kinds(out)


@pytest.mark.parametrize("heard", [1, 2])
@pytest.mark.parametrize("told", [1, 2])
def test_it_is_told_in_the_version_asked_for(heard: int, told: int) -> None:
    if told > heard:
        return  # a client is granted no more than the upstream
    said = SAID if heard == 2 else SAID.unranked()
    out, _ = filtered(HEADING + said.encode() + BODY + DONE, heard, told)
    _, token, *_ = read_tokens(out, told)
    assert token == (SAID if told == 2 else SAID.unranked())
    assert kinds(out, told) == [ColMetadata, DataClassification, Row, Done]


def test_the_order_of_what_describes_a_result_stays() -> None:
    out, _ = filtered(HEADING + BROWSED + SAID.encode() + ORDER + BODY + DONE, told=2)
    assert kinds(out) == [ColMetadata, TabName, ColInfo, DataClassification, Order, Row, Done]


def test_each_result_has_its_own() -> None:
    out, _ = filtered(HEADING + SAID.encode() + BODY + DONE + HEADING + BODY + DONE)
    names = [token.values[1] for token in read_tokens(out) if isinstance(token, Row)]
    assert set(names[: len(ROWS)]) == {"***"}
    assert names[len(ROWS) :] == [row[1] for row in ROWS]


def test_a_result_without_rows_is_told() -> None:
    out, plan = filtered(HEADING + SAID.encode() + DONE)
    assert kinds(out) == [ColMetadata, Done]
    assert len(plan.seen) == 1


@pytest.mark.parametrize(
    "response",
    [
        SAID.encode() + HEADING + BODY + DONE,
        HEADING + SAID.encode() * 2 + BODY + DONE,
        HEADING + BODY + SAID.encode() + DONE,
        HEADING + BODY + DONE + SAID.encode(),
        HEADING + ServerMessage(1, "x").encode() + SAID.encode() + BODY + DONE,
        HEADING + DataClassification((), (), ((),)).encode() + BODY + DONE,
        HEADING + DataClassification((), (), ((), (), ())).encode() + BODY + DONE,
        HEADING + DataClassification((), (), ((), (Sensitivity(0, None, 1),)), 1).encode() + BODY + DONE,
        write_columns(None) + SAID.encode() + DONE,
        HEADING,
        HEADING + SAID.encode(),
        HEADING + SAID.encode()[:-1],
    ],
)
def test_one_that_makes_no_sense_ends_it(response: bytes) -> None:
    with pytest.raises(ProtocolError):
        filtered(response)


def test_one_that_was_not_agreed_on_ends_it() -> None:
    with pytest.raises(ProtocolError, match="no response has"):
        filtered(HEADING + SAID.encode() + BODY + DONE, heard=0)


def test_one_in_another_version_ends_it_or_masks() -> None:
    for heard, said in ((1, SAID), (2, SAID.unranked())):
        with pytest.raises(ProtocolError):
            filtered(HEADING + said.encode() + BODY + DONE, heard)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 600), max_size=12), st.sampled_from([0, 1, 2]))
def test_any_cut_delivers_the_same(cuts: list[int], told: int) -> None:
    response = HEADING + BROWSED + SAID.encode() + ORDER + BODY + DONE + HEADING + BODY[:40]
    whole = HEADING + BROWSED + SAID.encode() + ORDER + BODY + DONE + HEADING + SAID.encode() + BODY + DONE
    assert filtered(whole, told=told, cuts=cuts)[0] == filtered(whole, told=told)[0]
    with pytest.raises(ProtocolError):
        filtered(response[:-1], told=told, cuts=cuts)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_noise_in_its_place_shows_nothing_or_ends_it(noise: bytes) -> None:
    found = ResponseFilter(plan=FakePlan({"id": Stars("i")}), classification=BOTH)
    try:
        found.feed(HEADING + b"\xa3" + noise)
        found.finish()
    except ProtocolError:
        return


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_round_trip_in_both_versions(data: st.DataObject) -> None:
    ranked = data.draw(st.booleans())
    names = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3)
    labels, types = tuple(data.draw(names)), tuple(data.draw(names))
    rank = st.integers(-1, 40) if ranked else st.none()
    one = st.builds(
        Sensitivity, st.sampled_from([None, *range(len(labels))]), st.sampled_from([None, *range(len(types))]), rank
    )
    columns = tuple(map(tuple, data.draw(st.lists(st.lists(one, max_size=2), max_size=3))))
    said = DataClassification(labels, types, columns, data.draw(rank))
    assert list(read_tokens(said.encode(), 2 if ranked else 1)) == [said]
    assert all(isinstance(said.said_of(at), Labels) for at in range(len(columns)))


@pytest.mark.parametrize(("data", "version"), [(b"", 0), (b"\x00", 0), (b"\x01", 1), (b"\x02", 2), (b"\xff", 2)])
def test_what_a_client_may_ask_for(data: bytes, version: int) -> None:
    assert decode_classification(Feature(FeatureId.DATACLASSIFICATION, data)) == version


def test_the_acknowledgement_round_trips() -> None:
    assert decode_classification(encode_classification()) == 2
    assert [decode_classification_ack(encode_classification_ack(version)) for version in (1, 2)] == [1, 2]
    assert decode_classification_ack(b"\x02\x00") == 0


@pytest.mark.parametrize("version", [1, 2])
def test_it_is_replayed_in_its_version(version: int) -> None:
    said = SAID if version == 2 else SAID.unranked()
    [table] = render(HEADING + said.encode() + BODY + DONE, version)
    assert len(table.rows) == len(ROWS)
