"""Traces from the command line through the server, as a real receiver of OTLP gets them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hoopcli import tracing
from hoopcli.errors import UsageError
from hoopcli.identity import server_session
from tests.support.machine import Machine
from tests.support.place import Place, browser_of, place_of
from tests.support.waiting import eventually

ADA = {"sub": "ada", "email": "ada@example.com", "name": "Ada", "groups": ["audit"]}
POLICY = "version: 1\nrules:\n  - {id: audit, effect: allow, principals: {groups: [audit]}, verbs: ['people:*']}\n"


class Receiver:
    """What was sent to it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.url = ""

    def spans(self) -> dict[str, list[Any]]:
        """By the name of the service."""
        found: dict[str, list[Any]] = {}
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    found.setdefault(names["service.name"], []).extend(scope.spans)
        return found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            made.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def started(receiver: Receiver, patch: pytest.MonkeyPatch, service: str) -> Iterator[None]:
    patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    stop = tracing.start(service)
    try:
        yield
    finally:
        stop()


def arrived(receiver: Receiver, service: str, name: str) -> None:
    """Wait for a span: a server ends its own after the answer has gone out."""

    def here() -> bool:
        tracing._active[-1].force_flush()
        return any(each.name == name for each in receiver.spans().get(service, []))

    eventually(here)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place_of(tmp_path_factory.mktemp("server"), POLICY, ADA) as running:
        yield running


def test_a_trace_goes_from_the_command_line_into_the_server(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(
        tmp_path,
        {
            "HOOP_SERVER__URL": place.url,
            "BROWSER": browser_of(tmp_path, "ada"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
            "TRACEPARENT": f"00-{'ab' * 16}-{'cd' * 8}-01",
        },
    )
    machine.configure("version: 1", {})
    with started(receiver, monkeypatch, "hoop-server"):
        done = machine.run("login", "--provider", "corp", "--json")
        assert done.returncode == 0, done.stderr
        arrived(receiver, "hoop-server", "POST /v1/sessions")
    spans = receiver.spans()
    root = next(each for each in spans["hoop"] if each.name == "hoop login")
    assert root.trace_id.hex() == "ab" * 16
    assert root.parent_span_id.hex() == "cd" * 8
    client = next(each for each in spans["hoop"] if each.name == "POST /v1/sessions")
    assert client.parent_span_id == root.span_id
    server = next(each for each in spans["hoop-server"] if each.name == "POST /v1/sessions")
    assert (server.trace_id, server.parent_span_id) == (root.trace_id, client.span_id)
    told = {each.key: each.value.string_value or each.value.int_value for each in server.attributes}
    assert told["http.response.status_code"] == 201
    assert re.fullmatch("[0-9a-f]{16}", str(told["hoop.request"]))


def test_no_span_names_a_person_or_holds_a_secret(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(receiver, monkeypatch, "test"), closing(server_session.client(place.url)) as http:
        ada = place.session_of(http, "ada")
        path = "/v1/sessions/of/somebody@example.com?reason=because"
        answer = server_session.send(http, ada.key, "DELETE", path, place.now(), token=ada.token)
        assert answer.status_code == 200
        with pytest.raises(ZeroDivisionError), tracing.span("work"):
            raise ZeroDivisionError("SELECT secret FROM invoices")
        arrived(receiver, "test", "DELETE /v1/sessions/of/{subject}")
    sent = b"".join(receiver.bodies)
    assert b"/v1/sessions/of/{subject}" in sent
    for word in (b"example.com", b"because", b"SELECT", ada.token.encode(), b"DPoP"):
        assert word not in sent
    failed = next(each for each in receiver.spans()["test"] if each.name == "work")
    assert failed.status.code == 2
    assert not failed.status.message
    assert not failed.events


@pytest.mark.parametrize("parent", ["", "garbage", "00-zz-zz-01", f"00-{'0' * 32}-{'0' * 16}-01"])
def test_a_traceparent_that_is_none_begins_a_trace(
    place: Place, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, parent: str
) -> None:
    with started(receiver, monkeypatch, "hoop-server"):
        assert httpx.get(f"{place.url}/healthz", headers={"traceparent": parent}).status_code == 200
        arrived(receiver, "hoop-server", "GET /healthz")
    (only,) = [each for each in receiver.spans()["hoop-server"] if each.name == "GET /healthz"]
    assert only.parent_span_id == b""


def test_without_the_variables_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    tracing.start("hoop")()
    with tracing.span("work") as traced:
        traced.tell({"a": 1}, name="b", failed=True)
    assert (traced.headers, traced.trace) == ({}, "")
    off = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "TRUE"}
    assert not tracing.configured(off)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(UsageError, match="extra"):
        tracing.start("hoop", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})


def test_a_command_that_fails_is_marked_and_goes_on_as_without(receiver: Receiver, tmp_path: Path) -> None:
    environ = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "HOOP_STATE_DIR": str(tmp_path)}
    environ["HOOP_CONFIG"] = str(tmp_path / "config.toml")
    (tmp_path / "config.toml").write_text("")
    command = [sys.executable, "-m", "hoopcli.cli.main", "login", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "server" in json.dumps(json.loads(done.stderr or done.stdout))
    (only,) = receiver.spans()["hoop"]
    assert (only.name, only.status.code) == ("hoop login", 2)
