"""Files that are replaced whole: a crash leaves the old one or the new one."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from hoopcli.errors import LedgerError


def replace_file(path: Path, text: str) -> None:
    """Replace a private file, durably. Raises LedgerError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise LedgerError(f"{path} cannot be written: {error}", "free some space on its disk") from error


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there, and NTFS journals the rename
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
