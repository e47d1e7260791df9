from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.streams.echo import EchoMasker, MaskedBytes
from hoopcli.masking.detectors import Detector, Gate, Hit
from hoopcli.masking.masker import DETECTORS
from hoopcli.masking.scan import StreamMasker, Watch
from hoopcli.model.decision import Mask, Method
from tests.kubectl.streams.cuts import CUTS, pieces
from tests.masking.texts import TEXTS

KEY = b"k"
WATCHES = [Watch(detector, Mask("all", detectors=(detector.name,))) for detector in DETECTORS]
# A secret for each detector: what is around it, and how many of its characters may be seen when it comes slowly.
SLOW = [
    ("credit_card", "card ", "4111 1111 1111 1111", 8),
    ("us_ssn", "no ", "123-45-6789", 6),
    ("us_ssn", "ssn: ", "123456789", 4),
    ("nl_bsn", "no ", "111222333", 4),
    ("de_steuer_id", "no ", "86095742719", 5),
    ("fr_nir", "no ", "255081416802538", 5),
    ("uk_nino", "no ", "AB123456C", 4),
    ("iban", "to ", "DE89370400440532013000", 5),
    ("email", "to ", "ann@example.com", 3),
    ("azure_key", "AccountKey=", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1", 0),
    ("azure_key", "?sig=", "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1", 0),
    (
        "azure_key",
        "key ",
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
        40,
    ),
    ("jwt", "token ", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", 2),
    ("private_key", "-----BEGIN PRIVATE KEY----", "-\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n", 0),
    ("aws_key", "id ", "AKIAIOSFODNN7EXAMPLE", 4),
    ("aws_key", "aws_secret_access_key = ", "wJalrXUtnFEMIK7MDENGbPxRfiCY", 0),
    ("github_token", "token ", "ghp_abcdefghijklmnopqrstuvwxyz0123456789", 3),
    ("slack_token", "token ", "xoxb-123456789012-abcdefghijkl", 4),
    ("password_assignment", "password=", "hunter2hunter2", 0),
    ("password_assignment", '"password": "', "correct horse battery", 0),
]


def watching(name: str, *, method: Method | None = None) -> list[Watch]:
    return [Watch(d, Mask("m", detectors=(name,), method=method or Method())) for d in DETECTORS if d.name == name]


def slowly(masker: EchoMasker, text: str) -> str:
    """What is shown of a text that comes character by character with a quiet moment after each."""
    return "".join(masker.feed(char) + masker.show() for char in text)


@given(st.lists(TEXTS, max_size=3).map("".join), CUTS)
def test_without_a_release_it_is_the_stream_masker(text: str, cuts: list[int]) -> None:
    echo, stream = EchoMasker(WATCHES, KEY), StreamMasker(WATCHES, KEY)
    places = sorted({cut % (len(text) + 1) for cut in cuts})
    parts = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    assert "".join(map(echo.feed, parts)) + echo.flush() == "".join(map(stream.feed, parts)) + stream.flush()
    assert echo.counts == stream.counts


@pytest.mark.parametrize(("name", "before", "secret", "seen"), SLOW)
@pytest.mark.parametrize("method", [Method(), Method("keep_last", 4), Method("keep_first", 4)])
@pytest.mark.parametrize("watches", ["one", "all"])
def test_a_secret_that_comes_slowly(
    name: str, before: str, secret: str, seen: int, method: Method, watches: str
) -> None:
    masker = EchoMasker(watching(name, method=method) if watches == "one" else WATCHES, KEY)
    shown = slowly(masker, "$ " + before + secret + ' "\n') + masker.flush()
    assert shown.startswith("$ " + before), "what comes before is shown"
    rest = shown.removeprefix("$ " + before)
    common = next((n for n in range(len(secret)) if rest[: n + 1] != secret[: n + 1]), len(secret))
    assert common <= seen
    assert not any(secret[at : at + 5] in rest[common:] for at in range(len(secret) - 4)), "nor any of it further on"
    assert "*" in rest or "redacted" in rest or name == "private_key", "of which nothing is left but its first line"
    assert sum(masker.counts.values()) == 1


@pytest.mark.parametrize(("name", "before", "secret", "seen"), SLOW)
def test_a_secret_that_comes_at_once_is_masked_whole_however_long_it_waits(
    name: str, before: str, secret: str, seen: int
) -> None:
    masker = EchoMasker(watching(name), KEY)
    shown = masker.feed(before + secret) + masker.show() + masker.show()
    shown += masker.feed(' "\n') + masker.show() + masker.flush()
    assert secret[:5] not in shown
    assert masker.counts == {"m": 1}


@pytest.mark.parametrize(
    "typed", ["ls -la /usr/share/doc", "kubectl get pods | grep web-7d4f", "echo $HOME; cd ..", "été"]
)
def test_what_is_typed_is_echoed_at_once(typed: str) -> None:
    masker = EchoMasker(WATCHES, KEY)
    assert [masker.feed(char) + masker.show() for char in typed] == list(typed)
    assert not masker.pending


def test_a_number_shows_its_rest_when_it_turns_out_to_be_harmless() -> None:
    masker = EchoMasker(watching("credit_card"), KEY)
    assert slowly(masker, "id 1234567890") == "id 123456"
    assert masker.pending
    assert masker.feed("\n") + masker.show() == "7890\n"


def test_a_long_output_between_releases() -> None:
    masker = EchoMasker(WATCHES, KEY)
    text = "word " * 500 + "4111111111111111 " + "word " * 500
    shown = masker.show() + masker.feed("$ ") + masker.show() + masker.feed(text) + masker.show()
    shown += masker.feed(text) + masker.show() + masker.flush()
    assert shown == "$ " + text.replace("4111111111111111", "[redacted]") * 2
    assert masker.counts == {"all": 2}


def test_a_match_that_grows_after_a_release_is_masked_further() -> None:
    masker = EchoMasker(watching("email"), KEY)
    shown = masker.feed("to ann@example.co ") + masker.show() + masker.feed("m\n") + masker.flush()
    assert shown == "to [redacted] m\n"
    assert masker.counts == {"m": 1}


def test_look_alikes_are_held_back_too() -> None:
    masker = EchoMasker(watching("credit_card"), KEY)
    shown = slowly(masker, "\uff14111\u200b1111\u200b11111111 ") + masker.flush()
    assert "11111" not in shown
    assert masker.counts == {"m": 1}


def test_a_detector_that_nobody_described_shows_four_characters_of_a_word() -> None:
    def find(text: str, position: int) -> Hit | None:
        at = text.find("topsecret", position)
        return Hit(at, at, at + 9) if at >= 0 else None

    detector = Detector("new", 9, lambda text: "top" in text, find, Gate(raw=(b"top", re.compile(b"secret"))))
    masker = EchoMasker([Watch(detector, Mask("m"))], KEY)
    assert slowly(masker, "a topsecret thing\n") == "a tops*** thing\n"


@given(st.lists(TEXTS, max_size=3).map("".join), CUTS)
def test_the_length_in_bytes_can_be_kept(text: str, cuts: list[int]) -> None:
    data = text.encode("utf-8", "surrogatepass")
    masked = MaskedBytes(EchoMasker(WATCHES, KEY, same_length=True))
    out = b"".join(masked.feed(piece) + masked.show() for piece in pieces(data, cuts)) + masked.flush()
    assert len(out) == len(data)


@given(st.binary(max_size=400), CUTS)
def test_bytes_that_are_no_text_pass_as_they_are(data: bytes, cuts: list[int]) -> None:
    masked = MaskedBytes(EchoMasker(watching("jwt"), KEY))
    assert b"".join(map(masked.feed, pieces(data, cuts))) + masked.flush() == data
    assert masked.counts == {}


def test_without_masks_nothing_is_held_back() -> None:
    masked = MaskedBytes(EchoMasker([], KEY))
    assert masked.feed(b"4111") == b"4111"
    assert masked.show() == b""
    assert not masked.pending
