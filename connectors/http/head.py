"""Heads on the wire, read more strictly than RFC 9112 asks: what two parsers might read differently is refused.

h11 parses and writes them. What it forgives (bare line feeds, folded lines, repeated lengths, a length beside a
transfer coding) is refused before it sees them, as each has let requests be smuggled past a proxy.
"""

from __future__ import annotations

import re
from http import HTTPStatus

import h11

from connectors.http.message import Headers, Request, Response
from hoopcli.errors import ProtocolError

HEAD_LIMIT = 64 * 1024
LINE_LIMIT = 16 * 1024
FIELD_LIMIT = 200
_END = b"\r\n\r\n"
_FIELD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t \x21-\x7e\x80-\xff]*")
_REQUEST_LINE = re.compile(rb"(?!TRACE |CONNECT )[A-Z]{1,20} /[\x21\x22\x24-\x7e]* HTTP/1\.1")
_REASON = re.compile(rb"[\t \x21-\x7e\x80-\xff]*")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 [1-5][0-9][0-9](?: [\t \x21-\x7e\x80-\xff]*)?")
#: Where a head cannot be one any more, however it goes on: a bare CR or LF, another control character.
_BROKEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n")
_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
#: What a client may say of its connection. To name other fields would take them from a request after it was decided.
_OPTIONS = frozenset({"close", "keep-alive", "upgrade", "te", "http2-settings"})
#: Fields that decide on framing or trust, and so must not have a double in a spelling that some servers take for them.
_UNMISTAKABLE = frozenset(
    {"authorization", "connection", "content-length", "expect", "host", "trailer", "transfer-encoding", "upgrade"}
)
_BODILESS = frozenset({"GET", "HEAD"})
#: Fields about one hop, which are not passed on (RFC 9110 7.6.1).
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def take_head(buffer: bytearray) -> bytes | None:
    """Take a head with its empty line off a buffer; None while it is not whole.

    Raises ProtocolError over a limit, and as soon as it cannot become a head.
    """
    end = buffer.find(_END, 0, HEAD_LIMIT + len(_END))
    if _BROKEN.search(buffer, 0, end if end >= 0 else len(buffer)):
        raise ProtocolError("the head of the message has bare line ends or control characters")
    if end < 0:
        if len(buffer) > HEAD_LIMIT:
            raise ProtocolError(f"the head of the message is longer than {HEAD_LIMIT // 1024} KiB")
        if len(buffer) > LINE_LIMIT and b"\r\n" not in buffer:
            raise ProtocolError(f"the first line of the message is longer than {LINE_LIMIT // 1024} KiB")
        return None
    raw = bytes(buffer[: end + len(_END)])
    del buffer[: len(raw)]
    return raw


def read_request(raw: bytes, role: h11.Connection) -> Request:
    """Parse a request's head; ``role`` is a fresh server. Raises ProtocolError."""
    _check(raw, _REQUEST_LINE, "request")
    event = _event(raw, role)
    assert isinstance(event, h11.Request)
    request = Request(event.method.decode(), event.target.decode(), _headers(event))
    _check_request(request)
    return request


def read_response(raw: bytes, role: h11.Connection) -> Response:
    """Parse a response's head, also an interim one; ``role`` is a client that has sent its request."""
    _check(raw, _STATUS_LINE, "response")
    event = _event(raw, role)
    assert isinstance(event, h11.Response | h11.InformationalResponse)
    response = Response(event.status_code, event.reason.decode("latin-1"), _headers(event))
    framed = is_chunked(response.headers) or (content_length(response.headers) or 0) > 0
    if framed and (response.status == 204 or response.status < 200):
        raise ProtocolError(f"an answer {response.status} announces a body, which it cannot have")
    return response


