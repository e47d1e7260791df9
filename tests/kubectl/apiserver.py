"""A small Kubernetes API server for tests: objects in memory, streams to real processes, terminals and sockets.

It knows the kinds of ``cluster.resources``, takes one bearer token and speaks to any kubectl: discovery, Tables,
watches with bookmarks, server-side apply, logs, and exec, attach and port-forward over WebSocket and SPDY.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TypeVar

import h11
import yaml

from hoopcli.certificates import LoopbackIdentity, issue
from hoopcli.errors import ProtocolError
from tests.kubectl.cluster.connection import TOKEN, Cluster, Connection
from tests.kubectl.cluster.resources import BY_NAME
from tests.kubectl.cluster.store import Object

T = TypeVar("T")


@cache
def identity() -> LoopbackIdentity:
    """The certificate that all servers of this process present."""
    return issue("cluster", datetime.now(UTC), timedelta(days=1))


@dataclass
class ApiServer(Cluster):
    """A running cluster, to be used from another thread than its own."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _writers: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = field(default_factory=dict)

    def call(self, change: Callable[[], T]) -> T:
        """Run something in the server's thread, then wake its watches."""

        async def run() -> T:
            result = change()
            await self.store.notify()
            return result

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)

    def put(self, plural: str, *objects: Object, group: str = "", namespace: str = "default") -> None:
        """Create objects."""
        resource = BY_NAME[group, "v1", plural]
        where = namespace if resource.namespaced else ""
        self.call(lambda: [self.store.create(resource, where, obj) for obj in objects])

    def metrics(self, pod: str, *, cpu: str, memory: str, namespace: str = "default") -> None:
        """Say what a pod uses."""
        resource = BY_NAME["metrics.k8s.io", "v1beta1", "pods"]
        usage = {"containers": [{"name": "main", "usage": {"cpu": cpu, "memory": memory}}]}
        measured = {"metadata": {"name": pod}, "timestamp": "2026-01-01T00:00:00Z", "window": "30s", **usage}
        self.call(lambda: self.store.create(resource, namespace, measured))

    def log(self, pod: str, text: bytes) -> None:
        """Append to the log of a pod."""
        self.call(lambda: self.logs.setdefault(pod, []).append(text))

    def kubeconfig(self, *, token: str = TOKEN, url: str = "", ca: bytes | None = None) -> Path:
        """A kubeconfig that leads here."""
        path = self.folder / f"kubeconfig-{abs(hash((token, url, ca)))}"
        authority = self.folder / f"{path.name}.ca"
        authority.write_bytes(ca or identity().ca)
        path.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [
                {"name": "c", "cluster": {"server": url or self.url, "certificate-authority": str(authority)}}
            ],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "default"}}],
        }))  # fmt: skip
        return path

    # --- connections -------------------------------------------------------------------------------------------------

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._writers[writer] = task  # the loop itself holds a task weakly once its client is gone
        try:
            await Connection(self, reader, writer).run()
        except (ConnectionError, ssl.SSLError, h11.ProtocolError, ProtocolError, asyncio.CancelledError):
            pass  # the client is gone, makes no sense, or the server stops
        finally:
            del self._writers[writer]
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError, RuntimeError):
                writer.close()

    def hang_up(self) -> None:
        """Cut every connection, as a restart of the server would."""
        self.loop.call_soon_threadsafe(self._abort_all)

    def _abort_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()


def pod(name: str, **labels: str) -> Object:
    """A running pod of one container."""
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "shop/web:1"}], "nodeName": "node-1"},
        "status": {
            "phase": "Running", "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [
                {
                    "name": "main", "ready": True, "restartCount": 0, "image": "shop/web:1",
                    "imageID": "shop/web@sha256:0", "state": {"running": {}},
                }
            ],
        },
    }  # fmt: skip


@contextmanager
def cluster() -> Iterator[ApiServer]:
    """A cluster with a few objects in it, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="hoop-cluster-") as folder:
        server = ApiServer(Path(folder))
        ready = threading.Event()
        stop: list[Callable[[], object]] = []

        async def serve() -> None:
            done = asyncio.Event()
            stop.append(lambda: server.loop.call_soon_threadsafe(done.set))
            context = identity().server_context(["http/1.1"])
            listener = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=context, limit=2**20)
            server.url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
            ready.set()
            await done.wait()
            listener.close()
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await asyncio.sleep(0)

        def target() -> None:
            with asyncio.Runner(loop_factory=lambda: server.loop) as runner:
                runner.run(serve())

        thread = threading.Thread(target=target, name="cluster")
        thread.start()
        try:
            assert ready.wait(30)
            fill(server)
            yield server
        finally:
            stop[0]()
            thread.join(30)


def fill(server: ApiServer) -> None:
    """The shop that tests look at."""
    server.put("namespaces", *({"metadata": {"name": name}} for name in ("default", "prod", "kube-system")))
    server.put("nodes", {"metadata": {"name": "node-1"}})
    server.put("pods", pod("web-1", app="web"), pod("web-2", app="web"), pod("db-1", app="db"))
    server.put("secrets", {"metadata": {"name": "db-password"}, "stringData": {"password": "correct horse battery"}})
    server.put("configmaps", {"metadata": {"name": "web"}, "data": {"LOG_LEVEL": "info", "api_key": "k3y-of-the-shop"}})
    server.put("services", {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}})
    server.put(
        "deployments",
        {"metadata": {"name": "web"}, "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}}},
        group="apps",
    )
    server.log("web-1", b"listening on :8080\n")
