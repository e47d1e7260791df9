from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hoopcli.errors import HoopError, NotSignedInError, UsageError
from hoopcli.identity import secrets
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.secrets import resolve
from hoopcli.settings.secret import parse_reference
from tests.identity.keyrings import MemoryBackend, using

NO_KEYRING = Keyring(enabled=False)


def get(text: str, keyring: Keyring = NO_KEYRING, **environ: str) -> str:
    return resolve(parse_reference(text), keyring, environ)


def test_from_the_environment() -> None:
    assert get("env:SHOP", SHOP="s3cret") == "s3cret"
    with pytest.raises(NotSignedInError, match="env:SHOP is not there"):
        get("env:SHOP")


def test_from_the_keyring() -> None:
    with using(backend := MemoryBackend()):
        backend.set_password("hoop", "shop", "s3cret")
        assert get("keyring:shop", Keyring()) == "s3cret"
        with pytest.raises(NotSignedInError) as caught:
            get("keyring:other", Keyring())
    assert caught.value.hint == "put it there: keyring set hoop other"


def test_from_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("s3cret\n")
    path.chmod(0o600)
    assert get(f"file:{path}") == "s3cret"
    for mode in (0o640, 0o604, 0o666):
        path.chmod(mode)
        with pytest.raises(UsageError, match="read by others") as caught:
            get(f"file:{path}")
        assert caught.value.hint == f"run: chmod 600 {path}"


def test_from_a_file_that_cannot_serve(tmp_path: Path) -> None:
    with pytest.raises(NotSignedInError):
        get(f"file:{tmp_path}/none")
    with pytest.raises(UsageError, match="cannot be read"):
        get(f"file:{tmp_path}")
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)
    with pytest.raises(UsageError, match="cannot be read"):
        get(f"file:{path}")


def test_from_a_command() -> None:
    assert get(f"command:{sys.executable} -c \"print('s3cret')\"") == "s3cret"


@pytest.mark.parametrize(
    "program",
    [
        "import sys; print('s3cret'); sys.exit('s3cret')",
        "import sys; sys.stdout.buffer.write(b's3cret\\xff')",
        "pass",
    ],
)
def test_a_command_that_fails_tells_no_secret(program: str) -> None:
    with pytest.raises(HoopError) as caught:
        get(f'command:{sys.executable} -c "{program}"')
    assert "s3cret" not in caught.value.message.replace(program, "") + caught.value.hint


def test_a_command_that_is_not_there_or_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="cannot be run"):
        get("command:/no/such/program")
    monkeypatch.setattr(secrets, "COMMAND_SECONDS", 0.01)
    with pytest.raises(NotSignedInError, match="took over"):
        get(f'command:{sys.executable} -c "import time; time.sleep(60)"')
