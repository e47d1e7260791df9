"""The ledger's signing key: made once, kept in the keyring of the operating system, else in a file of mode 0600.

The folder of the ledger always holds ``ledger.vkey``, the public half. Its exclusive creation decides between
processes that start at once: whoever comes second drops its own key and takes the first one's.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from hoopcli.errors import LedgerError
from hoopcli.ledger.note import Signer, Verifier

SERVICE: Final = "hoop ledger"
KEYRING_SECONDS: Final = 10.0
"""How long a keyring may take (it may ask its user) before hoop goes on without it."""
_LOST_HINT = "restore the key, or move the ledger's folder aside and start a new one"

T = TypeVar("T")


class Keyring(Protocol):
    """The part of ``keyring.backend.KeyringBackend`` that is used."""

    def get_password(self, service: str, username: str) -> str | None:
        """What is stored, or None."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store."""

    def delete_password(self, service: str, username: str) -> None:
        """Remove."""


@dataclass(frozen=True, slots=True)
class LedgerKey:
    """The signer, where its private half is kept, and a warning for the user (or the empty string)."""

    signer: Signer
    place: str
    warning: str = ""


def system_keyring() -> Keyring | None:
    """The keyring of this machine, or None if there is none that works unattended (``keyring`` 's fail backend)."""
    import keyring  # noqa: PLC0415 - slow to import, and needed once

    backend = keyring.get_keyring()
    usable: bool = backend.priority > 0
    return backend if usable else None


def load_or_create(folder: Path, keyring: Keyring | None = None, *, timeout: float = KEYRING_SECONDS) -> LedgerKey:
    """The signing key of the ledger in this folder; the first call makes it.

    Raises:
        LedgerError: the key is gone, unreadable, or readable by others.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not _vkey_file(folder).exists():
            _create(folder, keyring, timeout)
        return _load(folder, read_vkey(folder), keyring, timeout)
    except OSError as error:
        raise LedgerError(f"the ledger's key cannot be read or written: {error}", "run: hoop doctor") from error


def read_vkey(folder: Path) -> Verifier:
    """The public key of the ledger in this folder. Raises LedgerError if there is none."""
    try:
        return Verifier.parse(_vkey_file(folder).read_text("ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"the ledger's public key cannot be read: {error}", "run: hoop doctor") from error


def _create(folder: Path, keyring: Keyring | None, timeout: float) -> None:
    signer = Signer.generate(f"hoop.example/ledger/{secrets.token_hex(8)}")
    kept = keyring is not None and _keep_in_keyring(keyring, signer, timeout)
    if not kept:
        _write_exclusively(_key_file(folder, signer.verifier), signer.secret_text() + "\n", 0o600)
    try:
        _write_exclusively(_vkey_file(folder), f"{signer.verifier}\n", 0o644)
    except FileExistsError:  # another process was first
        _key_file(folder, signer.verifier).unlink(missing_ok=True)
        if keyring is not None and kept:
            with suppress(Exception):
                keyring.delete_password(SERVICE, signer.name)


def _keep_in_keyring(keyring: Keyring, signer: Signer, timeout: float) -> bool:
    def keep() -> bool:
        keyring.set_password(SERVICE, signer.name, signer.secret_text())
        return keyring.get_password(SERVICE, signer.name) == signer.secret_text()

    return _within(timeout, keep) or False


def _load(folder: Path, verifier: Verifier, keyring: Keyring | None, timeout: float) -> LedgerKey:
    file = _key_file(folder, verifier)
    if file.exists():
        _check_private(file)
        warning = f"no keyring here: the ledger's key is in {file}, which other programs of this user can read"
        return LedgerKey(_matching(file.read_text("ascii"), verifier), str(file), warning)
    if keyring is None:
        raise LedgerError("the ledger's key is in a keyring that is not available here", _LOST_HINT)
    secret = _within(timeout, lambda: keyring.get_password(SERVICE, verifier.name))
    if not secret:
        raise LedgerError(
            "the keyring did not give the ledger's key", f"unlock the keyring; if it is gone, {_LOST_HINT}"
        )
    return LedgerKey(_matching(secret, verifier), "keyring")


def _matching(secret: str, verifier: Verifier) -> Signer:
    signer = Signer.parse(secret)
    if signer.verifier != verifier:
        raise LedgerError("the ledger's private key is not that of its public key", _LOST_HINT)
    return signer


def _check_private(file: Path) -> None:
    if os.name == "posix" and stat.S_IMODE(file.stat().st_mode) & 0o077:
        raise LedgerError(f"the ledger's key {file} is open to other users", f"run: chmod 600 {file}")


def _within(seconds: float, work: Callable[[], T]) -> T | None:
    """Run in a thread that nobody waits for any longer than this; None if it failed or is late."""
    result: list[T] = []

    def run() -> None:
        with suppress(Exception):  # a keyring raises errors of its own, one kind a backend
            result.append(work())

    thread = threading.Thread(target=run, name="keyring", daemon=True)
    thread.start()
    thread.join(seconds)
    return result[0] if result else None


def _write_exclusively(path: Path, content: str, mode: int) -> None:
    """Create a file that appears whole or not at all. Raises FileExistsError."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()


def _vkey_file(folder: Path) -> Path:
    return folder / "ledger.vkey"


def _key_file(folder: Path, verifier: Verifier) -> Path:
    return folder / f"ledger-{verifier.key_id.hex()}.key"
