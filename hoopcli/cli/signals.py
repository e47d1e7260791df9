"""Signals while a session is open: they end what is going on, and the session closes and is recorded as ever."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Handler = Callable[[signal.Signals], object]

NUMBERS = (signal.SIGINT, signal.SIGTERM) + ((signal.SIGHUP,) if os.name == "posix" else ())


class Signals:
    """Calls ``handler`` for each signal that asks hoop to stop."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Hear the signals of this process on the running loop."""
        loop = asyncio.get_running_loop()
        added = []
        for number in NUMBERS:
            with suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
                loop.add_signal_handler(number, self._heard, number)
                added.append(number)
        try:
            yield
        finally:
            for number in added:
                loop.remove_signal_handler(number)

    @contextmanager
    def handled_by(self, handler: Handler) -> Iterator[None]:
        """Let another handler have them for a while."""
        before, self.handler = self.handler, handler
        try:
            yield
        finally:
            self.handler = before

    def _heard(self, number: signal.Signals) -> None:
        self.handler(number)
