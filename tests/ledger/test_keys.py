"""The signing key: made once, kept privately, never replaced."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hoopcli.errors import LedgerError
from hoopcli.ledger import keys
from hoopcli.ledger.keys import load_or_create, read_vkey, system_keyring
from hoopcli.ledger.note import Signer


class Ring:
    """A keyring in memory; ``broken`` makes it raise, ``deaf`` forget, ``stuck`` hang until released."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.broken = self.deaf = False
        self.released = threading.Event()
        self.released.set()

    def _work(self) -> None:
        self.released.wait()
        if self.broken:
            raise RuntimeError("locked")

    def get_password(self, service: str, username: str) -> str | None:
        self._work()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._work()
        if not self.deaf:
            self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._work()
        del self.entries[service, username]


def test_the_key_is_made_once_and_kept_in_the_keyring(tmp_path: Path) -> None:
    ring = Ring()
    first = load_or_create(tmp_path / "state", ring)
    assert (first.place, first.warning) == ("keyring", "")
    assert load_or_create(tmp_path / "state", ring).signer.verifier == first.signer.verifier
    assert read_vkey(tmp_path / "state") == first.signer.verifier
    assert [p.name for p in (tmp_path / "state").iterdir()] == ["ledger.vkey"]
    assert first.signer.name.startswith("hoop.example/ledger/")


def test_without_a_keyring_it_is_a_private_file_and_says_so(tmp_path: Path) -> None:
    key = load_or_create(tmp_path)
    assert "no keyring" in key.warning
    assert Path(key.place).stat().st_mode & 0o777 == 0o600
    assert load_or_create(tmp_path, Ring()).signer.verifier == key.signer.verifier


@pytest.mark.parametrize("fault", ["broken", "deaf", "stuck"])
def test_a_keyring_that_does_not_work_is_done_without(tmp_path: Path, fault: str) -> None:
    ring = Ring()
    if fault == "stuck":
        ring.released.clear()
    else:
        setattr(ring, fault, True)
    assert "no keyring" in load_or_create(tmp_path, ring, timeout=0.01).warning
    ring.released.set()


def test_a_lost_key_is_never_replaced(tmp_path: Path) -> None:
    ring = Ring()
    load_or_create(tmp_path, ring)
    with pytest.raises(LedgerError, match="not available"):
        load_or_create(tmp_path)
    ring.entries.clear()
    with pytest.raises(LedgerError, match="did not give"):
        load_or_create(tmp_path, ring)


def test_a_key_of_another_ledger_is_refused(tmp_path: Path) -> None:
    key = load_or_create(tmp_path)
    Path(key.place).write_text(Signer.generate("hoop.example/ledger/other").secret_text())
    with pytest.raises(LedgerError, match="not that of its public key"):
        load_or_create(tmp_path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    key = load_or_create(tmp_path)
    Path(key.place).chmod(0o644)
    with pytest.raises(LedgerError, match="open to other users") as caught:
        load_or_create(tmp_path)
    assert "chmod 600" in caught.value.hint


def test_processes_that_start_at_once_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Ring()
    for backend in (None, ring):
        folder = tmp_path / str(backend is None)
        winner = load_or_create(folder, backend).signer.verifier
        keys._create(folder, backend, 1.0)  # as a process does that looked before the winner was done
        assert load_or_create(folder, backend).signer.verifier == winner
        assert len(list(folder.iterdir())) == (2 if backend is None else 1)
    assert len(ring.entries) == 1


def test_an_unreadable_folder_is_a_ledger_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be read or written"):
        load_or_create(tmp_path / "file" / "state")
    with pytest.raises(LedgerError, match="public key"):
        read_vkey(tmp_path)


def test_the_keyring_of_this_machine_is_none_or_works(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backends import fail, null

    for backend in (fail.Keyring(), null.Keyring()):
        monkeypatch.setattr(keyring, "get_keyring", lambda backend=backend: backend)
        assert system_keyring() is None

    class Working(null.Keyring):
        priority = 1.0

    working = Working()
    monkeypatch.setattr(keyring, "get_keyring", lambda: working)
    assert system_keyring() is working
