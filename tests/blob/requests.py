"""Requests of tests, short to write."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.blob.address import Address, parse
from connectors.blob.operations import Operation, classify
from connectors.blob.proof import authenticate
from connectors.blob.sharedkey import authorization, http_date, session_key
from connectors.http.message import Headers, Request
from hoopcli.spi import SessionSecret

ACCOUNT = "acme"
HOST = "127.0.0.1:9"


def request(method: str, target: str, **headers: str) -> Request:
    """A request; ``x_ms_date=...`` is the header ``x-ms-date``."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Request(method, target, Headers([("Host", HOST), *pairs]))


def read(asked: Request) -> tuple[Address, Operation]:
    """Where a request leads and what it does."""
    address = parse(asked, ACCOUNT)
    return address, classify(asked, address)


SECRET = SessionSecret("the secret of one session")
KEY = session_key(SECRET)
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def signed_by(asked: Request, key: str = KEY, *, at: datetime = NOW, account: str = ACCOUNT) -> Request:
    """A request signed with Shared Key, as a client does."""
    dated = Request(asked.method, asked.target, asked.headers.with_("x-ms-date", http_date(at)))
    proof = authorization(dated, account, key)
    return Request(asked.method, asked.target, dated.headers.with_("Authorization", proof))


def proves(asked: Request, *, tls: bool = False, now: datetime = NOW) -> None:
    """Check a request as the broker does. Raises StorageError, ProtocolError."""
    authenticate(asked, *read(asked), SECRET, now, tls=tls)
