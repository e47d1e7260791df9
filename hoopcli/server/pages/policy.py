"""The pages of the policy: the document that holds, its revisions, and what changed between two of them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import HTMLResponse

from hoopcli.server.catalog.store import Catalog, Revision
from hoopcli.server.pages import differences, highlight
from hoopcli.server.pages.connections import current
from hoopcli.server.pages.layout import PageRoute, Visitor, visitor
from hoopcli.server.pages.render import page
from hoopcli.server.services import Served

router = APIRouter(include_in_schema=False, route_class=PageRoute)

HERE = "/policy"
PAGE = 50
SHOWN_LINES = 2_000
Who = Annotated[Visitor, Depends(visitor)]
Serial = Annotated[int, Query(ge=1, le=2**31 - 1)]


@router.get(HERE)
def policy(who: Who, services: Served) -> HTMLResponse:
    """The revision that holds."""
    who.require("policy:read", "policy", "policy")
    revision = current(services)
    return _document(who, services, revision, holds=True)


@router.get("/policy/revisions")
def revisions(
    who: Who, services: Served, before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None
) -> HTMLResponse:
    """Who changed the policy and when, the newest first."""
    who.require("policy:read", "policy", "policy-revisions")
    found = Catalog(services.database).history(before, PAGE)
    more = found[-1].serial if len(found) == PAGE and found[-1].serial > 1 else None
    return page(
        "policy/revisions.html",
        revisions=found,
        more=more,
        now=services.now().timestamp(),
        **who.layout(HERE),
    )


@router.get("/policy/revisions/{serial}")
def revision(who: Who, services: Served, serial: Annotated[int, Path(ge=1, le=2**31 - 1)]) -> HTMLResponse:
    """One revision."""
    who.require("policy:read", "policy", "policy", serial=serial)
    return _document(who, services, Catalog(services.database).revision(serial), holds=False)


@router.get("/policy/diff")
def diff(
    who: Who, services: Served, old: Serial, new: Serial, view: Literal["unified", "split"] = "unified"
) -> HTMLResponse:
    """What changed from one revision to another, in the policy and in the connections."""
    who.require("policy:read", "policy", "policy-diff", old=old, new=new)
    catalog = Catalog(services.database)
    before, after = catalog.revision(old), catalog.revision(new)
    return page(
        "policy/diff.html",
        before=before,
        after=after,
        view=view,
        policy=_changes(before.policy, after.policy, view),
        connections=_changes(_listed(before), _listed(after), view),
        now=services.now().timestamp(),
        **who.layout(HERE),
    )


def _document(who: Visitor, services: Served, revision: Revision | None, *, holds: bool) -> HTMLResponse:
    lines = highlight.lines(revision.policy) if revision else []
    return page(
        "policy/policy.html",
        revision=revision,
        holds=holds,
        lines=lines[:SHOWN_LINES],
        left_out=max(0, len(lines) - SHOWN_LINES),
        writes=who.may("policy:write", "policy"),
        now=services.now().timestamp(),
        **who.layout(HERE),
    )


def _changes(old: str, new: str, view: str) -> list[differences.Row]:
    beside = differences.rows(old, new)
    return beside if view == "split" else differences.unified(beside)


def _listed(revision: Revision) -> str:
    told: dict[str, Any] = {name: dict(settings) for name, settings in revision.connections.items()}
    return json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False)
