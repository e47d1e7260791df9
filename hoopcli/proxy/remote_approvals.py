"""Approvals at a server: the same desk as ``hoopcli.proxy.approvals``, for brokers, and the inbox of those who answer.

The server decides who may answer and counts the uses. A broker that cannot reach it waits on, until the request
expires; nothing runs meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import httpx

from hoopcli.errors import DeniedError, HoopError, NotSignedInError, UpstreamError, UsageError
from hoopcli.model.access import Principal
from hoopcli.model.approval import Answer, Binding, Question, Request, State, touches_of
from hoopcli.model.decision import Approve

PATH = "/v1/approvals"
TICKETS = "/v1/browser/tickets"
POLL_SECONDS = 55
WAIT_SECONDS = 3_600
"""A wait is one request: the server keeps its connection alive, and ends it when the token does."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
_PASSING = frozenset({408, 425, 429})


class Server(Protocol):
    """Somebody's session at a server."""

    def request(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """Send a request and read its answer. Raises NotSignedInError, UpstreamError."""

    async def arequest(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """The same off the loop's way."""


class RemoteApprovals:
    """The approvals that the server of this machine's settings holds."""

    def __init__(self, server: Server, now: Callable[[], datetime]) -> None:
        self._server = server
        self._now = now
        self._waiting: dict[str, Request] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    async def submit(self, question: Question, terms: Approve) -> Request:
        """Make a request, or return the one that is open for the same binding and terms. Raises HoopError."""
        return read(checked(await self._server.arequest("POST", PATH, json=asked(question, terms))))

    async def settled(self, request: Request) -> Request:
        """Wait until it no longer waits. A server that is away is asked again until the request expires."""
        self._waiting[request.id] = request
        pause = _FIRST_PAUSE
        try:
            while request.state is State.WAITING:
                try:
                    path = f"{PATH}/{request.id}/wait?seconds={WAIT_SECONDS}"
                    request = read(checked(await self._server.arequest("GET", path)))
                    pause = _FIRST_PAUSE
                except UpstreamError:
                    if self._now().timestamp() >= request.expires:
                        raise
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _LONGEST_PAUSE)
            return request
        finally:
            self._waiting.pop(request.id, None)

    async def spend(self, request: Request, binding: Binding) -> bool:
        """Take one use of it. An answer that is lost counts as no: the statement does not run. Raises HoopError."""
        body = {
            "principal": binding.principal,
            "connection": binding.connection,
            "rule": binding.rule,
            "digest": binding.digest,
        }
        used = checked(await self._server.arequest("POST", f"{PATH}/{request.id}/use", json=body))
        return used["granted"] is True and read(used["request"]).binding == binding

    def withdraw(self, request: Request) -> None:
        """Tell the server, without waiting for it, that the client is gone."""
        task = asyncio.get_running_loop().create_task(self._withdraw(request.id))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def waiting(self, session: str) -> Sequence[Request]:
        """The requests that this broker waits for in a session."""
        return [request for request in self._waiting.values() if request.session == session]

    def pending(self) -> list[Request]:
        """What waits and the signed-in person may see, oldest first. Raises HoopError."""
        found: list[Request] = []
        while True:
            page = checked(self._server.request("GET", f"{PATH}?limit=500&skip={len(found)}"))
            found += map(read, page["requests"])
            if not page["requests"] or len(found) >= page["total"]:
                return found

    def changed(self, tag: str) -> tuple[list[Request], str]:
        """The oldest that wait, once they differ from those of a tag, or after a while; and their tag."""
        page = checked(self._server.request("GET", f"{PATH}?seen={tag}&seconds={POLL_SECONDS}"))
        return [read(one) for one in page["requests"]], str(page["tag"])

    def get(self, identity: str) -> Request:
        """One request. Raises UsageError if the server shows none of this id."""
        return read(checked(self._server.request("GET", f"{PATH}/{_part(identity)}")))

    def answer(
        self,
        identity: str,
        _approver: Principal | None,
        *,
        approve: bool,
        comment: str = "",
        uses: int | None = None,
        until: datetime | None = None,
    ) -> Request:
        """Answer a request as whoever is signed in, which the server knows best. Raises DeniedError, UsageError."""
        said: dict[str, Any] = {"approve": approve, "comment": comment}
        if uses is not None:
            said["uses"] = uses
        if until is not None:
            said["until"] = until.isoformat()
        return read(checked(self._server.request("POST", f"{PATH}/{_part(identity)}/answer", json=said)))

    def pages(self) -> str:
        """An address that opens the pages for whoever is signed in, once, within a minute. Raises HoopError."""
        return str(checked(self._server.request("POST", TICKETS))["url"])

    async def _withdraw(self, identity: str) -> None:
        try:
            checked(await self._server.arequest("POST", f"{PATH}/{identity}/withdraw"))
        except HoopError:
            return  # it expires by itself


def asked(question: Question, terms: Approve) -> dict[str, Any]:
    """The body that asks a question."""
    return {
        "principal": {"subject": question.binding.principal, "kind": str(question.principal_kind)},
        "session": question.session,
        "connection": question.binding.connection,
        "kind": question.kind,
        "rule": question.binding.rule,
        "why": question.why,
        "reason": question.reason,
        "text": question.text,
        "media_type": question.media_type,
        "digest": question.binding.digest,
        "actions": [{"verb": a.verb, "resources": list(a.resources)} for a in question.actions],
        "facts": dict(question.facts),
        "terms": {
            "groups": list(terms.groups),
            "count": terms.count,
            "uses": terms.uses,
            "expires_seconds": int(terms.expires.total_seconds()),
        },
    }


def read(document: Mapping[str, Any]) -> Request:
    """A request from its JSON. Raises UpstreamError if it is none."""
    try:
        return Request(
            id=document["id"],
            session=document["session"],
            binding=Binding(document["principal"], document["connection"], document["rule"], document["digest"]),
            on_behalf_of=document["on_behalf_of"],
            reason=document["reason"],
            text=document["text"],
            groups=tuple(document["groups"]),
            needed=document["needed"],
            uses=document["uses"],
            asked=_seconds(document["asked"]),
            expires=_seconds(document["expires"]),
            state=State(document["state"]),
            answers=tuple(
                Answer(a["approver"], a["approve"], a["comment"], _seconds(a["at"])) for a in document["answers"]
            ),
            withdrawn=_seconds(document["withdrawn"]) if document["withdrawn"] else None,
            link=document["link"],
            touches=touches_of(document["facts"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UpstreamError("the server's answer is no approval request", "check [server] url") from error


def checked(response: httpx.Response) -> Any:
    """The JSON of a good answer. Raises the error that a problem stands for; UpstreamError if it may pass."""
    try:
        document = response.json()
    except ValueError:
        document = None
    if response.is_success and document is not None:
        return document
    told = document if isinstance(document, dict) else {}
    detail = told.get("detail")
    raise _kind(response.status_code)(
        detail if isinstance(detail, str) else f"the server answered {response.status_code}", _hint(told)
    )


def _kind(status: int) -> type[HoopError]:
    """What an answer means; what may pass, so that asking again makes sense, is an UpstreamError."""
    if status in {401, 403}:
        return NotSignedInError if status == 401 else DeniedError
    return UsageError if 400 <= status < 500 and status not in _PASSING else UpstreamError


def _hint(told: Mapping[str, Any]) -> str:
    hint = told.get("hint")
    return hint if isinstance(hint, str) else ""


def _part(identity: str) -> str:
    """An id as a part of a path."""
    if not (identity.isascii() and identity.isalnum()):
        raise UsageError(f"there is no approval request {identity!r}", "run: hoop approvals ls")
    return identity


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
