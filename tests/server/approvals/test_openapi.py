"""Whatever the OpenAPI allows, and much that it does not, is answered without a failure, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case

from hoopcli.server.database import sqlite_url
from tests.support.approvals import NADIA, OMAR, Running, replica
from tests.support.postgres import postgres

OPERATIONS = [
    ("POST", "/v1/approvals"),
    ("GET", "/v1/approvals"),
    ("GET", "/v1/approvals/{identity}"),
    ("GET", "/v1/approvals/{identity}/wait"),
    ("POST", "/v1/approvals/{identity}/answer"),
    ("POST", "/v1/approvals/{identity}/use"),
    ("POST", "/v1/approvals/{identity}/withdraw"),
]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with ExitStack() as stack:
        sqlite = request.param == "sqlite"
        folder = tmp_path_factory.mktemp("openapi")
        url = sqlite_url(folder / "server.db") if sqlite else stack.enter_context(postgres())
        yield stack.enter_context(replica(url))


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_nothing_fails(server: Running, method: str, path: str) -> None:
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    operation = schema[path][method]

    @settings(
        max_examples=25, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def ask(case: Case) -> None:
        for person in (OMAR, NADIA):
            case.headers = {**(case.headers or {}), "x-subject": person.subject}
            if "seconds" in (case.query or {}):
                case.query["seconds"] = 0
            else:
                case.query = {**(case.query or {}), "seconds": 0}
            arguments = case.as_transport_kwargs(base_url=server.url)
            with httpx.Client(verify=False, timeout=20) as client:
                response = client.request(
                    arguments["method"], arguments["url"], params=arguments.get("params"),
                    headers={"x-subject": person.subject, "content-type": "application/json"},
                    json=arguments.get("json"),
                )  # fmt: skip
            assert response.status_code < 500, response.text

    ask()
