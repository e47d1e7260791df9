"""Masked forms: what comes out of a method is known again as such."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.masking.methods import looks_masked, mask
from hoopcli.model.decision import Method

METHODS = [Method("redact"), Method("hash"), Method("null"), Method("keep_first", 3), Method("keep_last", 4)]


@given(st.sampled_from(METHODS), st.text(min_size=1), st.none() | st.integers(1, 40))
def test_every_masked_form_is_known_again(method: Method, value: str, width: int | None) -> None:
    form = mask(method, value, width, b"k" * 32)
    assert form is None or looks_masked(form)


@pytest.mark.parametrize(
    "value", ["", "078-05-1120", "redacted", "h:xyz", "h:0123", "a*b", "Oslo", "h:0123456789abcdef0"]
)
def test_values_are_not_taken_for_masked_forms(value: str) -> None:
    assert not looks_masked(value)
