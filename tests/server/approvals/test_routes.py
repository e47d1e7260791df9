"""Approvals over real sockets: asked, waited for, answered, used; who may, and every way round."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hoopcli.errors import UpstreamError
from hoopcli.model.access import Principal
from hoopcli.proxy.remote_approvals import PATH, asked, checked
from hoopcli.server.approvals import listing
from hoopcli.server.approvals.desk import Desk
from hoopcli.server.database import sqlite_url
from hoopcli.server.people.store import TOPIC, Sessions
from tests.support.approvals import ADA, EVE, NADIA, OMAR, PIET, TERMS, Running, question, replica
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with replica(sqlite_url(tmp_path_factory.mktemp("server") / "server.db")) as running:
        yield running


def call(server: Running, person: Principal, method: str, path: str = "", body: Any = None) -> httpx.Response:
    return server.signed(person).request(method, PATH + path, json=body)


def ask(server: Running, digest: str, **changes: Any) -> dict[str, Any]:
    response = call(server, OMAR, "POST", "", asked(question(digest), TERMS) | changes)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def use_of(request: dict[str, Any]) -> dict[str, Any]:
    return {name: request[name] for name in ("principal", "connection", "rule", "digest")}


def test_the_whole_way(server: Running) -> None:
    request = ask(server, "01")
    assert (request["state"], request["on_behalf_of"], request["asked_by"]) == ("waiting", OMAR.subject, OMAR.subject)
    assert request["link"] == f"{server.url}/approvals/{request['id']}"
    path = f"/{request['id']}"
    assert call(server, NADIA, "GET", path).json() == request
    assert request["id"] in [r["id"] for r in call(server, NADIA, "GET").json()["requests"]]
    assert call(server, OMAR, "POST", f"{path}/use", use_of(request)).json()["granted"] is False
    answered = call(server, NADIA, "POST", f"{path}/answer", {"approve": True, "comment": "fine\0"}).json()
    assert answered["state"] == "approved"
    assert answered["answers"][0]["comment"] == "fine\u2400"
    assert call(server, OMAR, "POST", f"{path}/use", use_of(request)).json()["granted"] is True
    assert call(server, OMAR, "POST", f"{path}/use", use_of(request)).json()["granted"] is False
    assert call(server, PIET, "POST", f"{path}/answer", {"approve": False}).status_code == 409


def test_who_waits_hears_of_the_answer_at_once(server: Running) -> None:
    request = ask(server, "02")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(call, server, OMAR, "GET", f"/{request['id']}/wait?seconds=30")
        eventually(lambda: ("approval", request["id"]) in server.services.wake._tickets)
        call(server, NADIA, "POST", f"/{request['id']}/answer", {"approve": True})
        answered = time.monotonic()
        assert waiting.result(20).json()["state"] == "approved"
        assert time.monotonic() - answered < 5  # far less than it would have waited


def test_a_wait_ends_as_it_is(server: Running) -> None:
    request = ask(server, "03")
    assert call(server, OMAR, "GET", f"/{request['id']}/wait?seconds=0").json()["state"] == "waiting"
    short = asked(question("04"), TERMS)
    short["terms"]["expires_seconds"] = 1
    identity = call(server, OMAR, "POST", "", short).json()["id"]
    assert call(server, OMAR, "GET", f"/{identity}/wait?seconds=30").json()["state"] == "expired"


@pytest.mark.parametrize(
    ("person", "status"), [(OMAR, 403), (EVE, 404), (ADA, 403), (Principal("user nobody"), 404), (NADIA, 200)]
)
def test_who_may_answer(server: Running, person: Principal, status: int) -> None:
    request = ask(server, f"05{person.subject.encode().hex()}")
    assert call(server, person, "POST", f"/{request['id']}/answer", {"approve": True}).status_code == status


def test_without_sign_in_there_is_nothing(server: Running) -> None:
    stranger = Principal("stranger")
    for method, path in [
        ("GET", ""), ("POST", ""), ("GET", "/x"), ("GET", "/x/wait"), ("POST", "/x/answer"), ("POST", "/x/use"),
        ("POST", "/x/withdraw"),
    ]:  # fmt: skip
        response = call(server, stranger, method, path, {} if method == "POST" else None)
        assert response.status_code == 401
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "principal",
    [
        {"subject": NADIA.subject, "kind": "human"},
        {"subject": NADIA.subject, "kind": "agent"},
        {"subject": "workload:ci", "kind": "workload"},
        {"subject": "agent:claire", "kind": "human"},
    ],
)
def test_nobody_asks_for_somebody_else(server: Running, principal: dict[str, str]) -> None:
    body = asked(question("06"), TERMS) | {"principal": principal}
    assert call(server, OMAR, "POST", "", body).status_code == 403


def test_what_another_asked_cannot_be_used_or_withdrawn(server: Running) -> None:
    request = ask(server, "07")
    call(server, NADIA, "POST", f"/{request['id']}/answer", {"approve": True})
    assert call(server, EVE, "POST", f"/{request['id']}/use", use_of(request)).status_code == 404
    assert call(server, PIET, "POST", f"/{request['id']}/use", use_of(request)).json()["granted"] is False
    assert call(server, PIET, "POST", f"/{request['id']}/withdraw").status_code == 404
    other = use_of(request) | {"digest": "ff" * 32}
    assert call(server, OMAR, "POST", f"/{request['id']}/use", other).json()["granted"] is False
    assert call(server, OMAR, "POST", f"/{request['id']}/use", use_of(request)).json()["granted"] is True


def test_who_hangs_up_is_seen(server: Running) -> None:
    request = ask(server, "08")
    assert call(server, OMAR, "POST", f"/{request['id']}/withdraw").json()["withdrawn"]
    assert ask(server, "08")["id"] == request["id"]
    assert call(server, NADIA, "GET", f"/{request['id']}").json()["withdrawn"] is None


def test_a_broker_that_dies_has_withdrawn_and_one_that_comes_back_waits_again(server: Running) -> None:
    request = ask(server, "0e")
    path = f"/{request['id']}"

    def withdrawn() -> Any:
        return call(server, NADIA, "GET", path).json()["withdrawn"]

    for person, gone in ((NADIA, False), (OMAR, True)):
        with pytest.raises(httpx.ReadTimeout), httpx.Client(base_url=server.url, timeout=1, verify=False) as client:
            client.get(f"{PATH}{path}/wait?seconds=50", headers=server.signed(person).headers)
        eventually(lambda: ("approval", request["id"]) not in server.services.wake._tickets)
        eventually(lambda gone=gone: bool(withdrawn()) is gone)
    assert call(server, OMAR, "GET", f"{path}/wait?seconds=0").json()["withdrawn"] is None


def test_who_withdraws_waits_no_longer_and_has_withdrawn(server: Running) -> None:
    request = ask(server, "0f")
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(call, server, OMAR, "GET", f"/{request['id']}/wait?seconds=60")
        eventually(lambda: ("approval", request["id"]) in server.services.wake._tickets)
        call(server, OMAR, "POST", f"/{request['id']}/withdraw")
        told = waiting.result(20).json()
    assert (told["state"], bool(told["withdrawn"])) == ("waiting", True)
    assert call(server, NADIA, "GET", f"/{request['id']}").json()["withdrawn"] == told["withdrawn"]


@contextmanager
def held_wait(server: Running, person: Principal, identity: str) -> Iterator[tuple[httpx.Response, Iterator[bytes]]]:
    with (
        httpx.Client(base_url=server.url, headers=server.signed(person).headers, timeout=20) as client,
        client.stream("GET", f"{PATH}/{identity}/wait?seconds=60") as held,
    ):
        yield held, held.iter_raw()


def test_a_long_wait_is_kept_alive(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hoopcli.server.approvals.held_answer.ALIVE_SECONDS", 0.05)
    request = ask(server, "10")
    with held_wait(server, OMAR, request["id"]) as (held, pieces):
        assert held.status_code == 200
        assert [next(pieces) for _ in range(3)] == [b" "] * 3
        call(server, NADIA, "POST", f"/{request['id']}/answer", {"approve": True})
        assert json.loads(b"".join(pieces))["state"] == "approved"
    missing = call(server, EVE, "GET", f"/{request['id']}/wait?seconds=60")
    assert missing.status_code == 404  # what fails soon has a status of its own


def test_a_held_wait_ends_with_its_session_and_tells_nothing(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hoopcli.server.approvals.held_answer.ALIVE_SECONDS", 0.05)
    request = ask(server, "11")
    with held_wait(server, OMAR, request["id"]) as (held, pieces):
        assert next(pieces) == b" "
        for ended in Sessions(server.services.database, server.services.settings.sessions).end(subject=OMAR.subject):
            server.services.wake.notify(TOPIC, ended)
        assert b"".join(pieces).strip() == b""
    server.app.state.begun.clear()
    with pytest.raises(UpstreamError):  # so that a broker asks again, and hears that it is signed out
        checked(httpx.Response(held.status_code, content=b"   "))


def test_a_list_is_watched(server: Running) -> None:
    tag = call(server, NADIA, "GET").json()["tag"]
    assert call(server, NADIA, "GET", f"?seen={tag}&seconds=0").json()["tag"] == tag
    with ThreadPoolExecutor(1) as threads:
        watching = threads.submit(call, server, NADIA, "GET", f"?seen={tag}&seconds=30")
        request = ask(server, "09")
        seen = watching.result(20).json()
    assert request["id"] in [r["id"] for r in seen["requests"]]


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "ab"},
        {"digest": "AB" * 32},
        {"text": "x" * 1_000_001},
        {"facts": {"n": float("nan")}},
        {"facts": {"deep": [{"n": float("-inf")}]}},
        {"connection": "a\0b"},
        {"rule": ""},
        {"terms": {"count": 0}},
        {"terms": {"expires_seconds": 10**9}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_is_malformed_is_refused(server: Running, change: dict[str, Any]) -> None:
    content = json.dumps(asked(question("0a"), TERMS) | change)
    headers = {"x-subject": OMAR.subject, "content-type": "application/json"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        assert client.post(PATH, content=content).status_code == 422


def test_a_text_with_a_nul_is_shown_with_its_sign(server: Running) -> None:
    assert ask(server, "0b", text="SELECT\0 1")["text"] == "SELECT\u2400 1"


def test_many_wait_and_hold_neither_threads_nor_connections(server: Running) -> None:
    """Far more than the threads and the connections that there are."""
    ids = [ask(server, f"0c{n:04}", session=f"s{n // 50}")["id"] for n in range(200)]
    omar, nadia = server.signed(OMAR), server.signed(NADIA)

    async def main() -> list[str]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(
            base_url=omar.url, headers=omar.headers, timeout=60, limits=limits, verify=False
        ) as client:
            waits = [asyncio.create_task(client.get(f"{PATH}/{i}/wait?seconds=50")) for i in ids]
            wanted = {("approval", i) for i in ids}
            while not wanted <= set(server.services.wake._tickets):
                await asyncio.sleep(0.05)
            said = {"approve": True}
            for identity in ids:
                await asyncio.to_thread(nadia.request, "POST", f"{PATH}/{identity}/answer", json=said)
            return [(await wait).json()["state"] for wait in waits]

    assert set(asyncio.run(main())) == {"approved"}


def test_the_openapi_names_every_route(server: Running) -> None:
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    assert {path for path in paths if path.startswith(PATH)} == {
        PATH, f"{PATH}/{{identity}}", f"{PATH}/{{identity}}/wait", f"{PATH}/{{identity}}/answer",
        f"{PATH}/{{identity}}/use", f"{PATH}/{{identity}}/withdraw",
    }  # fmt: skip


def test_what_expires_is_swept(tmp_path: Path) -> None:
    with replica(sqlite_url(tmp_path / "server.db")) as server:
        short = asked(question("0d"), TERMS)
        short["terms"]["expires_seconds"] = 1
        identity = call(server, OMAR, "POST", "", short).json()["id"]

        def expired() -> bool:
            Desk(server.services).sweep()  # the server's own chore may have been first
            with server.services.database.read() as connection:
                return "expired" in [event.what for event in listing.events(connection, identity)]

        assert eventually(expired)
        assert call(server, OMAR, "GET", f"/{identity}").json()["state"] == "expired"
