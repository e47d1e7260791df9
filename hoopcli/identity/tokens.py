"""Access tokens: one at a time, kept while they last, renewed before they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from hoopcli.errors import HoopError, NotSignedInError
from hoopcli.identity.flows import Flow, Result
from hoopcli.identity.threads import in_thread

#: A token that ends sooner than this is not handed out.
MARGIN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, repr=False)
class AccessToken:
    """A bearer token and when it ends (aware). ``repr`` hides it."""

    value: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"AccessToken(<hidden>, expires_at={self.expires_at.isoformat()})"


class TokenSource(Protocol):
    """Where access tokens come from."""

    async def token(self, resource: str, *, fresh: bool = False) -> AccessToken:
        """A token for a resource; ``fresh`` renews it whatever is cached. Raises NotSignedInError."""


class EntraTokens:
    """Tokens by one sign-in flow. Callers that come together share one sign-in."""

    def __init__(self, flow: Flow, now: Callable[[], datetime], hint: str) -> None:
        self._flow = flow
        self._now = now
        self._hint = hint
        self._lock = asyncio.Lock()
        self._tokens: dict[str, AccessToken] = {}

    async def token(self, resource: str, *, fresh: bool = False) -> AccessToken:
        """A token for a resource. Raises NotSignedInError with what Entra said."""
        before = self._tokens.get(resource)
        async with self._lock:
            current = self._tokens.get(resource)
            stale = current is not None and current.expires_at - self._now() < MARGIN
            if current is not None and not stale and (not fresh or current is not before):
                return current
            result = await in_thread(lambda: self._acquire(resource, fresh=fresh or stale))
            self._tokens[resource] = token = self._read(result)
            return token

    def _acquire(self, resource: str, *, fresh: bool) -> Result:
        try:
            return self._flow.acquire(resource, fresh=fresh)
        except HoopError:
            raise
        except Exception as error:  # msal and its transport raise many kinds
            raise NotSignedInError(f"signing in failed: {_sentence(error)}", self._hint) from error

    def _read(self, result: Result) -> AccessToken:
        value, seconds = result.get("access_token"), result.get("expires_in")
        if not isinstance(value, str) or seconds is None:
            raise NotSignedInError(f"signing in failed: {_refusal(result)}", self._hint)
        return AccessToken(value, self._now() + timedelta(seconds=int(seconds)))


def _refusal(result: Result) -> str:
    """Entra's first line; the lines after it are trace ids."""
    said = result.get("error_description") or result.get("error") or "no token came"
    return str(said).splitlines()[0][:500]


def _sentence(error: Exception) -> str:
    """What went wrong on the way; texts of transports can hold requests, so only their kind is told."""
    if isinstance(error, ValueError):
        return str(error).splitlines()[0][:300] if str(error) else "a value was wrong"
    return f"{type(error).__name__} (check the network and HTTPS_PROXY)"
