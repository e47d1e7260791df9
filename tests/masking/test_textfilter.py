"""The prefilter for text never says no where a detector finds something, and says it where the other one does."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hoopcli.masking.detectors import Detector
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.model.decision import Mask
from tests.masking.texts import TEXTS

ALL = Masking([Mask("m", detectors=tuple(each.name for each in DETECTORS))], b"key")
FOUND = [
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30",
    "-----BEGIN PRIVATE KEY-----",
    "xoxb-123456789012",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "secretAccessKey: abcdefghijklmnop1234",
    "secret_access_key=abcdefghijklmnop1234",
    "&sig=abcdefghijklmnop1234",
    "github_pat_abcdefghij0123456789AB",
    "ghs_abcdefghij0123456789AB",
    "Password: x",
    "passphrase='x'",
    "PWD=x",
    'api-key="x"',
    "SSN: 219099999",
    "social security number 219099999",
    "219-09-9999",
    "4111 1111 1111 1111",
    "4-1-1-1-1-1-1-1-1-1-1-1-1-1-1-1",
    "NL91ABNA0417164300",
    "AB 12 34 56 C",
    "111222333",
    "111-222-333",
    "86095742719",
    "255081416802538",
    "ann@example.com",
]


@settings(max_examples=200, deadline=None)
@given(st.one_of(TEXTS, st.sampled_from(FOUND)), st.sampled_from(DETECTORS), st.text(max_size=3), st.text(max_size=3))
def test_it_never_misses(text: str, detector: Detector, before: str, after: str) -> None:
    masking = Masking([Mask("m", detectors=(detector.name,))], b"key")
    if masking.detect(text)[1]:
        assert masking.suspect_text((before + text + after).encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("text", FOUND)
def test_each_is_suspected_among_others(text: str) -> None:
    assert ALL.detect(text)[1]
    assert ALL.suspect_text(b"id,name\n1," + text.encode() + b",2\n")
    assert ALL.suspect_text(("é" + text).encode())
    assert ALL.suspect_text(("\0" + text).encode())


@settings(max_examples=200, deadline=None)
@given(st.one_of(TEXTS, st.text(st.sampled_from("0189 -aAbd@.=:_\n"))))
def test_it_says_no_where_the_other_does(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    assert ALL.suspect(data) or not ALL.suspect_text(data)


def test_it_passes_what_is_ordinary() -> None:
    row = b'7,Person 7,Main Street 12,2024-01-02 12:30:07,33.20,http://x.example/a?b=1,"note: about it",DE\n'
    assert not ALL.suspect_text(row * 50)


def test_without_detectors_nothing_is_suspected() -> None:
    assert not Masking([Mask("m", columns=("x",))], b"key").suspect_text(b"4111111111111111")
