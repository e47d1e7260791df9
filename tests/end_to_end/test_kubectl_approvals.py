"""Changes that wait for a person: kubectl waits with them, who decides sees the difference, and what runs is that."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hoopcli.proxy.approvals import Approvals, Request
from tests.kubectl.apiserver import ApiServer, cluster
from tests.kubectl.programs import programs
from tests.support.broker import DBA
from tests.support.cluster import Session, Upstream, session
from tests.support.waiting import eventually

POLICY = """
version: 1
rules:
  - {id: look, effect: allow, verbs: ["k8s:get", "k8s:list", "k8s:watch"]}
  - id: changes-need-a-person
    effect: require_approval
    verbs: ["k8s:create", "k8s:patch", "k8s:update", "k8s:delete", "k8s:scale"]
    approval: {groups: [dba], count: 1, expires: 10m}
"""
SCALE = "/apis/apps/v1/namespaces/default/deployments/web/scale"
MERGE = [("Content-Type", "application/merge-patch+json")]

pytestmark = pytest.mark.skipif(not programs(), reason="there is no kubectl")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with cluster() as running:
        yield running


@pytest.fixture
def opened(server: ApiServer, tmp_path: Path) -> Iterator[Session]:
    with session(tmp_path, Upstream(server.kubeconfig(), server), POLICY) as running:
        yield running


@contextmanager
def colleague(opened: Session) -> Iterator[Approvals]:
    store = Approvals(opened.broker.services.state_dir / "approvals.db", lambda: datetime.now(UTC))
    try:
        yield store
    finally:
        store.close()


def pending(store: Approvals) -> Request:
    [request] = eventually(store.pending)
    assert isinstance(request, Request)
    return request


def written(server: ApiServer) -> list[str]:
    return [f"{request.method} {request.path}" for request in server.seen if request.method not in {"GET", "HEAD"}]


def test_a_change_is_shown_and_then_made(opened: Session, server: ApiServer) -> None:
    kubectl = opened.kubectl(programs()[0])
    with ThreadPoolExecutor(1) as threads, colleague(opened) as store:
        asked = threads.submit(kubectl, "patch", "configmap", "web", "-p", '{"data":{"LOG_LEVEL":"debug"}}')
        request = pending(store)
        assert "k8s:patch default/configmaps/web" in request.text
        assert "info" in request.text
        assert "debug" in request.text
        assert written(server) == []
        store.answer(request.id, DBA, approve=True)
        assert "patched" in asked.result(30)
    assert written(server) == ["PATCH /api/v1/namespaces/default/configmaps/web"]


def test_a_secret_in_a_change_is_not_shown(opened: Session, server: ApiServer) -> None:
    kubectl = opened.kubectl(programs()[0])
    with ThreadPoolExecutor(1) as threads, colleague(opened) as store:
        asked = threads.submit(
            kubectl.run, "create", "secret", "generic", "new", "--from-literal=password=hunter2-hunter2"
        )
        request = pending(store)
        assert "default/secrets/new" in request.text
        assert "hunter2" not in request.text
        assert "aHVudGVyMi1odW50ZXIy" not in request.text
        store.answer(request.id, DBA, approve=False, comment="not by hand")
        done = asked.result(30)
    assert done.returncode == 1
    assert b"not by hand" in done.stderr
    assert "hunter2" not in json.dumps(opened.broker.ledger.bodies())


def test_what_was_approved_after_a_client_left_runs_at_its_next_try(opened: Session, server: ApiServer) -> None:
    before = written(server)
    kubectl = opened.kubectl(programs()[0])
    words = ("scale", "deployment/web", "--replicas=3")
    with colleague(opened) as store:
        with subprocess.Popen(kubectl.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            request = pending(store)
            process.kill()
        eventually(lambda: "approval.withdrawn" in [record["type"] for record in opened.broker.ledger.bodies()])
        assert written(server) == before
        store.answer(request.id, DBA, approve=True)
        assert "scaled" in kubectl(*words)
        assert len(written(server)) == len(before) + 1


def test_an_approval_is_for_one_request(opened: Session, server: ApiServer) -> None:
    """What was agreed to is three; another number is another question."""
    with ThreadPoolExecutor(1) as threads, colleague(opened) as store:
        asked = threads.submit(opened.ask, "PATCH", SCALE, MERGE, b'{"spec":{"replicas":3}}')
        store.answer(pending(store).id, DBA, approve=True)
        assert asked.result(30).status == 200
        for body in (b'{"spec":{"replicas":4}}', b'{"spec":{"replicas":3}}'):
            before = written(server)
            again = threads.submit(opened.ask, "PATCH", SCALE, MERGE, body)
            request = pending(store)
            assert written(server) == before
            store.answer(request.id, DBA, approve=False)
            assert again.result(30).status == 403
