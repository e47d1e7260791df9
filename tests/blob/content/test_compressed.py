from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.blob.content import compressed
from connectors.blob.content.base import Unreadable
from connectors.blob.content.compressed import GzipMasker
from connectors.blob.content.csv import CsvMasker
from connectors.blob.content.text import TextMasker
from tests.blob.content.pieces import by_columns, by_detectors, fed, masking

MASKS = masking(by_columns("ssn"), by_detectors())
CSV = b"id,ssn\n" + b"".join(b"%d,123-45-%04d\n" % (n, n) for n in range(3000))


def opened(data: bytes, sizes: list[int] | None = None) -> bytes:
    out, _ = fed(GzipMasker(CsvMasker(MASKS)), data, sizes or [len(data)])
    return gzip.decompress(out)


def test_what_is_within_is_masked() -> None:
    shown = opened(gzip.compress(CSV, mtime=0))
    assert shown == fed(CsvMasker(MASKS), CSV)[0]
    assert b"123-45" not in shown
    assert fed(GzipMasker(CsvMasker(MASKS)), gzip.compress(CSV, mtime=0))[1] == {"columns": 3000}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4), st.integers(0, len(CSV)))
def test_members_and_any_cut_give_the_same(sizes: list[int], middle: int) -> None:
    members = (
        gzip.compress(CSV[:middle], mtime=0)
        + gzip.compress(b"", mtime=0)
        + gzip.compress(CSV[middle:], 1, mtime=0)
        + bytes(20)
    )
    whole = fed(GzipMasker(CsvMasker(MASKS)), gzip.compress(CSV, mtime=0))[0]
    assert fed(GzipMasker(CsvMasker(MASKS)), members, sizes)[0] == whole


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1f\x8b",
        gzip.compress(CSV, mtime=0)[:-1],
        gzip.compress(CSV, mtime=0)[:-8] + bytes(8),
        gzip.compress(CSV, mtime=0) + b"x",
        gzip.compress(CSV, mtime=0) + b"\0\0" + gzip.compress(CSV, mtime=0),
        gzip.compress(CSV, mtime=0) + gzip.compress(CSV, mtime=0)[:40],
        zlib.compress(CSV),
        CSV,
        gzip.compress(b"id,ssn\n1,\xff\n", mtime=0),
    ],
)
def test_what_is_damaged_is_refused(data: bytes) -> None:
    for sizes in ([len(data) or 1], [7]):
        with pytest.raises(Unreadable):
            opened(data, sizes)


def test_a_bomb_is_refused_before_it_goes_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compressed, "FREE_GROWTH", 4 << 20)
    bomb = gzip.compress(b"a" * (40 << 20))
    masker = GzipMasker(TextMasker(MASKS))
    with pytest.raises(Unreadable, match="beyond any measure"):
        masker.feed(bomb)
    assert masker._grown < 24 << 20


def test_much_of_the_same_is_fine() -> None:
    plain = b"abcdefgh\n" * 400_000
    assert gzip.decompress(fed(GzipMasker(TextMasker(MASKS)), gzip.compress(plain, mtime=0))[0]) == plain
