"""What the connector says of itself, and of requests that are only thought of."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.kubectl.connector import KubectlConnector
from hoopcli.errors import ProtocolError, UsageError
from hoopcli.model.access import Connection
from hoopcli.spi import Job, Listen
from tests.support.kubeconfigs import written

AKS = Connection("aks", "kubectl", {"endpoint": "https://cluster.example"})


@pytest.mark.parametrize(
    ("text", "verb", "resource"),
    [
        ("k8s:get prod/secrets/db", "k8s:get", "prod/secrets/db"),
        ("k8s:exec  prod/pods/web-1/exec ", "k8s:exec", "prod/pods/web-1/exec"),
        ("GET /api/v1/namespaces/prod/pods/web-1/exec?command=env", "k8s:exec", "prod/pods/web-1/exec"),
        ("DELETE /apis/apps/v1/namespaces/prod/deployments", "k8s:deletecollection", "prod/deployments.apps/*"),
    ],
)
def test_what_is_explained(text: str, verb: str, resource: str) -> None:
    [action] = KubectlConnector().explain(text, AKS).actions
    assert (action.verb, action.resources) == (verb, (resource,))


def test_what_cannot_be_explained() -> None:
    with pytest.raises(UsageError, match="no verb"):
        KubectlConnector().explain("k8s:gett prod/pods/x", AKS)
    with pytest.raises(ProtocolError):
        KubectlConnector().explain("GET //api/v1/pods", AKS)


def test_where_it_leads(tmp_path: Path) -> None:
    connector = KubectlConnector()
    assert connector.target(AKS).host == "cluster.example"
    assert connector.target(Connection("a", "kubectl", {"kubeconfig": str(written(tmp_path, {}))})).port == 6443
    assert connector.demo() is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize(
    ("words", "said"),
    [((), "nothing to do"), (("exec", "-it", "web-1"), "no terminal"), (("edit", "cm/a"), "no terminal")],
)
def test_what_needs_a_terminal_is_for_connect(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "ca.pem").write_bytes(b"PEM")
    listen = Listen("127.0.0.1", 1, "s", str(tmp_path / "ca.pem"))
    with pytest.raises(UsageError, match=said):
        list(KubectlConnector().execute(listen, AKS, Job(words, str, lambda *_: None)))  # type: ignore[arg-type]
