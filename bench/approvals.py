"""How soon a statement that waits goes on once a person said yes, with many waiting at two replicas.

Run ``python -m bench.approvals --postgresql URL``; without it one server with SQLite is measured. Servers are processes
of their own, all who wait sign each poll with their key as brokers do, and everything shares this machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hoopcli.identity import server_session
from hoopcli.identity.server_session import Stored
from hoopcli.proxy.remote_approvals import PATH, WAIT_SECONDS
from hoopcli.server.people.invitations import PROVIDER

POLICY = """version: 1
rules:
  - id: dbas-answer
    effect: allow
    principals: {kinds: [human], groups: [dba]}
    verbs: ["approvals:*"]
"""
WAITING = (100, 1_000, 10_000)
ANSWERS = 200
_TOGETHER = 8
_SETTLE = 3.0
_BROKERS = 8  # a person may have 2,000 waiting


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is signed in at one replica."""

    session: Stored

    async def ask(self, method: str, path: str, document: Any = None) -> Any:
        """One request on a connection of its own, by HTTP/1.0, whose bodies are not in chunks; the answer's JSON."""
        base = self.session.url
        host, _, port = base.removeprefix("http://").partition(":")
        token, key = self.session.token, self.session.key
        proof = key.proof(method, base + path.partition("?")[0], datetime.now(UTC), token)
        body = b"" if document is None else json.dumps(document).encode()
        head = (
            f"{method} {path} HTTP/1.0\r\nhost: {host}:{port}\r\nauthorization: DPoP {token}\r\ndpop: {proof}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(head.encode() + body)
            answer, _, content = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            raise SystemExit(f"{method} {path}: {answer[:40]!r} {content[:300]!r}")
        return json.loads(content)


def question(number: int, who: Person) -> dict[str, Any]:
    """A statement that waits, unlike any other."""
    return {
        "principal": {"subject": who.session.principal.subject, "kind": "human"}, "session": f"bench-{number // 50}",
        "connection": "azure-sql", "kind": "sql", "rule": "ddl-needs-a-human", "why": "", "reason": "",
        "text": f"DROP TABLE dbo.t{number}", "media_type": "text/plain",
        "digest": f"{number:064x}", "actions": [], "facts": {},
        "terms": {"groups": ["dba"], "count": 1, "uses": 1, "expires_seconds": 3600},
    }  # fmt: skip


async def measure(omars: Sequence[Person], nadias: Sequence[Person], waiting: int) -> tuple[list[float], float]:
    """Seconds from an answer until who waits at the other replica hears, one by one; and how many a second by eight."""
    gate = asyncio.Semaphore(_TOGETHER)
    base = waiting * 10

    async def made(number: int) -> str:
        who = omars[number % len(omars)]
        async with gate:
            return str((await who.ask("POST", PATH, question(base + number, who)))["id"])

    ids = await asyncio.gather(*map(made, range(waiting)))
    heard: dict[str, float] = {}

    async def wait(number: int, identity: str) -> None:
        state = "waiting"
        while state == "waiting":
            told = await omars[number % len(omars)].ask("GET", f"{PATH}/{identity}/wait?seconds={WAIT_SECONDS}")
            state = told["state"]
        heard[identity] = time.perf_counter()

    waits = []
    for number, identity in enumerate(ids):  # no faster than the servers take them in: a proof is good for a minute
        waits.append(asyncio.create_task(wait(number, identity)))
        if number % _TOGETHER == _TOGETHER - 1:
            await omars[number % len(omars)].ask("GET", f"{PATH}/{identity}")
    await asyncio.sleep(_SETTLE)
    asked: dict[str, float] = {}

    async def answer(number: int) -> None:
        async with gate:
            asked[ids[number]] = time.perf_counter()
            await nadias[(number + 1) % len(nadias)].ask("POST", f"{PATH}/{ids[number]}/answer", {"approve": True})

    chosen = random.sample(range(waiting), min(ANSWERS, waiting))
    alone, together = chosen[::2], chosen[1::2]
    for number in alone:
        await answer(number)
        await waits[number]
    start = time.perf_counter()
    await asyncio.gather(*map(answer, together))
    await asyncio.wait([waits[number] for number in together])
    took = time.perf_counter() - start
    for each in waits:
        each.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    return [heard[ids[number]] - asked[ids[number]] for number in alone], len(together) / took


@contextmanager
def server(folder: Path, name: str, database: str | None) -> Iterator[tuple[str, dict[str, str]]]:
    """``hoop server run``: its address, and the environment of its commands."""
    place = folder / name
    place.mkdir()
    (folder / "policy.yaml").write_text(POLICY)
    environment = dict(os.environ, HOOP_SERVER_CONFIG=str(place / "server.toml"))
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    (place / "server.toml").write_text(
        f'port = {port}\npublic_url = "{url}"\ndata_dir = "{folder / "data"}"\npolicy = "{folder / "policy.yaml"}"\n'
        + (f'database = "{database}"\n' if database else "")
    )
    hoop = str(Path(sys.executable).with_name("hoop"))
    subprocess.run([hoop, "server", "init"], env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    process = subprocess.Popen(  # noqa: S603
        [hoop, "server", "run"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    try:
        process.stdout.readline()
        yield url, environment
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


def person(url: str, environment: dict[str, str], email: str, group: str) -> Person:
    """Somebody invited, signed in."""
    hoop = str(Path(sys.executable).with_name("hoop"))
    command = [hoop, "server", "invite", email, "--group", group]
    code = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603
    with server_session.client(url) as http:
        return Person(server_session.begin(http, url, {"provider": PROVIDER, "token": code}, datetime.now(UTC)))


def main() -> None:
    """Measure with few and many waiting, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--postgresql", help="the URL of an empty database, for two replicas")
    parser.add_argument("--waiting", type=int, nargs="*", default=WAITING)
    arguments = parser.parse_args()
    names = ("one", "two") if arguments.postgresql else ("one",)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hoop-bench-")))
        places = [stack.enter_context(server(folder, name, arguments.postgresql)) for name in names]
        omars = [person(*places[n % len(places)], f"omar-{n}@example.com", "engineers") for n in range(_BROKERS)]
        nadias = [person(url, environment, "nadia@example.com", "dba") for url, environment in places]
        print("| waiting | p50 | p95 | released |\n| --- | --- | --- | --- |")  # noqa: T201 - a measurement is printed
        for waiting in arguments.waiting:
            times, rate = asyncio.run(measure(omars, nadias, waiting))
            p50, p95 = (statistics.quantiles(times, n=20)[at] * 1e3 for at in (9, 18))
            print(f"| {waiting:,} | {p50:,.0f} ms | {p95:,.0f} ms | {rate:,.0f}/s |", flush=True)  # noqa: T201


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    main()
