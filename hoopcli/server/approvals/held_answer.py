"""An answer that is sent once there is one: meanwhile the connection is kept alive, so that nobody has to ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from fastapi import Response
from starlette.types import Receive, Scope, Send

from hoopcli.errors import HoopError

ALIVE_SECONDS: Final = 20.0
"""How often whoever waits, and every proxy on the way, hears that there will be an answer."""


class HeldAnswer(Response):
    """JSON whose status and head are sent at once, then a space now and then, which JSON may begin with (RFC 8259).

    If the answer fails after all, nothing but spaces was sent: whoever waits asks again and is told why.
    """

    media_type = "application/json"

    def __init__(self, answer: asyncio.Future[bytes], alive_seconds: float) -> None:
        super().__init__()
        del self.headers["content-length"]
        self.headers["x-accel-buffering"] = "no"  # nginx keeps nothing back
        self._answer = answer
        self._seconds = alive_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it as it comes. Whether the client hangs up is for the answer to notice."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            while not self._answer.done():
                await send({"type": "http.response.body", "body": b" ", "more_body": True})
                await asyncio.wait({self._answer}, timeout=self._seconds)
        finally:
            self._answer.cancel()
        try:
            body = self._answer.result()
        except HoopError:
            body = b""
        await send({"type": "http.response.body", "body": body})


async def soon_or_held(answer: Coroutine[Any, Any, bytes]) -> Response:
    """An answer that comes soon, with the status it has; else one that is held. Raises what ``answer`` raises soon."""
    coming = asyncio.ensure_future(answer)
    try:
        done, _ = await asyncio.wait({coming}, timeout=ALIVE_SECONDS)
    except asyncio.CancelledError:
        coming.cancel()
        raise
    return Response(coming.result(), media_type="application/json") if done else HeldAnswer(coming, ALIVE_SECONDS)
