"""How much and how slowly a client may send: what keeps a few bad ones from taking the server from all others."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from hoopcli.server.problems import problem

HEAD_SECONDS: Final = 15.0
"""How long a connection may take until its next request has begun."""
BODY_SECONDS: Final = 30.0
"""How long a client may pause within a body."""


class BodyLimits:
    """Ends requests whose body is too large (413) or pauses too long (408), before any route has seen all of it."""

    def __init__(self, app: ASGIApp, limit: int, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._limit = limit
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        body = _Body(receive, self._limit, self._seconds)
        if _announced(scope) > self._limit:
            return await _refuse(413, scope, receive, send)
        try:
            await self._app(scope, body.receive, _noting(send, body))
        except _RefusedError as error:
            if not body.answered:
                await _refuse(error.status, scope, receive, send)
        return None


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that drops a connection whose next request does not begin in time, e.g. for sending a byte a minute.

    Between requests uvicorn's own timer runs until the first byte; this one runs until the end of the head.
    """

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_SECONDS, self._expire)

    def data_received(self, data: bytes) -> None:
        """Bytes have come; once they make a head, this timer stops."""
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is not None and not cycle.response_complete:
            self._stop()
        elif self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop()
        super().connection_lost(exc)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _expire(self) -> None:
        self.transport.close()


class _RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Body:
    """The body of one request as it comes."""

    def __init__(self, receive: Receive, limit: int, seconds: float) -> None:
        self._receive = receive
        self._left = limit
        self._seconds = seconds
        self._whole = False
        self.answered = False

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()  # the client hanging up, whenever that is
        try:
            async with asyncio.timeout(self._seconds):
                message = await self._receive()
        except TimeoutError:
            raise _RefusedError(408) from None
        self._left -= len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._left < 0:
            raise _RefusedError(413)
        return message


def _noting(send: Send, body: _Body) -> Send:
    async def noting(message: Message) -> None:
        body.answered = True
        await send(message)

    return noting


def _announced(scope: Scope) -> int:
    lengths: list[Any] = [value for name, value in scope["headers"] if name == b"content-length"]
    return int(lengths[0]) if lengths and lengths[0].isdigit() else 0


async def _refuse(status: int, scope: Scope, receive: Receive, send: Send) -> None:
    said = {408: "the request came too slowly", 413: "the request is larger than this server takes"}[status]
    answer = problem(status, "", said, headers={"Connection": "close"})
    await answer(scope, receive, send)
