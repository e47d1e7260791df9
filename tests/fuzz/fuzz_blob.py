"""Fuzz what reads of Blob Storage: targets, headers, SAS, batches, listings of the upstream.

    python tests/fuzz/fuzz_blob.py --seconds 60 [--seed 1]

Stops at the first exception that is neither a ProtocolError nor a refusal and prints the input that caused it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.blob.address import Address, parse
from connectors.blob.batch import parse_answers, parse_batch
from connectors.blob.errors import StorageError
from connectors.blob.listing import ListingRules
from connectors.blob.listing_json import listing_of
from connectors.blob.operations import Operation, classify
from connectors.blob.proof import authenticate
from connectors.blob.reference import Answer
from connectors.blob.sas import account_sas
from connectors.blob.sharedkey import authorization, http_date, session_key
from connectors.blob.signing import Endpoint, upstream_request, without_proof
from connectors.http.message import Headers, Request
from hoopcli.sansio.events import Credential
from hoopcli.spi import SessionSecret
from tests.fuzz import harness

CASES = Path(__file__).parents[1] / "blob" / "operations.txt"
ACCOUNT, SECRET, NOW = "acme", SessionSecret("fuzz"), datetime(2026, 11, 23, tzinfo=UTC)
KEY = session_key(SECRET)
SAS = account_sas(ACCOUNT, KEY, expires=NOW + timedelta(hours=1))
ENDPOINT, TOKEN = Endpoint.parse("https://acme.blob.core.windows.net"), Credential("token", "upstream")
TRICKS = (
    b"%2F", b"%2f..%2f", b"/../", b"//", b"%00", b"%25", b"%c0%ae", b"\\", b"#", b"?", b"&", b"&comp=list", b"=",
    b"\r\n",
    b";", b"\xe2\x80\xae", b"%E2%80%AE", b".", b" ", b"\x00", b"--b", b"\r\n--b\r\n", b"<", b"<!--", b"&amp;", b"]]>",
    b">",
    b"x-ms-copy-source: http://0x7f.1/a", b"Content-Length: 1", b"Encoded=\"true\"",
)  # fmt: skip
RULES = ListingRules(
    lambda _container, name: "s" not in name, lambda *_: True, lambda _entry, what, value: f"{what}{value}"
)
PAGE = (
    b'\xef\xbb\xbf<?xml version="1.0"?><EnumerationResults ServiceEndpoint="x" ContainerName="docs"><Blobs><Blob>'
    b"<Name>a&amp;b</Name><Properties><Etag>1</Etag><Content-Type/></Properties><Metadata><k>v</k></Metadata></Blob>"
    b'<BlobPrefix><Name Encoded="true">s%20/</Name></BlobPrefix></Blobs><NextMarker/></EnumerationResults>'
)
PATHS = b'{"paths":[{"name":"a","isDirectory":"true","etag":"1"},{"name":"s","contentLength":5}]}'
BATCH = (
    b"--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: 0\r\n\r\n"
    b"DELETE /acme/docs/a HTTP/1.1\r\nx-ms-date: now\r\n\r\n\r\n--b--\r\n"
)
ANSWERS = (
    b"--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 202 Accepted\r\na: b\r\n\r\n\r\n--b--"
)


def seeds() -> list[bytes]:
    """The requests of the cases of operations, as ``METHOD target`` and headers a line."""
    lines = [line.split("|") for line in CASES.read_text().splitlines() if line and not line.startswith("#")]
    return ["\n".join([line.strip(), *headers.strip().split("; ")]).encode() for line, headers, *_ in lines]


def read_request(data: bytes) -> None:
    """Read, prove and sign anew a request of lines, in every way a client can prove it."""
    line, *fields = data.decode("latin-1").split("\n")
    method, _, target = line.partition(" ")
    pairs = [field.split(": ", 1) for field in fields if ": " in field]
    headers = Headers([("Host", "127.0.0.1:9"), *((name, value) for name, value in pairs)])
    asked = Request(method, target, headers)
    address = parse(asked, ACCOUNT)
    operation = classify(asked, address)
    plain, there = without_proof(asked, address, operation)
    sent = upstream_request(plain, there, operation, ENDPOINT, TOKEN, NOW)
    assert sent.target.startswith("/")
    assert "\r" not in sent.target
    for proof in (asked, signed(asked), bearer(asked)):
        prove(proof, address, operation)
    with_sas = Request(method, f"{target}{'&' if '?' in target else '?'}{SAS}", headers)
    prove(with_sas, parse(with_sas, ACCOUNT), operation)


def signed(asked: Request) -> Request:
    """A request signed with the session's key."""
    dated = Request(asked.method, asked.target, asked.headers.with_("x-ms-date", http_date(NOW)))
    proof = authorization(dated, ACCOUNT, KEY)
    return Request(asked.method, asked.target, dated.headers.with_("Authorization", proof))


def bearer(asked: Request) -> Request:
    """A request with the session's secret as its token."""
    return Request(asked.method, asked.target, asked.headers.with_("Authorization", f"Bearer {SECRET.value}"))


def prove(asked: Request, address: Address, operation: Operation) -> None:
    """Prove a request, or see it refused."""
    with suppress(StorageError):
        authenticate(asked, address, operation, SECRET, NOW, tls=False)


def read_listing(answer: Answer) -> Callable[[bytes], None]:
    """A reader of a page that comes in two pieces."""

    def read(data: bytes) -> None:
        listing = listing_of(answer, RULES, "docs", "http://127.0.0.1:9/acme/")
        half = len(data) // 2
        listing.feed(data[:half])
        listing.feed(data[half:])
        listing.finish()

    return read


def readers() -> list[tuple[Callable[[bytes], object], list[bytes]]]:
    """Everything that reads, with good input for it."""
    kind = "multipart/mixed; boundary=b"
    return [
        (read_request, seeds()),
        (read_request, seeds()),
        (lambda data: parse_batch(kind, data), [BATCH]),
        (lambda data: parse_answers(kind, data, 1), [ANSWERS]),
        (read_listing(Answer.BLOBS), [PAGE]),
        (read_listing(Answer.PATHS), [PATHS]),
    ]


def fuzz(seconds: float, seed: int) -> int:
    """Run until the time is up; the exit code."""
    targets = readers()

    def choose(rng: random.Random) -> tuple[bytes, Callable[[], object]]:
        reader, corpus = rng.choice(targets)
        data = harness.mutated(rng, rng.choice(corpus), TRICKS)
        return data, lambda: reader(data)

    return harness.fuzz(choose, seconds, seed)


if __name__ == "__main__":
    harness.command("Fuzz what reads of Blob Storage.", fuzz)
