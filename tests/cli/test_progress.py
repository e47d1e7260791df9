"""Bars for long work."""

from __future__ import annotations

import io
import sys

import pytest

from hoopcli.cli.progress import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_person_sees_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    with progress("a\x1b[2Jb.csv", 2_000_000) as advance:
        advance(1_000_000)
    shown = terminal.getvalue()
    assert "a\u241b[2Jb.csv" in shown
    assert "/2.0 MB" in shown


def test_a_program_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("a.csv", None) as advance:
        advance(5)
    assert capsys.readouterr() == ("", "")
