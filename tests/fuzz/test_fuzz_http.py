from __future__ import annotations

import pytest

from tests.fuzz import fuzz_http


def test_a_short_run_finds_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_http.fuzz(seconds=0.3, seed=1) == 0
    assert "none failed" in capsys.readouterr().out
