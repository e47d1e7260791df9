"""The objects of the tests' own cluster, put into one that is named."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.kubectl.apiserver import pod
from tests.kubectl.programs import Kubectl, older, programs

_API = {"ConfigMap": "v1", "Deployment": "apps/v1", "Namespace": "v1", "Node": "v1", "Pod": "v1", "Secret": "v1"}
_TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main", "image": "shop/web:1"}]}}
_LABELS = {"matchLabels": {"app": "web"}}
#: What tests make and may leave behind where one of them failed.
_LEFT = [
    "configmap/applied", "service/exposed", "pod/late",
    *(f"{kind}/fresh" for kind in ("secret", "configmap", "serviceaccount", "role", "deployment", "pod")),
]  # fmt: skip


def _object(kind: str, name: str, namespace: str = "", **fields: object) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": _API.get(kind, "v1"), "kind": kind, "metadata": metadata, **fields}


def _filling() -> list[Mapping[str, Any]]:
    ports = [{"port": 80}]
    return [
        _object("Secret", "db-password", "default", stringData={"password": "correct horse battery"}),
        _object("ConfigMap", "web", "default", data={"LOG_LEVEL": "info", "api_key": "k3y-of-the-shop"}),
        _object("Service", "web", "default", spec={"ports": ports, "selector": {"app": "web"}}),
        _object("Deployment", "web", "default", spec={"replicas": 2, "selector": _LABELS, "template": _TEMPLATE}),
    ]


class Filler:
    """Writes into a named cluster, with a kubectl and past the broker."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubectl = Kubectl((programs() or older())[0], kubeconfig)

    def put(self, *objects: Mapping[str, Any]) -> None:
        """Create objects. Pods are of no node: a scheduler finds one, and without a kubelet they can be deleted."""
        whole = [self._unbound(each) if each["kind"] == "Pod" else dict(each) for each in objects]
        self._kubectl("create", "-f", "-", stdin=_many(whole))

    @staticmethod
    def _unbound(each: Mapping[str, Any]) -> dict[str, Any]:
        spec = {name: value for name, value in each["spec"].items() if name != "nodeName"}
        return {**{name: value for name, value in each.items() if name != "status"}, "spec": spec}

    def runs_pods(self) -> bool:
        """Whether a kubelet runs commands in the pods, found out by trying; if not, they are said to run."""
        try:
            self._kubectl("wait", "--for=condition=Ready", "pod/web-1", "--timeout=5s")
            return self._kubectl.run("exec", "web-1", "--", "true").returncode == 0
        except (AssertionError, subprocess.TimeoutExpired):
            return False

    def pretend(self, name: str, namespace: str = "default") -> None:
        """Say of a pod that it runs."""
        change = json.dumps({"status": pod(name)["status"]})
        words = ["patch", "pod", name, "-n", namespace, "--subresource=status", "--type=merge", "-p", change]
        self._kubectl(*words)

    @contextmanager
    def filled(self) -> Iterator[bool]:
        """The shop that tests look at, until the block ends; whether its pods run."""
        self.clear()
        pods = {"web-1": "web", "web-2": "web", "db-1": "db"}
        around = [_object("Namespace", "prod"), _object("Node", "node-1")]
        missing = [each for each in around if self._lacks(each["kind"], each["metadata"]["name"])]
        running = [named(pod(name, app=app), "Pod", "default") for name, app in pods.items()]
        self.put(*missing, *running, *_filling())
        try:
            if not (runs := self.runs_pods()):
                for name in pods:
                    self.pretend(name)
            yield runs
        finally:
            self.clear()

    def _lacks(self, kind: str, name: str) -> bool:
        return self._kubectl.run("get", kind, name).returncode != 0

    def clear(self) -> None:
        """Delete what tests look at and what they leave, and nothing else."""
        names = ["pod/web-1", "pod/web-2", "pod/db-1", "secret/db-password"]
        names += [f"{kind}/web" for kind in ("configmap", "service", "deployment")]
        self._kubectl("delete", "--ignore-not-found", "--grace-period=1", *names, *_LEFT)


def named(each: Mapping[str, Any], kind: str, namespace: str) -> dict[str, Any]:
    """An object as the tests' own server takes it, whole."""
    metadata = {**each["metadata"], "namespace": namespace}
    return {"apiVersion": _API[kind], "kind": kind, **each, "metadata": metadata}


def _many(objects: list[dict[str, Any]]) -> bytes:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}).encode()
