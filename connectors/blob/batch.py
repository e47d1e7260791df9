"""Blob batches: a multipart body of up to 256 requests, taken apart, decided one by one, and put together again.

Source: the REST reference, "Blob Batch"; RFC 2046 5.1. A part is one whole HTTP request without a body that deletes a
blob or sets its tier; each proves itself. What is sent upstream is written anew from the parts that may go; the answers
come back in the order of the client's parts, refusals among them, under the client's own ``Content-ID``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.blob.address import Address
from connectors.blob.operations import Operation
from connectors.http.message import Headers, Request
from hoopcli.errors import ProtocolError

MOST_PARTS = 256
LONGEST = 4 << 20

_ALLOWED = frozenset({"Delete Blob", "Set Blob Tier"})
_TYPE = re.compile(r"multipart/mixed\s*;\s*boundary=(\"?)([A-Za-z0-9'()+_,./:=?-]{1,70})\1", re.IGNORECASE)
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FIELD = re.compile(rf"({_NAME}):[ \t]*([\t\x20-\x7e]*?)[ \t]*")
_REQUEST_LINE = re.compile(rf"({_NAME}) (/[\x21-\x7e]*) HTTP/1\.1")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 [1-5][0-9]{2} [\x20-\x7e]*\r\n")
_NEVER = ("transfer-encoding", "connection", "upgrade", "expect", "trailer", "te")
_CONTENT_ID = re.compile(r"[\x21-\x7e]{1,100}")
_MOST_FIELDS = 100
_CRLF = b"\r\n"


@dataclass(frozen=True, slots=True)
class Part:
    """One request of a batch; ``content_id`` is the client's name for it, empty where it gave none."""

    content_id: str
    request: Request


def parse_batch(content_type: str, body: bytes) -> list[Part]:
    """Take the body of a batch apart. Raises ProtocolError for all but the exact form of the reference."""
    if len(body) > LONGEST:
        raise ProtocolError("the batch is longer than 4 MiB")
    parts = [_parse_part(section) for section in _sections(content_type, body)]
    if not 1 <= len(parts) <= MOST_PARTS:
        raise ProtocolError(f"a batch has between 1 and {MOST_PARTS} parts")
    named = [part.content_id for part in parts if part.content_id]
    if len(set(named)) < len(named):
        raise ProtocolError("two parts of the batch have the same Content-ID")
    return parts


def check_part(batch: Address, address: Address, operation: Operation) -> None:
    """Check that a part may be in this batch at all. Raises ProtocolError."""
    if operation.name not in _ALLOWED:
        raise ProtocolError("a batch deletes blobs or sets their tier, and nothing else")
    if batch.container and address.container != batch.container:
        raise ProtocolError("a batch on a container does not reach another one")


def build_batch(parts: Sequence[Request], boundary: str) -> bytes:
    """The body of a batch for the upstream, whose parts are named by their index.

    ``boundary`` must not occur in the parts, which a random one ensures; ProtocolError if it does.
    """
    return _multipart(boundary, [(str(index), _request_bytes(request)) for index, request in enumerate(parts)])


def parse_answers(content_type: str, body: bytes, count: int) -> list[bytes]:
    """The upstream's answers to ``build_batch``'s parts in their order, each a whole response. Raises ProtocolError."""
    found: dict[str, bytes] = {}
    for section in _sections(content_type, body):
        headers, answer = _part_headers(section)
        name = headers.get("content-id") or ""
        if name in found or not _STATUS_LINE.match(answer) or b"\r\n\r\n" not in answer:
            raise ProtocolError("a part of the upstream's batch is no answer, or comes twice")
        found[name] = answer
    if found.keys() != {str(index) for index in range(count)}:
        raise ProtocolError("the upstream's batch does not answer the parts that it was sent")
    return [found[str(index)] for index in range(count)]


def answer_bytes(status: int, reason: str, headers: Headers, body: bytes = b"") -> bytes:
    """One local answer as a part of a batch."""
    return b"".join([f"HTTP/1.1 {status} {reason}\r\n".encode(), _field_bytes(headers), _CRLF, body])


def merge(parts: Sequence[Part], answers: Mapping[int, bytes], boundary: str) -> bytes:
    """The body for the client: an answer for each of its parts, by the part's index, under its ``Content-ID``."""
    return _multipart(boundary, [(part.content_id, answers[index]) for index, part in enumerate(parts)])


