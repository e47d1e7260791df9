from __future__ import annotations

import random

import pytest

from tests.fuzz import fuzz_content


def test_the_corpus_is_good() -> None:
    rng = random.Random(1)
    assert fuzz_content.check("a.csv", fuzz_content.table(rng, "Sfeedfacecafe"), rng, "Sfeedfacecafe")
    assert fuzz_content.check("a.json", fuzz_content.document(rng, "Sfeedfacecafe"), rng, "Sfeedfacecafe")
    with pytest.raises(AssertionError, match="a masked value"):
        fuzz_content.check("a.txt", b"Sfeedfacecafe", rng, "Sfeedfacecafe")


def test_a_short_run_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_content.fuzz(seconds=0.3, seed=1) == 0
    assert "none failed" in capsys.readouterr().out
