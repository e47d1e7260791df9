"""Settings of a server: where they come from, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hoopcli.errors import UsageError
from hoopcli.server.config import load_server, server_config_path


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "server.toml"
    path.write_text("")
    monkeypatch.setenv("HOOP_SERVER_CONFIG", str(path))
    return path


def refused(**flags: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load_server(flags)
    return caught.value


def test_flags_beat_variables_which_beat_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('port = 1\nhost = "127.0.0.2"\ndata_dir = "data"\npublic_url = "https://hoop.example.com/"\n')
    monkeypatch.setenv("HOOP_SERVER_PORT", "2")
    settings = load_server()
    assert (settings.port, settings.host, settings.data_dir) == (2, "127.0.0.2", file.parent / "data")
    assert settings.public_url == "https://hoop.example.com"
    assert settings.database_url == f"sqlite:///{file.parent}/data/server.db"
    assert load_server({"port": 3, "host": None}).port == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 1", "unknown key 'prot'"),
        ("\nport = 70000", "line 2"),
        ('tls_key = "k.pem"', "go together"),
        ('public_url = "hoop.example.com"', "begins with https"),
        ('witness_name = "a b"', "witness_name"),
        ('witness_key = "PRIVATE+KEY"', "named here, never written"),
        ("body_limit = 1", "body_limit"),
    ],
)
def test_a_wrong_setting_says_what_and_where(file: Path, text: str, said: str) -> None:
    file.write_text(text)
    assert said in refused().message


def test_a_named_file_must_be_there(file: Path) -> None:
    file.unlink()
    assert "hoop server init" in refused().hint


def test_without_a_name_it_is_beside_the_other_settings() -> None:
    assert server_config_path({}).name == "server.toml"
