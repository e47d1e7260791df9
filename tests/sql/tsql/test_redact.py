from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tsql.redact import Span, string_literals


def test_literals_of_every_kind_in_order() -> None:
    text = "SELECT N'it''s', 42, 0xFF, \"d\", [n], @v -- 'no'\nFROM t /* '1' */"
    spans = string_literals(text)
    assert [(span.kind, span.value) for span in spans] == [
        ("string", "it's"),
        ("number", "42"),
        ("binary", "0xFF"),
        ("string", "d"),
    ]
    assert text[spans[0].start : spans[0].end] == "N'it''s'"


def test_a_text_that_cannot_be_read_is_one_literal() -> None:
    assert string_literals("SELECT 'open") == (Span(0, 12, "string", "SELECT 'open"),)
    assert string_literals("") == ()


@given(st.text(max_size=100))
def test_spans_are_in_order_and_within_the_text(text: str) -> None:
    position = 0
    for span in string_literals(text):
        assert position <= span.start < span.end <= len(text)
        position = span.end
