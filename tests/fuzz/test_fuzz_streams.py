from __future__ import annotations

import pytest

from tests.fuzz import fuzz_streams


def test_the_corpus_is_good() -> None:
    for make, good in fuzz_streams.targets():
        make()(good)


def test_a_short_run_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_streams.fuzz(seconds=0.2, seed=1) == 0
    assert "none failed" in capsys.readouterr().out
