"""The few files that pages load. Their addresses hold a digest, so that browsers keep them for good."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

_TYPES: Final = {
    "asciinema-player.css": "text/css; charset=utf-8",
    "asciinema-player.min.js": "text/javascript; charset=utf-8",
    "hoop.css": "text/css; charset=utf-8",
    "hoop.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "replay.js": "text/javascript; charset=utf-8",
    "verify.js": "text/javascript; charset=utf-8",
}

router = APIRouter(include_in_schema=False)


@cache
def _content(name: str) -> bytes:
    return files("hoopcli.server.pages").joinpath("static", name).read_bytes()


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(_content(name), mtime=0)


@cache
def versioned(name: str) -> str:
    """The address of a file."""
    return f"/static/{hashlib.sha256(_content(name)).hexdigest()[:12]}/{name}"


@router.get("/static/{version}/{name}")
def static(request: Request, version: str, name: str) -> Response:
    """One of the files, in the version that a page named; packed, as pages never are: they hold secrets."""
    if name not in _TYPES or versioned(name) != f"/static/{version}/{name}":
        return Response(status_code=404)
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Security-Policy": "default-src 'none'",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(_content(name), media_type=_TYPES[name], headers=headers)
    return Response(_packed(name), media_type=_TYPES[name], headers=headers | {"Content-Encoding": "gzip"})
