"""The ledger: commit latency against the disk's own, appends and verification a second.

Run ``python -m bench.bench_ledger``. Each latency stands beside a bare write and fdatasync of as many bytes, taken in
alternated turns on the same disk, since that is what a commit cannot beat.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hoopcli.ledger import drafts
from hoopcli.ledger.keys import load_or_create
from hoopcli.ledger.record import Draft
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.tally import Tally
from hoopcli.ledger.verify import verify
from hoopcli.ledger.writer import LedgerWriter
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Action, Decision, Effect, Mask, Statement
from hoopcli.model.outcome import Outcome, Status
from hoopcli.model.session import Session
from hoopcli.proxy.run import run

Row = tuple[str, str, str, str]
COMMIT_BYTES = 8_240
"""Two pages of the write-ahead log: what a commit of one statement writes."""


def session() -> Session:
    """The session of the measurement."""
    now = datetime.now(UTC)
    return Session("5e551017", Principal("agent:claire"), Connection("azure-sql", "sql"), now, now + timedelta(hours=1))


def request(number: int) -> Draft:
    """An ordinary statement and its decision."""
    text = "SELECT id, name, email FROM dbo.customers WHERE id = @p1"
    actions = (Action("sql:select", ("shop.dbo.customers",)),)
    statement = Statement(text, text.encode("utf-16-le"), actions, {"filtered": True}, "application/sql")
    decision = Decision(Effect.ALLOW, "agents-read-shop", "", (Mask("ssn", ("*.ssn",)),), revision="c" * 64)
    return drafts.exchange_request("5e551017", f"x{number:015x}", statement, decision, shown=text)


def outcome(number: int) -> Draft:
    """What it delivered."""
    answer = Outcome(f"x{number:015x}", Status.COMPLETED, 3, 400, "ab" * 32, {"ssn": 3}, kept=b"row" * 40)
    return drafts.exchange_outcome("5e551017", answer)


@contextmanager
def ledger() -> Iterator[tuple[Path, Ledger]]:
    """A new ledger on the disk of the working folder."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as name:
        folder = Path(name)
        opened = Ledger.open(folder / "ledger.db", load_or_create(folder).signer)
        try:
            yield folder, opened
        finally:
            opened.close()


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _row(what: str, floor: list[float], taken: list[float], at: int) -> Row:
    low, high = (statistics.quantiles(t, n=100)[at] * 1e6 for t in (floor, taken))
    return what, f"{low:.0f} us (write + fdatasync)", f"{high:.0f} us", f"+{high - low:.0f} us"


def latency(rounds: int = 2_000) -> list[Row]:
    """One statement at a time: a commit from its own thread, and an awaited append through the writer."""
    floor, direct, awaited = [], [], []

    async def through_writer(writer: LedgerWriter, number: int) -> None:
        draft = request(number)
        start = time.perf_counter()
        await writer.append(draft)
        awaited.append(time.perf_counter() - start)

    async def alternate(folder: Path, opened: Ledger, writer: LedgerWriter) -> None:
        with (folder / "floor").open("wb", buffering=0) as file:
            file.write(bytes(COMMIT_BYTES * 256))
            os.fsync(file.fileno())
            for number in range(rounds):
                file.seek(number % 256 * COMMIT_BYTES)
                floor.append(_timed(lambda: (file.write(bytes(COMMIT_BYTES)), os.fdatasync(file.fileno()))))
                draft = request(number)
                direct.append(_timed(lambda: opened.append([draft])))  # noqa: B023 - called at once
                if number % 250 == 0:  # as the writer does by itself
                    opened.tidy()
                await through_writer(writer, number)

    with ledger() as (folder, opened), ledger() as (_, other), LedgerWriter(other) as writer:
        run(alternate(folder, opened, writer))
    return [
        _row("commit of one record, p50", floor, direct, 49),
        _row("commit of one record, p99", floor, direct, 98),
        _row("await append, p50", floor, awaited, 49),
        _row("await append, p99", floor, awaited, 98),
    ]


def throughput(exchanges: int = 20_000) -> list[Row]:
    """Group commit of many sessions at once, then verification of all of it."""

    async def flood(writer: LedgerWriter, batch: list[Draft]) -> None:
        await asyncio.gather(*[writer.append(draft) for draft in batch])

    tally = Tally()
    story = [drafts.session_open(session(), target="db.example.com", revision="r", version="0")]
    for number in range(exchanges):
        story += [request(number), outcome(number)]
    for draft in story:
        tally.add(draft.type, draft.body)
    story.append(drafts.session_close("5e551017", "done", tally))
    with ledger() as (folder, opened):
        writer = LedgerWriter(opened)
        start = time.perf_counter()
        for first in range(0, len(story), 4096):
            run(flood(writer, story[first : first + 4096]))
        appended = time.perf_counter() - start
        writer.close()
        key = load_or_create(folder).signer.verifier
        start = time.perf_counter()
        report = verify(folder / "ledger.db", key)
        verified = time.perf_counter() - start
        size = (folder / "ledger.db").stat().st_size
    if not (report.intact and report.complete):
        raise RuntimeError("the ledger does not verify")
    records = report.records
    return [
        ("appends by group commit", "", f"{records / appended:,.0f} records/s", f"{records:,} records"),
        ("verify, with payloads", "", f"{records / verified:,.0f} records/s", f"{report.payloads:,} payloads"),
        ("size on disk", "", f"{size / records:,.0f} bytes/record", "with payloads and tree"),
    ]


def measure() -> list[Row]:
    """All rows: what, the floor, the ledger, and the difference."""
    return [*latency(), *throughput()]


def main() -> None:
    """Print the table."""
    for row in (("what", "floor", "ledger", "so"), ("---",) * 4, *measure()):
        print(f"| {' | '.join(row)} |")  # noqa: T201


if __name__ == "__main__":
    main()
