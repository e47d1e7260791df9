"""References to secrets: where a secret is kept, never what it is."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hoopcli.errors import UsageError


class Keeper(StrEnum):
    """Who keeps a secret."""

    ENV = "env"
    KEYRING = "keyring"
    FILE = "file"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Who keeps the secret, and its name there: a variable, a keyring entry, a path, or a command line."""

    keeper: Keeper
    name: str

    @property
    def argv(self) -> list[str]:
        """The command as an argument list; no shell ever reads it."""
        return shlex.split(self.name)


def parse_reference(text: str) -> SecretReference:
    """Read ``env:NAME``, ``keyring:NAME``, ``file:PATH`` or ``command:PROGRAM ARGS``.

    Anything else might be the secret itself: it is refused, and never repeated in the error. Raises UsageError.
    """
    prefix, colon, name = text.partition(":")
    if not colon or prefix not in set(Keeper) or not name.strip():
        raise UsageError(
            "a secret is named here, never written: use env:NAME, keyring:NAME, file:PATH or command:PROGRAM ARGS",
            "put it in the keyring with: keyring set hoop NAME, then name it: keyring:NAME",
        )
    reference = SecretReference(Keeper(prefix), name.strip())
    if reference.keeper is Keeper.COMMAND:
        _check_command(reference)
    elif reference.keeper is Keeper.FILE and not Path(reference.name).expanduser().is_absolute():
        raise UsageError("the file of a secret needs an absolute path", "write file:/full/path or file:~/path")
    return reference


def _check_command(reference: SecretReference) -> None:
    try:
        reference.argv  # noqa: B018 - raises if the quotes do not match
    except ValueError as error:
        raise UsageError(f"the command of a secret cannot be read: {error}", "close its quotes") from error
