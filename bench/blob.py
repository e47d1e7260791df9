"""Blob Storage: direct against brokered, and against nginx and Caddy as plain reverse proxies, in alternated turns.

``python -m bench.blob``. Two upstreams: ``bench.storage``, which costs next to nothing itself, read by a client that
only drains, shows the broker's own ceiling; Azurite, used by Microsoft's client for Python, what a user sees.
"""

from __future__ import annotations

import html
import http.client
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode

from bench.blob_sdk import ACCOUNT, KEY, Sdk, azurite, connection_string, installed
from bench.proxies import caddy, nginx
from bench.stage import peak, running

POLICY = """
version: 1
on_opaque: allow
rules:
  - {id: all, effect: allow, verbs: ["blob:*"], resources: ["*"]}
"""
MASKS = """
masks:
  - {id: ssn, columns: [ssn], method: {keep_last: 4}}
  - {id: shapes, detectors: [credit_card, us_ssn, azure_key, jwt, private_key], method: redact}
"""
GIB = 1 << 30
_TAIL = 1 << 14  # holds the marker of a listing, which the broker seals and pads
_PAGES = 20
_MARKER = re.compile(b"<NextMarker>([^<]+)</NextMarker>")
Row = tuple[str, str, str, str]
C = TypeVar("C")


class Client:
    """A client that drains: one connection, path and query of its SAS."""

    def __init__(self, port: int, sas: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sas = sas
        self.tail = b""

    def ask(self, method: str, name: str, query: dict[str, str] | None = None, body: object = None, **more: str) -> int:
        """Bytes of the answer's body, whose end stays in ``tail``."""
        parts = [urlencode(query or {}), self._sas]
        target = f"/{ACCOUNT}/box{name}?{'&'.join(p for p in parts if p)}"
        self._connection.request(method, target, body=body, headers={"x-ms-version": "2024-11-04", **more})  # type: ignore[arg-type]
        answer = self._connection.getresponse()
        buffer, size = bytearray(1 << 18), 0
        self.tail = b""
        while got := answer.readinto(buffer):
            size += got
            self.tail = (self.tail + buffer[max(0, got - _TAIL) : got])[-_TAIL:]
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status} {self.tail!r}")
        return size

    def close(self) -> None:
        """End."""
        self._connection.close()


@contextmanager
def storage() -> Iterator[int]:
    """The bare account; its port."""
    with running([sys.executable, "-m", "bench.storage"], dict(os.environ)) as (said, _):
        yield int(said["port"])


@dataclass(frozen=True)
class Broker:
    """``hoop connect`` in a process of its own."""

    port: int
    pid: int
    environment: Mapping[str, str]

    @property
    def sas(self) -> str:
        """What proves a client that does not sign."""
        return self.environment["HOOP_BLOB_SAS"]

    @property
    def connection(self) -> str:
        """What an SDK takes."""
        return self.environment["AZURE_STORAGE_CONNECTION_STRING"]


@contextmanager
def broker(port: int, masks: str = "") -> Iterator[Broker]:
    """A broker before the account at a port."""
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as name:
        folder = Path(name)
        (folder / "policy.yaml").write_text(POLICY + masks)
        (folder / "config.toml").write_text(
            f'policy = "{folder / "policy.yaml"}"\nstate_dir = "{folder / "state"}"\nkeyring = false\n'
            f'[connections.bench]\nkind = "blob"\naccount = "{ACCOUNT}"\nauth = "key"\nsecret = "env:BENCH_SECRET"\n'
            f'endpoint = "http://127.0.0.1:{port}/{ACCOUNT}"\n'
        )
        environment = dict(os.environ, HOOP_CONFIG=str(folder / "config.toml"), BENCH_SECRET=KEY)
        command = [str(Path(sys.executable).with_name("hoop")), "connect", "bench", "--format", "json"]
        with running(command, environment) as (said, pid):
            yield Broker(int(said["port"]), pid, said["environment"])


def download(client: Client) -> float:
    """MB/s of one whole GiB."""
    return _rate(lambda: client.ask("GET", f"/{GIB}-blob"))


def upload(client: Client) -> float:
    """MB/s of one GiB in blocks of 64 MiB."""
    block = bytes(64 << 20)

    def blocks() -> int:
        for number in range(16):
            client.ask("PUT", "/up", {"comp": "block", "blockid": f"{number:08d}"}, block)
        return GIB

    return _rate(blocks)


def masked(client: Client) -> float:
    """MB/s of a CSV of 200 MB."""
    return _rate(lambda: client.ask("GET", "/people.csv"))


