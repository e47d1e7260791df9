"""Running the broker's event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds that the ledger's thread waits at most for the interpreter while the loop is busy; Python's own 5 ms would
#: stand between a statement and its record.
SWITCH_SECONDS = 0.0005


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop where the platform has it, else on asyncio's own loop."""
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(main)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not on Windows
    except ImportError:
        return None
    return uvloop.new_event_loop
