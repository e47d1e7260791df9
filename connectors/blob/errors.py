"""Errors as the storage service writes them, and the refusals that end in one.

The XML of the Blob service begins with a byte order mark; the Data Lake endpoint answers in JSON.
"""

from __future__ import annotations

import json
from xml.sax.saxutils import escape

from connectors.http.message import Headers
from hoopcli.errors import DeniedError, ProtocolError

#: The code of what policy refuses: one of the service, whose message ``az`` shows. Those of likelier ones it replaces.
DENIED = "InsufficientAccountPermissions"
_VERSION = "2024-11-04"
_HINT = "use the connection string that hoop connect printed for this session"


class StorageError(DeniedError):
    """A request that ends in an error of the service: ``status`` and ``code`` are the answer's."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code


class UnprovedError(StorageError, ProtocolError):
    """A request that is not proved to be of this session. It ends its connection, so that the ledger notes it."""


def no_proof(message: str) -> UnprovedError:
    """The client proves nothing."""
    return UnprovedError(401, "NoAuthenticationInformation", message, _HINT)


def not_authentic(reason: str) -> UnprovedError:
    """The client has not proved that it is of this session."""
    message = f"the request is not signed for this session: {reason}"
    return UnprovedError(403, "AuthenticationFailed", message, _HINT)


def not_permitted(reason: str) -> UnprovedError:
    """The client's own SAS does not reach as far as its request."""
    return UnprovedError(403, "AuthorizationPermissionMismatch", f"the SAS does not allow this: {reason}")


def storage_error(
    status: int, code: str, message: str, *, request_id: str = "", api: str = "blob", version: str = _VERSION
) -> tuple[Headers, bytes]:
    """Headers and body of an error answer. ``status`` is used by the Data Lake's clients only as the answer's own.

    ``message`` is for a person; what is no text of XML 1.0 in it is replaced.
    """
    text = "".join(character if _is_text(character) else "\N{REPLACEMENT CHARACTER}" for character in message)
    shown = f"{text}\nRequestId:{request_id}" if request_id else text
    body = _json(code, shown) if api == "dfs" else _xml(code, shown)
    pairs = [
        ("Content-Type", "application/json;charset=utf-8" if api == "dfs" else "application/xml"),
        ("Content-Length", str(len(body))),
        ("x-ms-error-code", code),
        ("x-ms-version", version),
    ]
    if request_id:
        pairs.append(("x-ms-request-id", request_id))
    if status == 401:
        pairs.append(("WWW-Authenticate", "Bearer"))
    return Headers(pairs), body


def _xml(code: str, message: str) -> bytes:
    head = '\N{BYTE ORDER MARK}<?xml version="1.0" encoding="utf-8"?>'
    return f"{head}<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>".encode()


def _json(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


def _is_text(character: str) -> bool:
    """Whether XML 1.0 allows it [XML 1.0, 2.2 Char], controls of later sets left out."""
    return character in "\t\n" or " " <= character < "\x7f" or "\xa0" <= character < "\ud800" or _is_high(character)


def _is_high(character: str) -> bool:
    return "\ue000" <= character <= "\ufffd" or "\U00010000" <= character <= "\U0010ffff"
