"""Waiting for a change without holding a thread or a database connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from anyio import to_thread

from hoopcli.server.wake import Wake

T = TypeVar("T")


async def until(
    wake: Wake,
    subject: tuple[str, str],
    read: Callable[[], T],
    enough: Callable[[T], bool],
    seconds: float,
    ends_in: Callable[[T], float] = lambda _: float("inf"),
) -> T:
    """What ``read`` gives as soon as it is enough, or after so long. ``read`` runs in a thread, once a notification.

    ``ends_in`` says after how many seconds it changes by itself. It listens before it reads: no change is missed.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    with wake.subscribed(*subject) as ticket:
        while True:
            value = await to_thread.run_sync(read)
            left = min(end - clock(), ends_in(value))
            if enough(value) or left <= 0:
                return value
            await ticket.wait(left)
