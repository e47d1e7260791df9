"""Waking whoever waits for a change: in this process, and with PostgreSQL in every replica.

A waiter is a future in its event loop: it holds no thread and no connection, so that ten thousand may wait. Subscribe
first, then look whether what you wait for has happened, then wait: nothing is missed in between.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from hoopcli.server.database import Database

CHANNEL: Final = "hoop"
_LISTEN_SECONDS: Final = 0.5
_RETRY_SECONDS: Final = 1.0


class Ticket:
    """One subscription. Use it in the event loop that made it."""

    def __init__(self, stopping: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self._stopping = stopping
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Mark it woken, in its own loop."""
        self._event.set()

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - it answers False rather than raise
        """Wait for a notification since the last ``wait`` or the subscription; False if none came in time.

        When the server stops it does not wait.
        """
        if self._stopping.is_set():
            return False
        try:
            async with asyncio.timeout(max(0.0, timeout)):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True


class Wake:
    """Notifications by topic and key. Close it when the server stops."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._tickets: defaultdict[tuple[str, str], set[Ticket]] = defaultdict(set)
        self._stopping = threading.Event()
        self._releasing = threading.Event()
        self._listener: threading.Thread | None = None
        if not database.is_sqlite:
            self._listener = threading.Thread(target=self._listen, name="wake", daemon=True)
            self._listener.start()

    def notify(self, topic: str, key: str) -> None:
        """Wake all who wait for this, from any thread. Call it after the change is committed, never within.

        A notification that cannot be sent to other replicas is lost: waiters look again on their own after a while.
        """
        self._wake(topic, key)
        if self._database.is_sqlite:
            return
        with suppress(SQLAlchemyError), self._database.engine.begin() as connection:
            message = json.dumps([topic, key])
            connection.execute(text("SELECT pg_notify(:channel, :message)"), {"channel": CHANNEL, "message": message})

    @contextmanager
    def subscribed(self, *subjects: tuple[str, str]) -> Iterator[Ticket]:
        """A ticket that every notification of one of these topics and keys wakes, until the block ends."""
        ticket = Ticket(self._releasing)
        with self._lock:
            for subject in subjects:
                self._tickets[subject].add(ticket)
        try:
            yield ticket
        finally:
            with self._lock:
                for subject in subjects:
                    tickets = self._tickets[subject]
                    tickets.discard(ticket)
                    if not tickets:
                        del self._tickets[subject]

    async def wait(self, topic: str, key: str, timeout: float) -> bool:  # noqa: ASYNC109 - as Ticket.wait
        """Wait for the next notification; False if none came in time."""
        with self.subscribed((topic, key)) as ticket:
            return await ticket.wait(timeout)

    @property
    def releasing(self) -> bool:
        """Whether nobody is to wait any longer."""
        return self._releasing.is_set()

    def release(self) -> None:
        """The server stops: wake everybody, and let nobody wait again."""
        self._releasing.set()
        with self._lock:
            self._wake_all([ticket for tickets in self._tickets.values() for ticket in tickets])

    def close(self) -> None:
        """Stop listening."""
        self._stopping.set()
        if self._listener is not None:
            self._listener.join()

    def _wake(self, topic: str, key: str) -> None:
        with self._lock:
            self._wake_all(list(self._tickets.get((topic, key), ())))

    def _wake_all(self, tickets: list[Ticket]) -> None:
        for ticket in tickets:
            with suppress(RuntimeError):  # its loop is closed: nobody waits
                ticket.loop.call_soon_threadsafe(ticket.wake)

    def _listen(self) -> None:
        """Hear the other replicas. After a lost connection everybody is woken: what was missed is not known."""
        conninfo = self._database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not self._stopping.is_set():
            with suppress(psycopg.Error), psycopg.connect(conninfo, autocommit=True, connect_timeout=5) as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                with self._lock:
                    self._wake_all([ticket for tickets in self._tickets.values() for ticket in tickets])
                while not self._stopping.is_set():
                    for notification in connection.notifies(timeout=_LISTEN_SECONDS):
                        self._heard(notification.payload)
            self._stopping.wait(_RETRY_SECONDS)

    def _heard(self, payload: str) -> None:
        with suppress(ValueError):  # another program may use the channel
            topic, key = json.loads(payload)
            self._wake(topic, key)
