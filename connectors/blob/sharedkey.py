"""Shared Key: requests signed with an account key, checked with the session's and signed anew with the upstream's.

Source: the REST reference, "Authorize with Shared Key", in the versions since 2009-09-19. The account key that clients
of a session are given is derived from the session's secret; it opens nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from connectors.blob.address import parse_query
from connectors.blob.errors import not_authentic
from connectors.http.message import Request
from hoopcli.errors import ProtocolError
from hoopcli.spi import SessionSecret

_SKEW = timedelta(minutes=15)
_EMPTY_WHEN_ZERO_SINCE = "2015-02-21"
_AUTHORIZATION = re.compile(r"(SharedKey|SharedKeyLite) ([^:\s]+):([A-Za-z0-9+/]{43}=)")
_SIGNED = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip
_INFO = b"hoop storage account key"


def session_key(secret: SessionSecret) -> str:
    """The account key of a session, base64 of 64 bytes, by HKDF with SHA-512 [RFC 5869] from its secret."""
    pseudorandom = hmac.digest(bytes(64), secret.value.encode(), hashlib.sha512)
    return base64.b64encode(hmac.digest(pseudorandom, _INFO + b"\x01", hashlib.sha512)).decode()


def signature(key: str, text: str) -> str:
    """Base64 of the HMAC-SHA256 of a string-to-sign, with a base64 account key."""
    return base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), hashlib.sha256)).decode()


def is_shared_key(request: Request) -> bool:
    """Whether a request claims to be signed with Shared Key, in either form."""
    return (request.headers.get("authorization") or "").startswith("SharedKey")


def verify(request: Request, account: str, key: str, now: datetime, *, canonical_target: str = "") -> None:
    """Check a request's Shared Key or Shared Key Lite signature. Raises StorageError, ProtocolError.

    ``canonical_target`` is the same target in the broker's own encoding: clients sign the path before or after their
    HTTP library rewrites its escapes.
    """
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization") or "")
    if not match or match[2] != account:
        raise not_authentic("the Authorization header is malformed, or names another account")
    _check_date(request, now)
    make = _lite_string_to_sign if match[1] == "SharedKeyLite" else string_to_sign
    targets = dict.fromkeys((request.target, canonical_target or request.target))
    signed = [Request(request.method, target, request.headers) for target in targets]
    texts = (make(asked, account, ordinal=ordinal) for ordinal in (False, True) for asked in signed)
    if not any(hmac.compare_digest(signature(key, text), match[3]) for text in texts):
        raise not_authentic("the signature does not match")


def authorization(request: Request, account: str, key: str) -> str:
    """The Authorization header for a request that is otherwise complete, ``x-ms-date`` included."""
    return f"SharedKey {account}:{signature(key, string_to_sign(request, account))}"


def http_date(now: datetime) -> str:
    """A time as ``x-ms-date`` has it [RFC 9110 5.6.7]."""
    return format_datetime(now.astimezone(UTC), usegmt=True)


def string_to_sign(request: Request, account: str, *, ordinal: bool = False) -> str:
    """The string-to-sign of Shared Key for a request as it is sent.

    ``ordinal`` sorts headers by code point, as older clients do; else as the service does.
    """
    lines = [request.method, *(_header(request, name) for name in _SIGNED)]
    return "\n".join([*lines, _canonical_headers(request, ordinal=ordinal) + _canonical_resource(request, account)])


def _lite_string_to_sign(request: Request, account: str, *, ordinal: bool) -> str:
    lines = [request.method, *(_header(request, name) for name in ("content-md5", "content-type", "date"))]
    path, _, raw_query = request.target.partition("?")
    comp = dict(parse_query(raw_query)).get("comp")
    resource = f"/{account}{path}" + (f"?comp={comp}" if comp is not None else "")
    return "\n".join([*lines, _canonical_headers(request, ordinal=ordinal) + resource])


def _check_date(request: Request, now: datetime) -> None:
    text = request.headers.get("x-ms-date") or request.headers.get("date") or ""
    try:
        signed_at = parsedate_to_datetime(text)
    except ValueError:
        raise not_authentic("it has no date that can be read") from None
    if signed_at.tzinfo is None or abs(signed_at - now) > _SKEW:
        raise not_authentic("its date is not within 15 minutes of now")


def _header(request: Request, name: str) -> str:
    value = (request.headers.get(name) or "").strip()
    if name == "date" and "x-ms-date" in request.headers:
        return ""
    if name == "content-length" and value == "0":
        version = request.headers.get("x-ms-version") or _EMPTY_WHEN_ZERO_SINCE
        return "" if version >= _EMPTY_WHEN_ZERO_SINCE else "0"
    return value


def _canonical_headers(request: Request, *, ordinal: bool) -> str:
    found: dict[str, str] = {}
    for name, value in request.headers:
        lower = name.lower()
        if not lower.startswith("x-ms-"):
            continue
        if lower in found:
            raise ProtocolError(f"the header {lower} came twice")
        found[lower] = value.strip()
    names = sorted(found) if ordinal else sorted(found, key=_collated)
    return "".join(f"{name}:{found[name]}\n" for name in names)


def _collated(name: str) -> tuple[list[tuple[bool, bool, str]], str]:
    """The service's order of names: hyphens count last, then marks before digits before letters."""
    return [(c.isalpha(), c.isdigit(), c) for c in name if c != "-"], name


def _canonical_resource(request: Request, account: str) -> str:
    path, _, raw_query = request.target.partition("?")
    query = sorted((name.lower(), value) for name, value in parse_query(raw_query))
    return f"/{account}{path}" + "".join(f"\n{name}:{value}" for name, value in query)
