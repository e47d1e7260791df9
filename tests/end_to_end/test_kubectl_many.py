"""kubectl's commands over many objects at once, and watches that outlive the connection that they began on."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest

from tests.kubectl.apiserver import ApiServer, cluster, pod
from tests.kubectl.programs import Kubectl, programs
from tests.support.cluster import Session, Upstream, session
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(not programs(), reason="there is no kubectl")
MANY, SOME = 1000, 40
POLICY = """
version: 1
rules:
  - {id: everything, effect: allow, verbs: ["k8s:*"]}
masks:
  - {id: api-keys, columns: ["$.data.api_key"], resources: ["*/configmaps/*"]}
  - {id: shapes, detectors: [email, credit_card]}
"""
K8S: Any = kubernetes


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with cluster() as running:
        running.put("pods", *(pod(f"p-{number:04}", app="many") for number in range(MANY)), namespace="prod")
        for number in range(MANY):
            running.metrics(f"p-{number:04}", cpu="250m", memory="64Mi", namespace="prod")
        yield running


@pytest.fixture(scope="module")
def opened(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with session(tmp_path_factory.mktemp("broker"), Upstream(server.kubeconfig(), server), POLICY) as running:
        yield running


@pytest.fixture
def kubectl(opened: Session) -> Kubectl:
    return opened.kubectl(programs()[0])


def configs(level: str) -> bytes:
    """A manifest of many ConfigMaps."""
    items = [
        {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": f"many-{number:03}", "namespace": "prod", "labels": {"app": "many"}},
            "data": {"level": level, "mail": f"ada.lovelace-{number}@example.com"},
        }
        for number in range(SOME)
    ]  # fmt: skip
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()


class TestManyObjects:
    """Each command reaches all of them, and none of what is masked is shown by any."""

    def test_they_are_applied_compared_changed_and_deleted(self, kubectl: Kubectl) -> None:
        assert kubectl("apply", "-f", "-", stdin=configs("info")).count(" created") == SOME
        assert kubectl("apply", "-f", "-", stdin=configs("debug")).count(" configured") == SOME
        shown = kubectl("get", "configmaps", "-n", "prod", "-l", "app=many", "-o", "yaml")
        assert shown.count("level: debug") == SOME
        assert "lovelace" not in shown
        labelled = kubectl("label", "configmaps", "-n", "prod", "-l", "app=many", "tier=shop")
        assert labelled.count(" labeled") == SOME
        described = kubectl("describe", "configmaps", "-n", "prod", "-l", "tier=shop")
        assert described.count("Name:") == SOME
        assert "lovelace" not in described
        waits = ["wait", "configmaps", "-n", "prod", "-l", "app=many", "--timeout=30s"]
        assert kubectl(*waits, "--for=jsonpath={.data.level}=debug").count("condition met") == SOME
        assert kubectl("delete", "configmaps", "-n", "prod", "-l", "app=many").count(" deleted") == SOME

    def test_a_diff_of_many(self, kubectl: Kubectl) -> None:
        manifest = b"\n---\n".join(
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: d-%d, namespace: prod}\ndata: {a: LEVEL}" % number
            for number in range(20)
        )
        kubectl("apply", "-f", "-", stdin=manifest.replace(b"LEVEL", b"info"))
        done = kubectl.run("diff", "-f", "-", stdin=manifest.replace(b"LEVEL", b"debug"))
        assert (done.returncode, done.stdout.count(b"+  a: debug")) == (1, 20), done.stderr
        kubectl("delete", "-f", "-", stdin=manifest)

    def test_pods_in_every_form(self, kubectl: Kubectl) -> None:
        names = [f"p-{number:04}" for number in range(MANY)]
        assert kubectl("get", "pods", "-n", "prod", "-o", "jsonpath={.items[*].metadata.name}").split() == names
        rows = kubectl("get", "pods", "-A", "-o", "wide", "--sort-by=.metadata.name", "--no-headers").splitlines()
        assert [row.split()[1] for row in rows if row.startswith("prod")] == names
        used = kubectl("top", "pods", "-n", "prod", "--no-headers").splitlines()
        assert [line.split() for line in used] == [[name, "250m", "64Mi"] for name in names]
        described = kubectl("describe", "pods", "-n", "prod", "-l", "app=many", "--show-events=false")
        assert described.count("\nNamespace:") == MANY


class TestCutWatches:
    """A watch whose connection breaks is begun anew by its client, where it left off."""

    def test_kubectl_goes_on_waiting(self, kubectl: Kubectl, server: ApiServer) -> None:
        server.put("configmaps", {"metadata": {"name": "awaited"}, "data": {"state": "new"}})
        words = ["wait", "configmap/awaited", "--for=jsonpath={.data.state}=done", "--timeout=60s"]
        with subprocess.Popen(kubectl.command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            for _ in range(2):
                before = len(server.seen)
                eventually(lambda before=before: watches(server, before))
                server.hang_up()
            eventually(lambda: watches(server, before))
            kubectl("patch", "configmap", "awaited", "-p", '{"data":{"state":"done"}}')
            out, err = process.communicate(timeout=60)
        assert b"condition met" in out, err

    def test_python_goes_on_watching(self, opened: Session, server: ApiServer) -> None:
        seen: list[str] = []
        with K8S.config.new_client_from_config(str(opened.kubeconfig)) as client:
            api, watch = K8S.client.CoreV1Api(client), K8S.watch.Watch()

            def follow() -> None:
                while not seen or seen[-1] != "w-3":
                    try:
                        version = watch.resource_version or "0"
                        for event in watch.stream(
                            api.list_namespaced_config_map, "kube-system", resource_version=version, timeout_seconds=20
                        ):
                            seen.append(event["object"].metadata.name)
                            if seen[-1] == "w-3":
                                watch.stop()
                    except K8S.client.rest.urllib3.exceptions.ProtocolError:
                        pass  # it was cut

            thread = threading.Thread(target=follow)
            thread.start()
            for number in range(4):
                server.put("configmaps", {"metadata": {"name": f"w-{number}"}}, namespace="kube-system")
                eventually(lambda number=number: f"w-{number}" in seen)
                server.hang_up()
            thread.join(30)
        assert seen == ["w-0", "w-1", "w-2", "w-3"]


def watches(server: ApiServer, since: int) -> list[str]:
    """The targets of watches that were asked for since then."""
    return [request.target for request in server.seen[since:] if "watch=" in request.target]


def test_a_list_that_comes_as_a_watch_is_masked(opened: Session, server: ApiServer) -> None:
    """WatchList, as informers ask for it: every object, a bookmark that says so, then what changes."""
    listed = {
        f"l-{number}": {"metadata": {"name": f"l-{number}"}, "stringData": {"k": "v4lue"}} for number in range(50)
    }
    server.put("secrets", *listed.values(), namespace="kube-system")
    asked = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1"
    for accept in ("application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"):
        answer = opened.ask("GET", f"/api/v1/namespaces/kube-system/secrets?watch=true&{asked}", [("Accept", accept)])
        assert b"djRsdWU=" not in answer.body
        events = [json.loads(line) for line in answer.body.splitlines()]
        kinds = [event["type"] for event in events]
        assert kinds[: len(listed) + 1] == ["ADDED"] * len(listed) + ["BOOKMARK"]
