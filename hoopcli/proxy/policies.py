"""Where the policy that decides comes from: one that stays as it is, or the server's, followed while sessions run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn, Protocol

from hoopcli.errors import HoopError
from hoopcli.identity.threads import in_thread
from hoopcli.policy.bundle import Bundle
from hoopcli.policy.engine import Engine
from hoopcli.proxy.bundles import BundleError, Bundles, Fetch

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0

#: Told of each change: the digests of the policy before and after, and the serial of the revision that decides now.
Changed = Callable[[str, str, int], object]


class PolicySource(Protocol):
    """Says by which policy to decide. An ``Engine`` is one, for a policy that does not change."""

    def current(self) -> Engine:
        """The engine that decides now. Raises BundleError if none may: then everything is denied."""


class FollowedPolicy:
    """The server's policy: the newest bundle that this machine has, until it expires."""

    def __init__(self, bundles: Bundles, newest: Bundle, now: Callable[[], datetime]) -> None:
        self._bundles = bundles
        self._now = now
        self._bundle = newest
        self._engine = Engine(newest.checked_policy())

    def current(self) -> Engine:
        """The engine of the bundle. Raises BundleError once it has expired."""
        if self._now() >= self._bundle.expires:
            raise BundleError(
                f"the policy from the server expired at {self._bundle.expires:%Y-%m-%d %H:%M} UTC, "
                "and the server does not answer",
                "check the network, then run: hoop policy pull",
            )
        return self._engine

    async def follow(self, fetch: Fetch, changed: Changed, tell: Callable[[str], object]) -> NoReturn:
        """Ask the server again and again, and decide by what it answers. ``fetch`` may wait for a change.

        A bundle that cannot be trusted changes nothing: ``tell`` hears of it once, and what is here holds until it
        expires.
        """
        pause, told = _FIRST_PAUSE, ""
        while True:
            try:
                self._take(await in_thread(lambda: self._bundles.refresh(fetch)), changed)
            except HoopError as error:
                if isinstance(error, BundleError) and error.message != told:
                    tell(f"warning: {error.message}")
                    told = error.message
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                pause, told = _FIRST_PAUSE, ""

    def _take(self, bundle: Bundle, changed: Changed) -> None:
        if bundle.policy != self._bundle.policy:
            before, self._engine = self._engine, Engine(bundle.checked_policy())
            changed(before.revision, self._engine.revision, bundle.serial)
        self._bundle = bundle
