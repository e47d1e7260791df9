"""Group commit: done means durable, failure means refusal, closing loses nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

from hoopcli.errors import LedgerError
from hoopcli.ledger import writer as writer_module
from hoopcli.ledger.drafts import ledger_note
from hoopcli.ledger.note import Checkpoint
from hoopcli.ledger.reader import LedgerBusyError, Reader
from hoopcli.ledger.record import Draft
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.writer import LedgerWriter
from tests.ledger.stage import check, signer

NOTE = ledger_note("hello", {})


class Gated(Ledger):
    """A real ledger whose commits wait for the test."""

    gate: threading.Event
    signed_event: threading.Event

    def append(self, batch: Sequence[Draft]) -> list[int]:
        self.gate.wait(10)
        return super().append(batch)

    def sign(self) -> Checkpoint:
        checkpoint = super().sign()
        self.signed_event.set()
        return checkpoint


@pytest.fixture
def gated(tmp_path: Path) -> Iterator[Gated]:
    opened = Gated.open(tmp_path / "ledger.db", signer(tmp_path), busy_seconds=0.05)
    assert isinstance(opened, Gated)
    opened.gate = threading.Event()
    opened.gate.set()
    opened.signed_event = threading.Event()
    yield opened
    opened.close()


def stored(folder: Path) -> int:
    with Reader.open(folder / "ledger.db") as reader:
        return reader.size


def test_threads_get_indexes_of_what_is_durable(gated: Gated, tmp_path: Path) -> None:
    with LedgerWriter(gated) as writer:
        futures = [writer.submit(NOTE) for _ in range(50)]
        assert [f.result(10) for f in futures] == list(range(50))
        assert stored(tmp_path) == 50
        assert writer.failure is None


def test_a_loop_awaits_without_blocking(gated: Gated, tmp_path: Path) -> None:
    async def main(writer: LedgerWriter) -> list[int]:
        gated.gate.clear()
        futures = [writer.append(NOTE) for _ in range(20)]
        await asyncio.sleep(0)
        assert not any(f.done() for f in futures)
        gated.gate.set()
        return await asyncio.gather(*futures)

    with LedgerWriter(gated) as writer:
        assert asyncio.run(main(writer)) == list(range(20))
    assert stored(tmp_path) == 20


def test_a_lazy_record_goes_with_the_next_and_does_not_wait_for_ever(gated: Gated) -> None:
    async def main(writer: LedgerWriter) -> None:
        lazy = writer.append(NOTE, lazy=True)
        prompt = writer.append(NOTE)
        assert (await lazy, await prompt) == (0, 1)
        assert await writer.append(NOTE, lazy=True) == 2

    with LedgerWriter(gated) as writer:
        asyncio.run(main(writer))


def test_lazy_records_of_a_loop_that_is_gone_are_kept_in_order(gated: Gated, tmp_path: Path) -> None:
    async def leave(writer: LedgerWriter) -> None:
        writer.append(NOTE, lazy=True)

    async def wait(writer: LedgerWriter) -> int:
        return await writer.append(NOTE, lazy=True)

    with LedgerWriter(gated) as writer:
        asyncio.run(leave(writer))
        assert asyncio.run(wait(writer)) == 1
        asyncio.run(leave(writer))
        assert writer.submit(NOTE).result(10) == 3
        asyncio.run(leave(writer))
    assert stored(tmp_path) == 5


def test_a_batch_of_lazy_records_waits_for_nothing(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "LAZY_SECONDS", 3600.0)

    async def main(writer: LedgerWriter) -> None:
        futures = [writer.append(NOTE, lazy=True) for _ in range(2 * writer_module.BATCH)]
        assert await asyncio.gather(*futures) == list(range(2 * writer_module.BATCH))

    with LedgerWriter(gated) as writer:
        asyncio.run(main(writer))


def test_what_was_cancelled_is_recorded_all_the_same(gated: Gated, tmp_path: Path) -> None:
    async def main(writer: LedgerWriter) -> None:
        gated.gate.clear()
        cancelled = writer.append(NOTE)
        cancelled.cancel()
        gated.gate.set()
        assert await writer.append(NOTE) == 1

    with LedgerWriter(gated) as writer:
        asyncio.run(main(writer))
        assert not writer.submit(NOTE).cancel()
    assert stored(tmp_path) == 3


def test_a_loop_that_is_gone_harms_nobody(gated: Gated, tmp_path: Path) -> None:
    async def forget(writer: LedgerWriter) -> None:
        gated.gate.clear()
        writer.append(NOTE)

    with LedgerWriter(gated) as writer:
        asyncio.run(forget(writer))
        gated.gate.set()
        assert writer.submit(NOTE).result(10) == 1
    assert stored(tmp_path) == 2


def test_a_full_queue_holds_threads_up_and_refuses_loops(gated: Gated) -> None:
    async def refused(writer: LedgerWriter) -> None:
        with pytest.raises(LedgerError, match="too many"):
            writer.append(NOTE)

    with LedgerWriter(gated, waiting=4) as writer:
        gated.gate.clear()
        futures = [writer.submit(NOTE) for _ in range(4)]
        asyncio.run(refused(writer))
        late: list[Future[int]] = []
        thread = threading.Thread(target=lambda: late.append(writer.submit(NOTE)))
        thread.start()
        assert not late
        gated.gate.set()
        thread.join(10)
        assert late[0].result(10) == 4
        assert [f.result(10) for f in futures] == [0, 1, 2, 3]


def test_closing_drains_signs_and_refuses(gated: Gated, tmp_path: Path) -> None:
    writer = LedgerWriter(gated)
    gated.gate.clear()
    futures = [writer.submit(NOTE) for _ in range(1000)]
    gated.gate.set()
    writer.close()
    writer.close()
    assert [f.result(0) for f in futures] == list(range(1000))
    with pytest.raises(LedgerError, match="closed"):
        writer.submit(NOTE)
    report = check(tmp_path / "ledger.db")
    assert (report.intact, report.signed) == (True, 1000)


def test_a_checkpoint_is_signed_soon_after_a_record(gated: Gated, tmp_path: Path) -> None:
    with LedgerWriter(gated, sign_seconds=0.01) as writer:
        writer.submit(NOTE).result(10)
        assert gated.signed_event.wait(10)
        with Reader.open(tmp_path / "ledger.db") as reader:
            assert reader.last_checkpoint() is not None


def test_records_left_unsigned_by_a_crash_are_signed_at_the_next_start(gated: Gated, tmp_path: Path) -> None:
    gated.append([NOTE])
    with LedgerWriter(gated, sign_seconds=0.01):
        assert gated.signed_event.wait(10)


def test_when_a_commit_fails_everything_fails_from_then_on(gated: Gated, tmp_path: Path) -> None:
    async def main(writer: LedgerWriter) -> None:
        with pytest.raises(LedgerError, match="cannot grow"):
            await writer.append(ledger_note("x" * 100_000, {}))
        with pytest.raises(LedgerError, match="cannot grow"):
            writer.append(NOTE)

    writer = LedgerWriter(gated)
    gated._db.execute("PRAGMA max_page_count = 14")
    gated.gate.clear()
    first, second = writer.submit(ledger_note("y" * 200_000, {})), writer.submit(NOTE)
    gated.gate.set()
    for future in (first, second):
        with pytest.raises(LedgerError, match="cannot grow") as caught:
            future.result(10)
        assert caught.value.hint
    assert isinstance(writer.failure, LedgerError)
    with pytest.raises(LedgerError, match="cannot grow"):
        writer.submit(NOTE)
    with pytest.raises(LedgerError, match="cannot grow"):
        writer.close()
    assert stored(tmp_path) == 0


def test_what_waits_when_it_fails_fails_too(gated: Gated, tmp_path: Path) -> None:
    gated._db.execute("PRAGMA max_page_count = 14")
    writer = LedgerWriter(gated)
    gated.gate.clear()
    futures = [writer.submit(ledger_note("y" * 10_000, {})) for _ in range(writer_module.BATCH + 10)]
    gated.gate.set()
    for future in futures:
        assert isinstance(future.exception(10), LedgerError)
    with pytest.raises(LedgerError):
        writer.close()
    assert stored(tmp_path) == 0


def test_an_unexpected_exception_refuses_too(gated: Gated) -> None:
    writer = LedgerWriter(gated)
    with pytest.raises(LedgerError, match="TypeError"):
        writer.submit(Draft("ledger.note", {"facts": object()})).result(10)  # type: ignore[dict-item]
    with pytest.raises(LedgerError, match="TypeError"):
        writer.close()


def test_a_lock_held_by_another_is_survived(gated: Gated, tmp_path: Path) -> None:
    with LedgerWriter(gated, sign_seconds=0.01) as writer:
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusyError):
            writer.submit(NOTE).result(10)
        other.execute("ROLLBACK")
        other.close()
        assert writer.failure is None
        assert writer.submit(NOTE).result(10) == 0
        assert gated.signed_event.wait(10)


def test_signing_is_put_off_while_another_holds_the_lock(gated: Gated, tmp_path: Path) -> None:
    with LedgerWriter(gated, sign_seconds=0.02) as writer:
        writer.submit(NOTE).result(10)
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        gated.signed_event.clear()
        gated.signed_event.wait(0.15)
        other.execute("ROLLBACK")
        other.close()
        assert gated.signed_event.wait(10)
        assert writer.failure is None


def test_the_log_is_tidied_when_nothing_comes(gated: Gated, monkeypatch: pytest.MonkeyPatch) -> None:
    tidied = threading.Event()
    tidy = gated.tidy

    def told() -> None:
        tidy()
        tidied.set()

    monkeypatch.setattr(gated, "tidy", told)
    with LedgerWriter(gated) as writer:
        writer.submit(ledger_note("x" * 900_000, {})).result(10)
        assert tidied.wait(10)
        tidied.clear()
        for _ in range(4):
            writer.submit(ledger_note("x" * 900_000, {})).result(10)
        assert tidied.wait(10)
