"""The runner with real sockets and toy layers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from itertools import pairwise

import pytest

from hoopcli.model.decision import Action, Decision, Effect, Statement
from hoopcli.model.outcome import Outcome, Piece, Status
from hoopcli.proxy.run import run
from hoopcli.proxy.runner import HIGH_WATER, Runner
from hoopcli.sansio.commands import (
    Authorize,
    Await,
    CancelAuthorize,
    ClosePeer,
    Drain,
    GetCredential,
    OpenUpstream,
    Record,
    SendData,
    SetTimer,
)
from hoopcli.sansio.events import (
    Credential,
    CredentialGranted,
    DataReceived,
    Deny,
    Drained,
    Event,
    Noticed,
    Peer,
    PeerClosed,
    Permit,
    UpstreamFailed,
    UpstreamOpened,
    Wakeup,
)
from hoopcli.sansio.layer import BOTH, CLIENT, NOBODY, Layer, receive
from hoopcli.sansio.notice import Notice

STATEMENT = Statement("do it", b"do it", (Action("test:do"),))


class RecordingAsks:
    """Real enough to drive a runner: answers come from the test, everything is noted."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Permit | Deny] | None = None
        self.outcomes: list[Outcome] = []
        self.pieces: list[Piece] = []
        self.faults: list[Exception] = []
        self.withdrawn = 0
        self.broken = False

    async def authorize(self, statement: Statement) -> Permit | Deny:
        self.answer = asyncio.get_running_loop().create_future()
        try:
            return await self.answer
        except asyncio.CancelledError:
            self.withdrawn += 1
            raise

    async def credential(self, resource: str, *, fresh: bool) -> CredentialGranted:
        return CredentialGranted(Credential("password", f"for {resource} {fresh}"))

    async def record(self, outcome: Outcome) -> None:
        if self.broken:
            raise OSError("disk full")
        self.outcomes.append(outcome)

    async def keep(self, piece: Piece) -> None:
        if self.broken:
            raise OSError("disk full")
        self.pieces.append(piece)

    def fault(self, error: Exception) -> None:
        self.faults.append(error)


class Bench:
    """One listener whose connections run the given layer."""

    def __init__(self, layer: Callable[[], Layer]) -> None:
        self.layer = layer
        self.asks = RecordingAsks()
        self.runners: list[Runner] = []
        self.ended: list[Runner] = []
        self.port = 0
        self.writers: list[asyncio.StreamWriter] = []

    def accept(self) -> asyncio.Protocol:
        runner = Runner(self.layer(), self.asks, self.ended.append)
        self.runners.append(runner)
        return runner.accept()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def close(self) -> None:
        for runner in self.runners:
            runner.stop()
            await runner.settled()
        for writer in self.writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def listening(layer: Callable[[], Layer]) -> AsyncIterator[Bench]:
    bench = Bench(layer)
    server = await asyncio.get_running_loop().create_server(bench.accept, "127.0.0.1", 0)
    bench.port = server.sockets[0].getsockname()[1]
    try:
        yield bench
    finally:
        server.close()
        await bench.close()


@asynccontextmanager
async def upstream(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def relay(port: int) -> Layer:
    """Connect upstream and pass bytes both ways until a peer closes."""
    yield OpenUpstream("127.0.0.1", port)
    opened = yield from receive(NOBODY)
    assert isinstance(opened, UpstreamOpened)
    while True:
        event = yield from receive(BOTH)
        if isinstance(event, PeerClosed):
            return
        assert isinstance(event, DataReceived)
        yield SendData(Peer.UPSTREAM if event.peer is Peer.CLIENT else Peer.CLIENT, [event.data])


def test_bytes_cross_in_both_directions_and_ends_are_flushed() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readexactly(500_000)).upper())
        await writer.drain()

    async def main() -> None:
        async with upstream(echo) as port, listening(partial(relay, port)) as bench:
            reader, writer = await bench.connect()
            writer.write(b"a" * 500_000)
            assert await reader.read(-1) == b"A" * 500_000
            assert bench.ended == bench.runners

    run(main())