def write_head(message: Request | Response, role: h11.Connection) -> bytes:
    """A head as bytes. Raises ProtocolError for what no head may hold."""
    try:
        fields = [(name.encode("ascii"), value.encode("latin-1")) for name, value in message.headers]
        if isinstance(message, Request):
            written = role.send(h11.Request(method=message.method, target=message.target, headers=fields))
        else:
            phrase = message.reason.encode("latin-1")
            if not _REASON.fullmatch(phrase):  # h11 would send it as it is
                raise ProtocolError("the reason of an answer holds control characters")
            kind = h11.Response if message.status >= 200 else h11.InformationalResponse
            written = role.send(kind(status_code=message.status, reason=phrase, headers=fields))
    except (h11.LocalProtocolError, UnicodeEncodeError) as error:
        raise ProtocolError(f"the head of a message cannot be written: {error}") from error
    assert written is not None
    return written


def reason(status: int) -> str:
    """The usual phrase for a status, empty where there is none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def end_to_end(headers: Headers) -> Headers:
    """The fields that are not about one hop, also those that ``Connection`` names."""
    named = {word.strip().lower() for value in headers.all("connection") for word in value.split(",")}
    return headers.without(*HOP_BY_HOP, *named)


def content_length(headers: Headers) -> int | None:
    """The length that a head gives its body, None without one."""
    value = headers.get("content-length")
    return None if value is None else int(value)


def is_chunked(headers: Headers) -> bool:
    """Whether the body comes in chunks."""
    return "transfer-encoding" in headers


def keeps_alive(headers: Headers) -> bool:
    """Whether the connection outlives the message."""
    return not any("close" in value.lower() for value in headers.all("connection"))


def _check(raw: bytes, first: re.Pattern[bytes], what: str) -> None:
    lines = raw[: -len(_END)].split(b"\r\n")
    if len(lines[0]) > LINE_LIMIT or not first.fullmatch(lines[0]):
        raise ProtocolError(f"the first line of the {what} is not one of HTTP/1.1 in origin form")
    if len(lines) > FIELD_LIMIT + 1:
        raise ProtocolError(f"the {what} has more than {FIELD_LIMIT} header fields")
    if not all(_FIELD.fullmatch(line) for line in lines[1:]):
        raise ProtocolError(f"the {what} has a header line that is malformed, folded or holds control characters")
    _check_framing([(name.lower(), value.strip(b" \t")) for name, _, value in (ln.partition(b":") for ln in lines[1:])])


def _check_framing(fields: list[tuple[bytes, bytes]]) -> None:
    """One way only to tell where the body ends. h11 would make one of two equal lengths, so that it is not asked."""
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) > 1 or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise ProtocolError("Content-Length is not one number")
    if codings and (lengths or codings != [b"chunked"]):
        raise ProtocolError("Transfer-Encoding is other than chunked, or stands beside a Content-Length")


def _check_request(request: Request) -> None:
    """What a request's fields must be for client, broker and upstream to see the same request in it."""
    headers = request.headers
    hosts = headers.all("host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise ProtocolError("the request does not have exactly one Host")
    if "trailer" in headers:
        raise ProtocolError("trailers are refused")
    if [value.lower() for value in headers.all("expect")] not in ([], ["100-continue"]):
        raise ProtocolError("the only expectation that can be met is 100-continue")
    if not _OPTIONS.issuperset(headers.tokens("connection")):
        raise ProtocolError("Connection names a header field")
    if any("_" in name and name.lower().replace("_", "-") in _UNMISTAKABLE for name, _ in headers):
        raise ProtocolError("a header's name may be taken for that of another")
    if request.method in _BODILESS and (is_chunked(headers) or content_length(headers)):
        raise ProtocolError(f"a {request.method} request has a body")


def _event(raw: bytes, role: h11.Connection) -> h11.Request | h11.Response | h11.InformationalResponse:
    try:
        role.receive_data(raw)
        event = role.next_event()
    except h11.RemoteProtocolError as error:
        raise ProtocolError(f"the head of a message cannot be read: {error}") from error
    if not isinstance(event, h11.Request | h11.Response | h11.InformationalResponse):
        raise ProtocolError("the head of a message cannot be read")
    return event


def _headers(event: h11.Request | h11.Response | h11.InformationalResponse) -> Headers:
    return Headers((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers.raw_items())
