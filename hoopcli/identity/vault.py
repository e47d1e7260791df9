"""Small secrets of hoop's own at rest: tokens and keys.

A file for each, sealed (AES-128-CBC with HMAC, the Fernet format) under a key that the OS keyring holds; keyrings take
only small values. Without a keyring the file is private (0600) but not sealed, and ``warning`` says so.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from hoopcli.errors import HoopError
from hoopcli.identity.keyrings import Keyring
from hoopcli.settings.edit import write_private

_ENTRY = "vault"
_SEALED = b"hoop-sealed-1\n"
_PLAIN = b"hoop-plain-1\n"


class Vault:
    """Named secrets in a folder. ``warning`` is a sentence for the user if they are not sealed, else empty."""

    def __init__(self, folder: Path, keyring: Keyring) -> None:
        self._folder = folder
        self._keyring = keyring
        self._key: bytes | None = None
        self.warning = ""

    def get(self, name: str) -> bytes | None:
        """The value; None if there is none or it can no longer be opened. Raises HoopError if others can read it."""
        path = self._path(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        if os.name == "posix" and path.stat().st_mode & 0o077:
            raise HoopError(f"{path} can be read by others", f"run: rm {path}, then sign in again")
        if data.startswith(_PLAIN):
            return data.removeprefix(_PLAIN)
        return self._unseal(data)

    def put(self, name: str, value: bytes) -> None:
        """Keep a value, replacing the one before. Raises HoopError if the folder cannot be written."""
        try:
            write_private(self._path(name), self._seal(value))
        except OSError as error:
            raise HoopError(f"{self._path(name)} cannot be written: {error.strerror}", "run: hoop doctor") from error

    def key(self, name: str, size: int = 32) -> bytes:
        """A random key that is made once and then stays the same."""
        if (known := self.get(name)) is not None and len(known) == size:
            return known
        if self._path(name).exists():
            raise HoopError(
                f"the key in {self._path(name)} cannot be opened: the keyring that seals it is locked or gone",
                "unlock the keyring and try again",
            )
        self.put(name, secrets.token_bytes(size))
        kept = self.get(name)
        if kept is None:
            raise HoopError(f"the key {name} was written but cannot be read back", "run: hoop doctor")
        return kept

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.bin"

    def _seal(self, value: bytes) -> bytes:
        from cryptography.fernet import Fernet  # noqa: PLC0415 - it loads OpenSSL

        key = self._sealing_key(make=True)
        if key is None:
            self.warning = f"there is no keyring on this machine: {self._folder} is protected by its permissions alone"
            return _PLAIN + value
        return _SEALED + Fernet(key).encrypt(value)

    def _unseal(self, data: bytes) -> bytes | None:
        from cryptography.fernet import Fernet, InvalidToken  # noqa: PLC0415

        key = self._sealing_key(make=False)
        if key is None or not data.startswith(_SEALED):
            return None
        try:
            return Fernet(key).decrypt(data.removeprefix(_SEALED))
        except InvalidToken:
            return None

    def _sealing_key(self, *, make: bool) -> bytes | None:
        from cryptography.fernet import Fernet  # noqa: PLC0415

        if self._key is None and (held := self._keyring.get(_ENTRY)):
            self._key = held.encode()
        if self._key is None and make:
            fresh = Fernet.generate_key()
            self._key = fresh if self._keyring.set(_ENTRY, fresh.decode()) else None
        return self._key
