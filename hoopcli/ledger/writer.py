"""The ledger's writer: a thread that commits whatever waits as one transaction, and signs on a short timer.

A future that is done means that the record is on the disk. When a commit fails, whatever waited fails with it, and the
writer refuses from then on: hoop would rather stop than forward what it cannot record. Only a lock held by another
process is forgiven.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeVar

from hoopcli.errors import LedgerError
from hoopcli.ledger.reader import LedgerBusyError
from hoopcli.ledger.record import Draft
from hoopcli.ledger.store import Ledger

BATCH: Final = 512
"""Records at which a transaction is closed; it has fewer than twice as many."""
WAITING: Final = 8_192
"""Records that may wait; ``submit`` then blocks, and ``append`` refuses."""
SIGN_SECONDS: Final = 1.0
"""How long after the first unsigned record a checkpoint is signed."""
IDLE_SECONDS: Final = 0.05
LAZY_SECONDS: Final = 0.02
"""How long a record that nobody waits for may be held back, to share a commit with one that somebody does."""
_TIDY_IDLE: Final = 150
_TIDY_BUSY: Final = 900
_CLOSED: Final = LedgerError("the ledger is closed")

T = TypeVar("T")
_Loop = asyncio.AbstractEventLoop
_Waiter = Future[int] | asyncio.Future[int]


@dataclass(frozen=True, slots=True)
class _Item:
    draft: Draft
    waiter: _Waiter
    loop: _Loop | None


class LedgerWriter:
    """Appends for any number of threads and event loops. Owns its ledger, and closes it.

    ``signed`` is called, in the writer's thread, after each checkpoint; it must return at once.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        sign_seconds: float = SIGN_SECONDS,
        waiting: int = WAITING,
        signed: Callable[[], None] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._signed = signed
        self._sign_seconds = sign_seconds
        self._groups: queue.SimpleQueue[list[_Item] | None] = queue.SimpleQueue()
        self._held: list[_Item] = []  # lazy items that the thread has not been woken for
        self._room = threading.Condition(threading.Lock())
        self._free = waiting
        self._refusal: LedgerError | None = None
        self._closing = False
        self._sign_at: float | None = None
        if ledger.size > ledger.signed:  # left by a process that was killed
            self._sign_at = time.monotonic() + sign_seconds
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> LedgerError | None:
        """Why nothing can be recorded any more, or None."""
        return self._refusal

    def submit(self, draft: Draft) -> Future[int]:
        """Queue a draft from a thread, waiting while the queue is full. The future gives the record's index.

        Raises:
            LedgerError: the writer is closed, or has failed.
        """
        future: Future[int] = Future()
        future.set_running_or_notify_cancel()  # what was submitted is recorded: there is no cancelling it
        with self._room:
            while self._free == 0:
                self._room.wait()
            self._put(_Item(draft, future, None))
        return future

    def append(self, draft: Draft, *, lazy: bool = False) -> asyncio.Future[int]:
        """Queue a draft from an event loop, at once; await the future to know that it is on the disk.

        A ``lazy`` one is held back up to ``LAZY_SECONDS`` for company, without waking the thread. Cancelling the future
        does not take the record back.

        Raises:
            LedgerError: the writer is closed, has failed, or too many records wait.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()
        with self._room:
            if self._free == 0:
                raise LedgerError("too many records wait for the disk", "check the disk that holds the ledger")
            self._put(_Item(draft, future, loop), lazy=lazy)
        return future

    def close(self) -> None:
        """Record what waits, sign it, and close the ledger. Further drafts are refused.

        Raises:
            LedgerError: something could not be recorded or signed.
        """
        with self._room:
            closing, self._closing = self._closing, True
            if not closing:
                self._release_all()
                self._groups.put(None)
        self._thread.join()
        if self._refusal is not None and not closing:
            raise _again(self._refusal)

    def __enter__(self) -> LedgerWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _put(self, item: _Item, *, lazy: bool = False) -> None:
        """Queue an item, holding the lock: nothing may be queued behind the end."""
        refusal = _CLOSED if self._closing else self._refusal
        if refusal is not None:
            raise _again(refusal)
        self._free -= 1
        timed = any(held.loop is item.loop for held in self._held)
        self._held.append(item)
        if not lazy or len(self._held) >= BATCH:
            self._release_all()
        elif not timed and item.loop is not None:
            item.loop.call_later(LAZY_SECONDS, self._release)

    def _release(self) -> None:
        with self._room:
            self._release_all()

    def _release_all(self) -> None:
        """Hand what is held to the thread, in order, by waking it once. The lock is held."""
        if self._held:
            self._groups.put(self._held)
            self._held = []

    def _run(self) -> None:
        try:
            ended = False
            while not ended:
                items, ended = self._next_batch()
                if items:
                    self._commit(items)
                self._pay_debts(idle=not items)
            self._sign()
        finally:
            self._ledger.close()

    def _next_batch(self) -> tuple[list[_Item], bool]:
        """What waits now, or nothing once the next debt is due, and whether that is the end."""
        items: list[_Item] = []
        with suppress(queue.Empty):
            group = self._groups.get(timeout=self._patience())
            while group is not None:
                items += group
                if len(items) >= BATCH:
                    return items, False
                group = self._groups.get_nowait()
            return items, True
        return items, False

    def _patience(self) -> float | None:
        """Seconds until there is something to do even if no record comes; None for ever."""
        if self._ledger.untidy > _TIDY_IDLE:
            return IDLE_SECONDS
        return None if self._sign_at is None else max(0.0, self._sign_at - time.monotonic())

    def _commit(self, items: Sequence[_Item]) -> None:
        indexes, error = self._attempt(lambda: self._ledger.append([item.draft for item in items]))
        if self._sign_at is None:
            self._sign_at = time.monotonic() + self._sign_seconds
        with self._room:
            self._free += len(items)
            self._room.notify_all()
        answers: list[int | LedgerError] = [*indexes] if indexes is not None else [error or _CLOSED] * len(items)
        for loop, group in groupby(zip(items, answers, strict=True), key=lambda pair: pair[0].loop):
            pairs = [(item.waiter, answer) for item, answer in group]
            if loop is None:
                _settle(pairs)
            else:
                with suppress(RuntimeError):  # the loop is closed: nobody waits
                    loop.call_soon_threadsafe(_settle, pairs)

    def _pay_debts(self, *, idle: bool) -> None:
        if self._sign_at is not None and time.monotonic() >= self._sign_at:
            error = self._sign()
            self._sign_at = time.monotonic() + self._sign_seconds if isinstance(error, LedgerBusyError) else None
        if self._ledger.untidy > (_TIDY_IDLE if idle else _TIDY_BUSY):
            self._attempt(self._ledger.tidy)

    def _sign(self) -> LedgerError | None:
        checkpoint, error = self._attempt(self._ledger.sign)
        if checkpoint is not None:
            self._signed()
        return error

    def _attempt(self, work: Callable[[], T]) -> tuple[T | None, LedgerError | None]:
        """Do this unless the writer has failed; if it fails for good, refuse from now on."""
        if self._refusal is not None:
            return None, self._refusal
        try:
            return work(), None
        except LedgerBusyError as error:
            return None, error
        except LedgerError as error:
            self._refusal = error
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing more may be taken for recorded
            self._refusal = LedgerError(
                f"the ledger cannot record ({type(error).__name__}: {error})", "run: hoop doctor"
            )
        return None, self._refusal


def _settle(pairs: Sequence[tuple[_Waiter, int | LedgerError]]) -> None:
    """Answer futures, in the thread that they belong to."""
    for waiter, answer in pairs:
        if waiter.done():  # cancelled; recorded all the same
            continue
        if isinstance(answer, LedgerError):
            waiter.set_exception(_again(answer))
        else:
            waiter.set_result(answer)


def _again(error: LedgerError) -> LedgerError:
    """A new exception of the same content, since one exception cannot be raised in several places."""
    return type(error)(error.message, error.hint)
