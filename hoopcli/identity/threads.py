"""Blocking work beside the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a daemon thread of its own.

    Unlike ``asyncio.to_thread`` nothing waits for it when the program ends: a sign-in that nobody completes must not
    keep the broker alive after Ctrl-C.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():  # the waiter was cancelled
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # without an error the result is a T

    def target() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - raised again where it is awaited
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, failure)

    context = contextvars.copy_context()  # a trace goes on in the thread
    threading.Thread(target=context.run, args=(target,), name="identity", daemon=True).start()
    return await done
