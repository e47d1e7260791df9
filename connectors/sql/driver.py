"""Finding Microsoft's ODBC driver: the system's, else the one that the wheel ``mssql-python-odbc`` carries."""

from __future__ import annotations

import platform
import sys
from importlib.util import find_spec
from pathlib import Path

from hoopcli.errors import UsageError

_PATTERNS = {"linux": "libmsodbcsql-18*.so*", "darwin": "libmsodbcsql.18.dylib", "win32": "msodbcsql18.dll"}
_MACHINES = {"amd64": ("x86_64", "x64", "amd64"), "arm64": ("arm64", "aarch64")}


def odbc_driver() -> str:
    """The value of ``Driver=`` in a connection string. Raises UsageError if there is none."""
    import pyodbc  # noqa: PLC0415 - only hoop exec needs it, and it loads the driver manager

    for name in pyodbc.drivers():
        if name.startswith("ODBC Driver 18"):
            return f"{{{name}}}"
    if (carried := carried_driver()) is not None:
        return str(carried)
    raise UsageError(
        "there is no Microsoft ODBC Driver 18 on this machine", "install one with: pip install 'hoop[exec]'"
    )


def carried_driver() -> Path | None:
    """The driver's library inside the installed wheel, for this platform, if it is there."""
    spec = find_spec("mssql_python_odbc")
    if spec is None or spec.submodule_search_locations is None:
        return None
    root = Path(next(iter(spec.submodule_search_locations))) / "libs"
    found = sorted(root.rglob(_PATTERNS.get(sys.platform, "none")))
    wanted = _machine_names()
    usable = [path for path in found if wanted.intersection(path.parts)] or found
    return min(usable, key=_distance, default=None)


def _machine_names() -> set[str]:
    machine = platform.machine().lower()
    family = "arm64" if machine in _MACHINES["arm64"] else "amd64"
    return set(_MACHINES[family])


def _distance(path: Path) -> tuple[bool, str]:
    """Alpine's build only loads on musl; prefer the others."""
    return ("alpine" in path.parts) != (platform.libc_ver()[0] == "" and sys.platform == "linux"), str(path)
