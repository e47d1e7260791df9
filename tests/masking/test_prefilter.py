"""The prefilter never says no where a detector finds something, whatever surrounds the text."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hoopcli.masking.detectors import Detector
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.model.decision import Mask
from tests.masking.texts import TEXTS, disguise

ALL = Masking([Mask("m", detectors=tuple(each.name for each in DETECTORS))], b"key")
CARD = next(each for each in DETECTORS if each.name == "credit_card")
USUAL = Masking([Mask("m", detectors=("credit_card", "email", "us_ssn", "azure_key", "jwt", "private_key"))], b"key")
NOISE = st.binary(max_size=5)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from(DETECTORS), NOISE, NOISE)
@example(disguise("4111 1111 1111 1111", [4]), CARD, b"", b"")
@example("4111\u00a01111\u00a01111\u00ad1111", CARD, b"\xff", b"9")
@example("411111111111111\uff11", CARD, b"", b"")
@example("\uff14111111111111111", CARD, b"", b"0")
@example("\uff11 \uff12 \uff13\uff14 4111 1111 1111 111\uff11", CARD, b"", b"0")
def test_it_never_misses(text: str, detector: Detector, before: bytes, after: bytes) -> None:
    masking = Masking([Mask("m", detectors=(detector.name,))], b"key")
    if not masking.detect(text)[1]:
        return
    assert masking.suspect(before + text.encode("utf-16-le", "surrogatepass") + after)
    assert masking.suspect(before + text.encode("utf-8", "surrogatepass") + after)
    narrow = text.encode("cp1252", "ignore")
    if masking.detect(narrow.decode("cp1252"))[1]:
        assert masking.suspect(memoryview(before + narrow + after))


@pytest.mark.parametrize(
    "text",
    [
        "Amsterdam",
        "2026-01-05 10:11:12",
        "SKU-00012345",
        "12345.67 EUR",
        "Müller & Söhne",
        "Привет, 12",
        "a = b",
        "@ 5",
    ],
)
def test_it_passes_what_is_ordinary(text: str) -> None:
    cell = text.encode("utf-16-le")
    row = b"\xd1\x04\x01\x00\x00\x00" + len(cell).to_bytes(2, "little") + cell
    assert not USUAL.suspect(row * 20)


def test_what_has_no_detectors_suspects_nothing() -> None:
    none = Masking([Mask("m", fields=("*",))], b"key")
    assert not none.detects
    assert not none.suspect("4111 1111 1111 1111".encode("utf-16-le"))
    assert none.detect("4111 1111 1111 1111") == ("4111 1111 1111 1111", {})


def test_numbers_alone_or_words_alone() -> None:
    words = Masking([Mask("m", detectors=("jwt",))], b"key")
    email = Masking([Mask("m", detectors=("email",))], b"key")
    assert not words.suspect("4111 1111 1111 1111".encode("utf-16-le"))
    assert not email.suspect(b"4111 1111 1111 1111")
    assert email.suspect("ж@ж.рф".encode("utf-16-le"))
    assert ALL.suspect(b"GB82 WEST 1234 5698 7654 32")
