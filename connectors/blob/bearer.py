"""Bearer tokens of clients: the session's secret itself, for clients that sign nothing.

The listener is on loopback only, so a token is taken with and without TLS.
"""

from __future__ import annotations

from connectors.blob.errors import not_authentic
from connectors.http.message import Request
from hoopcli.spi import SessionSecret

_SCHEME = "bearer "


def is_bearer(request: Request) -> bool:
    """Whether a request carries a bearer token."""
    return (request.headers.get("authorization") or "").lower().startswith(_SCHEME)


def verify(request: Request, secret: SessionSecret) -> None:
    """Check that the token is the session's secret, in constant time. Raises StorageError."""
    token = (request.headers.get("authorization") or "")[len(_SCHEME) :]
    if not secret.matches(token):
        raise not_authentic("its token is not this session's")
