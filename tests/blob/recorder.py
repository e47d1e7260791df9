"""Records what real clients send: a server that answers every request with an error of the service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

from connectors.http.message import Headers, Request


@dataclass
class Recorder:
    port: int
    requests: list[tuple[Request, bytes]] = field(default_factory=list)

    @property
    def last(self) -> Request:
        return self.requests[-1][0]


@contextmanager
def recorder() -> Iterator[Recorder]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            record.requests.append((Request(self.command, self.path, Headers(self.headers.items())), body))
            self.send_response(409)
            self.send_header("Content-Length", "0")
            self.send_header("x-ms-error-code", "Recorded")
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    for method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"):
        setattr(Handler, f"do_{method}", Handler.answer)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        record = Recorder(server.server_port)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield record
        finally:
            server.shutdown()
            thread.join()
