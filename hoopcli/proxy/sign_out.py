"""What ends a broker's session when the sign-in behind it ends: a sign-out, a revocation, a token that ran out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

import httpx

from hoopcli.errors import NotSignedInError, UpstreamError

WATCH = "/v1/sessions/current/watch?seconds=30"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 5.0


class SignIn(Protocol):
    """Somebody's session at a server."""

    @property
    def expires(self) -> datetime:
        """When its token ends, unless it is refreshed."""

    async def arequest(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """Send a request, with a token that is refreshed when it is due. Raises NotSignedInError, UpstreamError."""


async def signed_out(session: SignIn, now: Callable[[], datetime]) -> str:
    """Wait until the sign-in has ended; why it has.

    A server that does not answer leaves a token that cannot be refreshed: the sign-in ends with it.
    """
    pause = _FIRST_PAUSE
    while True:
        try:
            if (live := _said(await session.arequest("GET", WATCH))) is False:
                return "signed out at the server"
        except NotSignedInError as error:
            return error.message
        except UpstreamError:
            live = None
        if live:
            pause = _FIRST_PAUSE
            continue
        if now() >= session.expires:
            return "the sign-in's token ran out, and the server does not answer"
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _said(answer: httpx.Response) -> bool | None:
    """Whether the session is live; None if the answer does not say."""
    try:
        document = answer.json() if answer.status_code == 200 else None
    except ValueError:
        return None
    return document.get("live") is True if isinstance(document, dict) else None
