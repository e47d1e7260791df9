"""Whatever the OpenAPI of the whole server allows, and much that it does not, is answered without a failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.generation import GenerationMode

from hoopcli.identity.dpop import ProofKey
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.server.app import ROUTERS
from hoopcli.server.database import sqlite_url
from tests.support.server import ADA, Running, served, services

EVERYTHING = "version: 1\nrules:\n  - {id: all, effect: allow, verbs: ['*']}\n"
KEY = ProofKey.generate()
BINARY = ("application/vnd.hoop.batch", "application/zstd", "application/octet-stream")


@schemathesis.serializer(*BINARY)
def as_it_is(_context: object, value: object) -> bytes:
    """The body of a media type that holds bytes."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


def operations() -> list[tuple[str, str]]:
    """Every operation that the server tells of."""
    app = FastAPI()
    for router in ROUTERS:
        app.include_router(router)
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


OPERATIONS = operations()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose caller may do all."""
    folder = tmp_path_factory.mktemp("openapi")
    provider = {"name": "corp", "issuer": "http://127.0.0.1:9", "client_id": "hoop"}
    with services(sqlite_url(folder / "server.db"), providers=[provider]) as made:
        allowing = replace(made, policy=Engine(load(EVERYTHING)))
        with served(allowing) as running:
            yield running


@pytest.fixture(scope="module")
def schema(server: Running) -> Any:
    document = server.client.get("/openapi.json").json()
    return schemathesis.openapi.from_dict(document)


def test_every_router_is_in_it() -> None:
    areas = {path.split("/")[2] for _method, path in OPERATIONS if path.startswith("/v1/")}
    assert {"approvals", "browser", "ledgers", "policy", "sessions"} <= areas, areas


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_nothing_fails(server: Running, schema: Any, method: str, path: str) -> None:
    operation = schema[path][method]

    @settings(
        max_examples=12, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
    def ask(case: Case) -> None:
        asked = case.as_transport_kwargs(base_url=server.url)
        query = {**(asked.get("params") or {})}
        if "seconds" in str(operation.definition.raw):
            query["seconds"] = 0  # nobody waits here
        body = {name: asked[name] for name in ("json", "data", "files") if asked.get(name) is not None}
        if isinstance(body.get("data"), str | bytes):
            body["content"] = body.pop("data")
        proof = KEY.proof(asked["method"], asked["url"], datetime.now(UTC))
        sent = {"x-subject": ADA.subject, "DPoP": proof}
        with httpx.Client(timeout=20) as client:
            try:
                request = client.build_request(asked["method"], asked["url"], params=query, headers=sent, **body)
            except (httpx.InvalidURL, UnicodeEncodeError, TypeError, ValueError):
                return  # nothing that a client could send
            answer = client.send(request)
        assert answer.status_code < 500, f"{request.method} {request.url}: {answer.text}"

    ask()
