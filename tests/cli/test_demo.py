"""The tour: what a newcomer sees first must work, step by step."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from hoopcli.cli import demo
from hoopcli.cli.main import main
from hoopcli.errors import HoopError


def test_the_tour_ends_every_step_as_it_should(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [step["exit_code"] for step in told["steps"]] == [0, 0, 4, 4, 0, 0, 0, 0]
    assert all(step["command"].startswith("hoop ") for step in told["steps"])


def test_a_step_that_ends_otherwise_fails_the_tour(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_hoop", lambda *_, **__: 9)
    monkeypatch.setattr(demo, "_first_session", lambda _: "s1")
    assert main(["demo"]) == 1
    captured = capsys.readouterr()
    assert "8 steps of the tour" in captured.err
    assert "$ hoop exec azure-sql" in captured.out


def test_a_tour_without_a_session_says_so() -> None:
    with pytest.raises(HoopError, match="recorded no session"):
        demo._first_session({"HOOP_CONFIG": "/nonexistent/config.toml", "PATH": ""})


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("style", [(), ("--json",)])
def test_it_stays_open_for_commands_of_ones_own(style: tuple[str, ...], number: signal.Signals) -> None:
    command = [sys.executable, "-m", "hoopcli.cli.main", "demo", "--serve", *style]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("{" if style else "export HOOP_CONFIG=")
    finally:
        process.send_signal(number)
        process.wait(20)
        process.stdout.close()
        process.stderr.close()
    assert process.returncode == 0
