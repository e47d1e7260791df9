from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from hoopcli.errors import NotSignedInError
from hoopcli.ledger.note import Cosigner
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.proxy.bundles import BundleError, Bundles, Fetched
from hoopcli.server import migrations
from hoopcli.server.access import Caller, caller
from hoopcli.server.app import create_app
from hoopcli.server.config import ServerSettings
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.services import Services
from hoopcli.server.wake import Wake

RULES = """
version: 1
rules:
  - id: everybody-fetches
    effect: allow
    verbs: ["policy:fetch"]
    resources: ["policy"]
  - id: security-writes
    effect: allow
    principals: {groups: [security]}
    verbs: ["policy:read", "policy:write"]
    resources: ["policy"]
"""
POLICY = 'version: 1\nrules:\n  - {id: read, effect: allow, verbs: ["sql:select"], resources: ["shop.*"]}\n'
SHOP = {"shop": {"kind": "sql", "server": "shop.example.com", "database": "shop"}}
PEOPLE = {
    "nadia": Principal("nadia@example.com", groups=frozenset({"security"})),
    "claire": Principal("agent:claire", PrincipalKind.AGENT, on_behalf_of="omar@example.com"),
}


@dataclass
class Served:
    app: FastAPI
    witness: Cosigner
    services: Services
    clock: list[datetime] = field(default_factory=list)

    def ask(self, who: str, method: str, path: str, **more: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://server") as client:
                headers = {"x-who": who} | more.pop("headers", {})
                return await client.request(method, f"/v1/policy{path}", headers=headers, **more)

        return asyncio.run(send())

    def push(self, after: int = 0, policy: str = POLICY, who: str = "nadia", **more: Any) -> httpx.Response:
        return self.ask(who, "POST", "/revisions", json={"after": after, "policy": policy, "comment": "why"} | more)

    def fetch(self, etag: str) -> Fetched:
        answer = self.ask("claire", "GET", "/bundle", headers={"If-None-Match": etag} if etag else {})
        assert answer.status_code in {200, 304}
        return Fetched(answer.text if answer.status_code == 200 else None, answer.headers["etag"])


def by_header(request: Request) -> Caller:
    person = PEOPLE.get(request.headers.get("x-who", ""))
    if person is None:
        raise NotSignedInError("nobody is signed in")
    return Caller(person, "s", datetime(2027, 1, 1, tzinfo=UTC), "thumbprint")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    clock = [datetime(2026, 11, 23, 9, 40, tzinfo=UTC)]
    witness = Cosigner.generate("hoop.example/witness")
    with closing(Database.open(sqlite_url(tmp_path / "server.db"))) as database, closing(Wake(database)) as wake:
        migrations.upgrade(database)
        services = Services(
            ServerSettings.model_validate({}), database, wake, Engine(load(RULES)), witness, lambda: clock[0]
        )
        app = create_app(services)
        app.dependency_overrides[caller] = by_header
        yield Served(app, witness, services, clock)


def test_a_revision_is_what_brokers_decide_by(served: Served, tmp_path: Path) -> None:
    assert served.ask("claire", "GET", "/bundle").status_code == 404
    added = served.push(connections=SHOP)
    assert (added.status_code, added.json()["serial"], added.json()["author"]) == (201, 1, "nadia@example.com")
    bundles = Bundles(tmp_path / "broker", served.witness.verifier, lambda: served.clock[0])
    bundle = bundles.refresh(served.fetch)
    assert (bundle.serial, bundle.policy, bundle.connections) == (1, POLICY, SHOP)
    assert served.fetch(served.fetch("").etag).note is None

    served.clock[0] += timedelta(hours=25)
    with pytest.raises(BundleError, match="expired"):
        bundles.current()
    assert bundles.refresh(served.fetch).serial == 1
    assert served.push(1, POLICY + "masks: []\n").status_code == 201
    assert bundles.refresh(served.fetch).serial == 2


def test_replicas_date_a_bundle_alike(served: Served) -> None:
    served.push()
    first = served.fetch("")
    served.clock[0] += timedelta(minutes=5)
    assert served.fetch(first.etag).note is None
    served.clock[0] += timedelta(minutes=30)
    assert served.fetch(first.etag).note is not None


def test_history(served: Served) -> None:
    for n in range(3):
        assert served.push(n, POLICY + f"# {n}\n").status_code == 201
    listed = served.ask("nadia", "GET", "/revisions").json()
    assert [each["serial"] for each in listed] == [3, 2, 1]
    assert [each["serial"] for each in served.ask("nadia", "GET", "/revisions?before=3&limit=1").json()] == [2]
    assert served.ask("nadia", "GET", "/revisions/2").json()["policy"].endswith("# 1\n")
    assert served.ask("nadia", "GET", "/current").json()["serial"] == 3
    assert served.ask("nadia", "GET", "/revisions/9").status_code == 404


@pytest.mark.parametrize("after", [0, 2, 3])
def test_who_has_not_seen_the_newest_does_not_replace_it(served: Served, after: int) -> None:
    assert served.push(0).status_code == 201
    refused = served.push(after, POLICY + "masks: []\n")
    assert refused.status_code == 409
    assert "hoop policy pull" in refused.json()["hint"]


@pytest.mark.parametrize(
    "draft",
    [
        {"policy": "rules: ["},
        {"policy": POLICY + "mask: []"},
        {"connections": {"shop": {"kind": "sql", "password": "x"}}},
        {"connections": {"sh op": SHOP["shop"]}},
    ],
)
def test_what_no_broker_would_take_is_refused(served: Served, draft: dict[str, Any]) -> None:
    refused = served.push(**draft)
    assert refused.status_code == 400
    assert served.ask("claire", "GET", "/bundle").status_code == 404


def test_each_route_asks_the_policy(served: Served) -> None:
    served.push()
    for method, path in [("GET", "/revisions"), ("GET", "/revisions/1"), ("GET", "/current")]:
        assert served.ask("claire", method, path).status_code == 403
        assert served.ask("nobody", method, path).status_code == 401
    assert served.push(1, who="claire").status_code == 403
    assert served.push(1, who="nobody").status_code == 401
    assert served.ask("nobody", "GET", "/bundle").status_code == 401
