from __future__ import annotations

import pytest

from tests.fuzz import fuzz_kubectl


def test_the_corpus_is_good() -> None:
    for reader, corpus in fuzz_kubectl.readers():
        for data in corpus:
            reader(data)


def test_a_short_run_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_kubectl.fuzz(seconds=0.2, seed=1) == 0
    assert "none failed" in capsys.readouterr().out
