"""kubectl of several years through the broker: every command that people use, on a cluster with a thousand pods."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kubectl.apiserver import ApiServer, pod
from tests.kubectl.programs import Kubectl, older, programs
from tests.support.cluster import Session, Upstream, session, upstream
from tests.support.waiting import eventually

POLICY = """
version: 1
rules:
  - {id: everything, effect: allow, verbs: ["k8s:*"]}
  - {id: nobody-deletes-nodes, effect: deny, verbs: ["k8s:delete"], resources: ["*/nodes/*"]}
masks:
  - {id: api-keys, columns: ["$.data.api_key"], resources: ["*/configmaps/*"]}
  - {id: shapes, detectors: [email, credit_card]}
"""
CONFIG = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied, namespace: default}\ndata: {a: b}\n"
PASSWORD = "correct horse battery"
ENCODED = "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"
PROGRAMS = [*programs(), *older()]
_VERSION = re.compile(r"v1\.([0-9]+)")

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="there is no kubectl")


@dataclass(frozen=True)
class Stage:
    """A cluster, a session on it, and a kubectl on each road."""

    upstream: Upstream
    session: Session
    kubectl: Kubectl
    direct: Kubectl
    minor: int

    @property
    def server(self) -> ApiServer:
        if self.upstream.server is None:
            pytest.skip("this needs the tests' own cluster")
        return self.upstream.server


@pytest.fixture(scope="module", params=PROGRAMS)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("broker")
    with upstream() as to, session(folder, to, POLICY) as opened:
        direct = Kubectl(request.param, to.kubeconfig)
        found = _VERSION.search(direct("version", "--client"))
        assert found
        yield Stage(to, opened, opened.kubectl(request.param), direct, int(found[1]))


@pytest.fixture
def kubectl(stage: Stage) -> Kubectl:
    return stage.kubectl


def test_get_is_what_it_is_without_a_broker(stage: Stage) -> None:
    for words in ("get pods", "get pods -A -o wide", "get all", "get nodes", "api-resources", "get pods -o yaml"):
        assert same(stage.kubectl(*words.split())) == same(stage.direct(*words.split()))
    assert stage.kubectl("get", "po", "-l", "app in (web)", "-o", "name") == "pod/web-1\npod/web-2\n"
    assert stage.kubectl("get", "pods", "--field-selector", "metadata.name=db-1", "-o", "name") == "pod/db-1\n"


def same(text: str) -> list[str]:
    """Output without the ages of objects."""
    return [re.sub(r"\b[0-9]+[smh]([0-9]+s)?\b *", "AGE ", line).strip() for line in text.splitlines()]


def test_a_secret_is_shown_without_its_values(kubectl: Kubectl) -> None:
    roads = [
        "get secret db-password -o yaml", "get secrets -o json", "get secret db-password -o jsonpath={.data}",
        "get secrets -o custom-columns=V:.data.password", "get --raw /api/v1/namespaces/default/secrets",
        "get secret db-password -o go-template={{.data.password|base64decode}}", "describe secret db-password",
        "get secrets -A -o yaml --show-managed-fields", "get secrets",
    ]  # fmt: skip
    for road in roads:
        done = kubectl.run(*road.split())
        assert PASSWORD.encode() not in done.stdout + done.stderr, road
        assert ENCODED.encode() not in done.stdout + done.stderr, road


def test_masks_of_the_policy_hold(kubectl: Kubectl) -> None:
    found = json.loads(kubectl("get", "configmap", "web", "-o", "json"))
    assert found["data"]["LOG_LEVEL"] == "info"
    assert "k3y-of-the-shop" not in json.dumps(found)
    assert "k3y-of-the-shop" not in kubectl("describe", "configmap", "web")


def test_objects_come_and_go(kubectl: Kubectl) -> None:
    assert "created" in kubectl("apply", "-f", "-", stdin=CONFIG)
    assert "unchanged" in kubectl("apply", "-f", "-", stdin=CONFIG)
    changed = CONFIG.replace(b"a: b", b"a: c")
    done = kubectl.run("diff", "-f", "-", stdin=changed)
    assert done.returncode == 1, done.stderr
    assert b"+  a: c" in done.stdout
    assert "configured" in kubectl("apply", "-f", "-", stdin=changed)
    assert "serverside-applied" in kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=CONFIG)
    for form, patch in {
        "json": '[{"op":"add","path":"/data/j","value":"1"}]',
        "merge": '{"data":{"m":"1"}}',
        "strategic": '{"data":{"s":"1"}}',
    }.items():
        kubectl("patch", "configmap", "applied", "--type", form, "-p", patch)
    kubectl("label", "configmap", "applied", "team=shop")
    kubectl("annotate", "configmap", "applied", "why=test")
    found = json.loads(kubectl("get", "configmap", "applied", "-o", "json"))
    assert found["data"] == {"a": "b", "j": "1", "m": "1", "s": "1"}
    assert "condition met" in kubectl("wait", "--for=jsonpath={.data.m}=1", "configmap/applied", "--timeout=20s")
    assert "replaced" in kubectl("replace", "-f", "-", stdin=CONFIG)
    assert "deleted" in kubectl("delete", "configmap", "applied")
    assert b"not found" in kubectl.run("get", "configmap", "applied").stderr


def test_edit(kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/LOG_LEVEL: .*/LOG_LEVEL: debug/' \"$1\"\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("KUBE_EDITOR", str(editor))
    assert "edited" in kubectl("edit", "configmap", "web")
    found = json.loads(kubectl("get", "configmap", "web", "-o", "json"))
    assert found["data"]["LOG_LEVEL"] == "debug"


def test_what_edit_leaves_alone_keeps_its_value(stage: Stage) -> None:
    found = json.loads(stage.direct("get", "configmap", "web", "-o", "json"))
    assert found["data"]["api_key"] == "k3y-of-the-shop"


def test_kinds_that_new_clients_write_in_protobuf(kubectl: Kubectl) -> None:
    kubectl("create", "secret", "generic", "fresh", "--from-literal=key=value")
    kubectl("create", "configmap", "fresh", "--from-literal=key=value")
    kubectl("create", "serviceaccount", "fresh")
    kubectl("create", "role", "fresh", "--verb=get", "--resource=pods")
    kubectl("create", "deployment", "fresh", "--image=shop/web:1", "--replicas=2")
    assert kubectl("get", "deployment", "fresh", "-o", "jsonpath={.spec.replicas}") == "2"
    kubectl("run", "fresh", "--image=shop/web:1", "--privileged")
    assert "deleted" in kubectl(
        "delete", "secret,configmap,serviceaccount,role,deployment,pod", "fresh", "--wait=false"
    )


def test_deployments(kubectl: Kubectl) -> None:
    kubectl("scale", "deployment/web", "--replicas=5")
    assert kubectl("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}") == "5"
    kubectl("expose", "deployment", "web", "--port=80", "--name=exposed")
    assert "Name:" in kubectl("describe", "deployment", "web")
    assert "web-1" in kubectl("describe", "pod", "web-1")
    kubectl("cordon", "node-1")
    kubectl("uncordon", "node-1")


def test_questions_about_rights_and_schemas(stage: Stage, kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "get", "pods") == "yes\n"
    if stage.upstream.server:  # who a named cluster's administrator is, is not known
        assert kubectl.run("auth", "can-i", "get", "nodes").stdout == b"no\n"
    assert "*" in kubectl("auth", "can-i", "--list")
    assert "v1.33.0-test" in kubectl("version") or not stage.upstream.server
    assert "is running at" in kubectl("cluster-info")
    if stage.minor > 27:
        assert "KIND:" in kubectl("explain", "pods")


def test_top(stage: Stage, kubectl: Kubectl) -> None:
    stage.server.metrics("web-1", cpu="250m", memory="64Mi")
    [line] = [line for line in kubectl("top", "pods").splitlines() if line.startswith("web-1")]
    assert line.split() == ["web-1", "250m", "64Mi"]


def test_a_watch_tells_of_changes(stage: Stage, kubectl: Kubectl) -> None:
    command = kubectl.command("get", "pods", "-l", "app=web", "--watch", "-o", "name")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        seen = [process.stdout.readline() for _ in range(2)]
        stage.upstream.put_pods(pod("late", app="web"))
        seen.append(process.stdout.readline())
        process.kill()
    kubectl("delete", "pod", "late", "--wait=false")
    assert seen == [b"pod/web-1\n", b"pod/web-2\n", b"pod/late\n"]


def test_a_watch_of_what_does_not_change_begins_at_once(stage: Stage) -> None:
    """Older kubectl waits for its head, whatever limit of time it was given."""
    listen = stage.session.broker.listen
    configs = "/api/v1/namespaces/default/configmaps"
    version = json.loads(stage.direct("get", "--raw", configs))["metadata"]["resourceVersion"]
    target = f"{configs}?watch=true&resourceVersion={version}&timeoutSeconds=300"
    context = ssl.create_default_context(cafile=listen.ca_file)
    with closing(http.client.HTTPSConnection(listen.host, listen.port, timeout=30, context=context)) as connection:
        connection.request("GET", target, headers={"Authorization": f"Bearer {listen.secret}"})
        assert connection.getresponse().status == 200


def test_logs_are_masked_as_they_come(stage: Stage, kubectl: Kubectl) -> None:
    command = kubectl.command("logs", "-f", "db-1")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        stage.server.log("db-1", b"first\n")
        assert process.stdout.readline() == b"first\n"
        stage.server.log("db-1", b"mail of ada.lovelace@example.com came\n")
        line = process.stdout.readline()
        process.kill()
    assert line.startswith(b"mail of ")
    assert b"ada.lovelace" not in line
    assert "ada.lovelace" not in kubectl("logs", "db-1", "--tail=1")


def test_a_denial_is_told_by_its_rule(stage: Stage, kubectl: Kubectl) -> None:
    done = kubectl.run("delete", "node", "node-1")
    assert done.returncode == 1
    assert b"nobody-deletes-nodes" in done.stderr
    assert b"Forbidden" in done.stderr
    assert stage.direct("get", "node", "node-1", "-o", "name") == "node/node-1\n"


def test_what_was_done_is_recorded(stage: Stage, kubectl: Kubectl) -> None:
    kubectl("get", "pods", "db-1")
    ledger = stage.session.broker.ledger
    request = eventually(lambda: ledger.request_of("default/pods/db-1"))
    assert request["actions"][0]["verb"] == "k8s:get"
    assert PASSWORD not in json.dumps(ledger.bodies())


def test_a_thousand_pods(stage: Stage, kubectl: Kubectl) -> None:
    stage.upstream.put_pods(*(pod(f"p-{number:04}", app="many") for number in range(1000)), namespace="prod")
    assert kubectl("get", "pods", "-n", "prod", "--no-headers").count("p-0") == 1000
    assert kubectl("get", "pods", "-n", "prod", "--chunk-size=300", "-o", "name").count("\n") == 1000
    assert len(json.loads(kubectl("get", "pods", "-n", "prod", "-o", "json"))["items"]) == 1000
    kubectl("delete", "--raw", "/api/v1/namespaces/prod/pods")
    assert kubectl("get", "pods", "-n", "prod", "-o", "name") == ""
