"""What an operator sees: health, metrics, logs, problems; and what a slow or greedy client gets."""

from __future__ import annotations

import io
import json
import logging
import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import structlog
from sqlalchemy import text

from hoopcli.errors import (
    ApprovalPendingError,
    DeniedError,
    HoopError,
    LedgerError,
    NotSignedInError,
    ProtocolError,
    UpstreamError,
    UsageError,
)
from hoopcli.identity import server_session
from hoopcli.server import limits, logs, problems
from hoopcli.server.app import create_app
from hoopcli.server.database import DatabaseGoneError
from hoopcli.server.problems import Problem
from hoopcli.server.run import listening_socket, uvicorn_server
from tests.support.place import place_of
from tests.support.server import Running, running
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    patch = pytest.MonkeyPatch()
    patch.setattr(limits, "HEAD_SECONDS", 0.2)
    patch.setattr(limits.BodyLimits.__init__, "__defaults__", (0.2,))
    with running(tmp_path_factory.mktemp("server"), body_limit=1 << 20) as made:
        yield made
    patch.undo()


def test_health(server: Running) -> None:
    assert server.get("/healthz").json() == server.get("/readyz").json() == {"status": "ok"}
    assert re.fullmatch("[0-9a-f]{16}", server.get("/healthz").headers["x-request-id"])


def test_a_schema_of_another_version_is_not_ready(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        with server.services.database.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        answer = server.get("/readyz")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:hoop:problem:not-migrated")


def test_metrics_count_and_name_nobody(server: Running) -> None:
    server.get("/v1/ledgers/head?origin=hoop.example/ledger/secret")
    for path in ("/nothing/one", "/nothing/two"):
        assert server.get(path).status_code == 404
    said = server.get("/metrics").text
    assert 'hoop_http_requests_total{method="GET",route="/v1/ledgers/head",status="404"}' in said
    assert "secret" not in said
    assert "nothing" not in said


def test_what_is_not_there_is_a_problem(server: Running) -> None:
    answer = server.get("/nothing")
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    assert answer.json() == {"type": "about:blank", "title": "Not Found", "status": 404, "detail": "Not Found"}
    invalid = server.client.post("/v1/ledgers/head", content=b'{"origin": 7, "statement": "s3cret"}')
    assert invalid.status_code == 422
    assert "s3cret" not in invalid.text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("m", "h"), 400),
        (NotSignedInError("m"), 401),
        (DeniedError("m"), 403),
        (ApprovalPendingError("m"), 409),
        (UpstreamError("m"), 502),
        (ProtocolError("m"), 400),
        (LedgerError("m"), 422),
        (HoopError("m"), 500),
        (DatabaseGoneError("m"), 503),
        (Problem(418, "tea", "m", size=3), 418),
        (ValueError("s3cret"), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_its_status(server: Running, error: Exception, status: int) -> None:
    app = create_app(server.services)

    @app.get("/fails")
    def fails() -> None:
        raise error

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            return await client.get("/fails")

    import asyncio

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert "s3cret" not in answer.text
    assert answer.json().get("hint", "h") == "h"


def raw(server: Running, data: bytes) -> bytes:
    """Send these bytes and nothing more; all that comes back until the server hangs up."""
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as client:
        client.sendall(data)
        said = b""
        while block := client.recv(65536):
            said += block
        return said


def test_a_head_that_never_ends_is_dropped(server: Running) -> None:
    assert raw(server, b"") == b""
    assert raw(server, b"GET /healthz HTTP/1.1\r\nHost: h\r\nX-Slow: ") == b""


def test_a_second_head_that_never_ends_is_dropped_too(server: Running) -> None:
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port or 0), timeout=30) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        said = b""
        while not said.endswith(b'{"status":"ok"}'):
            said += client.recv(65536)
        client.sendall(b"GET /")
        assert client.recv(65536) == b""


def test_a_body_that_never_ends_is_refused(server: Running) -> None:
    head = b"POST /v1/ledgers/batches HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nsome"
    assert raw(server, head).startswith(b"HTTP/1.1 408")


def test_a_body_that_is_too_large_is_refused(server: Running) -> None:
    announced = b"POST /v1/ledgers/batches HTTP/1.1\r\nHost: h\r\nContent-Length: 1048577\r\n\r\n"
    assert raw(server, announced).startswith(b"HTTP/1.1 413")

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield bytes(1 << 16)

    try:
        answer = server.client.post("/v1/ledgers/batches", content=endless())
    except httpx.HTTPError:
        return  # it hung up while we were still sending
    assert answer.status_code == 413


def test_logs_are_json_and_hold_no_query(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        logs.configure(as_json=True)
        structlog.get_logger("hoop.server").info("request", route="/x")
        logging.getLogger("other").warning("odd")
        structlog.reset_defaults()
        logs.configure(as_json=False)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        structlog.reset_defaults()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"], line["logger"]) for line in lines] == [
        ("request", "info", "hoop.server"),
        ("odd", "warning", "other"),
    ]


def test_a_port_that_is_taken(server: Running) -> None:
    with pytest.raises(UsageError, match="cannot be opened"):
        listening_socket("127.0.0.1", httpx.URL(server.url).port or 0)


def test_no_route_is_named_twice(server: Running) -> None:
    document = server.get("/openapi.json").json()
    assert "/v1/ledgers/batches" in document["paths"]
    assert uvicorn_server(server.services).config.proxy_headers is False


def test_who_waits_is_answered_when_the_server_stops(tmp_path: Path) -> None:
    """Long polls end with an answer; nobody is cut off."""
    policy = "version: 1\nrules:\n  - {id: all, effect: allow, verbs: ['approvals:read']}\n"
    with ExitStack() as stack:
        threads = stack.enter_context(ThreadPoolExecutor(4))
        with place_of(tmp_path, policy, {"sub": "ada", "email": "ada@example.com"}) as place:
            http = stack.enter_context(server_session.client(place.url))
            ada = place.session_of(http, "ada")

            def ask(path: str) -> httpx.Response:
                return server_session.send(http, ada.key, "GET", path, place.now(), token=ada.token)

            tag = ask("/v1/approvals").json()["tag"]
            polls = [f"/v1/sessions/current/watch?seconds=50&n={n}" for n in range(2)]
            polls += [f"/v1/approvals?seen={tag}&seconds=50&n={n}" for n in range(2)]
            assert place.services is not None
            tickets = place.services.wake._tickets
            before = sum(map(len, tickets.values()))  # the server's own
            waiting = [threads.submit(ask, path) for path in polls]
            eventually(lambda: sum(map(len, list(tickets.values()))) == before + len(polls))
        answers = [each.result(5) for each in waiting]
    assert [answer.status_code for answer in answers] == [200] * len(polls)
    assert answers[0].json() == {"live": True}
