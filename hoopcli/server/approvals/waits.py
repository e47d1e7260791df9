"""Waiting for a change without holding a thread or a database connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from anyio import to_thread
from fastapi import Request

from hoopcli.server.problems import Problem
from hoopcli.server.wake import Wake

T = TypeVar("T")

#: Threads for those that are woken: they do not queue behind thousands that begin to wait.
_WOKEN = ThreadPoolExecutor(8, "woken")


class GoneError(Problem):
    """Whoever waited has hung up; nobody reads the answer."""

    def __init__(self) -> None:
        super().__init__(408, "gone", "whoever waited has hung up")


async def until(
    wake: Wake,
    subjects: Sequence[tuple[str, str]],
    read: Callable[[], T],
    enough: Callable[[T], bool],
    seconds: float,
    *,
    first: Callable[[], T] | None = None,
    ends_in: Callable[[T], float] = lambda _: float("inf"),
    request: Request,
) -> T:
    """What ``read`` gives as soon as it is enough, or after so long. ``read`` runs in a thread, once a notification.

    Notifications of any of ``subjects`` count. ``first`` is read in its place the first time. ``ends_in`` says after
    how many seconds it changes by itself. It listens before it reads: no change is missed.

    Raises:
        GoneError: the peer of ``request`` hung up meanwhile.
        Problem: the server stops.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    gone = asyncio.ensure_future(_gone(request))
    try:
        with wake.subscribed(*subjects) as ticket:
            value = await to_thread.run_sync(first or read)
            while True:
                left = min(end - clock(), ends_in(value))
                if enough(value) or left <= 0 or wake.releasing:
                    return value
                await _either(ticket.wait(left), gone)
                value = await asyncio.get_running_loop().run_in_executor(_WOKEN, read)
    except asyncio.CancelledError:  # the server stops, and cuts those that wait
        raise Problem(503, "stopping", "the server stops", "ask again") from None
    finally:
        gone.cancel()


async def _either(woken: Coroutine[Any, Any, bool], gone: asyncio.Future[None]) -> None:
    waking = asyncio.ensure_future(woken)
    either: set[asyncio.Future[Any]] = {waking, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waking.cancel()
    if gone.done():
        raise GoneError


async def _gone(request: Request) -> None:
    """Return when the peer hangs up; a GET has no body that could come before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
