"""Jobs that sign in by their platform's word, and people whose groups are looked up, at a real issuer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from hoopcli.errors import DeniedError, NotSignedInError, UpstreamError
from hoopcli.identity import server_session
from hoopcli.identity.server_session import Stored
from hoopcli.server.people.graph import with_groups
from hoopcli.server.people.settings import ProviderSettings
from tests.support.issuer import Issuer, issuer
from tests.support.machine import Machine
from tests.support.place import Place, serving

POLICY = "version: 1\nrules:\n  - {id: none, effect: deny, verbs: ['*']}\n"
OBJECT = "11111111-2222-3333-4444-555555555555"
MANY = {"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://evil.example.com"}}}
RULES = {"repository_owner": "example", "ref": "refs/heads/main"}


@pytest.fixture(scope="module")
def answering() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def provider(answering: Issuer) -> Issuer:
    answering.asked.clear()
    answering.bodies.clear()
    answering.documents["/token"] = {"access_token": "for graph"}
    answering.documents[f"/v1.0/users/{OBJECT}/getMemberGroups"] = {"value": ["audit", "dba"]}
    return answering


@pytest.fixture(scope="module")
def place(answering: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("server")
    secret = folder / "secret"
    secret.write_text("s3cret")
    secret.chmod(0o600)
    graph = {"graph": f"{answering.url}/v1.0", "secret": f"file:{secret}"}
    ci = {"kind": "workload", "client_id": "https://hoop.example.com", "subject": "sub", "issuer": answering.url}
    providers = [
        {**ci, "name": "ci", "require": RULES, "grant": ["ci"]},
        {"name": "entra", "issuer": answering.url, "client_id": "hoop", **graph},
    ]
    with serving(folder, POLICY, answering.url, providers=providers) as running:
        yield running


@pytest.fixture
def http(place: Place) -> Iterator[httpx.Client]:
    with closing(server_session.client(place.url)) as client:
        yield client


def token(provider: Issuer, **changed: Any) -> str:
    now = int(datetime.now(UTC).timestamp())
    return provider.token(iat=now, exp=now + 300, **changed)


def job(provider: Issuer, **changed: Any) -> str:
    good = {
        "aud": "https://hoop.example.com",
        "sub": "repo:example/shop:ref:refs/heads/main",
        "actor": "ada",
        "nonce": None,
        **RULES,
    }
    return token(provider, **(good | changed))


def begin(place: Place, http: httpx.Client, name: str, token: str, nonce: str = "") -> Stored:
    return server_session.begin(http, place.url, {"provider": name, "token": token, "nonce": nonce}, place.now())


def test_a_job_signs_in_on_the_command_line_without_a_person(place: Place, provider: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(job(provider))
    machine = Machine(tmp_path, {"HOOP_SERVER__URL": place.url, "AZURE_FEDERATED_TOKEN_FILE": str(file)})
    machine.configure("version: 1", {})
    done = machine.run("login", "--workload", "--json")
    assert done.returncode == 0, done.stderr
    who = json.loads(done.stdout)["principal"]
    assert who["subject"] == "workload:repo:example/shop:ref:refs/heads/main"
    assert (who["kind"], who["on_behalf_of"], who["groups"]) == ("workload", "ada", ["ci"])
    file.write_text(job(provider, ref="refs/heads/evil"))
    assert machine.run("login", "--workload").returncode != 0


@pytest.mark.parametrize(
    "changed",
    [{"repository_owner": "evil"}, {"ref": "refs/heads/other"}, {"ref": None}, {"ref": ["refs/heads/main"]}],
)
def test_a_job_of_others_is_refused(place: Place, http: httpx.Client, provider: Issuer, changed: Any) -> None:
    with pytest.raises(DeniedError):
        begin(place, http, "ci", job(provider, **changed))


def test_a_job_for_another_audience_is_refused(place: Place, http: httpx.Client, provider: Issuer) -> None:
    with pytest.raises(NotSignedInError):
        begin(place, http, "ci", job(provider, aud="api://AzureADTokenExchange"))
    with pytest.raises(NotSignedInError):
        begin(place, http, "entra", job(provider))


def test_a_job_is_no_agent(place: Place, http: httpx.Client, provider: Issuer) -> None:
    proof = {"provider": "ci", "token": job(provider), "agent": "claire"}
    with pytest.raises(DeniedError, match="only a person"):
        server_session.begin(http, place.url, proof, place.now())


def test_groups_that_are_too_many_are_looked_up(place: Place, http: httpx.Client, provider: Issuer) -> None:
    nonce = str(time.time_ns())
    who = begin(place, http, "entra", token(provider, oid=OBJECT, nonce=nonce, **MANY), nonce).principal
    assert who.groups == {"audit", "dba"}
    asked = provider.bodies[0].decode()
    assert "grant_type=client_credentials" in asked
    assert "client_secret=s3cret" in asked
    assert json.loads(provider.bodies[1]) == {"securityEnabledOnly": True}


def test_groups_of_a_token_are_not_looked_up(place: Place, http: httpx.Client, provider: Issuer) -> None:
    nonce = str(time.time_ns())
    who = begin(place, http, "entra", token(provider, oid=OBJECT, nonce=nonce, groups=["x"]), nonce).principal
    assert who.groups == {"x"}
    assert provider.bodies == []


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/token", {"error": "invalid_client"}),
        ("/token", {"access_token": None}),
        ("/token", []),
        ("/token", 500),
        ("/groups", 403),
        ("/groups", 404),
        ("/groups", {}),
        ("/groups", []),
        ("/groups", {"value": "audit"}),
        ("/groups", {"value": [5]}),
    ],
)
def test_what_is_not_told_is_not_guessed(place: Place, provider: Issuer, path: str, answer: Any) -> None:
    path = f"/v1.0/users/{OBJECT}/getMemberGroups" if path == "/groups" else path
    provider.documents[path] = [answer] if answer == [] else answer
    assert place.services is not None
    entra = next(each for each in place.services.settings.providers if each.name == "entra")
    with pytest.raises(UpstreamError):
        with_groups({"oid": OBJECT, **MANY}, entra)


@pytest.mark.parametrize("oid", [None, "", "me", "../applications", f"{OBJECT}/x", 5, [OBJECT]])
def test_somebody_without_an_id_is_not_looked_up(place: Place, provider: Issuer, oid: object) -> None:
    assert place.services is not None
    entra = next(each for each in place.services.settings.providers if each.name == "entra")
    with pytest.raises(NotSignedInError, match="oid"):
        with_groups({"oid": oid, **MANY}, entra)
    assert provider.bodies == []


def test_a_graph_needs_a_secret_and_encryption() -> None:
    good = {"name": "entra", "issuer": "https://login.example.com", "client_id": "hoop"}
    with pytest.raises(ValidationError, match="secret"):
        ProviderSettings(**good, graph="https://graph.example.com/v1.0")
    with pytest.raises(ValidationError, match="https"):
        ProviderSettings(**good, graph="http://graph.example.com/v1.0", secret="env:S")
