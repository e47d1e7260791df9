"""Syncing while a session runs: a thread of its own, woken by each checkpoint, that never holds a statement up.

In ``strict`` mode it does: ``StrictWriter`` takes a request for recorded only once a server has cosigned it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from hoopcli.errors import HoopError, LedgerError, UpstreamError
from hoopcli.ledger.reader import LedgerBusyError
from hoopcli.ledger.receipt import Receipt
from hoopcli.ledger.record import Draft
from hoopcli.ledger.writer import LedgerWriter

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
IDLE_SECONDS: Final = 30.0
"""How often the server is asked even if nothing is new."""
CLOSE_SECONDS: Final = 5.0
REQUEST: Final = "exchange.request"
_LATE: Final = ("the server has not acknowledged this statement in time, and sync is strict", "run: hoop sync")

Waiter = Callable[[LedgerError | None], None]


class Round(Protocol):
    """Sends all that is signed; ``LedgerSync.run``."""

    def __call__(self) -> Receipt | None:
        """The receipt, or None if there is nothing to send."""


class BackgroundSync:
    """Runs rounds until it is closed. ``tell`` is given a sentence when the server is lost, found or contradicts."""

    def __init__(
        self,
        round_: Round,
        tell: Callable[[str], None] = lambda _said: None,
        *,
        idle: float = IDLE_SECONDS,
        pause: float = FIRST_PAUSE,
    ) -> None:
        self._round = round_
        self._tell = tell
        self._idle = idle
        self._first_pause = self._pause = pause
        self._lock = threading.Lock()
        self._due = threading.Event()
        self._stop = threading.Event()
        self._waiters: list[tuple[int, Waiter]] = []
        self._acknowledged = 0
        self._refusal: LedgerError | None = None
        self._offline = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        self._thread.start()

    @property
    def acknowledged(self) -> int:
        """How many records the server has cosigned."""
        return self._acknowledged

    @property
    def failure(self) -> LedgerError | None:
        """Why the server will not take this ledger any more, or None."""
        return self._refusal

    def wake(self) -> None:
        """There is something to send."""
        self._due.set()

    def when_acknowledged(self, index: int, waiter: Waiter) -> None:
        """Call ``waiter``, in any thread, once the server has the record of this index, or why it never will."""
        with self._lock:
            waits = index >= self._acknowledged and not self._ended
            if waits:
                self._waiters.append((index, waiter))
        if not waits:
            waiter(None if index < self._acknowledged else self._why_not())

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Send what is left, for at most so long; what remains goes with the next session or ``hoop sync``."""
        self._stop.set()
        self._due.set()
        self._thread.join(seconds)
        self._tell = lambda _said: None  # whatever a late answer brings, nobody asked for it any more

    def __enter__(self) -> BackgroundSync:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _run(self) -> None:
        while self._refusal is None and not self._stop.is_set():
            if self._offline:
                self._stop.wait(self._pause)
            else:
                self._due.wait(self._idle)
            self._due.clear()
            if not self._stop.is_set():
                self._attempt()
        if self._refusal is None and not self._offline:
            self._attempt()  # what was signed while closing
        with self._lock:
            self._ended = True
            waiters, self._waiters = self._waiters, []
        for _, waiter in waiters:
            waiter(self._why_not())

    def _attempt(self) -> None:
        try:
            receipt = self._round()
        except (UpstreamError, LedgerBusyError) as error:
            self._lost(error)
        except LedgerError as error:
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing is synced any more, and that is said
            self._refuse(LedgerError(f"syncing failed ({type(error).__name__})", "run: hoop sync"))
        else:
            self._found()
            if receipt is not None:
                self._acknowledge(receipt.size)

    def _acknowledge(self, size: int) -> None:
        with self._lock:
            self._acknowledged = max(size, self._acknowledged)
            done = [waiter for index, waiter in self._waiters if index < size]
            self._waiters = [(index, waiter) for index, waiter in self._waiters if index >= size]
        for waiter in done:
            waiter(None)

    def _lost(self, error: HoopError) -> None:
        if self._offline:
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        else:
            self._offline, self._pause = True, self._first_pause
            self._tell(f"not synced: {error.message}; hoop goes on trying")

    def _found(self) -> None:
        if self._offline:
            self._offline = False
            self._tell("synced again")

    def _refuse(self, error: LedgerError) -> None:
        self._refusal = error
        self._tell(f"not synced any more: {error.message}" + (f" ({error.hint})" if error.hint else ""))

    def _why_not(self) -> LedgerError:
        refusal = self._refusal
        if refusal is None:
            return LedgerError("syncing has ended before the server had this record", "run: hoop sync")
        return type(refusal)(refusal.message, refusal.hint)


class StrictWriter:
    """A ledger's writer for strict mode: the future of a request is done once the server has cosigned its record.

    Other records are durable on this machine only, as ever: nothing is forwarded on their account. ``seconds`` is how
    long a statement waits for the server before it is refused.
    """

    def __init__(self, writer: LedgerWriter, sync: BackgroundSync, *, seconds: float) -> None:
        self._writer = writer
        self._sync = sync
        self._seconds = seconds

    @property
    def failure(self) -> LedgerError | None:
        """Why nothing can be recorded any more, or None."""
        return self._writer.failure or self._sync.failure

    def append(self, draft: Draft, *, lazy: bool = False) -> asyncio.Future[int]:
        """As ``LedgerWriter.append``; a request's future fails with LedgerError if the server is not heard in time."""
        recorded = self._writer.append(draft, lazy=lazy)
        if draft.type != REQUEST:
            return recorded
        loop = asyncio.get_running_loop()
        both: asyncio.Future[int] = loop.create_future()
        late = loop.call_later(self._seconds, lambda: _settle(both, LedgerError(*_LATE)))
        both.add_done_callback(lambda _: late.cancel())
        recorded.add_done_callback(lambda _: self._recorded(recorded, both, loop))
        return both

    def _recorded(
        self, recorded: asyncio.Future[int], both: asyncio.Future[int], loop: asyncio.AbstractEventLoop
    ) -> None:
        error = asyncio.CancelledError() if recorded.cancelled() else recorded.exception()
        if error is not None:
            _settle(both, error)
            return
        index = recorded.result()

        def acknowledged(error: LedgerError | None) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(_settle, both, index if error is None else error)

        self._sync.when_acknowledged(index, acknowledged)


def _settle(future: asyncio.Future[int], answer: int | BaseException) -> None:
    if future.done():
        return
    if isinstance(answer, int):
        future.set_result(answer)
    elif isinstance(answer, asyncio.CancelledError):
        future.cancel()
    else:
        future.set_exception(answer)
