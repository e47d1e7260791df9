"""Requests of tests, short to write."""

from __future__ import annotations

from connectors.blob.address import Address, parse
from connectors.blob.operations import Operation, classify
from connectors.http.message import Headers, Request

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
