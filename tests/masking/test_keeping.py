"""Masked forms of exactly the length of the value."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.model.decision import Mask, Method
from tests.masking.texts import TEXTS

METHODS = [Method(), Method("hash"), Method("keep_last", 4), Method("null"), Method("keep_first", 2)]
EVERYTHING = Masking(
    [Mask(each.name, detectors=(each.name,), method=METHODS[n % 5]) for n, each in enumerate(DETECTORS)], b"key"
)
VALUES = st.text(max_size=40)


def kept(text: str, sizes: list[int]) -> str:
    stream = EVERYTHING.keeping_stream()
    pieces, at, turn = [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        pieces.append(stream.feed(text[at : at + size]))
        at, turn = at + size, turn + 1
    return "".join([*pieces, stream.flush()])


@pytest.mark.parametrize("method", METHODS)
@given(value=VALUES)
def test_a_form_takes_exactly_its_room_in_ascii(method: Method, value: str) -> None:
    room = len(value.encode("utf-8", "surrogatepass"))
    form = EVERYTHING.exact(Mask("m", method=method), value, room)
    assert len(form) == room
    assert form.isascii()


@pytest.mark.parametrize(
    ("method", "form"),
    [
        (Method(), "[redacted]*"),
        (Method("null"), "[redacted]*"),
        (Method("keep_last", 4), "*******6789"),
        (Method("keep_first", 2), "12*********"),
    ],
)
def test_forms(method: Method, form: str) -> None:
    assert EVERYTHING.exact(Mask("m", method=method), "123-45-6789", 11) == form


def test_the_same_value_has_the_same_hash_and_another_has_another() -> None:
    forms = {EVERYTHING.exact(Mask("m", method=Method("hash")), value, 30) for value in ("a" * 30, "b" * 30, "a" * 30)}
    assert len(forms) == 2


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.lists(st.integers(min_value=1, max_value=60), min_size=1))
def test_a_stream_keeps_the_length_and_agrees_at_any_cut(text: str, sizes: list[int]) -> None:
    whole = kept(text, [len(text) + 1])
    assert kept(text, sizes) == whole
    assert len(whole.encode("utf-8", "surrogatepass")) == len(text.encode("utf-8", "surrogatepass"))


@settings(max_examples=150, deadline=None)
@given(TEXTS)
@example("secret='pay 4111 1111 1111 1111'")
def test_edits_are_in_order_and_leave_nothing_to_find_twice(text: str) -> None:
    edits, counts = EVERYTHING.edits(text)
    assert set(counts) >= set(EVERYTHING.detect(text)[1])
    assert bool(edits) == bool(counts)
    at = 0
    for edit in edits:
        assert at <= edit.begin <= edit.end <= len(text)
        at = edit.end


def test_a_value_inside_another_is_counted_too() -> None:
    stream = EVERYTHING.keeping_stream()
    assert stream.feed("secret='pay 4111 1111 1111 1111'") + stream.flush() == "secret='" + "*" * 23 + "'"
    assert stream.counts == {"password_assignment": 1, "credit_card": 1}


def test_a_stream_gives_back_what_it_holds_unless_a_value_is_pending() -> None:
    stream = EVERYTHING.keeping_stream("before ")
    delivered = stream.feed("a" * 1000)
    before, rest = stream.release() or ("", "")
    assert ("before " + delivered).endswith(before)
    assert delivered + rest == "a" * 1000
    stream.feed(" -----BEGIN PRIVATE KEY-----" + "x" * 2000)
    assert stream.release() is None


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, max_size=5))
@example(["a", "ann@example.com", "4111 1111 1111 1111", "é ann@example.com", ""])
def test_many_values_at_once_are_as_one_by_one(values: list[str]) -> None:
    one_by_one = [(place, *EVERYTHING.edits(value)) for place, value in enumerate(values)]
    assert list(EVERYTHING.edits_all(values)) == [each for each in one_by_one if each[1]]
