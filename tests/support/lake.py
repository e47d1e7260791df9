"""A Data Lake account in memory: the paths of the dfs endpoint, which Azurite has not. It takes its key only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from connectors.blob.sharedkey import authorization
from connectors.http.message import Headers, Request
from tests.support.azurite import ACCOUNT, KEY

_PAGE = 3


@dataclass
class Lake:
    """The account: ``files`` by container and path, None for a directory; and every request, with its headers."""

    port: int = 0
    files: dict[str, bytes | None] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"


@contextmanager
def lake() -> Iterator[Lake]:
    """The account, until the block ends."""
    account = Lake()
    handler = type("Handler", (_Handler,), {"lake": account})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        account.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield account
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    lake: Lake
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.name = unquote(parts.path).removeprefix(f"/{ACCOUNT}/")
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.lake.asked.append((self.command, self.path, dict(self.headers)))
        if not self._proved():
            self._answer(403)
            return
        getattr(self, f"_{self.command.lower()}")()

    do_GET = do_HEAD = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - the names of http.server

    def _proved(self) -> bool:
        pairs = [(name, value) for name, value in self.headers.items() if name.lower() != "authorization"]
        wanted = authorization(Request(self.command, self.path, Headers(pairs)), ACCOUNT, KEY)
        return self.headers.get("Authorization") == wanted

    def _get(self) -> None:
        if self.query.get("resource") == "filesystem":
            self._list()
            return
        data = self.lake.files.get(self.name)
        if data is None:
            self._answer(404)
            return
        span = self.headers.get("x-ms-range") or self.headers.get("Range")
        if not span:
            self._answer(200, data, self._tags())
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        piece = data[int(first) : int(last or len(data)) + 1]
        where = {"Content-Range": f"bytes {first}-{int(first) + len(piece) - 1}/{len(data)}"}
        self._answer(206, piece, self._tags() | where)

    def _head(self) -> None:
        found = self.name in self.lake.files
        self._answer(200 if found else 404, self.lake.files.get(self.name) or b"", self._tags() if found else {})

    def _put(self) -> None:
        if source := self.headers.get("x-ms-rename-source"):
            self.lake.files[self.name] = self.lake.files.pop(unquote(source.partition("?")[0]).lstrip("/"))
        else:
            self.lake.files[self.name] = None if self.query.get("resource") == "directory" else b""
        self._answer(201, headers=self._tags())

    def _patch(self) -> None:
        if self.query["action"] == "append":
            self.lake.files[self.name] = (self.lake.files[self.name] or b"") + self.body
        self._answer(202 if self.query["action"] == "append" else 200, headers=self._tags())

    def _delete(self) -> None:
        for name in [name for name in self.lake.files if name == self.name or name.startswith(f"{self.name}/")]:
            del self.lake.files[name]
        self._answer(200)

    def _list(self) -> None:
        inside = sorted(name for name in self.lake.files if name.startswith(f"{self.name}/"))
        start = int(self.query.get("continuation") or 0)
        more = {"x-ms-continuation": str(start + _PAGE)} if start + _PAGE < len(inside) else {}
        paths: list[dict[str, Any]] = [
            {
                "name": name.partition("/")[2],
                "contentLength": str(len(self.lake.files[name] or b"")),
                "etag": "0x1",
                "lastModified": formatdate(0, usegmt=True),
                **({"isDirectory": "true"} if self.lake.files[name] is None else {}),
            }
            for name in inside[start : start + _PAGE]
        ]
        kind = {"Content-Type": "application/json;charset=utf-8"}
        self._answer(200, json.dumps({"paths": paths}).encode(), kind | more)

    def _tags(self) -> dict[str, str]:
        kind = "directory" if self.lake.files.get(self.name) is None else "file"
        moment = formatdate(0, usegmt=True)
        return {"ETag": '"0x1"', "Last-Modified": moment, "x-ms-resource-type": kind, "x-ms-blob-type": "BlockBlob"}

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
