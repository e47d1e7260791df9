"""Blob Storage: direct against brokered, and against a plain reverse proxy where one is installed.

``python -m bench.blob``. The upstream is ``bench.storage``, which costs next to nothing itself.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

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
ACCOUNT = "benchaccount"
GIB = 1 << 30
_TAIL = 1024
_MARKER = re.compile(b"<NextMarker>([^<]+)</NextMarker>")
Row = tuple[str, str, str, str]


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


@contextmanager
def broker(port: int, masks: str = "") -> Iterator[tuple[Client, int]]:
    """A client of ``hoop connect`` in a process of its own, and its process."""
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as name:
        folder = Path(name)
        (folder / "policy.yaml").write_text(POLICY + masks)
        (folder / "config.toml").write_text(
            f'policy = "{folder / "policy.yaml"}"\nstate_dir = "{folder / "state"}"\nkeyring = false\n'
            f'[connections.bench]\nkind = "blob"\naccount = "{ACCOUNT}"\nauth = "key"\nsecret = "env:BENCH_SECRET"\n'
            f'endpoint = "http://127.0.0.1:{port}/{ACCOUNT}"\n'
        )
        environment = dict(os.environ, HOOP_CONFIG=str(folder / "config.toml"), BENCH_SECRET="c2VjcmV0")  # noqa: S106
        command = [str(Path(sys.executable).with_name("hoop")), "connect", "bench", "--format", "json"]
        with running(command, environment) as (said, pid):
            client = Client(int(said["port"]), said["environment"]["HOOP_BLOB_SAS"])
            yield client, pid
            client.close()


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
    while marker := _MARKER.search(client.tail):
        client.ask("GET", "", {**query, "marker": html.unescape(marker[1].decode())})
    return 100_000 / (time.perf_counter() - start)


def measure(rounds: int = 3) -> list[Row]:
    """Every figure, in alternated turns."""
    rows: list[Row] = []
    kinds: list[tuple[str, Callable[[Client], float], str, str]] = [
        ("1 GiB down", download, "MB/s", ""),
        ("1 GiB up", upload, "MB/s", ""),
        ("reads of 4 KiB", small, "/s", ""),
        ("100,000 names", names, "names/s", ""),
        ("200 MB of CSV, a column and detectors", masked, "MB/s", MASKS),
    ]
    with storage() as port:
        for label, work, unit, masks in kinds:
            direct = Client(port)
            with broker(port, masks) as (brokered, pid):
                best: dict[str, float] = {"direct": 0.0, "brokered": 0.0}
                for _ in range(rounds):
                    best["direct"] = max(best["direct"], work(direct))
                    best["brokered"] = max(best["brokered"], work(brokered))
                top = peak(pid)
            direct.close()
            so = f"{best['brokered'] / best['direct']:.2f} of direct, peak {top:.0f} MB"
            rows.append((label, f"{best['direct']:,.0f} {unit}", f"{best['brokered']:,.0f} {unit}", so))
    return rows


if __name__ == "__main__":
    for row in measure():
        print(" | ".join(row))  # noqa: T201
