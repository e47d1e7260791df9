from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hoopcli.errors import HoopError
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.vault import Vault
from tests.identity.keyrings import BrokenBackend, MemoryBackend, none_at_all, using


def test_with_a_keyring_the_file_is_sealed(tmp_path: Path) -> None:
    with using(MemoryBackend()):
        vault = Vault(tmp_path / "vault", Keyring())
        vault.put("tokens", b"s3cret")
        assert b"s3cret" not in (tmp_path / "vault/tokens.bin").read_bytes()
        assert Vault(tmp_path / "vault", Keyring()).get("tokens") == b"s3cret"
        assert vault.warning == ""


@pytest.mark.parametrize("backend", [none_at_all(), BrokenBackend()])
def test_without_one_the_file_is_private_and_a_warning_says_so(tmp_path: Path, backend: MemoryBackend) -> None:
    with using(backend):
        vault = Vault(tmp_path, Keyring())
        vault.put("tokens", b"s3cret")
        assert (tmp_path / "tokens.bin").stat().st_mode & 0o777 == 0o600
        assert vault.get("tokens") == b"s3cret"
        assert "no keyring" in vault.warning
        assert Vault(tmp_path, Keyring()).get("absent") is None


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    vault = Vault(tmp_path, Keyring(enabled=False))
    vault.put("tokens", b"s3cret")
    (tmp_path / "tokens.bin").chmod(0o644)
    with pytest.raises(HoopError, match="read by others"):
        vault.get("tokens")


def test_a_key_is_made_once(tmp_path: Path) -> None:
    vault = Vault(tmp_path, Keyring(enabled=False))
    key = vault.key("masking")
    assert len(key) == 32
    assert vault.key("masking") == key == Vault(tmp_path, Keyring(enabled=False)).key("masking")


def test_a_sealed_key_is_never_replaced_when_the_keyring_is_gone(tmp_path: Path) -> None:
    with using(MemoryBackend()):
        key = Vault(tmp_path, Keyring()).key("masking")
    with using(MemoryBackend()), pytest.raises(HoopError, match="cannot be opened"):
        Vault(tmp_path, Keyring()).key("masking")
    with using(none_at_all()), pytest.raises(HoopError, match="cannot be opened"):
        Vault(tmp_path, Keyring()).key("masking")
    assert len(key) == 32


def test_a_tampered_or_foreign_file_opens_as_nothing(tmp_path: Path) -> None:
    with using(MemoryBackend()):
        vault = Vault(tmp_path, Keyring())
        vault.put("tokens", b"s3cret")
        path = tmp_path / "tokens.bin"
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        assert vault.get("tokens") is None
        path.write_bytes(b"what")
        assert vault.get("tokens") is None


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "vault").write_text("")
    with pytest.raises(HoopError, match="cannot be written"):
        Vault(tmp_path / "vault", Keyring(enabled=False)).put("a", b"")


def test_a_keyring_that_waits_for_nobody_is_left_behind() -> None:
    released = threading.Event()

    class Waiting(MemoryBackend):
        def get_password(self, service: str, username: str) -> str | None:
            released.wait()
            return "late"

    with using(Waiting()):
        keyring = Keyring(patience=0.05)
        assert keyring.available()
        assert keyring.get("x") is None
        released.set()


def test_a_keyring_that_is_switched_off() -> None:
    with using(MemoryBackend()):
        keyring = Keyring(enabled=False)
        assert not keyring.available()
        assert keyring.get("x") is None
        assert not keyring.set("x", "y")
