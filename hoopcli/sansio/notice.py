"""Word from one layer to others of its session that something has changed."""

from __future__ import annotations

from collections.abc import Callable


class Notice:
    """Wakes, once, all who subscribed before it was given."""

    def __init__(self) -> None:
        self._waiting: list[Callable[[], object]] = []

    def subscribe(self, wake: Callable[[], object]) -> None:
        """Have ``wake`` called when the notice is given next."""
        self._waiting.append(wake)

    def give(self) -> None:
        """Wake everybody who waits."""
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()
