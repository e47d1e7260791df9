"""Settings from files, the environment and flags, and what a wrong one says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hoopcli.errors import UsageError
from hoopcli.settings.files import config_path, connections_path, load, nearest, read_file

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the settings file that this test uses."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("HOOP_CONFIG", str(path))

    def do(text: str = "", connections: str | None = None) -> Path:
        path.write_text(text)
        if connections is not None:
            connections_path(path).write_text(connections)
        return path

    return do


def refused(**flags: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(flags)
    return caught.value


def test_nothing_set_has_places_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("HOOP_CONFIG", raising=False)
    settings = load()
    assert config_path() == tmp_path / "config/hoop/config.toml"
    assert settings.policy == tmp_path / "config/hoop/policy.yaml"
    assert settings.ledger_path == tmp_path / "state/hoop/ledger.db"
    assert settings.connections == {}
    assert settings.keyring


def test_flags_beat_the_environment_which_beats_the_file(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write('state_dir = "/file"\nledger = "/file.db"\npolicy = "/file.yaml"\n')
    monkeypatch.setenv("HOOP_STATE_DIR", "/env")
    monkeypatch.setenv("HOOP_POLICY", "/env.yaml")
    settings = load({"policy": Path("/flag.yaml"), "ledger": None})
    assert (settings.policy, settings.state_dir, settings.ledger_path) == (
        Path("/flag.yaml"),
        Path("/env"),
        Path("/file.db"),
    )


def test_paths_of_a_file_are_relative_to_it(write: Write) -> None:
    path = write('policy = "p.yaml"\n[connections.shop]\nserver = "h"\nca_file = "ca.pem"\n')
    settings = load()
    assert settings.policy == path.parent / "p.yaml"
    assert settings.connections["shop"].ca_file == path.parent / "ca.pem"


def test_a_connection_becomes_text_options(write: Write) -> None:
    write(
        '[connections.shop]\nserver = "db.example.com"\nport = 1444\nauth = "password"\nuser = "sa"\n'
        'secret = "env:SHOP"\ntrust_server_certificate = true\n[connections.shop.options]\nextra = "1"\n'
    )
    connection = load().connections["shop"].connection("shop")
    assert (connection.name, connection.kind) == ("shop", "sql")
    assert connection.options == {
        "server": "db.example.com",
        "port": "1444",
        "auth": "password",
        "user": "sa",
        "secret": "env:SHOP",
        "trust_server_certificate": "yes",
        "extra": "1",
    }


def test_the_connections_that_hoop_wrote_are_added(write: Write) -> None:
    write('[connections.a]\nserver = "a"\n', '[connections.b]\nserver = "b"\n')
    assert set(load().connections) == {"a", "b"}


def test_a_connection_in_both_files_is_refused(write: Write) -> None:
    write('[connections.a]\nserver = "a"\n', '[connections.a]\nserver = "b"\n')
    error = refused()
    assert "'a' is in both" in error.message
    assert error.hint.endswith("hoop connections rm a")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('polcy = "x"\n', "unknown key 'polcy' (", "did you mean 'policy'?"),
        ('\n\n[identity]\nname = "Ada"\ngruops = []\n', "line 5", "did you mean 'groups'?"),
        ('[identity]\nname = "Ada"\ngruops = []\n', "unknown key 'gruops' in [identity] (", "did you mean 'groups'?"),
        ('[connections.shop]\nsrver = "x"\n', "'srver' in [connections.shop]", "did you mean 'server'?"),
        ('connections.shop.srver = "x"\n', "line 1", "did you mean 'server'?"),
        ('[connections.shop]\nserver="x"\nzzz = 1\n', "line 3", "known: account, auth, authority, ca_file"),
        ("[connections.shop]\nport = 99999\n", "connections.shop.port: input should be less", "configuration.md"),
        ('[connections."a b"]\nserver = "x"\n', "'a b' may have letters", "configuration.md"),
        ('ledger = """\n[ broken\n"""\npolcy = 1\n', "line 4", "did you mean 'policy'?"),
        ("connections = 3\n", "connections: ", "configuration.md"),
        ("[connections]\nshop = 3\n", "connections.shop: ", "configuration.md"),
        ("[identity]\ngroups = [1]\n", "identity.groups.0: ", "configuration.md"),
        ("[connections.shop]\nauth = 'magic'\n", "connections.shop.auth: ", "configuration.md"),
    ],
)
def test_a_wrong_setting_says_where_and_what_was_meant(write: Write, text: str, message: str, hint: str) -> None:
    write(text)
    error = refused()
    assert message in error.message
    assert "config.toml, line " in error.message
    assert hint in error.hint


def test_broken_toml_names_line_and_column(write: Write) -> None:
    write('[identity]\nname = "Ada\n')
    assert "line 2" in refused().message


def test_a_file_that_is_not_text_or_not_readable(write: Write) -> None:
    path = write()
    path.write_bytes(b"\xff\xfe")
    assert "cannot be read" in refused().message
    path.unlink()
    path.mkdir()
    assert "cannot be read" in refused().message


def test_a_named_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOP_CONFIG", str(tmp_path / "gone.toml"))
    assert "not there" in refused().message


def test_the_environment_sets_nested_keys(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    monkeypatch.setenv("HOOP_IDENTITY__GROUPS", "dba, engineers")
    monkeypatch.setenv("HOOP_CONNECTIONS__SHOP__SERVER", "db.example.com")
    settings = load()
    assert settings.identity.groups == ("dba", "engineers")
    assert settings.connections["shop"].server == "db.example.com"


def test_a_wrong_variable_is_named(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    monkeypatch.setenv("HOOP_IDENTITY__GRUOPS", "dba")
    error = refused()
    assert "the variable HOOP_IDENTITY__GRUOPS" in error.message
    assert error.hint == "did you mean 'groups'?"


def test_a_variable_that_is_not_json_is_an_error(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    monkeypatch.setenv("HOOP_CONNECTIONS", "{")
    assert "cannot be read" in refused().message


def test_a_misspelt_variable_is_refused_but_those_of_a_session_are_not(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    for name in ("HOST", "PORT", "USER", "SECRET", "DATABASE", "CA_FILE", "ODBC", "DEBUG"):
        monkeypatch.setenv(f"HOOP_{name}", "x")
    load()
    monkeypatch.setenv("HOOP_STATEDIR", "/x")
    error = refused()
    assert "HOOP_STATEDIR" in error.message
    assert error.hint == "did you mean HOOP_STATE_DIR?"


def test_a_wrong_flag_says_so(write: Write) -> None:
    write()
    assert "given by a flag" in refused(keyring="perhaps").message


@pytest.mark.parametrize(
    "line",
    ['secret = "hunter2"', 'secret = "env:"', 'secret = "https://hunter2"', 'password = "hunter2"', 'secret = ":x"'],
)
def test_a_literal_secret_is_refused_and_not_repeated(write: Write, line: str) -> None:
    write(f"[connections.shop]\n{line}\n")
    error = refused()
    shown = "".join((error.message, error.hint, str(error), repr(error.__cause__)))
    assert "hunter2" not in shown


def test_nearest_with_nothing_known() -> None:
    assert nearest("x", []) == "known: none"


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.toml"
        path.write_text(text, "utf-8", newline="")
        try:
            file = read_file(path)
        except UsageError:
            return
        for key in file.document:
            file.line_of((key,))


@pytest.mark.parametrize(
    "url", ["http://hoop.example.com", "hoop.example.com", "https://", "https://u:p@hoop.example.com", "https://h/?q"]
)
def test_a_server_is_reached_by_https(write: Write, url: str) -> None:
    write(f'[server]\nurl = "{url}"\n')
    with pytest.raises(UsageError, match="https://HOST") as caught:
        load()
    assert "line 2" in caught.value.message


def test_a_server(write: Write) -> None:
    config = write('[server]\nurl = "http://127.0.0.1:8433/"\nca_file = "ca.pem"\nsync = false\n')
    server = load().server
    assert (server.url, server.ca_file, server.sync) == ("http://127.0.0.1:8433", config.parent / "ca.pem", "off")
