"""Adding and removing connections in ``connections.toml``, a file that hoop alone writes, whole and atomically."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hoopcli.errors import UsageError
from hoopcli.settings.files import connections_path, read_file
from hoopcli.settings.model import NAME

_HEADER = "# Written by `hoop connections add` and `rm`. Put settings of your own into config.toml beside it.\n"


def add_connection(config: Path, name: str, options: Mapping[str, Any], *, replace: bool = False) -> Path:
    """Write a connection; returns the file. Raises UsageError if the name is taken, or the file cannot be written."""
    path = connections_path(config)
    known = _connections(path)
    if name in _connections(config):
        raise UsageError(f"the connection {name!r} is in {config}", "change it there")
    if name in known and not replace:
        raise UsageError(f"there is a connection {name!r} already", "to overwrite it, add --replace")
    _write(path, known | {name: dict(options)})
    return path


def remove_connection(config: Path, name: str) -> Path:
    """Take a connection away; returns the file. Raises UsageError if it is not there."""
    path = connections_path(config)
    known = _connections(path)
    if name not in known:
        if name in _connections(config):
            raise UsageError(f"the connection {name!r} is in {config}, which is yours", "take it out there")
        raise UsageError(f"there is no connection {name!r}", "run: hoop connections ls")
    del known[name]
    _write(path, known)
    return path


def write_private(path: Path, data: bytes) -> None:
    """Replace a file atomically and durably, readable by its owner alone. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _connections(path: Path) -> dict[str, Any]:
    found = read_file(path).document.get("connections", {})
    return dict(found) if isinstance(found, dict) else {}


def _write(path: Path, connections: Mapping[str, Mapping[str, Any]]) -> None:
    tables = [_table(f"connections.{name}", connections[name]) for name in sorted(connections)]
    try:
        write_private(path, "\n".join([_HEADER, *tables]).encode())
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}", "run: hoop doctor") from error


def _table(header: str, values: Mapping[str, Any]) -> str:
    plain = [f"{_key(key)} = {_toml(value)}" for key, value in values.items() if not isinstance(value, dict)]
    nested = [_table(f"{header}.{key}", value) for key, value in values.items() if isinstance(value, dict)]
    return "\n".join([f"[{header}]", *plain, "", *nested])


def _key(name: str) -> str:
    return name if NAME.fullmatch(name) else _toml(name)


def _toml(value: str | int | bool) -> str:
    """A scalar as TOML: its basic strings are JSON's, but for DEL, which must be escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
