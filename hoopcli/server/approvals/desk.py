"""Approvals as the routes and pages use them: who may do what, one transaction each, and who is woken afterwards."""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from functools import partial

from anyio import to_thread
from fastapi import Request

from hoopcli.errors import DeniedError, NotSignedInError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.model.approval import Binding, Question
from hoopcli.model.decision import Approve
from hoopcli.server.access import Caller, require
from hoopcli.server.approvals import listing, store
from hoopcli.server.approvals.held import Held, load
from hoopcli.server.approvals.listing import Alike, Event, Like, Only, Sight
from hoopcli.server.approvals.store import Verdict
from hoopcli.server.approvals.waits import GoneError, until
from hoopcli.server.channels.outbox import enqueue
from hoopcli.server.people.store import TOPIC as SESSION
from hoopcli.server.people.store import Sessions
from hoopcli.server.problems import Problem, not_found
from hoopcli.server.services import Services
from hoopcli.server.wake import Ticket

#: Wake topics: one request by its id, and the list of those that wait, of which there is one.
REQUEST, INBOX = "approval", "approvals"
EVERYTHING = "all"


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the requests that wait, oldest first, and how many there are.

    ``skip`` were left out before them, and ``only`` is what was asked for. Where not all are shown, ``groups`` are
    those that are alike.
    """

    requests: list[Held]
    total: int
    skip: int = 0
    only: Only = listing.EVERYTHING
    groups: list[Alike] = field(default_factory=list)

    @property
    def tag(self) -> str:
        """Another one if the page has changed."""
        shown = [(h.request.id, h.request.withdrawn, len(h.request.answers)) for h in self.requests]
        return hashlib.sha256(repr((self.total, shown)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Background:
    """What an approver wants to know beside the request itself."""

    held: Held
    events: list[Event]
    like: Like
    refusal: str  # why this person cannot answer it; empty if they can

    @property
    def tag(self) -> str:
        """Another one if it has changed."""
        return f"{self.held.request.state}-{len(self.events)}"


class Desk:
    """The approvals of one server, by its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database

    @property
    def now(self) -> float:
        """The server's time in Unix seconds."""
        return self._services.now().timestamp()

    def link(self, identity: str) -> str:
        """The page of a request."""
        return f"{self._services.settings.public_url.rstrip('/')}/approvals/{identity}"

    def ask(self, caller: Caller, question: Question, terms: Approve) -> Held:
        """Make a request or find the open one. Raises DeniedError."""
        with self._database.write() as connection:
            held, new = store.ask(connection, caller.principal.subject, question, terms, self.now)
            if new:
                enqueue(connection, self._services.settings.channels, held, "asked", self.now)
        self._changed(held.request.id if not new else None)
        return held

    def answer(self, caller: Caller, identity: str, verdict: Verdict) -> Held:
        """Answer a request. Raises DeniedError, Problem, UsageError."""
        held = self.get(caller, identity)
        self._allow(caller, "approvals:answer", held)
        own_agents = self._own_agents(caller, held)
        with self._database.write() as connection:
            held = store.answer(connection, identity, caller.principal, verdict, self.now, own_agents=own_agents)
            enqueue(connection, self._services.settings.channels, held, "answered", self.now)
        self._changed(identity)
        return held

    def use(self, caller: Caller, identity: str, binding: Binding) -> tuple[Held, bool]:
        """Take one use of it. Raises Problem."""
        with self._database.write() as connection:
            held, granted = store.use(connection, identity, caller.principal.subject, binding, self.now)
        if granted:
            self._changed(identity)
        return self._seen(caller, held), granted

    def withdraw(self, caller: Caller, identity: str) -> Held:
        """The client stopped waiting. Raises Problem."""
        with self._database.write() as connection:
            held = store.withdraw(connection, identity, caller.principal.subject, self.now)
        self._changed(identity)
        return held

    def get(self, caller: Caller, identity: str) -> Held:
        """A request that this person may see. Raises Problem as if there was none."""
        with self._database.read() as connection:
            held = load(connection, identity, self.now)
        return self._seen(caller, held)

    def load(self, identity: str) -> Held:
        """A request, for the server itself. Raises Problem."""
        with self._database.read() as connection:
            return load(connection, identity, self.now)

    def background(self, caller: Caller, identity: str) -> Background:
        """A request with all that an approver wants to know. Raises Problem."""
        held = self.get(caller, identity)
        with self._database.read() as connection:
            events, like = listing.events(connection, identity), listing.alike(connection, held, self.now)
        sight = self._sight(caller, [held.request.binding.connection])
        like = replace(like, last=[other for other in like.last if sight.sees(other)])
        return Background(held, events, like, self._refusal(caller, held))

    def inbox(
        self, caller: Caller, *, skip: int = 0, limit: int = listing.PAGE, only: Only = listing.EVERYTHING
    ) -> Page:
        """What waits and this person may see."""
        now = self.now
        with self._database.read() as connection:
            sight = self._sight(caller, listing.connections(connection))
            found = listing.waiting(connection, sight, now, limit=limit, skip=skip, only=only)
            total = listing.count_waiting(connection, sight, now, only)
            grouped = listing.groups(connection, sight, now) if total > limit and only == listing.EVERYTHING else []
            return Page(found, total, skip, only, grouped)

    def settled(self, caller: Caller, *, limit: int = listing.PAGE) -> list[Held]:
        """What no longer waits, newest first."""
        with self._database.read() as connection:
            sight = self._sight(caller, listing.connections(connection))
            return listing.settled(connection, sight, self.now, limit=limit)

    async def wait(self, caller: Caller, identity: str, seconds: float, request: Request) -> Held:
        """A request once it no longer waits, or as it is after so long. Raises Problem, NotSignedInError.

        Its asker who hangs up meanwhile has withdrawn, and who comes back waits again; whoever withdraws waits no
        longer. Nobody waits longer than their session lasts, or hears anything once that has ended.
        """
        mine = caller.principal.subject
        try:
            return await until(
                self._services.wake,
                [(REQUEST, identity), (SESSION, caller.session)],
                partial(self._still, caller, identity),
                lambda held: not held.waits or (held.request.withdrawn is not None and held.asked_by == mine),
                min(seconds, (caller.expires - self._services.now()).total_seconds()),
                first=partial(self._returned, caller, identity),
                ends_in=lambda held: held.request.expires - self.now,
                request=request,
            )
        except GoneError:
            with suppress(Problem):  # it is somebody else's
                await to_thread.run_sync(self.withdraw, caller, identity)
            raise

    async def background_after(
        self, caller: Caller, identity: str, seen: str, seconds: float, request: Request
    ) -> Background:
        """A request with its background as soon as that differs from what was seen, or after so long."""
        return await until(
            self._services.wake,
            [(REQUEST, identity)],
            partial(self.background, caller, identity),
            lambda background: background.tag != seen,
            seconds,
            ends_in=lambda background: background.held.request.expires - self.now if background.held.waits else seconds,
            request=request,
        )

    async def inbox_after(
        self,
        caller: Caller,
        seen: str,
        seconds: float,
        request: Request,
        *,
        skip: int = 0,
        only: Only = listing.EVERYTHING,
    ) -> Page:
        """What waits, as soon as it differs from what was seen, or as it is after so long."""
        return await until(
            self._services.wake,
            [(INBOX, EVERYTHING)],
            partial(self.inbox, caller, skip=skip, only=only),
            lambda page: page.tag != seen,
            seconds,
            request=request,
        )

    def listening(self) -> AbstractContextManager[Ticket]:
        """A ticket that is woken whenever the list of what waits changes."""
        return self._services.wake.subscribed((INBOX, EVERYTHING))

    def sweep(self) -> int:
        """Close what has expired; how many."""
        with self._database.write() as connection:
            expired = store.expire(connection, self.now)
            for identity in expired:
                held = load(connection, identity, self.now)
                enqueue(connection, self._services.settings.channels, held, "expired", self.now)
        for identity in expired:
            self._services.wake.notify(REQUEST, identity)
        if expired:
            self._services.wake.notify(INBOX, EVERYTHING)
        return len(expired)

    def _changed(self, identity: str | None) -> None:
        if identity is not None:
            self._services.wake.notify(REQUEST, identity)
        self._services.wake.notify(INBOX, EVERYTHING)

    def _returned(self, caller: Caller, identity: str) -> Held:
        """A request; if its asker had gone, they wait again."""
        held = self.get(caller, identity)
        if held.request.withdrawn is None or held.asked_by != caller.principal.subject:
            return held
        with self._database.write() as connection:
            held = store.come_back(connection, identity, self.now)
        self._services.wake.notify(INBOX, EVERYTHING)
        return held

    def _still(self, caller: Caller, identity: str) -> Held:
        """A request, for somebody whose session goes on. Raises NotSignedInError, Problem."""
        sessions = Sessions(self._database, self._services.settings.sessions)
        if not sessions.is_live(caller.session, self._services.now()):
            raise NotSignedInError("the session has ended", "run: hoop login")
        return self.get(caller, identity)

    def _seen(self, caller: Caller, held: Held) -> Held:
        if caller.principal.subject == held.asked_by:
            return held
        if not self._sight(caller, [held.request.binding.connection]).sees(held):
            raise not_found(f"there is no approval request {held.request.id!r}", "run: hoop approvals ls")
        return held

    def _sight(self, caller: Caller, connections: list[str]) -> Sight:
        answers = [name for name in connections if self._permits(caller, "approvals:answer", name)]
        reads = [name for name in connections if self._permits(caller, "approvals:read", name)]
        return listing.sight_of(caller.principal, answers, reads)

    def _refusal(self, caller: Caller, held: Held) -> str:
        try:
            self._allow(caller, "approvals:answer", held)
            store.check_answerer(held, caller.principal, own_agents=self._own_agents(caller, held))
        except DeniedError as error:
            return error.message
        return ""

    def _own_agents(self, caller: Caller, held: Held) -> bool:
        return self._permits(caller, "approvals:answer-own-agents", held.request.binding.connection)

    def _allow(self, caller: Caller, verb: str, held: Held) -> None:
        require(caller, self._services, verb, held.request.binding.connection)

    def _permits(self, caller: Caller, verb: str, name: str) -> bool:
        try:
            require(caller, self._services, verb, name)
        except DeniedError:
            return False
        return True


def asker(caller: Principal, subject: str, kind: str) -> tuple[str, PrincipalKind]:
    """On whose behalf a caller asks, and as what. One asks for oneself or for one's own agent.

    Raises:
        DeniedError: it is somebody else.
    """
    if subject == caller.subject:
        return caller.on_behalf_of or "", caller.kind
    if kind == PrincipalKind.AGENT and subject.startswith("agent:") and caller.kind is PrincipalKind.HUMAN:
        return caller.subject, PrincipalKind.AGENT
    raise DeniedError(f"{caller.subject} cannot ask for {subject}", "run: hoop whoami")
