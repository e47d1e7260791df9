"""Errors as answers: RFC 9457 problem details, with a status that stays the same and never a stack trace.

``type`` is ``about:blank`` or ``urn:hoop:problem:NAME``; ``detail`` says what happened, ``hint`` what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from hoopcli.errors import (
    ApprovalPendingError,
    DeniedError,
    HoopError,
    LedgerError,
    NotSignedInError,
    ProtocolError,
    UpstreamError,
    UsageError,
)
from hoopcli.server.database import DatabaseGoneError

MEDIA_TYPE: Final = "application/problem+json"
_URN: Final = "urn:hoop:problem:"

STATUSES: Final[tuple[tuple[type[HoopError], int, str], ...]] = (
    (DatabaseGoneError, 503, "database-gone"),
    (UsageError, 400, "usage"),
    (NotSignedInError, 401, "not-signed-in"),
    (DeniedError, 403, "denied"),
    (ApprovalPendingError, 409, "approval-pending"),
    (UpstreamError, 502, "upstream"),
    (ProtocolError, 400, "protocol"),
    (LedgerError, 422, "ledger"),
)
"""Status and type of each error; the first that fits. Any other HoopError is a 500."""


class Problem(HoopError):  # noqa: N818 - RFC 9457's own word
    """An error that says its own status and type. ``members`` are added to the document, ``headers`` to the answer."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        hint: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        **members: object,
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.kind = kind
        self.headers = dict(headers or {})
        self.members = members


def not_found(message: str, hint: str = "") -> Problem:
    """There is no such thing, or the caller may not know that there is."""
    return Problem(404, "not-found", message, hint)


def install(app: FastAPI) -> None:
    """Make every error of an app a problem."""
    app.add_exception_handler(HoopError, _deliberate)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _defect)


def problem(
    status: int, kind: str, detail: str, hint: str = "", headers: Mapping[str, str] | None = None, **members: object
) -> JSONResponse:
    """One answer. ``kind`` is the last part of the type, or empty."""
    content: dict[str, Any] = {
        "type": f"{_URN}{kind}" if kind else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    content |= {"hint": hint} if hint else {}
    return JSONResponse(content | members, status, dict(headers or {}), MEDIA_TYPE)


async def _deliberate(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HoopError)
    if isinstance(error, Problem):
        return problem(error.status, error.kind, error.message, error.hint, error.headers, **error.members)
    status, kind = next(((s, k) for type_, s, k in STATUSES if isinstance(error, type_)), (500, "failed"))
    headers = {401: {"WWW-Authenticate": "DPoP"}, 503: {"Retry-After": "1"}}.get(status)
    return problem(status, kind, error.message, error.hint, headers)


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "", str(error.detail), headers=error.headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    """Says where and why, and does not repeat what was sent: it may be a secret."""
    assert isinstance(error, RequestValidationError)
    errors = [{"at": list(map(str, item["loc"])), "why": item["msg"]} for item in error.errors()]
    return problem(422, "invalid", "the request is not in the form that this route takes", errors=errors)


async def _defect(_request: Request, _error: Exception) -> JSONResponse:
    return problem(500, "defect", "this is a defect of hoop; the server's log has the details")
