"""Syncing beside a session: nobody waits for it but in strict mode, and every end of it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hoopcli.errors import LedgerError, UpstreamError
from hoopcli.ledger.background import BackgroundSync, StrictWriter
from hoopcli.ledger.drafts import ledger_note
from hoopcli.ledger.note import Checkpoint, Cosigner, Note
from hoopcli.ledger.receipt import Receipt
from hoopcli.ledger.record import Draft
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.sync import ContradictedError
from hoopcli.ledger.writer import LedgerWriter
from tests.ledger.stage import Story, signer
from tests.support.waiting import eventually

WITNESS = Cosigner.generate("w")


class Server:
    """A round that gives what the test says."""

    def __init__(self) -> None:
        self.size = 0
        self.rounds = 0
        self.error: Exception | None = None
        self.open = threading.Event()
        self.open.set()

    def __call__(self) -> Receipt | None:
        self.open.wait(20)
        self.rounds += 1
        if self.error is not None:
            raise self.error
        return Receipt(WITNESS.verifier, "", Checkpoint("o", self.size, bytes(32))) if self.size else None


@pytest.fixture
def server() -> Server:
    return Server()


def heard(sync: BackgroundSync, index: int) -> list[LedgerError | None]:
    said: list[LedgerError | None] = []
    sync.when_acknowledged(index, said.append)
    return said


def test_a_wake_makes_a_round_and_waiters_hear_of_it(server: Server) -> None:
    with BackgroundSync(server) as sync:
        first, second = heard(sync, 0), heard(sync, 4)
        server.size = 3
        sync.wake()
        eventually(lambda: first)
        assert (first, second, sync.acknowledged, sync.failure) == ([None], [], 3, None)
        assert heard(sync, 2) == [None]
    assert isinstance(second[0], LedgerError)
    assert isinstance(heard(sync, 9)[0], LedgerError)


def test_without_a_wake_it_asks_now_and_then(server: Server) -> None:
    with BackgroundSync(server, idle=0.01):
        eventually(lambda: server.rounds > 2)


def test_what_is_signed_while_closing_is_sent(server: Server) -> None:
    sync = BackgroundSync(server)
    server.size = 5
    sync.close()
    assert (sync.acknowledged, server.rounds) == (5, 1)


def test_a_server_that_is_away_is_tried_again_and_told_once(server: Server) -> None:
    said: list[str] = []
    server.error = UpstreamError("nobody answers")
    with BackgroundSync(server, said.append, pause=0.005) as sync:
        sync.wake()
        eventually(lambda: server.rounds > 3)
        server.error, server.size = None, 2
        eventually(lambda: sync.acknowledged == 2)
        assert said == ["not synced: nobody answers; hoop goes on trying", "synced again"]


def test_closing_does_not_wait_for_a_server_that_is_away(server: Server) -> None:
    server.error = UpstreamError("nobody answers")
    with BackgroundSync(server, pause=3600) as sync:
        sync.wake()
        eventually(lambda: server.rounds == 1)
    assert server.rounds == 1


@pytest.mark.parametrize("error", [ContradictedError("forked", "ask"), OSError("a defect")])
def test_a_server_that_contradicts_ends_it(server: Server, error: Exception) -> None:
    said: list[str] = []
    server.error = error
    with BackgroundSync(server, said.append) as sync:
        waiting = heard(sync, 0)
        sync.wake()
        eventually(lambda: waiting)
        assert isinstance(waiting[0], LedgerError)
        assert sync.failure is not None
        assert isinstance(heard(sync, 0)[0], LedgerError)
        assert len(said) == 1
    assert server.rounds == 1


def test_a_server_that_hangs_is_left_behind(server: Server) -> None:
    said: list[str] = []
    server.open.clear()
    sync = BackgroundSync(server, said.append)
    sync.wake()
    sync.close(0.01)
    server.error = UpstreamError("too late")
    server.open.set()
    sync._thread.join(10)
    assert said == []


@contextmanager
def strict(folder: Path, server: Server, seconds: float = 20.0) -> Iterator[tuple[StrictWriter, BackgroundSync]]:
    with (
        BackgroundSync(server, pause=0.005) as sync,
        LedgerWriter(Ledger.open(folder / "ledger.db", signer(folder)), sign_seconds=0.0, signed=sync.wake) as writer,
    ):
        yield StrictWriter(writer, sync, seconds=seconds), sync


REQUEST = Story().ask("x1").drafts[0]
NOTE = ledger_note("n", {})


def run(work: Callable[[], object]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_a_request_waits_for_the_server_and_nothing_else_does(tmp_path: Path, server: Server) -> None:
    with strict(tmp_path, server) as (writer, _sync):

        async def work() -> None:
            assert await writer.append(NOTE) == 0
            asked = writer.append(REQUEST)
            assert await writer.append(NOTE, lazy=True) == 2
            assert not asked.done()
            server.size = 3
            writer._sync.wake()
            assert await asked == 1

        run(work)
        assert writer.failure is None


def test_a_server_that_is_too_late_refuses_the_statement(tmp_path: Path, server: Server) -> None:
    with strict(tmp_path, server, seconds=0.01) as (writer, _sync):

        async def work() -> None:
            with pytest.raises(LedgerError, match="strict"):
                await writer.append(REQUEST)

        run(work)
        assert writer.failure is None  # the next statement may have more luck


def test_a_server_that_contradicts_refuses_every_statement(tmp_path: Path, server: Server) -> None:
    server.error = ContradictedError("forked")
    with strict(tmp_path, server) as (writer, _sync):

        async def work() -> None:
            for _ in range(2):
                with pytest.raises(ContradictedError):
                    await writer.append(REQUEST)

        run(work)
        assert isinstance(writer.failure, ContradictedError)


def test_a_request_that_is_not_recorded_fails_at_once(tmp_path: Path, server: Server) -> None:
    broken = Draft("exchange.request", {"text": object()})  # type: ignore[dict-item]
    with pytest.raises(LedgerError, match="cannot record"), strict(tmp_path, server) as (writer, _sync):

        async def work() -> None:
            writer.append(REQUEST).cancel()
            with pytest.raises(LedgerError, match="cannot record"):
                await writer.append(broken)

        run(work)


def test_a_note_and_its_cosignature_stand_together() -> None:
    text = str(Checkpoint("o", 1, bytes(32)))
    note = Note(text, (WITNESS.cosign(text, 7),))
    assert WITNESS.verifier.open(note) == 7