def test_a_slow_client_stops_the_upstream_and_memory_stays_bounded() -> None:
    size = 64 * HIGH_WATER
    sent = 0

    async def firehose(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        while sent < size:
            writer.write(bytes(HIGH_WATER))
            await writer.drain()
            sent += HIGH_WATER

    async def main() -> None:
        async with upstream(firehose) as port, listening(partial(relay, port)) as bench:
            reader, _ = await bench.connect()
            seen = -1
            while seen != sent:  # until the upstream has stalled
                seen = sent
                await asyncio.sleep(0.1)
            assert sent < size / 2
            total = 0
            while piece := await reader.read(1 << 20):
                total += len(piece)
            assert total == size

    run(main())


def waiting(withdraw: bool = False) -> Layer:
    """Ask for a decision; tell the client what is heard while it is awaited."""
    yield Authorize(STATEMENT)
    while True:
        match (yield from receive(CLIENT)):
            case Permit(exchange):
                yield SendData(Peer.CLIENT, [b"permit"])
                yield Record(Outcome(exchange, Status.COMPLETED))
                return
            case Deny(rule=rule):
                yield SendData(Peer.CLIENT, [rule.encode()])
                return
            case DataReceived():
                if withdraw:
                    yield CancelAuthorize()
                    yield SendData(Peer.CLIENT, [b"withdrawn"])
                    return
                yield SendData(Peer.CLIENT, [b"heard"])
            case PeerClosed():
                return


def test_a_waiting_layer_hears_the_client_and_then_the_answer() -> None:
    async def main() -> None:
        async with listening(waiting) as bench:
            reader, writer = await bench.connect()
            writer.write(b"cancel?")
            assert await reader.readexactly(5) == b"heard"
            assert bench.asks.answer is not None
            bench.asks.answer.set_result(Permit("x1", Decision(Effect.ALLOW, "r")))
            assert await reader.read(-1) == b"permit"
            await bench.runners[0].settled()
            assert [o.exchange for o in bench.asks.outcomes] == ["x1"]

    run(main())


def test_a_withdrawn_ask_is_cancelled_and_gives_no_reply() -> None:
    async def main() -> None:
        async with listening(partial(waiting, withdraw=True)) as bench:
            reader, writer = await bench.connect()
            writer.write(b"cancel!")
            assert await reader.read(-1) == b"withdrawn"
            await bench.runners[0].settled()
            assert bench.asks.withdrawn == 1

    run(main())


def test_a_client_that_hangs_up_while_it_waits_is_heard() -> None:
    async def main() -> None:
        async with listening(waiting) as bench:
            _, writer = await bench.connect()
            while not bench.runners or bench.asks.answer is None:
                await asyncio.sleep(0)
            writer.close()
            while not bench.ended:
                await asyncio.sleep(0)
            await bench.runners[0].settled()
            assert bench.asks.withdrawn == 1

    run(main())


def test_waiting_of_one_connection_does_not_stop_another() -> None:
    async def main() -> None:
        async with listening(waiting) as bench:
            first, _ = await bench.connect()
            while bench.asks.answer is None:
                await asyncio.sleep(0)
            held = bench.asks.answer
            second, _ = await bench.connect()
            while bench.asks.answer is held:
                await asyncio.sleep(0)
            bench.asks.answer.set_result(Deny("x2", "rule-two", "no"))
            assert await second.read(-1) == b"rule-two"
            held.set_result(Deny("x1", "rule-one", "no"))
            assert await first.read(-1) == b"rule-one"

    run(main())


def broken_after(event: type[Event]) -> Layer:  # type: ignore[valid-type]
    yield SendData(Peer.CLIENT, [b"begin"])
    assert isinstance((yield from receive(CLIENT)), event)
    raise RuntimeError("a bug in a layer")


def test_an_exception_in_a_layer_closes_and_delivers_nothing_more() -> None:
    async def main() -> None:
        async with listening(partial(broken_after, DataReceived)) as bench:
            reader, writer = await bench.connect()
            assert await reader.readexactly(5) == b"begin"
            writer.write(b"go")
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            assert [str(e) for e in bench.asks.faults] == ["a bug in a layer"]
            assert bench.ended

    run(main())


def test_an_outcome_that_cannot_be_recorded_ends_the_connection() -> None:
    def layer() -> Layer:
        yield Record(Outcome("x", Status.COMPLETED))
        yield from receive(CLIENT)

    async def main() -> None:
        async with listening(layer) as bench:
            bench.asks.broken = True
            reader, _ = await bench.connect()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            assert [str(e) for e in bench.asks.faults] == ["disk full"]

    run(main())


def test_an_ask_that_raises_ends_the_connection() -> None:
    async def main() -> None:
        async with listening(waiting) as bench:
            reader, _ = await bench.connect()
            while bench.asks.answer is None:
                await asyncio.sleep(0)
            bench.asks.answer.set_exception(RuntimeError("ledger gone"))
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            assert [str(e) for e in bench.asks.faults] == ["ledger gone"]

    run(main())


def test_timers_credentials_and_a_refused_upstream() -> None:
    def layer() -> Layer:
        yield SetTimer(30)
        yield SetTimer(0.001)
        assert isinstance((yield from receive(CLIENT)), Wakeup)
        yield GetCredential("db", fresh=True)
        granted = yield from receive(CLIENT)
        assert isinstance(granted, CredentialGranted)
        yield OpenUpstream("127.0.0.1", 1)
        failed = yield from receive(CLIENT)
        assert isinstance(failed, UpstreamFailed)
        yield SendData(Peer.CLIENT, [granted.credential.secret.encode(), b"|", failed.message.encode()])
        yield ClosePeer(Peer.UPSTREAM)
        yield ClosePeer(Peer.CLIENT)

    async def main() -> None:
        async with listening(layer) as bench:
            reader, _ = await bench.connect()
            said = (await reader.read(-1)).decode()
            assert said.startswith("for db True|127.0.0.1:1 cannot be reached")
            assert not bench.asks.faults

    run(main())


def test_a_second_upstream_replaces_the_first_whose_bytes_are_ignored() -> None:
    async def greet(name: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        await writer.drain()
        await reader.read(-1)

    def layer(first: int, second: int) -> Layer:
        for port in (first, second):
            yield OpenUpstream("127.0.0.1", port)
            assert isinstance((yield from receive(NOBODY)), UpstreamOpened)
        event = yield from receive(BOTH)
        assert isinstance(event, DataReceived)
        yield SendData(Peer.CLIENT, [event.data])

    async def main() -> None:
        async with (
            upstream(partial(greet, b"first")) as one,
            upstream(partial(greet, b"second")) as two,
            listening(partial(layer, one, two)) as bench,
        ):
            reader, _ = await bench.connect()
            assert await reader.read(-1) == b"second"

    run(main())


def test_pipelined_data_is_held_back_until_it_is_wanted() -> None:
    chunks: list[bytes] = []

    def layer() -> Layer:
        yield SetTimer(0.05)
        assert isinstance((yield from receive(NOBODY)), Wakeup)
        while sum(map(len, chunks)) < 3 * HIGH_WATER:
            event = yield from receive(CLIENT)
            assert isinstance(event, DataReceived)
            chunks.append(event.data)
        yield SendData(Peer.CLIENT, [b"all"])

    async def main() -> None:
        async with listening(layer) as bench:
            reader, writer = await bench.connect()
            writer.write(bytes(i % 251 for i in range(3 * HIGH_WATER)))
            assert await reader.read(-1) == b"all"
            data = b"".join(chunks)
            assert all((b - a) % 251 == 1 for a, b in pairwise(data))

    run(main())


def test_an_unknown_command_is_a_fault_not_a_pass() -> None:
    def layer() -> Layer:
        yield "forward everything"  # type: ignore[misc]

    async def main() -> None:
        async with listening(layer) as bench:
            reader, _ = await bench.connect()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            assert isinstance(bench.asks.faults[0], TypeError)

    run(main())


def test_one_connection_wakes_those_that_wait_for_it() -> None:
    notice = Notice()

    def follow() -> Layer:
        yield Await(notice)
        yield SendData(Peer.CLIENT, [b"waiting"])
        event = yield from receive(NOBODY)
        if isinstance(event, Noticed):
            yield SendData(Peer.CLIENT, [b", noticed"])

    async def main() -> None:
        async with listening(follow) as bench:
            clients = [(await bench.connect())[0] for _ in range(3)]
            for reader in clients:
                assert await reader.readexactly(7) == b"waiting"
            bench.runners[0].stop()
            notice.give()
            assert [await reader.read(-1) for reader in clients[1:]] == [b", noticed"] * 2

    run(main())


def test_a_layer_hears_that_the_session_ends_and_records_what_it_delivered() -> None:
    def deliver() -> Layer:
        yield SendData(Peer.CLIENT, [b"half"])
        event = yield from receive(BOTH)
        assert event == PeerClosed(Peer.CLIENT)
        yield Record(Outcome("e1", Status.LOST, size=4))

    async def main() -> None:
        async with listening(deliver) as bench:
            reader, _ = await bench.connect()
            assert await reader.readexactly(4) == b"half"
            [runner] = bench.runners
            runner.stop()
            await runner.settled()
            assert bench.asks.outcomes == [Outcome("e1", Status.LOST, size=4)]

    run(main())


def test_who_does_not_read_is_cut_off_too_when_the_session_ends() -> None:
    def deliver() -> Layer:
        yield SendData(Peer.CLIENT, [bytes(64 * HIGH_WATER)])
        yield from receive(BOTH)

    async def main() -> None:
        async with listening(deliver) as bench:
            reader, _ = await bench.connect()
            assert await reader.readexactly(1)
            [runner] = bench.runners
            runner.stop()
            wire = runner._wires[Peer.CLIENT]
            assert wire is not None
            while not wire.closed:
                await asyncio.sleep(0.01)
            with suppress(ConnectionError):
                assert len(await reader.read(-1)) < 63 * HIGH_WATER

    run(main())


def test_a_question_that_is_withdrawn_at_once_was_asked_all_the_same() -> None:
    def hasty() -> Layer:
        yield Authorize(STATEMENT)
        yield CancelAuthorize()
        yield SendData(Peer.CLIENT, [b"withdrawn"])
        yield from receive(CLIENT)

    async def main() -> None:
        async with listening(hasty) as bench:
            reader, writer = await bench.connect()
            assert await reader.readexactly(9) == b"withdrawn"
            writer.close()
            await reader.read()
            assert bench.asks.withdrawn == 1

    run(main())


def test_a_layer_that_sends_much_on_its_own_waits_for_a_slow_client() -> None:
    pieces = 64
    sent = 0

    def pour() -> Layer:
        nonlocal sent
        for _ in range(pieces):
            yield SendData(Peer.CLIENT, [bytes(HIGH_WATER)])
            sent += 1
            yield Drain(Peer.CLIENT)
            assert (yield from receive(NOBODY)) == Drained()

    async def main() -> None:
        async with listening(pour) as bench:
            reader, _ = await bench.connect()
            seen = -1
            while seen != sent:  # until the layer has stalled
                seen = sent
                await asyncio.sleep(0.1)
            assert sent < pieces / 2
            total = 0
            while piece := await reader.read(1 << 20):
                total += len(piece)
            assert total == pieces * HIGH_WATER

    run(main())
