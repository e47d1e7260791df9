"""Requests on blobs written by hand, signed as a client signs, sent as they are over a socket."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from connectors.blob.sharedkey import authorization, http_date, session_key
from connectors.http.message import Headers, Request
from hoopcli.spi import Listen, SessionSecret

Fields = Sequence[tuple[str, str]]
_VERSION = "2021-12-02"
_SECONDS = 30


@dataclass(frozen=True)
class Answer:
    """An answer, read to its end. ``more`` is what followed it on the connection."""

    status: int
    headers: Headers
    body: bytes
    more: bytes = b""

    @property
    def code(self) -> str:
        """The service's code of an error."""
        return self.headers.get("x-ms-error-code") or ""


@dataclass(frozen=True)
class RawClient:
    """A client of a session that sends what it is told. ``key`` is the session's own, or another to try."""

    listen: Listen
    account: str
    key: str = ""

    def head(
        self,
        method: str,
        target: str,
        fields: Fields = (),
        *,
        body: bytes | None = None,
        at: datetime | None = None,
        unsigned: Fields = (),
    ) -> bytes:
        """A request's head, signed. ``unsigned`` fields are added behind the signature's back."""
        pairs = [("Host", f"{self.listen.host}:{self.listen.port}"), ("x-ms-version", _VERSION), *fields]
        pairs.append(("x-ms-date", http_date(at or datetime.now(UTC))))
        if body is not None:
            pairs.append(("Content-Length", str(len(body))))
        request = Request(method, target, Headers(pairs))
        key = self.key or session_key(SessionSecret(self.listen.secret))
        pairs.append(("Authorization", authorization(request, self.account, key)))
        return written(method, target, [*pairs, *unsigned])

    def ask(
        self,
        method: str,
        target: str,
        fields: Fields = (),
        *,
        body: bytes | None = None,
        at: datetime | None = None,
        unsigned: Fields = (),
    ) -> Answer:
        """Send a signed request on a connection of its own; what is answered."""
        return self.send(self.head(method, target, fields, body=body, at=at, unsigned=unsigned) + (body or b""), method)

    def bare(self, method: str, target: str, fields: Fields = (), body: bytes = b"") -> Answer:
        """Send a request that proves itself by the session's secret: for what no client would sign."""
        pairs = [("Host", f"{self.listen.host}:{self.listen.port}"), ("x-ms-version", _VERSION), *fields]
        pairs += [
            ("Authorization", f"Bearer {self.listen.secret}"),
            *([("Content-Length", str(len(body)))] if body else []),
        ]
        return self.send(written(method, target, pairs) + body, method)

    def send(self, data: bytes, method: str = "GET") -> Answer:
        """Send bytes on a connection of its own; the first answer, and what follows until the broker closes it."""
        with socket.create_connection((self.listen.host, self.listen.port), _SECONDS) as wire:
            with suppress(ConnectionError):  # it may have been answered before its end
                wire.sendall(data)
            return answer_of(wire, method)


def written(method: str, target: str, fields: Fields) -> bytes:
    """A head as bytes, with nothing checked. The connection ends with it unless the fields say otherwise."""
    if not any(name == "Connection" for name, _ in fields):
        fields = [*fields, ("Connection", "close")]
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
    return "\r\n".join(lines).encode("utf-8")


def answer_of(wire: socket.socket, method: str = "GET") -> Answer:
    """Read an answer off a connection, and what follows it."""
    response = http.client.HTTPResponse(wire, method=method)
    with response:
        stream = cast("socket.SocketIO", response.fp)
        response.begin()
        body = response.read()
        more = b""
        with suppress(ConnectionError, ValueError):
            more = stream.read() or b""
        return Answer(response.status, Headers(response.getheaders()), body, more)
