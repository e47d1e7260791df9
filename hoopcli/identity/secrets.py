"""Fetching a secret from where its reference says it is kept."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from hoopcli.errors import NotSignedInError, UsageError
from hoopcli.identity.keyrings import SERVICE, Keyring
from hoopcli.settings.secret import Keeper, SecretReference

COMMAND_SECONDS = 60.0


def resolve(reference: SecretReference, keyring: Keyring, environ: Mapping[str, str] = os.environ) -> str:
    """The secret. Blocks; its value is in no error. Raises NotSignedInError (it is not there), UsageError (unsafe)."""
    match reference.keeper:
        case Keeper.ENV:
            value = environ.get(reference.name)
            hint = f"set it: export {reference.name}=..."
        case Keeper.KEYRING:
            value = keyring.get(reference.name)
            hint = f"put it there: keyring set {SERVICE} {reference.name}"
        case Keeper.FILE:
            value = _file(Path(reference.name).expanduser())
            hint = f"write it to {reference.name}, then: chmod 600 {reference.name}"
        case Keeper.COMMAND:
            value = _output(reference.argv)
            hint = "run the command by hand to see why"
    if not value:
        raise NotSignedInError(f"the secret {reference.keeper}:{reference.name} is not there", hint)
    return value


def _file(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if os.name == "posix" and mode & 0o077:
                raise UsageError(f"the secret in {path} can be read by others", f"run: chmod 600 {path}")
            return file.read(1_000_000).decode().strip("\r\n")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the secret in {path} cannot be read: {type(error).__name__}") from error


def _output(argv: list[str]) -> str | None:
    """What the command prints; its own errors are not repeated, for they may hold the secret."""
    try:
        done = subprocess.run(  # noqa: S603 - the user's own settings name it, and no shell reads it
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS, check=True
        )
        return done.stdout.decode().strip("\r\n")
    except subprocess.CalledProcessError as error:
        raise NotSignedInError(
            f"the command {argv[0]!r} for a secret ended with {error.returncode}", "run it by hand to see why"
        ) from None
    except subprocess.TimeoutExpired:
        raise NotSignedInError(f"the command {argv[0]!r} for a secret took over {COMMAND_SECONDS:.0f} s") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the command {argv[0]!r} for a secret cannot be run: {type(error).__name__}") from None
