"""Masks of columns and of values."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoopcli.errors import UsageError
from hoopcli.masking.masker import Masking, about
from hoopcli.masking.methods import STRICTNESS
from hoopcli.model.decision import Mask, Method

SSN = Mask("ssn", fields=("*.dbo.customers.ssn",), method=Method("keep_last", 4))
ALL_SHOP = Mask("shop", fields=("shop.dbo.*",), method=Method("hash"))
SECRET = Mask("secret", labels=("Confidential*",), method=Method("null"))
METHODS = st.builds(Method, st.sampled_from(STRICTNESS), st.integers(min_value=1, max_value=20))


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a", True),
        ("*.*", "a", True),
        ("*.dbo.customers.ssn", "shop.dbo.customers.ssn", True),
        ("*.dbo.customers.ssn", "SHOP.DBO.Customers.SSN", True),
        ("*.dbo.customers.ssn", "shop.hr.customers.ssn", False),
        ("*.dbo.customers.ssn", "ssn", True),
        ("*.dbo.customers.ssn", "customers.ssn", True),
        ("*.dbo.customers.ssn", "orders.ssn", False),
        ("*.dbo.customers.ssn", "shop.dbo.customers.*", True),
        ("*.dbo.customers.ssn", "*", True),
        ("*.dbo.customers.ssn", "", True),
        ("*.dbo.customers.ssn", "shop.dbo.customers.ssn2", False),
        ("ssn", "shop.dbo.customers.ssn", True),
        ("shop.dbo.*", "shop.dbo.customers.ssn", True),
        ("shop.dbo.*", "dbo.customers.ssn", True),
        ("shop.dbo.*", "hr.dbo.people.ssn", False),
        ("shop.dbo.*", "ssn", True),
        ("*", "shop.dbo.customers.ssn", True),
        ("*.salary*", "shop.dbo.employees.salary_usd", True),
        ("*.sal*y", "shop.dbo.employees.salary.x", False),
        ("shop.dbo.[a.b].c", "shop.dbo.[a.b].c", True),
        ("shop.*.c", "shop.[a.b].c", True),
        ("a.c", "x.[a.c]", False),
    ],
)
def test_field_patterns(pattern: str, name: str, *, matches: bool) -> None:
    masking = Masking([Mask("m", fields=(pattern,))], b"key")
    assert (masking.for_field([name]) is not None) == matches


def test_any_name_or_label_of_a_column_is_enough_and_the_strictest_mask_wins() -> None:
    masking = Masking([SSN, ALL_SHOP, SECRET], b"key")
    assert masking.for_field(["hr.dbo.customers.ssn"]) == SSN
    assert masking.for_field(["hr.dbo.customers.ssn", "shop.dbo.customers.id"]) == ALL_SHOP
    assert masking.for_field(["hr.dbo.x.y"], ["CONFIDENTIAL - GDPR"]) == SECRET
    assert masking.for_field(["shop.dbo.customers.ssn"], ["Confidential"]) == SECRET
    assert masking.for_field(["hr.dbo.x.y"], ["Public"]) is None
    assert masking.for_field([]) is None
    few, many = (Mask(str(n), fields=("*",), method=Method("keep_first", n)) for n in (2, 4))
    assert Masking([many, few], b"key").for_field(["a.b"]) == few


def test_a_name_longer_than_any_real_one_still_matches() -> None:
    masking = Masking([SSN], b"key")
    assert masking.for_field(["s" * 9999 + ".dbo.customers.ssn"]) == SSN


def test_could_match_errs_on_true() -> None:
    masking = Masking([SSN], b"key")
    assert masking.could_match("shop.dbo.customers")
    assert masking.could_match("customers")
    assert masking.could_match("*")
    assert not masking.could_match("shop.dbo.orders")
    assert Masking([SECRET], b"key").could_match("shop.dbo.orders")
    assert not Masking([Mask("m", detectors=("email",))], b"key").could_match("shop.dbo.orders")


@pytest.mark.parametrize(
    ("method", "value", "width", "masked"),
    [
        (Method(), "Ann", None, "[redacted]"),
        (Method(), "Ann", 10, "[redacted]"),
        (Method(), "Ann", 9, "***"),
        (Method(), "Ann", 2, "*"),
        (Method(), "Ann", 0, None),
        (Method(), "*", 1, "#"),
        (Method(), "[redacted]", 10, "***"),
        (Method("null"), "Ann", None, None),
        (Method("keep_last", 4), "123-45-6789", None, "*******6789"),
        (Method("keep_last", 4), "123-45-6789", 6, "**6789"),
        (Method("keep_last", 4), "123-45-6789", 4, "***"),
        (Method("keep_last", 4), "1234567", None, "[redacted]"),
        (Method("keep_last", 4), "12345678", None, "****5678"),
        (Method("keep_last", 4), "****5678", None, "[redacted]"),
        (Method("keep_first", 2), "Ørjan Å", None, "*r*****"),
        (Method("keep_first", 2), "a" * 5000, None, "aa************"),
        (Method("keep_last", 0), "12345678", None, "[redacted]"),
        (Method("hash"), "Ann", 9, "***"),
        (Method("hash"), "Ann", 10, "h:0d8f3a3b"),
        (Method("hash"), "", None, ""),
        (Method("null"), "", None, ""),
    ],
)
def test_masked_forms(method: Method, value: str, width: int | None, masked: str | None) -> None:
    result = Masking([], b"key").apply(Mask("m", method=method), value, width)
    if masked is not None and masked.startswith("h:"):
        assert result is not None
        assert len(result) == len(masked)
        assert result.startswith("h:")
    else:
        assert result == masked


@settings(max_examples=200)
@given(METHODS, st.text(), st.none() | st.integers(min_value=0, max_value=40))
def test_a_masked_form_fits_is_ascii_and_is_never_the_value(method: Method, value: str, width: int | None) -> None:
    masked = Masking([], b"key").apply(Mask("m", method=method), value, width)
    if value == "":
        assert masked == ""
    elif masked is not None:
        assert masked.isascii()
        assert masked != value
        assert width is None or len(masked) <= width
        if method.name == "keep_last" and masked.startswith("*") and not masked.endswith("*"):
            assert method.count <= len(value) // 2


def test_a_hash_is_keyed_and_the_same_for_the_same_value() -> None:
    mask = Mask("m", method=Method("hash"))
    one, other = Masking([], b"one"), Masking([], b"other")
    assert one.apply(mask, "Ann") == one.apply(mask, "Ann")
    assert one.apply(mask, "Ann") != other.apply(mask, "Ann")
    assert one.apply(mask, "Ann") != one.apply(mask, "ann")
    assert one.apply(mask, "\ud800") is not None


def test_an_unknown_detector_is_refused() -> None:
    with pytest.raises(UsageError):
        Masking([Mask("m", detectors=("emial",))], b"key")


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_detect_never_raises_nor_lengthens(text: str) -> None:
    masking = Masking([Mask("m", detectors=("email", "credit_card", "password_assignment"))], b"key")
    masked, counts = masking.detect(text)
    assert len(masked) <= len(text)
    assert (masked == text) or counts


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("shop.dbo.customers.ssn", True),
        ("SHOP.dbo.customers.SSN", True),
        ("ssn", True),
        ("*", True),
        ("shop.dbo.customers.*", True),
        ("shop.dbo.customers.name", False),
        ("hr.dbo.people.ssn", False),
    ],
)
def test_a_column_is_masked_wherever_the_mask_is_about(name: str, masked: bool) -> None:
    mask = Mask("ssn", columns=("ssn", "$.customer.ssn"), resources=("shop.dbo.*",))
    masking = Masking([mask], b"k")
    assert (masking.for_field([name]) is not None) == masked
    assert masking.could_match("shop.dbo.customers")
    assert not masking.could_match("hr.dbo.people")
    assert masking.by_column == (mask,)


def test_masks_about_a_resource() -> None:
    everywhere, invoices = Mask("a", detectors=("email",)), Mask("b", columns=("x",), resources=("acme/invoices/*",))
    assert about([everywhere, invoices], "acme/invoices/2024-05.csv") == (everywhere, invoices)
    assert about([everywhere, invoices], "acme/public/a.csv") == (everywhere,)
