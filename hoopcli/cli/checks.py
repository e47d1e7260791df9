"""The checks of ``hoop doctor``. Each looks at one thing and changes nothing."""

from __future__ import annotations

import os
import platform
import socket
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

from hoopcli.cli.workspace import Workspace
from hoopcli.errors import HoopError
from hoopcli.identity.clusters import check_plugin
from hoopcli.settings import connectors
from hoopcli.settings.files import config_path
from hoopcli.settings.model import Settings

REACH_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and the command that mends it (or the empty string)."""

    name: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    mend: str = ""


def check_all() -> Iterator[Check]:
    """All checks, in the order in which to mend them. Without valid settings the rest cannot be looked at."""
    yield Check("Python", "ok", platform.python_version())
    try:
        workspace = Workspace.open()
    except HoopError as error:
        yield Check("settings", "failed", error.message, error.hint)
        return
    yield _settings(workspace.settings)
    looks: tuple[tuple[str, Callable[[Workspace], Check]], ...] = (
        ("identity", _identity),
        ("state", _state),
        ("keyring", _keyring),
        ("policy", _policy),
        ("ledger", _ledger),
        ("connectors", _connectors),
        ("driver for hoop exec", _driver),
    )
    for name, look in looks:
        try:
            yield look(workspace)
        except HoopError as error:
            yield Check(name, "failed", error.message, error.hint)
    yield from _connections(workspace)


def _settings(settings: Settings) -> Check:
    path = config_path()
    where = str(path) if path.exists() else f"{path} is not there; the defaults hold"
    return Check("settings", "ok", f"{where}; {len(settings.connections)} connections")


def _identity(workspace: Workspace) -> Check:
    principal = workspace.principal
    groups = ", ".join(sorted(principal.groups)) or "none"
    where = f", signed in at {url}" if (url := workspace.settings.server.url) else ""
    return Check("identity", "ok", f"{principal.subject} ({principal.kind}), groups: {groups}{where}")


def _state(workspace: Workspace) -> Check:
    folder = workspace.state()
    mode = stat.S_IMODE(folder.stat().st_mode)
    if os.name == "posix" and mode & 0o077:
        return Check("state", "failed", f"{folder} is open to other users", f"chmod 700 {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check("state", "failed", f"{folder} cannot be written", f"chmod 700 {folder}")
    return Check("state", "ok", str(folder))


def _keyring(workspace: Workspace) -> Check:
    if not workspace.settings.keyring:
        return Check("keyring", "warning", "switched off: keys and tokens are in private files", "keyring = true")
    if workspace.keyring.available():
        return Check("keyring", "ok", "keys and tokens are kept in it")
    return Check(
        "keyring",
        "warning",
        "there is none: keys and tokens are in files that only you can read",
        "on Linux install and unlock one, e.g. gnome-keyring",
    )


def _policy(workspace: Workspace) -> Check:
    engine = workspace.engine()
    place: object = workspace.settings.policy
    if workspace.governed:
        bundle, url = workspace.bundle, workspace.settings.server.url
        place = f"revision {bundle.serial} of {url}, good until {bundle.expires:%Y-%m-%d %H:%M} UTC"
    return Check("policy", "ok", f"{place}, digest {engine.revision[:12]}")


def _ledger(workspace: Workspace) -> Check:
    from hoopcli.ledger.keys import load_or_create, system_keyring  # noqa: PLC0415
    from hoopcli.ledger.reader import Reader  # noqa: PLC0415

    path = workspace.settings.ledger_path
    if not path.exists():
        return Check("ledger", "ok", f"{path} will be made by the first session")
    load_or_create(path.parent, system_keyring() if workspace.settings.keyring else None)
    with Reader.open(path) as reader:
        return Check("ledger", "ok", f"{path}, {reader.size} records; to verify it: hoop audit verify")


def _connectors(_workspace: Workspace) -> Check:
    kinds = connectors.kinds()
    for kind in kinds:
        connectors.load(kind)
    if not kinds:
        return Check("connectors", "failed", "none is installed", "pip install --force-reinstall hoop")
    return Check("connectors", "ok", ", ".join(kinds))


def _driver(_workspace: Workspace) -> Check:
    """See ADR 5: pyodbc with a driver, else mssql-python, which needs no driver manager."""
    name = "driver for hoop exec"
    try:
        import pyodbc  # noqa: PLC0415 - a native library that may be missing

        system = [driver for driver in pyodbc.drivers() if driver.startswith("ODBC Driver 18")]
        if system or find_spec("mssql_python_odbc"):
            return Check(name, "ok", f"pyodbc with {system[0] if system else 'the driver of mssql-python-odbc'}")
    except ImportError:
        pass
    if find_spec("mssql_python"):
        return Check(name, "ok", "mssql-python")
    return Check(name, "warning", "hoop exec has no SQL Server driver", "pip install 'hoop[exec]'")


def _connections(workspace: Workspace) -> Iterator[Check]:
    try:
        names = sorted(workspace.connections)
    except HoopError as error:
        yield Check("connections", "failed", error.message, error.hint)
        return
    with ThreadPoolExecutor(max_workers=8) as pool:
        yield from pool.map(lambda name: _reach(workspace, name), names)


def _reach(workspace: Workspace, name: str) -> Check:
    title = f"connection {name}"
    try:
        connector, connection = workspace.connector(name)
        target = connector.target(connection)
        if target.auth == "kubeconfig":
            check_plugin(target.options)
    except HoopError as error:
        return Check(title, "failed", error.message, error.hint)
    try:
        socket.create_connection((target.host, target.port), REACH_SECONDS).close()
    except OSError as error:
        return Check(
            title, "failed", f"{target.host}:{target.port} does not answer ({error})", f"hoop connections show {name}"
        )
    return Check(title, "ok", f"{target.host}:{target.port} answers")
