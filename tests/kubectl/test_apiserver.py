"""The API server of the tests is good enough for real clients."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest

from tests.kubectl.apiserver import ApiServer, cluster, pod
from tests.kubectl.programs import Kubectl, programs

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not programs(), reason="there is no kubectl")]
CONFIG = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: b}\n"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with cluster() as running:
        yield running


@pytest.fixture(params=programs())
def kubectl(request: pytest.FixtureRequest, server: ApiServer) -> Kubectl:
    return Kubectl(request.param, server.kubeconfig())


def test_lists_tables_and_selectors(kubectl: Kubectl) -> None:
    assert kubectl("get", "pods").splitlines()[1].split()[:3] == ["db-1", "1/1", "Running"]
    assert kubectl("get", "po", "-l", "app in (web)", "-o", "name") == "pod/web-1\npod/web-2\n"
    assert kubectl("get", "pods", "--field-selector", "metadata.name=db-1", "-o", "name") == "pod/db-1\n"
    assert "deployment.apps/web" in kubectl("get", "all")
    assert "correct horse" not in kubectl("describe", "secret", "db-password")


def test_objects_come_and_go(kubectl: Kubectl) -> None:
    assert "created" in kubectl("apply", "-f", "-", stdin=CONFIG)
    assert "configured" in kubectl("apply", "-f", "-", stdin=CONFIG.replace(b"a: b", b"a: c"))
    assert "serverside-applied" in kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=CONFIG)
    kubectl("patch", "configmap", "applied", "--type", "json", "-p", '[{"op":"add","path":"/data/x","value":"y"}]')
    kubectl("label", "configmap", "applied", "team=shop")
    found = json.loads(kubectl("get", "configmap", "applied", "-o", "json"))
    assert (found["data"], found["metadata"]["labels"]) == ({"a": "b", "x": "y"}, {"team": "shop"})
    assert "deleted" in kubectl("delete", "configmap", "applied")
    assert kubectl.run("get", "configmap", "applied").stderr == (
        b'Error from server (NotFound): configmaps "applied" not found\n'
    )


def test_what_new_clients_send_as_protobuf(kubectl: Kubectl) -> None:
    kubectl("create", "secret", "generic", "fresh", "--from-literal=key=value")
    assert kubectl("get", "secret", "fresh", "-o", "jsonpath={.data.key}") == "dmFsdWU="
    kubectl("delete", "secret", "fresh")
    assert kubectl("auth", "can-i", "get", "pods") == "yes\n"
    assert kubectl.run("auth", "can-i", "get", "nodes").stdout == b"no\n"


def test_a_watch_tells_of_changes(kubectl: Kubectl, server: ApiServer) -> None:
    command = kubectl.command("get", "pods", "--watch", "-o", "name")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(3)]
        server.put("pods", pod("late"))
        seen.append(process.stdout.readline())
        process.kill()
    kubectl("delete", "pod", "late", "--wait=false")
    assert seen == [b"pod/db-1\n", b"pod/web-1\n", b"pod/web-2\n", b"pod/late\n"]


def test_logs_are_followed(kubectl: Kubectl, server: ApiServer) -> None:
    command = kubectl.command("logs", "-f", "web-2")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        server.log("web-2", b"first\n")
        assert process.stdout.readline() == b"first\n"
        server.log("web-2", b"second\n")
        assert process.stdout.readline() == b"second\n"
        process.kill()
    kubectl_tail = kubectl("logs", "web-2", "--tail=1")
    assert kubectl_tail == "second\n"
    server.call(lambda: server.logs.pop("web-2"))


def test_scale_and_edit_like_requests(kubectl: Kubectl) -> None:
    kubectl("scale", "deployment/web", "--replicas=5")
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "5"


def test_nobody_without_the_token(kubectl: Kubectl, server: ApiServer) -> None:
    stranger = Kubectl(kubectl.program, server.kubeconfig(token="another"))
    assert stranger.run("get", "pods").returncode != 0
