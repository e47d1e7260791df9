"""Connections that hoop writes into its own file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.errors import UsageError
from hoopcli.settings.edit import add_connection, remove_connection, write_private
from hoopcli.settings.files import connections_path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_add_and_remove(config: Path) -> None:
    path = add_connection(config, "shop", {"server": "db.example.com", "port": 1444, "options": {"a key": "v"}})
    add_connection(config, "b", {"server": "b"})
    assert tomllib.loads(path.read_text()) == {
        "connections": {
            "b": {"server": "b"},
            "shop": {"server": "db.example.com", "port": 1444, "options": {"a key": "v"}},
        }
    }
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    remove_connection(config, "shop")
    assert tomllib.loads(path.read_text()) == {"connections": {"b": {"server": "b"}}}


def test_a_taken_name_needs_replace(config: Path) -> None:
    add_connection(config, "shop", {"server": "a"})
    with pytest.raises(UsageError, match="already") as caught:
        add_connection(config, "shop", {"server": "b"})
    assert "--replace" in caught.value.hint
    add_connection(config, "shop", {"server": "b"}, replace=True)
    assert "b" in connections_path(config).read_text()


def test_the_users_own_file_is_never_written(config: Path) -> None:
    config.write_text('# mine\n[connections.mine]\nserver = "a"\n')
    with pytest.raises(UsageError, match=r"config\.toml"):
        add_connection(config, "mine", {"server": "b"}, replace=True)
    with pytest.raises(UsageError, match="which is yours"):
        remove_connection(config, "mine")
    add_connection(config, "other", {"server": "b"})
    assert config.read_text().startswith("# mine")


def test_removing_what_is_not_there(config: Path) -> None:
    with pytest.raises(UsageError, match="there is no connection 'x'"):
        remove_connection(config, "x")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError):
        add_connection(tmp_path / "file" / "config.toml", "a", {"server": "x"})
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="cannot be written"):
        add_connection(tmp_path / "dangling" / "config.toml", "a", {"server": "x"})


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "taken"
    target.mkdir()
    (target / "x").write_text("")
    with pytest.raises(OSError, match=r".+"):
        write_private(target, b"data")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_value_comes_back(value: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = add_connection(Path(folder) / "config.toml", "n", {"server": value, "options": {value: value}})
        assert tomllib.loads(path.read_text("utf-8"))["connections"]["n"] == {
            "server": value,
            "options": {value: value},
        }
