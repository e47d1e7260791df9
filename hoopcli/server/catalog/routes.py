"""The routes of policy and connections: brokers fetch the signed bundle, people read and add revisions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from hoopcli.errors import DeniedError
from hoopcli.ledger.note import Note
from hoopcli.model.access import PrincipalKind
from hoopcli.policy.bundle import Bundle
from hoopcli.server.access import Caller, caller, require
from hoopcli.server.catalog.store import Catalog, Revision
from hoopcli.server.services import Served, Services

#: A bundle is dated anew by the hour, and a broker that is offline decides by it for a day.
RENEWED = timedelta(hours=1)
GOOD_FOR = timedelta(hours=24)
LONGEST = 2_000_000
LONGEST_POLL = 60.0
TOPIC = "policy"
NEWEST = "newest"
NOTE = "text/plain; charset=utf-8"

router = APIRouter(prefix="/v1/policy", tags=["policy"])
Who = Annotated[Caller, Depends(caller)]


class Draft(BaseModel):
    """A revision to be added after the one that its author has seen; 0 if there was none."""

    model_config = ConfigDict(extra="forbid")

    after: int = Field(ge=0, le=2**31 - 2)
    policy: str = Field(max_length=LONGEST)
    connections: dict[str, dict[str, Any]] = Field(default_factory=dict, max_length=10_000)
    comment: str = Field("", max_length=2000)


class Entry(BaseModel):
    """A revision without what it says."""

    serial: int
    author: str
    comment: str
    at: datetime


class Whole(Entry):
    """A revision."""

    policy: str
    connections: dict[str, dict[str, Any]]


@router.get("/key")
def key(services: Served, who: Who) -> dict[str, str]:
    """The key that bundles are signed with, as a verifier key of C2SP signed-note."""
    require(who, services, "policy:fetch", "policy")
    return {"key": str(services.witness.verifier)}


@router.get("/bundle", response_class=Response, responses={200: {"content": {NOTE: {}}}, 304: {}})
async def bundle(
    services: Served,
    who: Who,
    if_none_match: Annotated[str, Header()] = "",
    seconds: Annotated[float, Query(ge=0, le=LONGEST_POLL)] = 0,
) -> Response:
    """The policy and the connections as a signed note; waits so long for another one than the caller has."""
    require(who, services, "policy:fetch", "policy")
    with services.wake.subscribed((TOPIC, NEWEST)) as ticket:
        answer = await to_thread.run_sync(_bundle, services, if_none_match)
        if answer.status_code == 304 and await ticket.wait(seconds):
            answer = await to_thread.run_sync(_bundle, services, if_none_match)
        return answer


def _bundle(services: Services, if_none_match: str) -> Response:
    revision = Catalog(services.database).current()
    issued = _on_the_hour(max(services.now(), revision.at))
    headers = {"ETag": f'"{revision.serial}-{issued.timestamp():.0f}"', "Cache-Control": "private, no-cache"}
    if headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    return Response(signed(services, revision, issued), media_type=NOTE, headers=headers)


@router.get("/revisions")
def revisions(
    services: Served,
    who: Who,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[Entry]:
    """Who changed the policy and when, the newest first."""
    require(who, services, "policy:read", "policy")
    return [Entry(**_entry(each)) for each in Catalog(services.database).history(before, limit)]


@router.get("/revisions/{serial}")
def revision(services: Served, who: Who, serial: Annotated[int, Path(ge=1, le=2**31 - 1)]) -> Whole:
    """One revision."""
    require(who, services, "policy:read", "policy")
    return _whole(Catalog(services.database).revision(serial))


@router.get("/current")
def current(services: Served, who: Who) -> Whole:
    """The revision that holds."""
    require(who, services, "policy:read", "policy")
    return _whole(Catalog(services.database).current())


@router.post("/revisions", status_code=201)
def add(services: Served, who: Who, draft: Draft) -> Entry:
    """Add a revision, which holds from then on."""
    require_author(who, services)
    added = Revision(
        draft.after + 1, draft.policy, draft.connections, who.principal.subject, draft.comment, services.now()
    )
    Catalog(services.database).add(draft.after, added)
    services.wake.notify(TOPIC, NEWEST)
    return Entry(**_entry(added))


def require_author(who: Caller, services: Services) -> None:
    """Raise DeniedError unless somebody may change the policy. An agent never may: it would decide on itself."""
    if who.principal.kind is PrincipalKind.AGENT:
        raise DeniedError("an agent does not change the policy", "ask a person to")
    require(who, services, "policy:write", "policy")


def signed(services: Services, revision: Revision, issued: datetime) -> str:
    """A revision as a bundle, under the server's key."""
    bundle = Bundle(revision.serial, revision.policy, revision.connections, issued=issued, expires=issued + GOOD_FOR)
    text = bundle.text()
    return str(Note(text, (services.witness.cosign(text, int(services.now().timestamp())),)))


def _on_the_hour(time: datetime) -> datetime:
    return time - (time - time.min.replace(tzinfo=time.tzinfo)) % RENEWED


def _entry(revision: Revision) -> dict[str, Any]:
    return {"serial": revision.serial, "author": revision.author, "comment": revision.comment, "at": revision.at}


def _whole(revision: Revision) -> Whole:
    connections = {name: dict(settings) for name, settings in revision.connections.items()}
    return Whole(**_entry(revision), policy=revision.policy, connections=connections)
