"""The page where a draft of the policy is written, checked, tried on last week's statements, and published."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Path
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from hoopcli.errors import UsageError
from hoopcli.policy.lint import check as lint
from hoopcli.server.catalog.routes import LONGEST, NEWEST, TOPIC, require_author
from hoopcli.server.catalog.store import Catalog, Revision
from hoopcli.server.dryrun.runs import Run, Runs
from hoopcli.server.pages.connections import current
from hoopcli.server.pages.layout import PageRoute, Visitor, sender, visitor
from hoopcli.server.pages.render import page
from hoopcli.server.problems import Problem
from hoopcli.server.records.kept import keep
from hoopcli.server.records.sight import may_read
from hoopcli.server.services import Served, Services
from hoopcli.settings import connectors

router = APIRouter(include_in_schema=False, route_class=PageRoute)

HERE = "/policy"
EMPTY: Final = "version: 1\nrules: []\n"
_PLACE: Final = re.compile(r"policy:(?P<line>\d+):(?P<column>\d+): (?P<message>.*)", re.DOTALL)

Who = Annotated[Visitor, Depends(visitor)]
Sender = Annotated[Visitor, Depends(sender)]
Text = Annotated[str, Form(max_length=LONGEST)]
Comment = Annotated[str, Form(max_length=2_000)]
After = Annotated[int, Form(ge=0, le=2**31 - 2)]
Over = Annotated[int | None, Form(ge=0, le=2**31 - 2)]
Id = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$")]


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about a draft: ``level`` is ``error``, ``warning`` or ``note``; ``line`` 0 is the whole."""

    level: str
    line: int
    column: int
    message: str


@router.get("/policy/draft")
def draft(who: Who, services: Served) -> HTMLResponse:
    """A draft that begins as the policy that holds."""
    require_author(who.caller, services)
    revision = current(services)
    serial, text = (revision.serial, revision.policy) if revision else (0, EMPTY)
    return _page(who, after=serial, text=text)


@router.post("/policy/draft")
def edit(who: Sender, services: Served, policy: Text, after: After, comment: Comment = "") -> HTMLResponse:
    """A draft that one goes on with."""
    require_author(who.caller, services)
    return _page(who, after=after, text=_plain(policy), comment=comment)


@router.post("/policy/draft/check")
def check(who: Sender, services: Served, policy: Text) -> HTMLResponse:
    """What is wrong or suspicious in a draft."""
    require_author(who.caller, services)
    return page("policy/remarks.html", remarks=remarks(_plain(policy)))


@router.post("/policy/draft/publish")
def publish(
    who: Sender, services: Served, policy: Text, after: After, comment: Comment = "", over: Over = None
) -> Response:
    """Make a draft the revision that holds. ``over`` says that one has seen what others changed meanwhile."""
    require_author(who.caller, services)
    text, base = _plain(policy), after if over is None else over
    try:
        _add(services, who, base, text, comment)
    except UsageError:
        return _page(who, status=422, after=after, text=text, comment=comment)
    except Problem as error:
        newest = current(services)
        if error.status != 409 or newest is None:
            raise
        return _page(who, status=409, after=after, text=text, comment=comment, newest=newest)
    return RedirectResponse(HERE, 303)


@router.post("/policy/dry-runs")
def begin(who: Sender, services: Served, policy: Text, after: After, comment: Comment = "") -> Response:
    """Try a draft on last week's statements."""
    require_author(who.caller, services)
    text = _plain(policy)
    try:
        run = _runs(who, services).begin(text, services.now())
        keep(who.caller, services, "dry-run", {"run": run.id})
    except UsageError:
        return _page(who, status=422, after=after, text=text, comment=comment)
    return RedirectResponse(f"/policy/dry-runs/{run.id}", 303)


@router.get("/policy/dry-runs/{identity}")
def show(who: Who, services: Served, identity: Id) -> HTMLResponse:
    """How far a dry run is, and what it found."""
    require_author(who.caller, services)
    run = _runs(who, services).get(identity)
    return page("policy/dry_run.html", **_shown(run), **who.layout(HERE))


@router.post("/policy/dry-runs/{identity}")
def go_on(who: Sender, services: Served, identity: Id) -> HTMLResponse:
    """One step further."""
    require_author(who.caller, services)
    mine = _runs(who, services)
    run = mine.get(identity)
    return page("policy/found.html", csrf=who.csrf, **_shown(run if run.over else mine.step(run)))


def remarks(text: str) -> list[Remark]:
    """What is to be said of a draft, in the order of its lines."""
    verbs = frozenset().union(*(connectors.load(kind).verbs for kind in connectors.kinds()))
    try:
        found = [(str(f.level), f"{f.place}: {f.rule + ': ' if f.rule else ''}{f.message}") for f in lint(text, verbs)]
    except UsageError as error:
        found = [("error", line) for line in error.message.split("\n")]
        if error.hint:
            found.append(("note", error.hint))
    return sorted((_remark(*each) for each in found), key=lambda each: (each.level == "note", each.line, each.column))


def _remark(level: str, text: str) -> Remark:
    place = _PLACE.fullmatch(text)
    if place is None:
        return Remark(level, 0, 0, text)
    return Remark(level, int(place["line"]), int(place["column"]), place["message"])


def _add(services: Services, who: Visitor, after: int, text: str, comment: str) -> None:
    catalog = Catalog(services.database)
    connections = catalog.revision(after).connections if after else {}
    said = comment.replace("\0", "\u2400")
    added = Revision(after + 1, text, connections, who.caller.principal.subject, said, services.now())
    catalog.add(after, added)
    services.wake.notify(TOPIC, NEWEST)


def _runs(who: Visitor, services: Services) -> Runs:
    """A dry run tells of what others asked, so that one sees what one may read of it."""
    person = who.caller.principal
    return Runs(services.database, person.subject, partial(may_read, services, person))


def _shown(run: Run) -> dict[str, Any]:
    return {"run": run, "groups": run.changes.sorted()}


def _plain(text: str) -> str:
    """A form's text as it was typed: browsers send line ends as CR LF."""
    return text.replace("\r\n", "\n")


def _page(
    who: Visitor, *, after: int, text: str, comment: str = "", newest: Revision | None = None, status: int = 200
) -> HTMLResponse:
    return page(
        "policy/draft.html",
        status=status,
        after=after,
        text=text,
        comment=comment,
        newest=newest,
        remarks=remarks(text),
        **who.layout(HERE),
    )
