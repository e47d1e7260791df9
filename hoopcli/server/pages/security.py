"""What keeps a page to itself: a policy for scripts, headers, and tokens against forged requests."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request

from hoopcli.errors import DeniedError

CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "x-csrf-token"

#: Nothing but the server's own files runs or is loaded, nothing is inline, nobody frames a page.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def csrf_token(cookie: str) -> str:
    """The token of a browser's session: only who knows the cookie, which no script can read, can make it."""
    return hmac.digest(cookie.encode(), b"hoop csrf 1", hashlib.sha256).hex()


def check_same_origin(request: Request, public_url: str, cookie: str, token: str) -> None:
    """Raise DeniedError unless a request that changes something comes from one of our own pages."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    origin = request.headers.get("origin")
    ours = {urlsplit(public_url).netloc, request.headers.get("host", "")}
    foreign = origin is not None and urlsplit(origin).netloc not in ours
    if site != "same-origin" or foreign or not hmac.compare_digest(token.encode(), csrf_token(cookie).encode()):
        raise DeniedError("this request does not come from a page of this server", "reload the page and try again")
