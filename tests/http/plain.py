"""A connector that passes HTTP on, and an upstream of the standard library, for tests with real clients."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from connectors.http.serve import serve_http
from connectors.http.upstream import Upstream
from connectors.sql.connector import SqlConnector
from hoopcli.model.access import Connection
from hoopcli.sansio.layer import Layer
from hoopcli.spi import LayerContext, Target
from tests.http.dialogue import Passing

POLICY = """
version: 1
rules:
  - {id: all, effect: allow, verbs: ["t:do"]}
"""
_PIECE = bytes(range(256)) * 1024


class PlainConnector(SqlConnector):
    """Everything but its wire is borrowed."""

    kind = "plain"
    verbs = frozenset({"t:do"})
    discharges = frozenset()
    alpn = ("http/1.1",)

    def target(self, connection: Connection) -> Target:
        return Target("127.0.0.1", int(connection.options["port"]), "none", connection.options)

    def layer(self, context: LayerContext) -> Layer:
        return serve_http(context, Passing(), Upstream(context.target.host, context.target.port, None))


class Handler(BaseHTTPRequestHandler):
    """``/bytes/N`` and ``/chunks/N`` send so many bytes, PUT answers the digest of what came, but not on ``/early``."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""

    def do_GET(self) -> None:
        kind, _, size = self.path[1:].partition("/")
        self.send_response(200)
        if kind == "chunks":
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", size or "0")
        self.end_headers()
        if self.command != "HEAD":
            self._send(int(size or 0), chunked=kind == "chunks")

    def do_HEAD(self) -> None:
        self.do_GET()

    def _send(self, size: int, *, chunked: bool) -> None:
        while size > 0:
            piece = _PIECE[:size]
            size -= len(piece)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def do_PUT(self) -> None:
        if self.path == "/early":
            self.close_connection = True
            self._answer(412, b"too early")
            return
        self._answer(201, hashlib.sha256(self._body()).hexdigest().encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body


@contextmanager
def plain_upstream() -> Iterator[int]:
    """The upstream's port while the block runs."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
