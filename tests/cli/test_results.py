from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.cli.results import Format, write_results
from hoopcli.spi import Table

ROWS = Table(["id", "name"], [[1, "Ada"], [2, None], [3, "=1+1\x1b[31m"]], "3 rows")
COUNT = Table([], [], "2 rows affected")


def written(capsys: pytest.CaptureFixture[str], style: Format, *tables: Table, guard: bool = False) -> tuple[str, str]:
    write_results(iter(tables), style, session="s1", guard=guard)
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = written(capsys, Format.TABLE, ROWS, COUNT)
    assert "NULL" in out
    assert "=1+1␛[31m" in out
    assert "(3 rows)" in out
    assert out.endswith("(2 rows affected)\n")
    assert written(capsys, Format.TABLE, Table(["a"], []))[0].strip().startswith("a")


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = written(capsys, Format.JSON, ROWS, COUNT)
    assert json.loads(out) == {
        "session": "s1",
        "results": [
            {"columns": ["id", "name"], "rows": [[1, "Ada"], [2, None], [3, "=1+1\x1b[31m"]], "note": "3 rows"},
            {"columns": [], "rows": [], "note": "2 rows affected"},
        ],
    }


def test_as_csv_faithfully(capsys: pytest.CaptureFixture[str]) -> None:
    out, err = written(capsys, Format.CSV, ROWS, COUNT, Table(["x"], [[True], [1.5]]))
    assert out == "id,name\n1,Ada\n2,\n3,=1+1\x1b[31m\n\nx\ntrue\n1.5\n"
    assert err == "2 rows affected\n"


@pytest.mark.parametrize("value", ["=cmd()", "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_a_guarded_csv_has_no_formulas(capsys: pytest.CaptureFixture[str], value: str) -> None:
    out, _ = written(capsys, Format.CSV, Table([value], [[value], [-1]]), guard=True)
    assert list(csv.reader(io.StringIO(out, newline=""))) == [[f"'{value}"], [f"'{value}"], ["-1"]]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=2))
def test_csv_gives_the_values_back(row: list[str]) -> None:
    import contextlib

    stream = io.StringIO(newline="")
    with contextlib.redirect_stdout(stream):
        write_results([Table(["a", "b"], [row])], Format.CSV, session="")
    assert list(csv.reader(io.StringIO(stream.getvalue(), newline="")))[1] == row
