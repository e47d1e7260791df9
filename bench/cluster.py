"""A bare API server: answers that are made once, sent as fast as Python can, so that what is measured is the broker.

``python -m bench.cluster`` prints where its kubeconfig is. The namespace ``bench`` has 1,000 pods and 5,000 ConfigMaps
of about 1.4 kB; a watch of ConfigMaps sends 5,000 events and ends. The answers are those of the tests' own API server.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.kubectl.apiserver import ApiServer, cluster, identity, pod
from tests.kubectl.cluster.connection import TOKEN

PODS, CONFIGS = 1000, 5000
NAMESPACE = "bench"
_NAMED = {"kind": "ConfigMap", "apiVersion": "v1"}
_HEAD_END = b"\r\n\r\n"
_PIECE = 1 << 18
_LINES = "LOG_LEVEL=info\nLISTEN=0.0.0.0:8080\nUPSTREAM=http://orders.shop.svc.cluster.local:8080/v1\n" * 12


def config(number: int) -> dict[str, Any]:
    """A ConfigMap of a service."""
    labels = {"app.kubernetes.io/name": f"service-{number % 50}", "app.kubernetes.io/part-of": "shop"}
    return {"metadata": {"name": f"config-{number:05}", "labels": labels}, "data": {"service.env": _LINES}}


class Answers:
    """The answers to requests by their target and what they accept."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._known: dict[tuple[str, str], bytes] = {}
        self._events = b""

    def of(self, target: str, accept: str) -> bytes:
        """The whole answer, head and body."""
        if "watch=" in target:
            return self._watch()
        key = (target, accept)
        if key not in self._known:
            self._known[key] = self._asked(target, accept)
        return self._known[key]

    def _asked(self, target: str, accept: str) -> bytes:
        parts = urlsplit(self._server.url)
        context = ssl.create_default_context(cadata=identity().ca.decode())
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=context, timeout=60)
        connection.request("GET", target, headers={"Authorization": f"Bearer {TOKEN}", "Accept": accept})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        head = f"HTTP/1.1 {answer.status} X\r\nContent-Type: {answer.headers['content-type']}\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    def _watch(self) -> bytes:
        if not self._events:
            whole = self.of(f"/api/v1/namespaces/{NAMESPACE}/configmaps", "application/json")
            lines = [
                json.dumps({"type": "ADDED", "object": {**_NAMED, **item}}).encode() + b"\n"
                for item in json.loads(whole.split(_HEAD_END, 1)[1])["items"]
            ]
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(line), line) for line in lines) + b"0\r\n\r\n"
            head = b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            self._events = head + chunks
        return self._events


async def _serve(answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
        while True:
            head = (await reader.readuntil(_HEAD_END)).decode("latin-1")
            line, *fields = head.split("\r\n")
            named = dict(field.lower().split(": ", 1) for field in fields if ": " in field)
            await reader.readexactly(int(named.get("content-length", 0)))
            if TOKEN not in head:
                break
            accept = next((field[8:] for field in fields if field.lower().startswith("accept:")), "")
            answer = await asyncio.to_thread(answers.of, line.split(" ")[1], accept)
            for start in range(0, len(answer), _PIECE):
                writer.write(memoryview(answer)[start : start + _PIECE])
                await writer.drain()
    writer.close()


async def main() -> None:
    """Serve until interrupted."""
    with cluster() as server:
        server.put("namespaces", {"metadata": {"name": NAMESPACE}})
        server.put("pods", *(pod(f"web-{number:04}", app="web") for number in range(PODS)), namespace=NAMESPACE)
        server.put("configmaps", *map(config, range(CONFIGS)), namespace=NAMESPACE)
        answers = Answers(server)
        context = identity().server_context(["http/1.1"])
        listener = await asyncio.start_server(
            lambda reader, writer: _serve(answers, reader, writer), "127.0.0.1", 0, ssl=context, limit=1 << 20
        )
        url = f"https://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        print(json.dumps({"kubeconfig": str(server.kubeconfig(url=url)), "url": url}), flush=True)  # noqa: T201
        await listener.serve_forever()


if __name__ == "__main__":
    assert Path("tests").is_dir(), "run it from the repository"
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
