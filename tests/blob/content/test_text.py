from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.blob.content import text as text_module
from connectors.blob.content.base import Unreadable
from connectors.blob.content.text import TextMasker
from hoopcli.model.decision import Method
from tests.blob.content.pieces import by_columns, by_detectors, fed, masking
from tests.masking.texts import TEXTS

EVERYTHING = masking(by_detectors())
SIZES = st.lists(st.integers(min_value=1, max_value=90), min_size=1, max_size=4)


def whole(text: str) -> bytes:
    stream = EVERYTHING.keeping_stream()
    return (stream.feed(text) + stream.flush()).encode()


@pytest.fixture(params=[64, 700, 16_384])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    size: int = request.param
    monkeypatch.setattr(text_module, "_BLOCK", size)
    return size


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(TEXTS, st.just("\n" + "plain words " * 150)), max_size=6), SIZES)
@example(["4111 1111 1111 1111", "x" * 4000, "ann@example.com", "y" * 5000, "ghp_" + "a" * 3000], [700])
@example(["9" * 3000, "4111 1111 1111 1111"], [64])
def test_any_cut_gives_what_one_stream_gives_of_the_whole(parts: list[str], sizes: list[int]) -> None:
    text = "".join(parts).replace("\0", "")
    data = text.encode()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(text_module, "_BLOCK", 600)
        masked, counts = fed(TextMasker(EVERYTHING), data, [size * 40 for size in sizes])
    assert masked == whole(text)
    assert len(masked) == len(data)
    stream = EVERYTHING.keeping_stream()
    stream.feed(text)
    stream.flush()
    assert counts == stream.counts


def test_a_value_cut_at_any_byte_is_masked(block: int) -> None:
    card = b"4111 1111 1111 1111"
    data = b"a" * (block - 10) + b" " + card + b" " + b"b" * block
    for cut in range(block - 12, block + 20):
        masked, counts = fed(TextMasker(EVERYTHING), data, [cut, len(data)])
        assert masked == data.replace(card, b"[redacted]*********")
        assert counts == {"found": 1}


def test_a_stream_gives_way_once_nothing_is_pending(block: int) -> None:
    masker = TextMasker(EVERYTHING)
    masker.feed(b"no more" * 9000)
    out = b""
    for _ in range(20):
        out += masker.feed(b"write to ann@example.com" + b" no more" * 4000)
    masker.feed(b"no more" * 9000)
    masker.feed(b"no more" * 9000)
    assert masker._stream is None
    out += masker.finish()
    assert out.count(b"[redacted]*****") == 20
    assert masker.masked == {"found": 20}


@pytest.mark.parametrize("method", [Method(), Method("keep_last", 4), Method("keep_first", 2), Method("hash")])
def test_every_method_keeps_the_length(method: Method) -> None:
    text = "jürgen@müller.de, ann@example.com; 4111 1111 1111 1111".encode()
    masked, counts = fed(TextMasker(masking(by_detectors(method=method))), text)
    assert len(masked) == len(text)
    assert b"@" not in masked
    assert counts == {"found": 3}


def test_a_private_key_is_stars_to_its_end() -> None:
    key = b"-----BEGIN PRIVATE KEY-----\n" + b"MIIE\n" * 30_000 + b"-----END PRIVATE KEY-----"
    masked, _ = fed(TextMasker(EVERYTHING), b"x\n" + key + b"\ny", [3000])
    assert masked == b"x\n" + b"*" * len(key) + b"\ny"


def test_memory_stays_flat_within_a_secret_without_an_end() -> None:
    masker = TextMasker(EVERYTHING)
    masker.feed(b"-----BEGIN PRIVATE KEY-----")
    for _ in range(60):
        assert set(masker.feed(b"MIIE" * 5000)) <= {ord("*")}
        assert len(masker._held) + masker._waits < 20_000


def test_a_byte_order_mark_stays() -> None:
    assert fed(TextMasker(EVERYTHING), b"\xef\xbb\xbfann@example.com")[0] == b"\xef\xbb\xbf[redacted]*****"


def test_without_detectors_text_passes() -> None:
    assert fed(TextMasker(masking(by_columns("ssn"))), "é 4111 1111 1111 1111".encode(), [1])[0].endswith(b"1111")


@pytest.mark.parametrize(
    "data", [b"a\0b", b"\xff\xfea\0", "é".encode("cp1252") + b"x", b"ann@example.com \xc3", b"\xed\xa0\x80"]
)
def test_what_is_no_text_is_refused(data: bytes) -> None:
    for size in (1, len(data)):
        with pytest.raises(Unreadable):
            fed(TextMasker(EVERYTHING), data, [size])
