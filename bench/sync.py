"""Records a second from a ledger to a server over loopback, on SQLite and on PostgreSQL.

Run ``python -m bench.sync``. The server is a process of its own, as in use: both sides share this machine's cores.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import structlog

from bench.bench_ledger import outcome, request
from hoopcli.ledger.keys import load_or_create
from hoopcli.ledger.note import Cosigner, Signer
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.sync import JSON, Answer, LedgerSync
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.server import migrations
from hoopcli.server.config import ServerSettings
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.run import collect_less, listening_socket, uvicorn_server
from hoopcli.server.services import opened
from hoopcli.server.sync import store

RECORDS = 100_000
_BATCH = 512


def serve(url: str, witness: str, port: int) -> None:
    """The server's process."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    policy = Engine(load("version: 1\nrules: []\n"))
    with opened(ServerSettings(), url, policy, Cosigner.parse(witness)) as services:
        collect_less()
        uvicorn_server(services).run(sockets=[listening_socket("127.0.0.1", port)])


@contextmanager
def server(url: str, signer: Signer) -> Iterator[httpx.Client]:
    """A server over a database in which the ledger is enrolled, and a client of it."""
    database = Database.open(url)
    migrations.upgrade(database)
    with database.write() as connection:
        store.enrol(connection, signer.verifier, "bench", time.time())
    database.close()
    with listening_socket("127.0.0.1", 0) as probe:
        port = int(probe.getsockname()[1])
    witness = Cosigner.generate("bench.example/witness").secret_text()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(url, witness, port))
    process.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _await(client)
            yield client
    finally:
        process.terminate()
        process.join()


def measure(ledger: Path, signer: Signer, url: str, records: int) -> float:
    """Records a second of a whole sync."""
    with server(url, signer) as client:

        def transport(method: str, path: str, body: bytes | None = None, media_type: str = JSON) -> Answer:
            answer = client.request(method, path, content=body, headers={"content-type": media_type})
            return Answer(answer.status_code, answer.content)

        sync = LedgerSync(ledger, signer.verifier, transport)
        start = time.perf_counter()
        receipt = sync.run()
        seconds = time.perf_counter() - start
    if receipt is None or receipt.size != records:
        raise SystemExit("the server does not have all records")
    return records / seconds


def filled(folder: Path, records: int) -> Path:
    """A ledger of ordinary statements and their outcomes, with their payloads."""
    path = folder / "ledger.db"
    ledger = Ledger.open(path, load_or_create(folder).signer)
    try:
        for start in range(0, records // 2, _BATCH):
            numbers = range(start, min(start + _BATCH, records // 2))
            ledger.append([draft for n in numbers for draft in (request(n), outcome(n))])
            ledger.tidy()
        ledger.sign()
    finally:
        ledger.close()
    return path


def main() -> None:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--postgresql", help="the URL of an empty database; without it only SQLite is measured")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-")))
        path, signer = filled(folder, arguments.records), load_or_create(folder).signer
        databases = {"SQLite": sqlite_url(folder / "server.db")}
        if arguments.postgresql:
            databases["PostgreSQL"] = arguments.postgresql
        for name, url in databases.items():
            rate = measure(path, signer, url, arguments.records)
            (folder / "ledger.db.receipt").unlink()
            print(f"{name}: {rate:,.0f} records/s")  # noqa: T201 - a measurement is printed


def _await(client: httpx.Client) -> None:
    for _ in range(200):
        try:
            client.get("/readyz").raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("the server does not start")


if __name__ == "__main__":
    main()
