"""Many values at once: always what each of them alone would give."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoopcli.masking.detectors import LONGEST_LINE
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.masking.methods import STRICTNESS, mask, masked_by
from hoopcli.model.decision import Mask, Method
from tests.masking.texts import PARTS, TEXTS

NAMES = tuple(detector.name for detector in DETECTORS)
METHODS = st.builds(Method, st.sampled_from(STRICTNESS), st.integers(min_value=-1, max_value=20))
BATCHES = st.lists(st.one_of(TEXTS, st.sampled_from(PARTS), TEXTS.map(lambda text: text + "\n" + text)), max_size=8)
#: What tries to reach over the end of a value, or to be taken for another's beginning.
PIECES = st.text(st.sampled_from("a1@._%+'-[]\n\0é\u0661"), max_size=12)
LOCALS = st.sampled_from(("ann", "a" * 63, "a" * 64, "a" * 65, ""))
DOMAINS = st.sampled_from(
    ("example.com", "b" * 62 + ".de", "b" * 64 + ".de", "a.b.c.d.e.f.g.h.i.com", "a_b.cc", "-a.cc", "x.c1", "")
)
ADDRESSES = st.lists(st.builds("{}{}@{}{}".format, PIECES, LOCALS, PIECES, DOMAINS), max_size=6)


def masking(*names: str, method: Method | None = None) -> Masking:
    return Masking([Mask("m", detectors=names or NAMES, method=method or Method("redact"))], b"key")


def check(it: Masking, values: list[str]) -> None:
    each = [it.detect(value) for value in values]
    masked, counts = it.detect_all(values)
    assert list(masked) == [value for value, _ in each]
    total = Counter[str]()
    for _, found in each:
        total.update(found)
    assert counts == dict(total)
    for before, after, (_, found) in zip(values, masked, each, strict=True):
        assert found or after is before


@settings(max_examples=200)
@given(BATCHES, METHODS)
@example(["ssn:", "123456789"], Method("redact"))
@example(["password=", "x"], Method("redact"))
@example(["4111 1111", "1111 1111"], Method("redact"))
@example(["ann@exa", "mple.com", "@example.com"], Method("redact"))
@example(["-----BEGIN PRIVATE KEY-----", "ann@example.com", "-----END PRIVATE KEY-----"], Method("redact"))
@example([], Method("redact"))
def test_every_detector(values: list[str], method: Method) -> None:
    check(masking(method=method), values)


@settings(max_examples=200)
@given(st.one_of(ADDRESSES, BATCHES), METHODS, st.sampled_from([("email",), ("email", "credit_card"), NAMES]))
@example(["a@" + "b" * 60 + ".cc" + ".dd" * 70], Method("redact"), ("email",))
@example(["a@b.com" + "x" * 70 + "@c.de"], Method("redact"), ("email",))
@example(["x" * 249 + "@b.de"], Method("redact"), ("email",))
def test_addresses(values: list[str], method: Method, names: tuple[str, ...]) -> None:
    check(masking(*names, method=method), values)


def test_the_longest_line_and_the_next() -> None:
    for length in (LONGEST_LINE, LONGEST_LINE + 1, LONGEST_LINE + 2):
        domain = ("b" * 59 + ".") * 5
        value = "a" * 8 + "@" + domain[: length - 12] + ".cc"
        check(masking("email"), [value, "ann@example.com"])


def test_masks_of_their_own_are_counted_apart() -> None:
    cards = Mask("cards", detectors=("credit_card",), method=Method("keep_last", 4))
    mails = Mask("mails", detectors=("email",), method=Method("null"))
    it = Masking([cards, mails], b"key")
    values = ["4111111111111111", "ann@example.com", "ann@example.com 4111111111111111", "é ann@example.com", "none"]
    check(it, values)
    assert it.detect_all(values)[1] == {"cards": 2, "mails": 3}
    assert it.detect_all(values)[0][-1] is values[-1]


@settings(max_examples=200)
@given(
    METHODS,
    st.one_of(TEXTS, st.sampled_from(["[redacted]", "****1234", "1234****", ""])),
    st.none() | st.integers(0, 30),
)
def test_a_method_prepared_gives_the_same(method: Method, value: str, width: int | None) -> None:
    assert masked_by(method, width, b"key")(value) == mask(method, value, width, b"key")


@pytest.mark.parametrize("width", [None, 3, 80])
def test_applied_to_all(width: int | None) -> None:
    it = masking()
    rule = Mask("c", fields=("*",), method=Method("keep_last", 4))
    values = ["", "1", "12345678", "****5678", "Ærøskøbing", "[redacted]", "x" * 99]
    assert it.apply_all(rule, values, width) == [it.apply(rule, value, width) for value in values]
