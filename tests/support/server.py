"""A hoop server of the tests' own, over real sockets, and ledgers of invented people that sync with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import Request

from hoopcli.errors import NotSignedInError, UpstreamError
from hoopcli.ledger.note import Cosigner, Signer
from hoopcli.ledger.sync import JSON, Answer, LedgerSync
from hoopcli.model.access import Principal
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.server import migrations
from hoopcli.server.access import Caller, caller
from hoopcli.server.config import ServerSettings
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.run import listening_socket, uvicorn_server
from hoopcli.server.services import Services, opened, utc_now
from hoopcli.server.sync import store
from tests.support.waiting import eventually

POLICY = """
version: 1
rules:
  - id: everybody-enrols
    effect: allow
    verbs: ["ledger:enrol"]
    resources: ["*"]
  - id: auditors-read
    effect: allow
    principals: {groups: [audit]}
    verbs: ["audit:read", "ledger:resolve"]
    resources: ["*"]
"""
ADA = Principal("ada@example.com", name="Ada", groups=frozenset({"audit"}))
OMAR = Principal("omar@example.com", name="Omar", groups=frozenset({"engineers"}))
PEOPLE = {person.subject: person for person in (ADA, OMAR)}
WITNESS = Cosigner.generate("server.example/witness")


@dataclass(frozen=True)
class Running:
    """A server that runs. ``client`` talks to it; whoever calls is named by the header ``x-subject``."""

    url: str
    services: Services
    client: httpx.Client = field(repr=False)

    def transport(self, method: str, path: str, body: bytes | None = None, media_type: str = JSON) -> Answer:
        try:
            answer = self.client.request(method, path, content=body, headers={"content-type": media_type})
        except httpx.HTTPError as error:
            raise UpstreamError(f"the server does not answer ({type(error).__name__})") from error
        return Answer(answer.status_code, answer.content)

    def sync(self, ledger: Path, signer: Signer) -> LedgerSync:
        return LedgerSync(ledger, signer.verifier, self.transport, signer)

    def enrol(self, ledger: Path, signer: Signer, who: Principal = OMAR) -> LedgerSync:
        """Enrol a ledger, and what sends it."""
        sync = self.sync(ledger, signer)
        self.post("/v1/ledgers", sync.enrolment(signer), who).raise_for_status()
        return sync

    def post(self, path: str, body: Any = None, who: Principal | None = None) -> httpx.Response:
        return self.client.post(path, json=body, headers={"x-subject": who.subject} if who else {})

    def get(self, path: str, who: Principal | None = None) -> httpx.Response:
        return self.client.get(path, headers={"x-subject": who.subject} if who else {})

    def records(self, origin: str) -> list[bytes]:
        """What the server has of a ledger."""
        with self.services.database.read() as connection:
            held = store.find(connection, origin)
            return [data for _, data in store.record_rows(connection, held.id, 0, held.size)]

    def alerts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("/v1/ledgers/alerts", ADA).raise_for_status().json()
        return found


@contextmanager
def services(
    url: str, now: Callable[[], datetime] = utc_now, witness: Cosigner = WITNESS, **settings: Any
) -> Iterator[Services]:
    """The services of a server over a database, which is migrated first."""
    database = Database.open(url)
    try:
        migrations.upgrade(database)
    finally:
        database.close()
    with opened(ServerSettings(**settings), url, Engine(load(POLICY)), witness, now) as made:
        yield made


@contextmanager
def served(made: Services) -> Iterator[Running]:
    """A server over these services, on a free port, until the block ends."""
    listener = listening_socket("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    made = replace(made, settings=made.settings.model_copy(update={"public_url": url}))
    server = uvicorn_server(made)
    server.config.app.dependency_overrides[caller] = _by_header  # type: ignore[union-attr]
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
    thread.start()
    try:
        eventually(lambda: server.started)
        with httpx.Client(base_url=url, timeout=30) as client:
            yield Running(url, made, client)
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()


@contextmanager
def running(
    folder: Path, now: Callable[[], datetime] = utc_now, witness: Cosigner = WITNESS, **settings: Any
) -> Iterator[Running]:
    """A server on an SQLite database in a folder."""
    with services(sqlite_url(folder / "server.db"), now, witness, **settings) as made, served(made) as server:
        yield server


def _by_header(request: Request) -> Caller:
    person = PEOPLE.get(request.headers.get("x-subject", ""))
    if person is None:
        raise NotSignedInError("nobody is signed in", "run: hoop login")
    return Caller(person, "session", datetime.now(UTC) + timedelta(hours=1), "thumbprint")
