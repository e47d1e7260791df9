"""The command line, run in this process in a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hoopcli.cli.main import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return found


Hoop = Callable[..., Done]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with nothing but an empty settings file."""
    for name in ("HOOP_AGENT", "CI", "HOOP_DEBUG", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "config.toml").write_text('keyring = false\n[identity]\nsubject = "ada@example.com"\n')
    monkeypatch.setenv("HOOP_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("HOOP_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOOP_POLICY", str(tmp_path / "policy.yaml"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def hoop(home: Path, capsys: pytest.CaptureFixture[str]) -> Hoop:
    """Run a command line."""

    def run(*argv: str) -> Done:
        code = main(argv)
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run
