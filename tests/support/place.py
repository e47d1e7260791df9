"""A hoop server over sockets, a real OpenID provider, and people who sign in there."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from hoopcli.identity import server_session
from hoopcli.identity.login import in_browser
from hoopcli.identity.openid import discover
from hoopcli.identity.server_session import Stored
from hoopcli.ledger.note import Cosigner
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.server import migrations
from hoopcli.server.config import ServerSettings
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.run import listening_socket, uvicorn_server
from hoopcli.server.services import Services, opened
from tests.support.provider import provider, sign_in_as
from tests.support.waiting import eventually

ROOT = Path(__file__).parents[2]
SCOPES = ["openid", "email", "profile"]
SECRET = "known to all"


@dataclass
class Place:
    """Where the server is, who signs people in, and how far its clock is ahead."""

    url: str
    issuer: str
    services: Services | None = None
    clock: list[timedelta] = field(default_factory=lambda: [timedelta(0)])

    def now(self) -> datetime:
        return datetime.now(UTC) + self.clock[0]

    def token_of(self, subject: str) -> tuple[str, str]:
        """The provider's token and its nonce, as the browser brings them."""

        def show(address: str) -> None:
            threading.Thread(target=sign_in_as, args=(subject, address)).start()

        with httpx.Client() as browser:
            endpoints = discover(browser, self.issuer)
            return in_browser(browser, endpoints, "hoop", SCOPES, lambda _said: None, show, SECRET)

    def session_of(self, http: httpx.Client, subject: str, **more: str) -> Stored:
        """A session of somebody's."""
        token, nonce = self.token_of(subject)
        proof = {"provider": "corp", "token": token, "nonce": nonce} | more
        return server_session.begin(http, self.url, proof, self.now())


def browser_of(folder: Path, subject: str) -> str:
    """What ``BROWSER`` is to be for somebody who signs in at every page that opens."""
    script = folder / f"browser-of-{subject}"
    script.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"from tests.support.provider import sign_in_as\nsign_in_as({subject!r}, sys.argv[1])\n"
    )
    script.chmod(0o700)
    return f"{script} %s &"


@contextmanager
def serving(folder: Path, policy: str, issuer: str, port: int = 0, **settings: Any) -> Iterator[Place]:
    """A server with its database in a folder, until the block ends."""
    listener = listening_socket("127.0.0.1", port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    path = sqlite_url(folder / "server.db")
    known = {"name": "corp", "issuer": issuer, "client_id": "hoop", "public_secret": SECRET}
    made = {"public_url": url, "providers": [known, *settings.pop("providers", [])], **settings}
    key = folder / "witness.key"
    if not key.exists():
        key.write_text(Cosigner.generate("server.example/witness").secret_text())
    with closing(listener), closing(Database.open(path)) as database:
        migrations.upgrade(database)
        place = Place(url, issuer)
        checked, engine = ServerSettings.model_validate(made), Engine(load(policy))
        with opened(checked, path, engine, Cosigner.parse(key.read_text()), place.now) as services:
            place.services = services
            server = uvicorn_server(services)
            thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
            thread.start()
            try:
                eventually(lambda: server.started)
                yield place
            finally:
                server.should_exit = True
                thread.join(30)


@contextmanager
def place_of(folder: Path, policy: str, *people: dict[str, Any], **settings: Any) -> Iterator[Place]:
    """A provider that knows these people, by their claims, and a server that takes its word."""
    with provider(*people) as issuer:
        more = settings.pop("providers", lambda _issuer: [])(issuer)
        with serving(folder, policy, issuer, providers=more, **settings) as place:
            yield place
