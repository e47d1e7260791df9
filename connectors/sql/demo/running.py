"""The demo's server in a thread of its own, for callers that block."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache, partial

from connectors.sql.demo.options import Options, Seen
from connectors.sql.demo.server import DemoServer
from hoopcli.certificates import LoopbackIdentity, issue

_START_SECONDS = 30.0


@cache
def identity() -> LoopbackIdentity:
    """The certificate that all demo servers of this process present."""
    return issue("demo", datetime.now(UTC), timedelta(days=1))


class RunningServer:
    """Where it listens, what it saw, and the options to change while it runs."""

    def __init__(self, server: DemoServer) -> None:
        self.port = server.port
        self.options: Options = server.options
        self.seen: Seen = server.seen

    def target(self, encrypt: str = "off", **more: str) -> dict[str, str]:
        """The options of a connection that leads here."""
        return {
            "server": "127.0.0.1",
            "port": str(self.port),
            "database": "shop",
            "auth": "password",
            "encrypt": encrypt,
            "trust_server_certificate": "yes",
            **more,
        }


@contextmanager
def running(options: Options | None = None) -> Iterator[RunningServer]:
    """A demo server until the block ends. Raises what its thread raised."""
    ready, done = threading.Event(), threading.Event()
    started: list[DemoServer] = []
    failures: list[BaseException] = []

    async def main() -> None:
        server = DemoServer(partial(identity().server_context, ["tds/8.0"]), options)
        await server.start()
        started.append(server)
        ready.set()
        await asyncio.to_thread(done.wait)
        await server.stop()

    def target() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=target, name="demo upstream")
    thread.start()
    ready.wait(_START_SECONDS)
    try:
        if started:
            yield RunningServer(started[0])
    finally:
        done.set()
        thread.join(_START_SECONDS)
    if failures:
        raise failures[0]
