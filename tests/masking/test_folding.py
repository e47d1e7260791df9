"""Look-alikes of digits, dashes and spaces."""

from __future__ import annotations

import sys
import unicodedata

from hoopcli.masking.folding import ZEROS, fold, plain


def test_every_decimal_digit_of_unicode_folds() -> None:
    known = {zero + value for zero in ZEROS for value in range(10)}
    digits = [place for place in range(128, sys.maxunicode + 1) if unicodedata.category(chr(place)) == "Nd"]
    assert set(digits) <= known
    assert all(fold(chr(place)).text == str(unicodedata.decimal(chr(place))) for place in digits)


def test_places_lead_back_to_the_text() -> None:
    folded = fold("é 1\u200b\u00ad2\u200b")
    assert folded.text == "é 12\u200b"
    assert [folded.at(place) for place in range(6)] == [0, 1, 2, 5, 6, 7]
    assert [folded.end(place) for place in range(5)] == [0, 1, 2, 3, 6]
    assert [folded.find(place) for place in (0, 3, 5, 6)] == [0, 3, 3, 4]


def test_invisible_characters_stay_where_no_digit_follows_or_too_many_are() -> None:
    for text in ("a\u200bb", "1\u200b", "\u200b1", "1\u200b\u200b\u200b\u200b\u200b1", "plain"):
        assert fold(text).text == text
    assert plain("\uff11").text == "\uff11"
    assert fold("😀\uff11").text == "😀1"
