"""Streams of Kubernetes: direct against brokered, and against ``kubectl proxy``.

``python -m bench.kubectl_streams``. The upstream is the tests' own API server, with real processes and terminals. The
keys are typed by a client of our own; the copies are ``kubectl cp`` of 200 MB, the whole process.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from bench.kubectl import Road, broker
from bench.stage import peak, running
from connectors.kubectl.streams.channels import ChannelCodec
from connectors.kubectl.streams.events import Channel, Data, Side
from connectors.kubectl.streams.handshake import CHANNEL_PROTOCOLS, WEBSOCKET, request_headers
from tests.kubectl.apiserver import cluster

MASKS = """
masks:
  - {id: shapes, detectors: [credit_card, email, us_ssn, azure_key, jwt, private_key], method: redact}
"""
SIZE = 200 << 20
_SHELL = "/api/v1/namespaces/default/pods/web-1/exec?command=cat&stdin=true&stdout=true&tty=true"
_KEYS = 500
Row = tuple[str, str, str, str]


def keystroke(road: Road) -> float:
    """Milliseconds from a key to its echo by the terminal of a pod, in the middle of 500."""
    times = []
    with _terminal(road) as wire:
        codec = ChannelCodec(Side.CLIENT, CHANNEL_PROTOCOLS[0])
        for number in range(_KEYS):
            key = bytes([97 + number % 26]) if number % 40 else b"\r"
            start = time.perf_counter()
            wire.sendall(codec.send(Data(Channel.STDIN, key)))
            while not any(isinstance(event, Data) for event in codec.feed(wire.recv(65536))):
                pass
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


@contextmanager
def _terminal(road: Road) -> Iterator[socket.socket]:
    """``cat`` in a terminal of a pod."""
    document = yaml.safe_load(road.kubeconfig.read_text())
    found, users = document["clusters"][0]["cluster"], document.get("users") or [{"user": {}}]
    parts = urlsplit(found["server"])
    bare = socket.create_connection((parts.hostname or "", parts.port or 0), 30)
    bare.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire = _trusting(found).wrap_socket(bare, server_hostname=parts.hostname) if parts.scheme == "https" else bare
    headers = [("Host", parts.netloc), *request_headers(WEBSOCKET, CHANNEL_PROTOCOLS[0], bytes(16))]
    if token := users[0]["user"].get("token"):
        headers.append(("Authorization", f"Bearer {token}"))
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    with wire:
        wire.sendall(f"GET {_SHELL} HTTP/1.1\r\n{fields}\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += wire.recv(1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(head.decode())
        yield wire


def _trusting(found: dict[str, str]) -> ssl.SSLContext:
    if "certificate-authority-data" in found:
        return ssl.create_default_context(cadata=base64.b64decode(found["certificate-authority-data"]).decode())
    return ssl.create_default_context(cafile=found["certificate-authority"])


def copy_out(road: Road) -> float:
    """MB/s of a copy from a pod."""
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as folder:
        return _rate(road, "cp", "default/web-1:big.bin", f"{folder}/big.bin")


def copy_in(road: Road) -> float:
    """MB/s of a copy to a pod."""
    with tempfile.NamedTemporaryFile(prefix="hoop-bench-") as file:
        file.write(os.urandom(1 << 20) * (SIZE >> 20))
        file.flush()
        return _rate(road, "cp", file.name, "default/web-1:copied.bin")


def _rate(road: Road, *words: str) -> float:
    start = time.perf_counter()
    road.kubectl(*words)
    return SIZE / (time.perf_counter() - start) / 1e6


@contextmanager
def kubectl_proxy(kubeconfig: Path) -> Iterator[Road]:
    """``kubectl proxy`` that lets streams through, in a process of its own."""
    program = str(Path(sys.executable).with_name("kubectl"))
    command = [program, "--kubeconfig", str(kubeconfig), "proxy", "--port=0", "--disable-filter=true"]
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as name:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)  # noqa: S603
        assert process.stdout is not None
        try:
            path = Path(name) / "kubeconfig"
            path.write_text(yaml.safe_dump({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": f"http://{process.stdout.readline().split()[-1]}"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}],
            }))  # fmt: skip
            yield Road(path)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def measure(rounds: int = 3) -> list[Row]:
    """Every figure, in alternated turns: the best of each road."""
    kinds: list[tuple[str, Callable[[Road], float], str, str, Callable[[list[float]], float]]] = [
        ("a key and its echo", keystroke, "", "ms", min),
        ("the same, with detectors", keystroke, MASKS, "ms", min),
        ("kubectl cp from a pod, 200 MB", copy_out, "", "MB/s", max),
        ("the same, with detectors", copy_out, MASKS, "MB/s", max),
        ("kubectl cp to a pod, 200 MB", copy_in, "", "MB/s", max),
    ]
    rows: list[Row] = []
    with running([sys.executable, "-m", "bench.kubectl_streams", "--serve"], dict(os.environ)) as (said, _):
        direct = Road(Path(said["kubeconfig"]))
        for label, work, masks, unit, best in kinds:
            with ExitStack() as stack:
                brokered, pid = stack.enter_context(broker(direct.kubeconfig, masks))
                roads = [direct, brokered, stack.enter_context(kubectl_proxy(direct.kubeconfig))]
                turns = [[work(road) for road in roads] for _ in range(rounds)]
                top = peak(pid)
            figures = [best(list(column)) for column in zip(*turns, strict=True)]
            told = [f"{figure:,.2f} {unit}" if unit == "ms" else f"{figure:,.0f} {unit}" for figure in figures]
            rows.append((label, told[0], told[1], f"kubectl proxy {told[2]}, peak {top:.0f} MB"))
    return rows


def serve() -> None:
    """The cluster, until interrupted. Its pods have a file of 200 MB."""
    with cluster() as server, suppress(KeyboardInterrupt):
        (server.folder / "big.bin").write_bytes(os.urandom(1 << 20) * (SIZE >> 20))
        print(json.dumps({"kubeconfig": str(server.kubeconfig())}), flush=True)  # noqa: T201
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve()
    else:
        for row in measure():
            print(" | ".join(row))  # noqa: T201
