"""Reading settings from the file, the environment and flags, with errors that say where.

Two files: ``config.toml`` is the user's own; ``connections.toml`` beside it belongs to ``hoop connections add|rm``, so
that hoop never rewrites a file that a person keeps.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource
from pydantic_settings.exceptions import SettingsError

from hoopcli.errors import UsageError
from hoopcli.model.access import Connection
from hoopcli.settings.model import (
    NAME,
    ConnectionSettings,
    IdentitySettings,
    ServerConnection,
    Settings,
    bad_name,
    config_dir,
)

PREFIX = "HOOP_"
#: Variables that are not settings of the file: which file, who acts, how much an unexpected error says.
OTHER_VARIABLES = ("CONFIG", "AGENT", "DEBUG", "SERVER_CONFIG")
_PATH_KEYS = ("policy", "state_dir", "ledger")
_CONNECTION_PATH_KEYS = ("ca_file", "certificate", "kubeconfig")
_SERVER_PATH_KEYS = ("ca_file",)
_KEY_LINE = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """One file as it was read: ``document`` is its parsed content, empty if there is no such file."""

    path: Path
    text: str
    document: dict[str, Any]

    def line_of(self, keys: tuple[str, ...]) -> int | None:
        """The line, from 1, where a key, or the first key beneath it, is set; None if it is not in this file."""
        table: tuple[str, ...] = ()
        for number, line in enumerate(self.text.splitlines(), 1):
            if line.lstrip().startswith("["):
                table = _keys_of(line)
                found = table
            elif match := _KEY_LINE.match(line):
                found = table + _keys_of(f"{match[1]} = 0")
            else:
                continue
            if found[: len(keys)] == keys:
                return number
        return None


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the settings file is: ``HOOP_CONFIG``, else ``config.toml`` in the user's folder for settings."""
    named = environ.get("HOOP_CONFIG")
    return Path(named).expanduser().absolute() if named else config_dir() / "config.toml"


def connections_path(config: Path) -> Path:
    """The file of connections that hoop itself writes, beside the settings file."""
    return config.with_name("connections.toml")


def read_file(path: Path) -> SettingsFile:
    """Read one file; one that is not there counts as empty. Raises UsageError with line and column."""
    try:
        text = path.read_text("utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        return SettingsFile(path, "", {})
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the settings in {path} cannot be read: {error}", "run: hoop doctor") from error
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}", "mend it, then run: hoop doctor") from error
    return SettingsFile(path, text, _absolute(document, path.parent))


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """All settings of this run. Raises UsageError: which key, in which file and line, and the nearest known one."""
    config = config_path(environ)
    files = [read_file(config), read_file(connections_path(config))]
    if environ.get("HOOP_CONFIG") and not config.exists():
        raise UsageError(f"HOOP_CONFIG names {config}, which is not there", "unset HOOP_CONFIG, or create the file")
    _check_variables(environ)
    document = _merged(files)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, document)

    try:
        return Loaded(**{key: value for key, value in (flags or {}).items() if value is not None})
    except ValidationError as error:
        raise _explained(error, files) from error
    except SettingsError as error:
        raise UsageError(f"a HOOP_ variable cannot be read: {error}") from error


def check_connection(name: str, values: Mapping[str, Any]) -> Connection:
    """A connection from flags, checked as one of a file is. Raises UsageError."""
    if not NAME.fullmatch(name):
        raise UsageError(bad_name(name))
    try:
        return ConnectionSettings(**values).connection(name)
    except ValidationError as error:
        raise _explained(error, []) from error


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or all of them."""
    words = sorted(known)
    close = get_close_matches(word, words, 1, 0.6)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(words) or 'none'}"


def _absolute(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Paths in a file are relative to that file."""

    def resolve(table: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
        return {
            key: str(folder / Path(value).expanduser()) if key in keys and isinstance(value, str) else value
            for key, value in table.items()
        }

    document = resolve(document, _PATH_KEYS)
    if isinstance(document.get("server"), dict):
        document["server"] = resolve(document["server"], _SERVER_PATH_KEYS)
    connections = document.get("connections")
    if isinstance(connections, dict):
        document["connections"] = {
            name: resolve(table, _CONNECTION_PATH_KEYS) if isinstance(table, dict) else table
            for name, table in connections.items()
        }
    return document


def _merged(files: list[SettingsFile]) -> dict[str, Any]:
    config, own = (file.document for file in files)
    mine, theirs = config.get("connections", {}), own.get("connections", {})
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        return config
    if twice := sorted(mine.keys() & theirs.keys()):
        raise UsageError(
            f"the connection {twice[0]!r} is in both {files[0].path} and {files[1].path}",
            f"take one away, e.g. run: hoop connections rm {twice[0]}",
        )
    return own | config | {"connections": theirs | mine}


def _check_variables(environ: Mapping[str, str]) -> None:
    """Refuse a variable that is nearly a setting's name; clients of a session have HOOP_ variables of their own."""
    known = [PREFIX + name.upper() for name in (*Settings.model_fields, *OTHER_VARIABLES)]
    for name in environ:
        upper = name.upper()
        if upper.startswith(PREFIX) and "__" not in upper and upper not in known:
            close = get_close_matches(upper, known, 1, 0.85)
            if close:
                raise UsageError(f"unknown variable {name}", f"did you mean {close[0]}?")


def _explained(error: ValidationError, files: list[SettingsFile]) -> UsageError:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    keys = tuple(str(part) for part in first["loc"])
    where = _where(keys, files)
    if first["type"] == "extra_forbidden":
        table = f" in [{'.'.join(keys[:-1])}]" if keys[:-1] else ""
        return UsageError(f"unknown key {keys[-1]!r}{table} ({where})", nearest(keys[-1], _known(keys[:-1])))
    said = first["msg"].removeprefix("Value error, ")
    return UsageError(f"{'.'.join(keys)}: {said[:1].lower()}{said[1:]} ({where})", "see docs/configuration.md")


def _where(keys: tuple[str, ...], files: list[SettingsFile]) -> str:
    variable = PREFIX + "__".join(keys).upper()
    if variable in (name.upper() for name in os.environ):
        return f"the variable {variable}"
    for file in files:
        for length in range(len(keys), 0, -1):  # a wrong item of a list is where the list is
            if (line := file.line_of(keys[:length])) is not None:
                return f"{file.path}, line {line}"
    return "given by a flag"


def _known(keys: tuple[str, ...]) -> list[str]:
    """The keys that a table may have."""
    model: type[BaseModel] = Settings
    if keys[:1] == ("identity",):
        model = IdentitySettings
    elif keys[:1] == ("server",):
        model = ServerConnection
    elif keys[:1] == ("connections",):
        model = ConnectionSettings
    return list(model.model_fields)


def _keys_of(line: str) -> tuple[str, ...]:
    """The path of keys that one line of TOML names; empty if it cannot be read alone."""
    try:
        value: Any = tomllib.loads(line)
    except tomllib.TOMLDecodeError:
        return ()
    keys: list[str] = []
    while isinstance(value, dict) and value:
        key = next(iter(value))
        keys.append(key)
        value = value[key]
    return tuple(keys)
