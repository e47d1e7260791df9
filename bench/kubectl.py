"""Kubernetes: direct against brokered, and against ``kubectl proxy``.

``python -m bench.kubectl``. The upstream is ``bench.cluster``, which costs next to nothing itself.
"""

from __future__ import annotations

import base64
import http.client
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from bench.cluster import CONFIGS, NAMESPACE
from bench.stage import peak, running

POLICY = """
version: 1
rules:
  - {id: all, effect: allow, verbs: ["k8s:*"]}
"""
MASKS = """
masks:
  - {id: api-keys, columns: ["$.data.api_key"]}
  - {id: shapes, detectors: [credit_card, us_ssn, azure_key, jwt, private_key], method: redact}
"""
CONFIGMAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
Row = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class Road:
    """A way to the cluster, as a kubeconfig says it."""

    kubeconfig: Path

    def kubectl(self, *words: str) -> None:
        """Run kubectl to its end."""
        cache = self.kubeconfig.parent / "bench-cache"
        command = [str(Path(sys.executable).with_name("kubectl")), "--kubeconfig", str(self.kubeconfig)]
        subprocess.run(  # noqa: S603
            [*command, "--cache-dir", str(cache), "-n", NAMESPACE, *words], stdout=subprocess.DEVNULL, check=True
        )

    def client(self) -> Client:
        """A client that drains."""
        document = yaml.safe_load(self.kubeconfig.read_text())
        found = document["clusters"][0]["cluster"]
        users = document.get("users") or [{"user": {}}]
        if "certificate-authority-data" in found:
            ca = base64.b64decode(found["certificate-authority-data"]).decode()
        else:
            ca = Path(found["certificate-authority"]).read_text() if "certificate-authority" in found else ""
        return Client(found["server"], users[0]["user"].get("token", ""), ca)


class Client:
    """One connection, kept."""

    def __init__(self, url: str, token: str, ca: str) -> None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cadata=ca)
            self._connection = http.client.HTTPSConnection(host, parts.port, context=context, timeout=300)
        else:
            self._connection = http.client.HTTPConnection(host, parts.port, timeout=300)

    def get(self, target: str) -> int:
        """Bytes of an answer's body."""
        self._connection.request("GET", target, headers=self._headers)
        answer = self._connection.getresponse()
        buffer, size = bytearray(1 << 18), 0
        while got := answer.readinto(buffer):
            size += got
        if answer.status != 200:
            raise RuntimeError(f"{answer.status} {bytes(buffer[:300])!r}")
        return size

    def close(self) -> None:
        """End."""
        self._connection.close()


@contextmanager
def broker(kubeconfig: Path, masks: str = "") -> Iterator[tuple[Road, int]]:
    """``hoop connect`` in a process of its own, and its process."""
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as name:
        folder = Path(name)
        (folder / "policy.yaml").write_text(POLICY + masks)
        (folder / "config.toml").write_text(
            f'policy = "{folder / "policy.yaml"}"\nstate_dir = "{folder / "state"}"\nkeyring = false\n'
            f'[connections.bench]\nkind = "kubectl"\nkubeconfig = "{kubeconfig}"\n'
        )
        environment = dict(os.environ, HOOP_CONFIG=str(folder / "config.toml"))
        command = [str(Path(sys.executable).with_name("hoop")), "connect", "bench", "--format", "json"]
        with running(command, environment) as (said, pid):
            yield Road(Path(said["environment"]["KUBECONFIG"])), pid


@contextmanager
def kubectl_proxy(kubeconfig: Path) -> Iterator[Road]:
    """``kubectl proxy`` in a process of its own."""
    command = [str(Path(sys.executable).with_name("kubectl")), "--kubeconfig", str(kubeconfig), "proxy", "--port=0"]
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as name:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
        assert process.stdout is not None
        try:
            address = process.stdout.readline().split()[-1]
            path = Path(name) / "kubeconfig"
            path.write_text(yaml.safe_dump({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": f"http://{address}"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}],
            }))  # fmt: skip
            yield Road(path)
        finally:
            process.terminate()
            process.wait(30)
            process.stdout.close()


def get_pods(road: Road) -> float:
    """Milliseconds of ``kubectl get pods`` of 1,000, the whole process."""
    start = time.perf_counter()
    road.kubectl("get", "pods")
    return (time.perf_counter() - start) * 1e3


def raw_list(road: Road) -> float:
    """Milliseconds of 5,000 ConfigMaps, raw."""
    return _drained(road, CONFIGMAPS)


def watch(road: Road) -> float:
    """Milliseconds of 5,000 events of a watch."""
    return _drained(road, f"{CONFIGMAPS}?watch=true&resourceVersion=0")


def small(road: Road) -> float:
    """Milliseconds of one object on a kept connection, in the middle of 300."""
    client = road.client()
    times = []
    for _ in range(300):
        start = time.perf_counter()
        client.get(f"{CONFIGMAPS}/config-00001")
        times.append((time.perf_counter() - start) * 1e3)
    client.close()
    return statistics.median(times)


def _drained(road: Road, target: str) -> float:
    client = road.client()
    client.get("/version")
    start = time.perf_counter()
    size = client.get(target)
    taken = (time.perf_counter() - start) * 1e3
    assert size > CONFIGS * 1000
    client.close()
    return taken


def measure(rounds: int = 5) -> list[Row]:
    """Every figure, in alternated turns: the best of each road."""
    kinds: list[tuple[str, Callable[[Road], float], str]] = [
        ("kubectl get pods, 1,000", get_pods, ""),
        ("5,000 ConfigMaps, raw", raw_list, ""),
        ("the same, a path and detectors", raw_list, MASKS),
        ("5,000 events of a watch", watch, ""),
        ("one ConfigMap", small, ""),
    ]
    rows: list[Row] = []
    with running([sys.executable, "-m", "bench.cluster"], dict(os.environ)) as (said, _):
        direct = Road(Path(said["kubeconfig"]))
        for label, work, masks in kinds:
            with ExitStack() as stack:
                brokered, pid = stack.enter_context(broker(direct.kubeconfig, masks))
                roads = {
                    "direct": direct, "brokered": brokered,
                    "proxy": stack.enter_context(kubectl_proxy(direct.kubeconfig)),
                }  # fmt: skip
                best = {name: min(work(road) for _ in range(2)) for name, road in roads.items()}
                for _ in range(rounds - 2):
                    for name, road in roads.items():
                        best[name] = min(best[name], work(road))
                top = peak(pid)
            so = f"kubectl proxy {best['proxy']:,.1f} ms; {best['brokered'] / best['direct']:.2f} of direct"
            rows.append((label, f"{best['direct']:,.1f} ms", f"{best['brokered']:,.1f} ms", f"{so}, peak {top:.0f} MB"))
    return rows


if __name__ == "__main__":
    for row in measure():
        print(" | ".join(row))  # noqa: T201
