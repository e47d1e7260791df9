"""A broker's enforcement at one replica, the approver at another, PostgreSQL between them."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hoopcli.ledger.keys import load_or_create
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.writer import LedgerWriter
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.approval import Request, State
from hoopcli.model.decision import Action, Statement
from hoopcli.model.session import Session
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.proxy.enforcement import Enforcement
from hoopcli.proxy.journal import Journal
from hoopcli.proxy.remote_approvals import RemoteApprovals
from hoopcli.sansio.events import Deny, Permit
from tests.support.approvals import NADIA, OMAR, Running, Signed, replica
from tests.support.ledger import records_of
from tests.support.postgres import postgres

POLICY = """
version: 1
rules:
  - id: drops-need-a-human
    effect: require_approval
    verbs: ["sql:drop"]
    approval: {groups: [dba], expires: 10m}
"""
CLAIRE = Principal("agent:claire", PrincipalKind.AGENT, on_behalf_of=OMAR.subject)


def drop(request: bytes = b"drop") -> Statement:
    return Statement("DROP TABLE t", request, (Action("sql:drop", ("shop.dbo.t",)),), {"filtered": False})


@pytest.fixture(scope="module")
def replicas() -> Iterator[tuple[Running, Running]]:
    with ExitStack() as stack:
        url = stack.enter_context(postgres())
        yield stack.enter_context(replica(url)), stack.enter_context(replica(url))


def now() -> datetime:
    return datetime.now(UTC)


def enforced(folder: Path, server: Signed, work: Callable[[Enforcement, RemoteApprovals], Awaitable[Any]]) -> list[str]:
    """Work with an enforcement point whose desk is at the server; the types of what it recorded."""
    path = folder / "ledger.db"
    writer = LedgerWriter(Ledger.open(path, load_or_create(folder / "key").signer))
    session = Session("s1", CLAIRE, Connection("azure-sql", "sql"), now(), now() + timedelta(hours=1), "ticket 7")
    desk = RemoteApprovals(server, now)
    journal = Journal(writer, session, str)
    enforcement = Enforcement(session, frozenset(), Engine(load(POLICY)), desk, journal, now)

    async def main() -> None:
        await work(enforcement, desk)

    try:
        asyncio.run(main())
    finally:
        writer.close()
    return [r.type for r in records_of(path) if r.type != "ledger.note"]


@asynccontextmanager
async def asking(
    enforcement: Enforcement, desk: RemoteApprovals, statement: Statement
) -> AsyncIterator[tuple[asyncio.Task[Permit | Deny], Request]]:
    """A statement that waits at the server."""
    task = asyncio.create_task(enforcement.authorize(statement))
    while not (waiting := await desk.waiting("s1")):
        await asyncio.sleep(0.005)
    yield task, waiting[0]


async def listened(server: Running, identity: str) -> None:
    while ("approval", identity) not in server.services.wake._tickets:
        await asyncio.sleep(0.005)


def test_an_approval_at_another_replica_releases_the_statement(
    tmp_path: Path, replicas: tuple[Running, Running]
) -> None:
    here, there = replicas
    nadia = RemoteApprovals(there.signed(NADIA), now)

    async def work(enforcement: Enforcement, desk: RemoteApprovals) -> None:
        async with asking(enforcement, desk, drop(b"one")) as (task, request):
            await listened(here, request.id)
            [seen] = await asyncio.to_thread(nadia.pending)
            assert (seen.text, seen.reason, seen.on_behalf_of) == ("DROP TABLE t", "ticket 7", OMAR.subject)
            await asyncio.to_thread(nadia.answer, request.id, NADIA, approve=True, comment="go")
            reply = await task
        assert isinstance(reply, Permit)
        assert NADIA.subject in reply.decision.reason
        assert (await asyncio.to_thread(nadia.get, request.id)).state is State.USED

    assert enforced(tmp_path, here.signed(OMAR), work) == [
        "approval.asked",
        "approval.answered",
        "approval.used",
        "exchange.request",
    ]


def test_a_denial_carries_the_comment(tmp_path: Path, replicas: tuple[Running, Running]) -> None:
    here, there = replicas
    nadia = RemoteApprovals(there.signed(NADIA), now)

    async def work(enforcement: Enforcement, desk: RemoteApprovals) -> None:
        async with asking(enforcement, desk, drop(b"two")) as (task, request):
            await asyncio.to_thread(nadia.answer, request.id, NADIA, approve=False, comment="not before the backup")
            reply = await task
        assert isinstance(reply, Deny)
        assert "not before the backup" in reply.message

    enforced(tmp_path, here.signed(OMAR), work)


def test_a_client_that_hangs_up_withdraws_and_the_next_identical_try_runs(
    tmp_path: Path, replicas: tuple[Running, Running]
) -> None:
    here, there = replicas
    nadia = RemoteApprovals(there.signed(NADIA), now)

    async def work(enforcement: Enforcement, desk: RemoteApprovals) -> None:
        async with asking(enforcement, desk, drop(b"three")) as (task, request):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        while (await asyncio.to_thread(nadia.get, request.id)).withdrawn is None:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(nadia.answer, request.id, NADIA, approve=True)
        async with asking(enforcement, desk, drop(b"other")) as (other, _):
            other.cancel()
            with pytest.raises(asyncio.CancelledError):
                await other
        assert isinstance(await enforcement.authorize(drop(b"three")), Permit)

    kinds = enforced(tmp_path, here.signed(OMAR), work)
    assert kinds[:3] == ["approval.asked", "approval.withdrawn", "exchange.request"]
    assert kinds[-2:] == ["approval.used", "exchange.request"]


def test_one_approval_is_used_once_by_whichever_replica(tmp_path: Path, replicas: tuple[Running, Running]) -> None:
    """Both replicas are asked at the same time, again and again, for the one use that there is."""
    here, there = replicas
    nadia = RemoteApprovals(there.signed(NADIA), now)
    desks = [RemoteApprovals(server.signed(OMAR), now) for server in (here, there) * 4]

    async def work(enforcement: Enforcement, desk: RemoteApprovals) -> None:
        async with asking(enforcement, desk, drop(b"four")) as (task, request):
            task.cancel()
            await asyncio.wait([task])
        await asyncio.to_thread(nadia.answer, request.id, NADIA, approve=True)
        spent = await asyncio.gather(*(each.spend(request, request.binding) for each in desks))
        assert sorted(spent) == [False] * 7 + [True]

    enforced(tmp_path, here.signed(OMAR), work)


def test_the_same_question_at_both_replicas_is_one_request(tmp_path: Path, replicas: tuple[Running, Running]) -> None:
    here, there = replicas

    async def work(enforcement: Enforcement, desk: RemoteApprovals) -> None:
        decision = enforcement._policy.current().decide(CLAIRE, Connection("azure-sql", "sql"), drop(b"five"), now())
        question = enforcement._question(drop(b"five"), decision)
        terms: Any = decision.obligations[0]
        desks = [RemoteApprovals(server.signed(OMAR), now) for server in (here, there) * 4]
        requests = await asyncio.gather(*(each.submit(question, terms) for each in desks))
        assert len({request.id for request in requests}) == 1
        other = await desk.submit(question, replace(terms, count=2))
        assert other.id != requests[0].id

    enforced(tmp_path, here.signed(OMAR), work)


def test_a_server_that_is_away_is_asked_again(tmp_path: Path, replicas: tuple[Running, Running]) -> None:
    """The wait outlives a restart of the replica; what was answered meanwhile counts."""
    here, there = replicas
    nadia = RemoteApprovals(there.signed(NADIA), now)

    async def work(enforcement: Enforcement, desk: RemoteApprovals) -> None:
        server: Any = desk._server
        async with asking(enforcement, desk, drop(b"six")) as (task, request):
            good, server.url = server.url, "http://127.0.0.1:1"
            async with asyncio.timeout(30):
                await asyncio.to_thread(nadia.answer, request.id, NADIA, approve=True)
                server.url = good
                assert isinstance(await task, Permit)

    enforced(tmp_path, here.signed(OMAR), work)


def test_it_is_released_soon_after_the_approval(tmp_path: Path, replicas: tuple[Running, Running]) -> None:
    """Across replicas; the bound is far above what it takes, for a machine that is busy with other tests."""
    here, there = replicas
    nadia = RemoteApprovals(there.signed(NADIA), now)
    took: list[float] = []

    async def work(enforcement: Enforcement, desk: RemoteApprovals) -> None:
        for number in range(10):
            async with asking(enforcement, desk, drop(b"n%d" % number)) as (task, request):
                await listened(here, request.id)
                answering = asyncio.to_thread(nadia.answer, request.id, NADIA, approve=True)
                answered = asyncio.create_task(answering)
                answered.add_done_callback(lambda _: took.append(-time.monotonic()))
                assert isinstance(await task, Permit)
                took[-1] += time.monotonic()

    enforced(tmp_path, here.signed(OMAR), work)
    print([round(t * 1000) for t in took])
    assert statistics.median(took) < 2
