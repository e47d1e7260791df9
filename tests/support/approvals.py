"""A server with approvals and pages, over real sockets. Who calls is said in a header: sign-in has tests of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import structlog
import uvicorn
from fastapi import FastAPI, Request

from hoopcli.errors import NotSignedInError, UpstreamError
from hoopcli.ledger.note import Cosigner
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.model.approval import Binding, Question
from hoopcli.model.decision import Action, Approve
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.server import migrations
from hoopcli.server.access import Caller, caller
from hoopcli.server.app import create_app
from hoopcli.server.config import ServerSettings
from hoopcli.server.database import Database
from hoopcli.server.people.store import Held, Sessions
from hoopcli.server.services import Services, services_of, utc_now
from hoopcli.server.wake import Wake
from tests.support.ports import free_port
from tests.support.waiting import eventually

POLICY = """
version: 1
rules:
  - id: dbas-answer
    effect: allow
    principals: {groups: [dba]}
    verbs: ["approvals:answer"]
    resources: ["azure-*"]
  - id: auditors-read
    effect: allow
    principals: {groups: [audit]}
    verbs: ["approvals:read"]
    resources: ["*"]
"""
OMAR = Principal("omar@example.com", name="Omar", groups=frozenset({"engineers"}))
NADIA = Principal("nadia@example.com", name="Nadia", groups=frozenset({"dba"}))
PIET = Principal("piet@example.com", name="Piet", groups=frozenset({"dba"}))
EVE = Principal("eve@example.com", name="Eve", groups=frozenset({"sales"}))
ADA = Principal("ada@example.com", name="Ada", groups=frozenset({"audit"}))
PEOPLE = {person.subject: person for person in (OMAR, NADIA, PIET, EVE, ADA)}
TERMS = Approve(groups=("dba",), expires=timedelta(minutes=15))
QUESTION = Question(
    Binding("agent:claire", "azure-sql", "ddl-needs-a-human", "ab" * 32), "s1", "DROP TABLE dbo.orders",
    PrincipalKind.AGENT, OMAR.subject, "ticket 7", "sql", "text/plain", "ddl needs two people",
    (Action("sql:drop", ("shop.dbo.orders",)),), {"filtered": False, "tables": ["shop.dbo.orders"]},
)  # fmt: skip


_SIGNING_IN = threading.Lock()


def question(digest: str = "ab", **changes: Any) -> Question:
    """A question about other bytes, or changed otherwise."""
    binding = replace(QUESTION.binding, digest=(digest * 64)[:64])
    return replace(QUESTION, binding=binding, **changes)


def by_header(request: Request) -> Caller:
    """Whoever the header names, as the server would know them."""
    subject = request.headers.get("x-subject", "")
    person = PEOPLE.get(subject) or (Principal(subject) if subject.startswith("user") else None)
    if person is None:
        raise NotSignedInError("nobody is signed in", "run: hoop login")
    services = services_of(request)
    with _SIGNING_IN:
        begun: dict[str, Held] = request.app.state.__dict__.setdefault("begun", {})
        if subject not in begun:
            store = Sessions(services.database, services.settings.sessions)
            _, begun[subject] = store.begin(person, "thumbprint", "test", "", services.now())
    return Caller(person, begun[subject].id, services.now() + timedelta(hours=1), "thumbprint")


class Signed:
    """A person's session at a server."""

    def __init__(self, url: str, person: Principal) -> None:
        self.url = url
        self.headers = {"x-subject": person.subject}

    def request(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        with httpx.Client(base_url=self.url, headers=self.headers, timeout=70, verify=False) as client:
            return client.request(method, path, json=json)

    async def arequest(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        try:
            async with httpx.AsyncClient(base_url=self.url, headers=self.headers, timeout=70, verify=False) as client:
                return await client.request(method, path, json=json)
        except httpx.HTTPError as error:
            raise UpstreamError(f"the server cannot be reached ({type(error).__name__})") from error


class Running:
    """One replica."""

    def __init__(self, services: Services, app: FastAPI, url: str) -> None:
        self.services = services
        self.app = app
        self.url = url

    def signed(self, person: Principal) -> Signed:
        return Signed(self.url, person)


@contextmanager
def replica(
    database_url: str, *, now: Callable[[], datetime] = utc_now, policy: str = POLICY, **settings: Any
) -> Iterator[Running]:
    """A server on a port of its own, until the block ends. Its database is migrated."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database = Database.open(database_url)
    migrations.upgrade(database)
    wake = Wake(database)
    made = ServerSettings(public_url=url, **settings)
    services = Services(made, database, wake, Engine(load(policy)), Cosigner.generate("server.example/witness"), now)
    app = create_app(services)
    app.dependency_overrides[caller] = by_header
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # what it logs is nobody's output here
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), name=f"replica {port}")
    thread.start()
    try:
        eventually(lambda: server.started)
        yield Running(services, app, url)
    finally:
        server.should_exit = True
        thread.join(20)
        structlog.reset_defaults()
        wake.close()
        database.close()