def content_type(boundary: str) -> str:
    """The Content-Type of a batch or its answer."""
    return f"multipart/mixed; boundary={boundary}"


def _sections(content_type: str, body: bytes) -> list[bytes]:
    """The sections between the boundaries; nothing stands before the first or after the last one."""
    match = _TYPE.fullmatch(content_type.strip())
    if not match:
        raise ProtocolError("a batch is multipart/mixed with a boundary, and no other parameter")
    delimiter = b"--" + match[2].encode()
    first, *rest = (_CRLF + body).split(_CRLF + delimiter)
    if first or not rest or rest[-1] not in {b"--", b"--\r\n"}:
        raise ProtocolError("a batch begins and ends with its boundary")
    if any(not section.startswith(_CRLF) for section in rest[:-1]):
        raise ProtocolError("a boundary of the batch is not on a line of its own")
    return [section[2:] for section in rest[:-1]]


def _part_headers(section: bytes) -> tuple[Headers, bytes]:
    """The MIME headers of a section, and the HTTP message in it."""
    head, separator, message = section.partition(b"\r\n\r\n")
    headers = _parse_fields(head)
    if not separator or (headers.get("content-type") or "").lower() != "application/http":
        raise ProtocolError("a part of the batch is not application/http")
    if (headers.get("content-transfer-encoding") or "binary").lower() != "binary":
        raise ProtocolError("a part of the batch is encoded")
    if b"\r\n\r\n" not in message and message.endswith(_CRLF):
        message += _CRLF  # without a body, the empty line of its head may be the line before the boundary
    return headers, message


def _parse_part(section: bytes) -> Part:
    headers, message = _part_headers(section)
    if any(name.lower() not in {"content-type", "content-transfer-encoding", "content-id"} for name, _ in headers):
        raise ProtocolError("a part of the batch has headers that are not in the reference")
    content_id = headers.get("content-id") or ""
    if content_id and not _CONTENT_ID.fullmatch(content_id):
        raise ProtocolError("a Content-ID of the batch has odd characters")
    return Part(content_id, _parse_request(message))


def _parse_request(message: bytes) -> Request:
    head, separator, rest = message.partition(b"\r\n\r\n")
    if not separator:
        raise ProtocolError("a request of the batch does not end")
    if rest not in {b"", _CRLF}:
        raise ProtocolError("a request of the batch has a body, or another one after it")
    line, _, fields = head.partition(_CRLF)
    match = _REQUEST_LINE.fullmatch(_ascii(line))
    if not match:
        raise ProtocolError("a request of the batch does not begin with a request line")
    headers = _parse_fields(fields)
    if headers.get("content-length", "0") != "0" or any(name in headers for name in _NEVER):
        raise ProtocolError("a request of the batch has a body, or headers for the connection")
    return Request(match[1], match[2], headers)


def _parse_fields(head: bytes) -> Headers:
    lines = head.split(_CRLF) if head else []
    matches = [_FIELD.fullmatch(_ascii(line)) for line in lines]
    if len(lines) > _MOST_FIELDS or not all(matches):
        raise ProtocolError("a header of the batch is malformed")
    return Headers((match[1], match[2]) for match in matches if match)


def _ascii(line: bytes) -> str:
    try:
        return line.decode("ascii")
    except UnicodeDecodeError:
        raise ProtocolError("a head in the batch is not ASCII") from None


def _multipart(boundary: str, messages: Sequence[tuple[str, bytes]]) -> bytes:
    delimiter = b"--" + boundary.encode()
    if any(delimiter in message for _, message in messages):
        raise ProtocolError("the boundary of the batch occurs in it")
    pieces: list[bytes] = []
    for content_id, message in messages:
        named = [("Content-ID", content_id)] if content_id else []
        head = Headers([("Content-Type", "application/http"), ("Content-Transfer-Encoding", "binary"), *named])
        pieces += [delimiter, _CRLF, _field_bytes(head), _CRLF, message, _CRLF]
    return b"".join([*pieces, delimiter, b"--\r\n"])


def _request_bytes(request: Request) -> bytes:
    return b"".join([f"{request.method} {request.target} HTTP/1.1\r\n".encode(), _field_bytes(request.headers), _CRLF])


def _field_bytes(headers: Headers) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode()
