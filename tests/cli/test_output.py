from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from hoopcli.cli import output
from hoopcli.errors import UsageError


def test_escape_codes_become_visible() -> None:
    assert output.safe("\x1b[2Jhi\x07\r\x7f") == "␛[2Jhi␇␍␡"
    assert output.safe("\x9b31m\u202eabc\u2066\u200b\ufeff") == "\\u009b31m\\u202eabc\\u2066\\u200b\\ufeff"
    assert output.safe("a\n\tb é 漢 🙂") == "a\n\tb é 漢 🙂"
    assert output.safe("\ud800") == "\\ud800"
    assert output.safe_line("a\nb\tc") == "a␊b c"


@given(st.text())
def test_nothing_that_steers_a_terminal_remains(text: str) -> None:
    for character in output.safe_line(text):
        assert unicodedata.category(character) not in {"Cc", "Cs"}
        assert unicodedata.bidirectional(character) not in {"RLO", "LRO", "RLE", "LRE", "RLI", "LRI", "FSI", "PDI"}
    output.safe_line(text).encode()


@given(st.lists(st.text(max_size=10), min_size=1, max_size=3))
def test_a_table_shows_data_as_data(cells: list[str]) -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=False, width=200)
    console.print(output.table(cells, [cells, ["[bold]x[/bold]"] * len(cells)]))
    assert "\x1b" not in stream.getvalue()
    assert "[bold]x[/bold]" in stream.getvalue()


def test_cells(capsys: pytest.CaptureFixture[str]) -> None:
    output.show(output.table(["a", "b", "c"], [[None, 1, Text("t")], [True, {"k": "é"}, "x"]]))
    out = capsys.readouterr().out
    assert "NULL" in out
    assert '{"k": "é"}' in out
    output.show(output.fields({"name": "x\x1b", "text": Text("y")}))
    assert "x␛" in capsys.readouterr().out


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    output.document({"a": "\x9b\u202e"})
    output.line({"a": "\x1b"})
    out = capsys.readouterr().out
    assert out.isascii()
    assert "\x1b" not in out
    assert json.loads(out.splitlines()[-1]) == {"a": "\x1b"}


def test_errors_in_colour_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    output.error(UsageError("no"), as_json=False)
    assert capsys.readouterr().err == "\x1b[1;31merror:\x1b[0m no\n"


def test_progress_is_for_terminals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("verifying") as progress:
        assert progress is None
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with output.progress("verifying") as progress:
        assert progress is not None
        progress(1_000, 2_000)
    assert "verifying" in capsys.readouterr().err


def test_a_pipe_is_wide(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    output.show(output.table(["a"], [["x" * 300]]))
    assert "x" * 300 in capsys.readouterr().out
