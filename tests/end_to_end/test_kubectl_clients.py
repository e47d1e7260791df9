"""Clients other than kubectl, unmodified, with the session's kubeconfig."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from kubernetes.client import ApiException

from tests.kubectl.apiserver import ApiServer, cluster, pod
from tests.kubectl.programs import helm
from tests.support.cluster import Session, Upstream, session

POLICY = """
version: 1
rules:
  - {id: everything, effect: allow, verbs: ["k8s:*"]}
  - {id: nodes-stay, effect: deny, verbs: ["k8s:delete"], resources: ["*/nodes/*"]}
masks:
  - {id: api-keys, columns: ["$.data.api_key"], resources: ["*/configmaps/*"]}
"""
SHOWN = """
version: 1
rules:
  - {id: everything, effect: allow, verbs: ["k8s:*"]}
  - id: releases
    effect: allow
    verbs: ["k8s:*"]
    resources: ["default/secrets/*"]
    show_secrets: ["PATTERN"]
"""
MASKS = """
masks:
  - {id: passwords, columns: [password]}
"""
PASSWORD = "correct horse battery"
K8S: Any = kubernetes  # its own types do not allow what it takes


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def opened(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    to = Upstream(server.kubeconfig(), server)
    with session(tmp_path_factory.mktemp("broker"), to, POLICY) as running:
        yield running


@pytest.fixture(scope="module")
def api(opened: Session) -> Iterator[Any]:
    with K8S.config.new_client_from_config(str(opened.kubeconfig)) as client:
        yield K8S.client.CoreV1Api(client)


class TestPython:
    """The client of the Kubernetes project for Python."""

    def test_objects(self, api: Any) -> None:
        pods = api.list_namespaced_pod("default", label_selector="app=web")
        assert [each.metadata.name for each in pods.items] == ["web-1", "web-2"]
        secret = api.read_namespaced_secret("db-password", "default")
        assert secret.data.keys() == {"password"}
        assert PASSWORD.encode() not in base64.b64decode(secret.data["password"])
        found = api.read_namespaced_config_map("web", "default")
        assert found.data["LOG_LEVEL"] == "info"
        assert "k3y" not in found.data["api_key"]

    def test_changes(self, api: Any) -> None:
        body = K8S.client.V1ConfigMap(metadata={"name": "python"}, data={"a": "b"})
        api.create_namespaced_config_map("default", body)
        api.patch_namespaced_config_map("python", "default", {"data": {"c": "d"}})
        api.patch_namespaced_config_map("python", "default", [{"op": "remove", "path": "/data/a"}])
        found = api.read_namespaced_config_map("python", "default")
        assert found.data == {"c": "d"}
        found.data["e"] = "f"
        api.replace_namespaced_config_map("python", "default", found)
        api.delete_namespaced_config_map("python", "default")

    def test_a_masked_object_is_not_written_back(self, api: Any, server: ApiServer) -> None:
        found = api.read_namespaced_secret("db-password", "default")
        with pytest.raises(ApiException) as caught:
            api.replace_namespaced_secret("db-password", "default", found)
        status = json.loads(caught.value.body or "")
        assert (caught.value.status, status["reason"]) == (403, "Forbidden")
        assert "masked" in status["message"]
        assert status["message"].count("hoop:") == 1

    def test_a_denial_is_a_status(self, api: Any) -> None:
        with pytest.raises(ApiException) as caught:
            api.delete_node("node-1")
        assert "nodes-stay" in json.loads(caught.value.body or "")["message"]

    def test_a_watch_of_secrets(self, api: Any, server: ApiServer) -> None:
        watch = K8S.watch.Watch()
        seen = []
        for event in watch.stream(api.list_namespaced_secret, "default", timeout_seconds=20):
            seen.append((event["type"], event["object"].metadata.name))
            assert PASSWORD.encode() not in base64.b64decode((event["object"].data or {}).get("password", ""))
            if len(seen) == 1:
                late = {"metadata": {"name": "late"}, "stringData": {"password": PASSWORD}}
                server.put("secrets", late)
            else:
                watch.stop()
        assert seen == [("ADDED", "db-password"), ("ADDED", "late")]

    def test_a_watch_from_too_long_ago_is_told_so(self, api: Any) -> None:
        watch = K8S.watch.Watch()
        with pytest.raises(ApiException) as caught:
            for _ in watch.stream(api.list_namespaced_pod, "default", resource_version="1", timeout_seconds=20):
                pass
        assert caught.value.status == 410

    def test_bookmarks_pass(self, api: Any, opened: Session) -> None:
        whole = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        answer = opened.ask("GET", f"/api/v1/namespaces/default/pods?watch=true&timeoutSeconds=2&{whole}")
        events = [json.loads(line) for line in answer.body.splitlines()]
        assert [event["type"] for event in events[:4]] == ["ADDED"] * 3 + ["BOOKMARK"]
        assert events[3]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    def test_a_log(self, api: Any) -> None:
        assert "listening on :8080" in api.read_namespaced_pod_log("web-1", "default")

    def test_lists_in_pages(self, api: Any, server: ApiServer) -> None:
        server.put("pods", *(pod(f"p-{number}") for number in range(1200)), namespace="prod")
        names: list[str] = []
        more: dict[str, str] = {}
        while more or not names:
            page = api.list_namespaced_pod("prod", limit=500, **more)
            names += [each.metadata.name for each in page.items]
            more = {"_continue": page.metadata._continue} if page.metadata._continue else {}
        assert len(set(names)) == 1200


@pytest.mark.skipif(helm() is None, reason="there is no helm")
class TestHelm:
    """helm keeps its releases in Secrets."""

    @pytest.fixture
    def chart(self, tmp_path: Path) -> Path:
        folder = tmp_path / "shop"
        (folder / "templates").mkdir(parents=True)
        (folder / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 0.1.0\n")
        (folder / "values.yaml").write_text("password: hunter2-of-the-shop\nlevel: info\n")
        (folder / "templates/all.yaml").write_text(
            "apiVersion: v1\nkind: Secret\nmetadata: {name: {{ .Release.Name }}}\n"
            "stringData: {password: {{ .Values.password }}}\n"
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n"
            "data: {level: {{ .Values.level }}}\n"
        )
        return folder

    def run(self, opened: Session, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        places = {f"HELM_{name}_HOME": str(folder) for name in ("CACHE", "CONFIG", "DATA")}
        command = [helm() or "", "--kubeconfig", str(opened.kubeconfig), *words]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**places, "PATH": "/bin", "HOME": str(folder)},
        )

    def test_what_a_release_holds_is_masked(self, opened: Session, server: ApiServer, chart: Path) -> None:
        done = self.run(opened, chart.parent, "install", "shop", str(chart))
        assert done.returncode == 0, done.stderr
        assert "STATUS: deployed" in done.stdout
        for words in ("list", "get values shop --all", "get manifest shop", "status shop", "history shop"):
            shown = self.run(opened, chart.parent, *words.split())
            assert "hunter2" not in shown.stdout + shown.stderr

    def test_a_release_that_is_shown_can_be_worked_with(
        self, server: ApiServer, chart: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        to = Upstream(server.kubeconfig(), server)
        with session(tmp_path_factory.mktemp("all"), to, SHOWN.replace("PATTERN", "default/secrets/*")) as opened:
            for words in ("install whole", "upgrade whole --set level=debug", "rollback whole 1"):
                verb, name, *more = words.split()
                place = [str(chart)] if verb != "rollback" else []
                done = self.run(opened, chart.parent, verb, name, *place, *more)
                assert done.returncode == 0, done.stderr
            assert "hunter2" in self.run(opened, chart.parent, "get", "manifest", "whole").stdout
            listed = json.loads(self.run(opened, chart.parent, "list", "--output", "json").stdout)
            assert [(each["revision"], each["status"]) for each in listed if each["name"] == "whole"] == [
                ("3", "deployed")
            ]
            history = json.loads(self.run(opened, chart.parent, "history", "whole", "--output", "json").stdout)
            assert [each["status"] for each in history] == ["superseded", "superseded", "deployed"]

    def test_within_a_shown_release_a_secret_stays_masked(
        self, server: ApiServer, chart: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        to = Upstream(server.kubeconfig(), server)
        only = SHOWN.replace("PATTERN", "default/secrets/sh.helm.release.v1.*") + MASKS
        with session(tmp_path_factory.mktemp("only"), to, only) as opened:
            done = self.run(opened, chart.parent, "install", "part", str(chart), "--set", "password=correct-horse")
            assert done.returncode == 0, done.stderr
            said = {
                words: self.run(opened, chart.parent, *words.split())
                for words in ("list", "history part", "status part", "get manifest part", "get values part --all")
            }
            for done in said.values():
                assert done.returncode == 0, done.stderr
                assert "correct-horse" not in done.stdout + done.stderr
                assert "hunter2" not in done.stdout + done.stderr
            assert "part-0.1.0" not in said["list"].stdout
            assert "shop-0.1.0" in said["list"].stdout
            assert "level: info" in said["get manifest part"].stdout
            assert "password: '[hoop:redacted]'" in said["get values part --all"].stdout
            done = self.run(opened, chart.parent, "rollback", "part", "1")
            assert "masked form" in done.stderr
