"""A stream of any pieces is masked as the whole is."""

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
NUMBERS = Masking(
    [Mask("n", detectors=("us_ssn", "credit_card", "iban", "uk_nino", "nl_bsn"), method=Method("keep_last", 4))], b"key"
)
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "x" * 3000 + "\n-----END RSA PRIVATE KEY----- after"


def streamed(masking: Masking, text: str, sizes: list[int]) -> tuple[str, dict[str, int]]:
    stream = masking.stream()
    pieces, at, turn = [], 0, 0
    while at < len(text):
        size = max(1, sizes[turn % len(sizes)])
        pieces.append(stream.feed(text[at : at + size]))
        at, turn = at + size, turn + 1
        assert len(stream._text) < 4000 + size
    pieces.append(stream.flush())
    return "".join(pieces), stream.counts


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.lists(st.integers(min_value=0, max_value=60), min_size=1), st.sampled_from([EVERYTHING, NUMBERS]))
@example("4111 1111 1111 1111eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9" + "E" * 700, [1], EVERYTHING)
@example("eyJhbGciOiJIUzI1NiIsInR5@example.com" * 40, [7], EVERYTHING)
def test_any_cut_gives_what_the_whole_gives(text: str, sizes: list[int], masking: Masking) -> None:
    whole, counts = masking.detect(text)
    assert len(whole) <= len(text)
    assert streamed(masking, text, sizes) == (whole, counts)


@pytest.mark.parametrize("size", [1, 63, 64, 65, 1000, 10_000])
def test_a_private_key_is_masked_from_begin_to_end(size: int) -> None:
    assert streamed(EVERYTHING, PEM, [size]) == ("********** after", {"private_key": 1})


def test_a_private_key_without_an_end_masks_all_that_follows() -> None:
    stream = EVERYTHING.stream()
    out = stream.feed("k -----BEGIN PRIVATE KEY-----") + "".join(stream.feed("MIIE" * 1000) for _ in range(50))
    assert len(stream._text) < 8000
    assert out + stream.flush() == "k **********"


def test_a_stream_without_detectors_holds_nothing_back() -> None:
    stream = Masking([Mask("m", fields=("*",))], b"key").stream()
    assert stream.feed("4111 1111 1111 1111") == "4111 1111 1111 1111"
    assert stream.flush() == ""


def test_a_run_of_invisible_characters_is_not_held_back() -> None:
    stream = EVERYTHING.stream()
    for _ in range(50):
        stream.feed("1" + "\u200b" * 1000)
        assert len(stream._text) < 5000


def test_overlapping_values_are_redacted_whatever_the_method() -> None:
    both = Masking(
        [
            Mask("card", detectors=("credit_card",), method=Method("keep_last", 4)),
            Mask("pass", detectors=("password_assignment",)),
        ],
        b"key",
    )
    masked, counts = both.detect("password=4111 1111 1111 1111")
    assert masked == "password=****[redacted]"
    assert counts == {"pass": 1, "card": 1}


def test_the_strictest_mask_of_a_detector_counts() -> None:
    masking = Masking(
        [
            Mask("lax", detectors=("email",), method=Method("keep_first", 2)),
            Mask("strict", detectors=("email",), method=Method("redact")),
        ],
        b"key",
    )
    assert masking.detect("ann@example.com") == ("[redacted]", {"strict": 1})
