"""Signing in by a real provider: the command line, a server over sockets, and what a thief would try."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hoopcli.errors import DeniedError, NotSignedInError
from hoopcli.identity import server_session
from hoopcli.identity.dpop import ProofKey
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.login import in_browser
from hoopcli.identity.openid import discover
from hoopcli.identity.server_session import ServerSession, Stored
from hoopcli.identity.vault import Vault
from hoopcli.ledger.note import Cosigner
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.server import migrations
from hoopcli.server.config import ServerSettings
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.run import listening_socket, uvicorn_server
from hoopcli.server.services import opened
from tests.support.machine import Machine
from tests.support.provider import provider, sign_in_as
from tests.support.waiting import eventually

ADA = {"sub": "ada", "email": "ada@example.com", "name": "Ada", "groups": ["audit"]}
OMAR = {"sub": "omar", "email": "omar@example.com", "name": "Omar", "groups": ["engineers"]}
MANY = {"sub": "many", "email": "many@example.com", "_claim_names": {"groups": "src1"}}
POLICY = """
version: 1
rules:
  - {id: enrol, effect: allow, verbs: ["ledger:enrol"]}
  - {id: audit, effect: allow, principals: {groups: [audit]}, verbs: ["people:*", "audit:read"]}
"""


@dataclass
class Place:
    url: str
    issuer: str
    clock: list[timedelta]

    def now(self) -> datetime:
        return datetime.now(UTC) + self.clock[0]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    listener = listening_socket("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    path = sqlite_url(tmp_path_factory.mktemp("server") / "server.db")
    clock = [timedelta(0)]
    with provider(ADA, OMAR, MANY) as issuer, closing(listener):
        known = {"name": "corp", "issuer": issuer, "client_id": "hoop", "public_secret": "known to all"}
        other = {"name": "other", "issuer": issuer, "client_id": "another-client"}
        tenant = {"name": "tenant", "issuer": issuer, "client_id": "hoop", "require": {"tid": "ours"}}
        settings = ServerSettings.model_validate({"public_url": url, "providers": [known, other, tenant]})
        with closing(Database.open(path)) as database:
            migrations.upgrade(database)
        place = Place(url, issuer, clock)
        with opened(
            settings, path, Engine(load(POLICY)), Cosigner.generate("server.example/witness"), place.now
        ) as services:
            server = uvicorn_server(services)
            thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
            thread.start()
            try:
                eventually(lambda: server.started)
                yield place
            finally:
                server.should_exit = True
                thread.join(30)


@pytest.fixture
def http(place: Place) -> Iterator[httpx.Client]:
    with closing(server_session.client(place.url)) as client:
        yield client


def token_of(place: Place, subject: str) -> tuple[str, str]:
    def show(address: str) -> None:
        threading.Thread(target=sign_in_as, args=(subject, address)).start()

    with httpx.Client() as browser:
        endpoints = discover(browser, place.issuer)
        return in_browser(
            browser, endpoints, "hoop", ["openid", "email", "profile"], lambda _said: None, show, "known to all"
        )


def session_of(place: Place, http: httpx.Client, subject: str, **more: str) -> Stored:
    token, nonce = token_of(place, subject)
    return server_session.begin(
        http, place.url, {"provider": "corp", "token": token, "nonce": nonce} | more, place.now()
    )


def kept(place: Place, http: httpx.Client, stored: Stored, folder: Path) -> ServerSession:
    vault = Vault(folder / "vault", Keyring(enabled=False))
    server_session.save(vault, stored)
    return ServerSession(vault, place.url, http, place.now)


def ask(
    place: Place, http: httpx.Client, stored: Stored, path: str = "/v1/sessions/current", **more: Any
) -> httpx.Response:
    key = more.pop("key", stored.key)
    return server_session.send(http, key, "GET", path, place.now(), token=stored.token, **more)


def test_the_command_line_signs_in_and_out(place: Place, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        f"#!{Path(__import__('sys').executable)}\nimport sys\nsys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from tests.support.provider import sign_in_as\nsign_in_as('ada', sys.argv[1])\n"
    )
    browser.chmod(0o700)
    machine = Machine(tmp_path, {"HOOP_SERVER__URL": place.url, "BROWSER": f"{browser} %s &"})
    machine.configure("version: 1", {})
    assert machine.run("whoami").returncode == 3
    done = machine.run("login", "--provider", "corp", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["principal"]["groups"] == ["audit"]
    assert "token" not in json.loads(done.stdout)
    who = json.loads(machine.run("whoami", "--json").stdout)
    assert who["principal"]["subject"] == "ada@example.com"
    assert machine.run("logout").returncode == 0
    assert machine.run("whoami").returncode == 3
    assert machine.run("login", "--provider", "nobody").returncode == 2


def test_the_server_says_who_somebody_is(place: Place, http: httpx.Client) -> None:
    stored = session_of(place, http, "ada")
    assert stored.principal.subject == "ada@example.com"
    assert stored.principal.groups == {"audit"}
    assert ask(place, http, stored).json()["principal"]["email"] == "ada@example.com"
    assert ask(place, http, stored, "/v1/sessions").status_code == 200
    assert ask(place, http, session_of(place, http, "omar"), "/v1/sessions").status_code == 403


def test_an_agent_acts_for_a_person_without_the_persons_groups(place: Place, http: httpx.Client) -> None:
    who = session_of(place, http, "ada", agent="claire").principal
    assert (who.subject, who.on_behalf_of, who.groups) == ("agent:claire", "ada@example.com", {"ai-agents"})


def test_a_stolen_token_is_of_no_use(place: Place, http: httpx.Client) -> None:
    stored = session_of(place, http, "ada")
    url = f"{place.url}/v1/sessions/current"
    assert ask(place, http, stored, key=ProofKey.generate()).status_code == 401
    assert http.get(url, headers={"Authorization": f"DPoP {stored.token}"}).status_code == 401
    assert http.get(url, headers={"Authorization": f"Bearer {stored.token}"}).status_code == 401
    now = place.now()
    for proof in [
        stored.key.proof("POST", url, now, stored.token),
        stored.key.proof("GET", f"{place.url}/v1/sessions", now, stored.token),
        stored.key.proof("GET", url, now - timedelta(minutes=2), stored.token),
        stored.key.proof("GET", url, now + timedelta(minutes=2), stored.token),
        stored.key.proof("GET", url, now, "another token"),
        stored.key.proof("GET", url, now),
    ]:
        refused = http.get(url, headers={"Authorization": f"DPoP {stored.token}", "DPoP": proof})
        assert refused.status_code == 401, refused.text
    good = stored.key.proof("GET", url, now, stored.token)
    headers = {"Authorization": f"DPoP {stored.token}", "DPoP": good}
    assert http.get(url, headers=headers).status_code == 200
    assert "used before" in http.get(url, headers=headers).json()["detail"]


def test_a_providers_token_is_good_once_for_its_sign_in_and_its_client(place: Place, http: httpx.Client) -> None:
    token, nonce = token_of(place, "ada")
    for proof in [
        {"provider": "corp", "token": token, "nonce": "another"},
        {"provider": "corp", "token": token, "nonce": ""},
        {"provider": "other", "token": token, "nonce": nonce},
        {"provider": "corp", "token": f"{token[:-6]}AAAAAA", "nonce": nonce},
        {"provider": "corp", "token": f"{'.'.join(token.split('.')[:2])}.", "nonce": nonce},
    ]:
        with pytest.raises(NotSignedInError):
            server_session.begin(http, place.url, proof, place.now())
    with pytest.raises(DeniedError, match="tid"):
        server_session.begin(http, place.url, {"provider": "tenant", "token": token, "nonce": nonce}, place.now())


def test_groups_that_nobody_knows_are_not_taken_for_none(place: Place, http: httpx.Client) -> None:
    with pytest.raises(DeniedError, match="more groups than its token can name"):
        session_of(place, http, "many")


def test_a_session_is_refreshed_and_then_ends(place: Place, http: httpx.Client, tmp_path: Path) -> None:
    stored = session_of(place, http, "ada")
    session = kept(place, http, stored, tmp_path)
    with later(place, timedelta(minutes=57)):
        assert session.request("GET", "/v1/sessions/current").status_code == 200
        assert ask(place, http, stored).status_code == 401  # the token before is of no use any longer
    with later(place, timedelta(hours=13)), pytest.raises(NotSignedInError, match="has ended"):
        session.request("GET", "/v1/sessions/current")


def test_whoever_is_revoked_is_out_at_once(place: Place, http: httpx.Client) -> None:
    omar, agent, ada = (
        session_of(place, http, "omar"),
        session_of(place, http, "omar", agent="bot"),
        session_of(place, http, "ada"),
    )
    answers: list[dict[str, bool]] = []
    watching = threading.Thread(
        target=lambda: answers.append(ask(place, http, omar, "/v1/sessions/current/watch?seconds=50").json())
    )
    watching.start()
    refused = server_session.send(
        http, omar.key, "DELETE", "/v1/sessions/of/ada@example.com", place.now(), token=omar.token
    )
    assert refused.status_code == 403
    done = server_session.send(
        http, ada.key, "DELETE", "/v1/sessions/of/omar@example.com", place.now(), token=ada.token
    )
    assert done.json()["ended"] >= 2
    watching.join(30)
    assert answers == [{"live": False}]
    assert [ask(place, http, each).status_code for each in (omar, agent, ada)] == [401, 401, 200]


@contextmanager
def later(place: Place, by: timedelta) -> Iterator[None]:
    place.clock[0] = by
    try:
        yield
    finally:
        place.clock[0] = timedelta(0)
