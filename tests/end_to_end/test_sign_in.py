"""Signing in by a real provider: the command line, a server over sockets, and what a thief would try."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hoopcli.errors import DeniedError, NotSignedInError
from hoopcli.identity import server_session
from hoopcli.identity.dpop import ProofKey
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.server_session import ServerSession, Stored
from hoopcli.identity.vault import Vault
from tests.support.machine import Machine
from tests.support.place import Place, browser_of, place_of

ADA = {"sub": "ada", "email": "ada@example.com", "name": "Ada", "groups": ["audit"]}
OMAR = {"sub": "omar", "email": "omar@example.com", "name": "Omar", "groups": ["engineers"]}
MANY = {"sub": "many", "email": "many@example.com", "_claim_names": {"groups": "src1"}}
POLICY = """
version: 1
rules:
  - {id: enrol, effect: allow, verbs: ["ledger:enrol"]}
  - {id: audit, effect: allow, principals: {groups: [audit]}, verbs: ["people:*", "audit:read"]}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    def others(issuer: str) -> list[dict[str, Any]]:
        return [
            {"name": "other", "issuer": issuer, "client_id": "another-client"},
            {"name": "tenant", "issuer": issuer, "client_id": "hoop", "require": {"tid": "ours"}},
        ]

    with place_of(tmp_path_factory.mktemp("server"), POLICY, ADA, OMAR, MANY, providers=others) as running:
        yield running


@pytest.fixture
def http(place: Place) -> Iterator[httpx.Client]:
    with closing(server_session.client(place.url)) as client:
        yield client


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
    machine = Machine(tmp_path, {"HOOP_SERVER__URL": place.url, "BROWSER": browser_of(tmp_path, "ada")})
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
    stored = place.session_of(http, "ada")
    assert stored.principal.subject == "ada@example.com"
    assert stored.principal.groups == {"audit"}
    assert ask(place, http, stored).json()["principal"]["email"] == "ada@example.com"
    assert ask(place, http, stored, "/v1/sessions").status_code == 200
    assert ask(place, http, place.session_of(http, "omar"), "/v1/sessions").status_code == 403


def test_an_agent_acts_for_a_person_without_the_persons_groups(place: Place, http: httpx.Client) -> None:
    who = place.session_of(http, "ada", agent="claire").principal
    assert (who.subject, who.on_behalf_of) == ("agent:claire", "ada@example.com")
    assert who.groups == frozenset({"ai-agents"})


def test_a_stolen_token_is_of_no_use(place: Place, http: httpx.Client) -> None:
    stored = place.session_of(http, "ada")
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
    token, nonce = place.token_of("ada")
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
    good = {"provider": "corp", "token": token, "nonce": nonce}
    assert server_session.begin(http, place.url, good, place.now()).principal.subject == "ada@example.com"
    with pytest.raises(NotSignedInError, match="used before"):  # though under a key of its own
        server_session.begin(http, place.url, good, place.now())


def test_groups_that_nobody_knows_are_not_taken_for_none(place: Place, http: httpx.Client) -> None:
    with pytest.raises(DeniedError, match="more groups than its token can name"):
        place.session_of(http, "many")


def test_a_session_is_refreshed_and_then_ends(place: Place, http: httpx.Client, tmp_path: Path) -> None:
    stored = place.session_of(http, "ada")
    session = kept(place, http, stored, tmp_path)
    with later(place, timedelta(minutes=57)):
        assert session.request("GET", "/v1/sessions/current").status_code == 200
        assert ask(place, http, stored).status_code == 401  # the token before is of no use any longer
    with later(place, timedelta(hours=13)), pytest.raises(NotSignedInError, match="has ended"):
        session.request("GET", "/v1/sessions/current")


def test_whoever_is_revoked_is_out_at_once(place: Place, http: httpx.Client) -> None:
    omar, agent, ada = (
        place.session_of(http, "omar"),
        place.session_of(http, "omar", agent="bot"),
        place.session_of(http, "ada"),
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
