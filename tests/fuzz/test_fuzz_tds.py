from __future__ import annotations

import pytest

from tests.fuzz import fuzz_tds


def test_the_corpus_is_good() -> None:
    for kind, payload in fuzz_tds.seeds():
        fuzz_tds.decode_message(kind, payload)


def test_a_short_run_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_tds.fuzz(seconds=0.2, seed=1) == 0
    assert "none failed" in capsys.readouterr().out