def _rate(work: Callable[[], int]) -> float:
    start = time.perf_counter()
    size = work()
    return size / (time.perf_counter() - start) / 1e6


def small(client: Client, count: int = 500) -> float:
    """Reads of 4 KiB per second."""
    start = time.perf_counter()
    for _ in range(count):
        client.ask("GET", "/4096-small")
    return count / (time.perf_counter() - start)


def names(client: Client) -> float:
    """Names per second of a listing of 100,000."""
    start = time.perf_counter()
    query = {"restype": "container", "comp": "list"}
    client.ask("GET", "", query)
    pages = 1
    while marker := _MARKER.search(client.tail):
        client.ask("GET", "", {**query, "marker": html.unescape(marker[1].decode())})
        pages += 1
    if pages != _PAGES:
        raise RuntimeError(f"a listing of {_PAGES} pages came as {pages}")
    return 100_000 / (time.perf_counter() - start)


#: What is done, by which method of either client, its unit, and under which masks.
_BARE: tuple[tuple[str, Callable[[Client], float], str, str], ...] = (
    ("1 GiB down", download, "MB/s", ""),
    ("1 GiB up", upload, "MB/s", ""),
    ("reads of 4 KiB", small, "/s", ""),
    ("100,000 names", names, "names/s", ""),
    ("200 MB of CSV, a column and detectors", masked, "MB/s", MASKS),
)
_BY_SDK: tuple[tuple[str, Callable[[Sdk], float], str, str], ...] = (
    ("1 GiB down", Sdk.download, "MB/s", ""),
    ("1 GiB up", Sdk.upload, "MB/s", ""),
    ("reads of 4 KiB", Sdk.small, "/s", ""),
    ("200 MB of CSV, a column and detectors", Sdk.table, "MB/s", MASKS),
)


def measure(rounds: int = 3) -> list[Row]:
    """Every figure."""
    rows: list[Row] = []
    with storage() as port, nginx(port) as by_nginx, caddy(port) as by_caddy:
        proxies = {"direct": port, "nginx": by_nginx, "caddy": by_caddy}
        for label, work, unit, masks in _BARE:
            with broker(port, masks) as hoop, ExitStack() as stack:
                clients = {name: Client(at) for name, at in proxies.items()} | {"hoop": Client(hoop.port, hoop.sas)}
                for client in clients.values():
                    stack.callback(client.close)
                rows.append(_row(f"{label}, draining", unit, hoop, _turns(clients, work, rounds)))
        with broker(port) as hoop, ExitStack() as stack:
            rows.append(
                _row("100,000 names by the SDK", "names/s", hoop, _sdk_turns(proxies, hoop, Sdk.names, stack, 1))
            )
    if not installed():
        return rows
    with azurite() as port, nginx(port) as by_nginx, caddy(port) as by_caddy:
        proxies = {"direct": port, "nginx": by_nginx, "caddy": by_caddy}
        Sdk(connection_string(port)).fill()
        for label, sdk_work, unit, masks in _BY_SDK:
            with broker(port, masks) as hoop, ExitStack() as stack:
                best = _sdk_turns(proxies, hoop, sdk_work, stack, rounds)
                rows.append(_row(f"{label}, SDK and Azurite", unit, hoop, best))
    return rows


def _sdk_turns(
    proxies: Mapping[str, int], hoop: Broker, work: Callable[[Sdk], float], stack: ExitStack, rounds: int
) -> dict[str, float]:
    clients = {name: Sdk(connection_string(at)) for name, at in proxies.items()} | {"hoop": Sdk(hoop.connection)}
    for client in clients.values():
        stack.callback(client.close)
    return _turns(clients, work, rounds)


def _turns(clients: Mapping[str, C], work: Callable[[C], float], rounds: int) -> dict[str, float]:
    """The best of each client, which take turns."""
    best = dict.fromkeys(clients, 0.0)
    for _ in range(rounds):
        for name, client in clients.items():
            best[name] = max(best[name], work(client))
    return best


def _row(label: str, unit: str, hoop: Broker, best: Mapping[str, float]) -> Row:
    direct = best["direct"]
    shares = ", ".join(f"{name} {best[name] / direct:.2f}" for name in ("nginx", "caddy"))
    so = f"{best['hoop'] / direct:.2f} of direct ({shares}), peak {peak(hoop.pid):.0f} MB"
    return label, f"{direct:,.0f} {unit}", f"{best['hoop']:,.0f} {unit}", so


if __name__ == "__main__":
    for row in measure():
        print(" | ".join(row), flush=True)  # noqa: T201
