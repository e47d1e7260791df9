"""The pages of sessions: found by a search, and one with all that happened in it and the proof of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import HTMLResponse, JSONResponse, Response

from hoopcli.server.pages.layout import PageRoute, Visitor, visitor
from hoopcli.server.pages.render import page
from hoopcli.server.pages.security import HEADERS
from hoopcli.server.records import search
from hoopcli.server.records.reading import Reading
from hoopcli.server.records.routes import Asked, Below, Id, Start, live
from hoopcli.server.services import Served

HERE: Final = "/sessions"
_NAMES: Final = {
    "person": "Person",
    "on_behalf_of": "On behalf of",
    "connection": "Connection",
    "connector": "Kind",
    "verb": "Verb",
    "effect": "Decision",
    "rule": "Rule",
}
#: A terminal is drawn by WebAssembly, which nothing else on these pages needs.
_PLAYS: Final = HEADERS["Content-Security-Policy"].replace("script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'")

router = APIRouter(include_in_schema=False, route_class=PageRoute)
Who = Annotated[Visitor, Depends(visitor)]


def reading(services: Served, who: Who) -> Reading:
    """What the visitor reads."""
    return Reading(services, who.caller)


Reads = Annotated[Reading, Depends(reading)]


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses of this search, and of others that differ from it in one thing."""

    asked: Mapping[str, str]

    def but(self, **changes: str | None) -> str:
        """The same search with something else, or without it."""
        wanted = {name: value for name, value in {**self.asked, **changes}.items() if value}
        return f"{HERE}?{urlencode(wanted)}" if wanted else HERE

    def chosen(self) -> Iterator[tuple[str, str, str]]:
        """What is asked for besides words: its name, its value, and the address without it."""
        for name, value in self.asked.items():
            if name not in {"text", "show"}:
                yield _NAMES.get(name, name.capitalize()), value, self.but(**{name: None})


@router.get(HERE)
def index(who: Who, reads: Reads, query: Asked, show: str = "", below: Below = None) -> HTMLResponse:
    """The newest sessions that match, or statements where they are asked for."""
    of_statements = query.of_statements or show == "statements"
    found = reads.statements(query, below) if of_statements else reads.sessions(query, below)
    links = Links(_asked(query) | ({"show": "statements"} if of_statements else {}))
    return page(
        "sessions/index.html",
        found=found,
        of_statements=of_statements,
        query=query,
        links=links,
        names=_NAMES,
        first=below is None,
        live=lambda row: live(row, reads.now),
        **who.layout(HERE),
    )


@router.get("/sessions/{identity}")
def session(identity: Id, who: Who, reads: Reads, start: Start = 0) -> HTMLResponse:
    """One session."""
    told = reads.session(identity, start)
    response = page(
        "sessions/session.html",
        told=told,
        row=told.session,
        live=live(told.session, reads.now),
        start=start,
        plays=any(step.terminal for step in told.steps),
        **who.layout(HERE),
    )
    if any(step.terminal for step in told.steps):
        response.headers["Content-Security-Policy"] = _PLAYS
    return response


@router.get("/sessions/{identity}/evidence")
def evidence(identity: Id, reads: Reads, start: Annotated[int, Query(ge=0, le=1 << 53)] = 0) -> JSONResponse:
    """What a browser verifies the session with."""
    return JSONResponse(asdict(reads.evidence(identity, start)), headers=_private())


@router.get("/sessions/{identity}/terminals/{index}.cast")
def terminal(identity: Id, index: Annotated[int, Path(ge=0, lt=2**53)], reads: Reads) -> Response:
    """A recorded terminal."""
    return Response(reads.cast(identity, index), media_type="application/x-asciicast", headers=_private())


def _private() -> dict[str, str]:
    return {name: HEADERS[name] for name in ("Cache-Control", "X-Content-Type-Options", "Content-Security-Policy")}


def _asked(query: search.Query) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in asdict(query).items():
        if value:
            found[name] = _day(value) if isinstance(value, datetime) else "1" if value is True else str(value)
    return found


def _day(value: datetime) -> str:
    return value.date().isoformat() if value.time().isoformat() == "00:00:00" else value.isoformat()
