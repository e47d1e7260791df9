"""Every setting is documented, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hoopcli.server.config import ServerSettings
from hoopcli.settings.files import OTHER_VARIABLES, load
from hoopcli.settings.model import ConnectionSettings, IdentitySettings, ServerConnection, Settings

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")


def keys(heading: str, text: str = TEXT) -> list[str]:
    section = text.partition(f"\n## {heading}\n")[2]
    table = section.partition("| key |")[2].partition("\n\n")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def test_every_key_is_documented() -> None:
    assert keys("Keys") == list(Settings.model_fields)
    assert keys("`[identity]`") == list(IdentitySettings.model_fields)
    assert keys("`[server]`") == list(ServerConnection.model_fields)
    assert keys("`[connections.NAME]`") == list(ConnectionSettings.model_fields)
    assert all(f"`HOOP_{name}`" in TEXT for name in OTHER_VARIABLES)


def test_the_example_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example = TEXT.partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "config.toml").write_text(example)
    monkeypatch.setenv("HOOP_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("HOOP_POLICY", raising=False)
    assert set(load().connections) == {"azure-sql", "warehouse"}


def test_every_key_of_a_server_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "server.md").read_text("utf-8")
    assert keys("Settings", text) == list(ServerSettings.model_fields)
