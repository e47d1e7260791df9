"""The operating system's keyring, asked so that a machine without one never hangs or fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

SERVICE = "hoop"
#: Long enough for a person to unlock the keyring, short enough to notice that nobody is there.
PATIENCE_SECONDS = 60.0


class Keyring:
    """Entries of the service ``hoop``. Every failure reads as "there is no keyring": ``get`` None, ``set`` False."""

    def __init__(self, *, enabled: bool = True, patience: float = PATIENCE_SECONDS) -> None:
        self._enabled = enabled
        self._patience = patience

    def available(self) -> bool:
        """Whether a real keyring is there."""
        return self._enabled and bool(self._ask(_has_backend))

    def get(self, name: str) -> str | None:
        """The value of an entry."""

        def read() -> str | None:
            import keyring  # noqa: PLC0415 - it looks for backends when it is imported

            return keyring.get_password(SERVICE, name)

        return self._ask(read) if self.available() else None

    def set(self, name: str, value: str) -> bool:
        """Keep a value; False if it could not be kept."""

        def write() -> bool:
            import keyring  # noqa: PLC0415

            keyring.set_password(SERVICE, name, value)
            return keyring.get_password(SERVICE, name) == value

        return bool(self._ask(write)) if self.available() else False

    def _ask(self, work: Callable[[], T]) -> T | None:
        """Do it in a daemon thread: a backend that waits for a screen that nobody has is left behind."""
        attempt = _Attempt(work)
        thread = threading.Thread(target=attempt.run, name="keyring", daemon=True)
        thread.start()
        thread.join(self._patience)
        return attempt.result


class _Attempt(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.result: T | None = None

    def run(self) -> None:
        try:
            self.result = self._work()
        except Exception:  # noqa: BLE001 - backends raise whatever their platform does; any of it means "not there"
            self.result = None


def _has_backend() -> bool:
    import keyring  # noqa: PLC0415
    from keyring.backends.fail import Keyring as NoKeyring  # noqa: PLC0415

    backend = keyring.get_keyring()
    return not isinstance(backend, NoKeyring) and backend.priority > 0
