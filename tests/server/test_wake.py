"""Waking: nothing is missed between looking and waiting, and with PostgreSQL every replica hears."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import text

from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.wake import CHANNEL, Wake
from tests.support.postgres import postgres


@pytest.fixture(scope="module")
def pg() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Wake]:
    with closing(Database.open(sqlite_url(tmp_path / "s.db"))) as database, closing(Wake(database)) as wake:
        yield wake


def test_what_comes_before_the_wait_counts(local: Wake) -> None:
    async def work() -> None:
        with local.subscribed(("t", "k")) as ticket:
            local.notify("t", "k")
            assert await ticket.wait(10)
            assert not await ticket.wait(0.001)
            local.notify("t", "other")
            local.notify("other", "k")
            assert not await ticket.wait(0.001)
        assert not await local.wait("t", "k", 0)

    asyncio.run(work())


def test_another_thread_wakes_many(local: Wake) -> None:
    async def work() -> None:
        waiting = [asyncio.create_task(local.wait("t", "k", 20)) for _ in range(200)]
        await asyncio.sleep(0)
        await asyncio.to_thread(local.notify, "t", "k")
        assert all(await asyncio.gather(*waiting))
        assert local._tickets == {}

    asyncio.run(work())


def test_a_loop_that_is_gone_stops_nobody(local: Wake) -> None:
    stack = ExitStack()

    async def leave() -> None:
        stack.enter_context(local.subscribed(("t", "k")))

    asyncio.run(leave())
    local.notify("t", "k")
    stack.close()


def test_replicas_hear_each_other(pg: str) -> None:
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(closing(Wake(stack.enter_context(closing(Database.open(pg)))))) for _ in range(2)
        )

        async def work() -> None:
            with second.subscribed(("approval", 'a "key"\n')) as ticket:
                while not await ticket.wait(0.05):  # until its listener listens
                    first.notify("approval", 'a "key"\n')
            with first.subscribed(("x", "y")) as ticket:
                first.notify("x", "y")
                assert await ticket.wait(20)

        asyncio.run(work())


def test_a_listener_that_lost_its_connection_wakes_everybody(pg: str) -> None:
    with closing(Database.open(pg)) as database, closing(Wake(database)) as wake:

        def drop() -> None:
            with database.write() as connection:
                connection.execute(text(f"NOTIFY {CHANNEL}, 'not ours'"))
            with database.write() as connection:
                mine = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                connection.execute(text(f"{mine} AND query = 'LISTEN {CHANNEL}'"))

        async def work() -> None:
            with wake.subscribed(("a", "b")) as ticket:
                await ticket.wait(2)  # it begins to listen
                await asyncio.to_thread(drop)
                assert await ticket.wait(30)

        asyncio.run(work())


def test_without_the_database_this_process_is_woken_all_the_same(tmp_path: Path) -> None:
    gone = f"postgresql://u@/d?host={tmp_path}"
    with closing(Database.open(gone)) as database, closing(Wake(database)) as wake:

        async def work() -> None:
            with wake.subscribed(("a", "b")) as ticket:
                thread = threading.Thread(target=wake.notify, args=("a", "b"))
                thread.start()
                assert await ticket.wait(20)
                thread.join()

        asyncio.run(work())


def test_a_release_wakes_everybody_and_nobody_waits_again(local: Wake) -> None:
    async def work() -> None:
        with local.subscribed(("t", "k")) as ticket:
            waiting = asyncio.create_task(ticket.wait(60))
            await asyncio.sleep(0)
            await asyncio.to_thread(local.release)
            assert await waiting
            assert local.releasing
            assert not await ticket.wait(60)
        assert not await local.wait("t", "another", 60)

    asyncio.run(work())
