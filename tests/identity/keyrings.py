"""A keyring backend in memory, for the real keyring package."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keyring
import keyring.backends.fail
from keyring.backend import KeyringBackend


class MemoryBackend(KeyringBackend):
    priority = 1

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


class FileBackend(MemoryBackend):
    """In the file that ``TEST_KEYRING`` names, for processes of their own."""

    def get_password(self, service: str, username: str) -> str | None:
        path = Path(os.environ["TEST_KEYRING"])
        entries: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return entries.get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        Path(os.environ["TEST_KEYRING"]).write_text(json.dumps({f"{service} {username}": password}))


class BrokenBackend(MemoryBackend):
    def get_password(self, service: str, username: str) -> str | None:
        raise OSError("no bus")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise OSError("no bus")


@contextmanager
def using(backend: KeyringBackend) -> Iterator[KeyringBackend]:
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield backend
    finally:
        keyring.set_keyring(before)


def none_at_all() -> KeyringBackend:
    return keyring.backends.fail.Keyring()  # type: ignore[no-untyped-call]
