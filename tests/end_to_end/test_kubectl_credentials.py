"""What proves the broker to a cluster, through the whole broker: tokens of Entra for AKS, a pod's own account."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from connectors.kubectl.connector import KubectlConnector
from connectors.kubectl.upstream import AUDIENCE
from hoopcli import kubeconfig
from hoopcli.identity.credentials import Credentials
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.vault import Vault
from tests.identity.authority import Authority
from tests.kubectl.apiserver import ApiServer, cluster, identity
from tests.kubectl.cluster.connection import TOKEN
from tests.support.broker import AGENT, RunningBroker, broker
from tests.support.cluster import Session
from tests.support.rawhttp import Answer

POLICY = """
version: 1
rules:
  - {id: look, effect: allow, verbs: ["k8s:list"], resources: ["default/pods/*"]}
"""
PODS = "/api/v1/namespaces/default/pods"


class Tenant(Authority):
    """An authority whose first token the cluster does not take, as when it was revoked."""

    def _fresh(self) -> str:
        self.issued += 1
        return "revoked" if self.issued == 1 else TOKEN


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with cluster() as running:
        yield running


def credentials(
    folder: Path, authority: Authority | None = None, environ: Mapping[str, str] | None = None
) -> Credentials:
    """The broker's own, as hoop makes them."""
    keyring = Keyring(enabled=False)
    return Credentials(Vault(folder / "vault", keyring), keyring, lambda _: None, environ=environ or {}, http=authority)


def pods(running: RunningBroker, folder: Path) -> Answer:
    return Session(running, folder, folder).ask("GET", PODS)


def test_a_token_of_entra_for_aks(server: ApiServer, tmp_path: Path) -> None:
    """One that the cluster refuses is not the client's: the broker asks again with another."""
    (tmp_path / "ca.pem").write_bytes(identity().ca)
    authority = Tenant()
    leads = {"endpoint": server.url, "ca_file": str(tmp_path / "ca.pem"), "auth": "entra", "tenant": "contoso.example"}
    with broker(
        tmp_path, {**leads, "flow": "device_code"}, POLICY, connector=KubectlConnector(),
        credentials=credentials(tmp_path, authority),
    ) as running:  # fmt: skip
        answer = pods(running, tmp_path)
        assert (answer.status, json.loads(answer.body)["kind"]) == (200, "PodList")
        assert TOKEN.encode() not in answer.body
    assert authority.scopes[0].split(" ")[0] == f"{AUDIENCE}/.default"
    assert authority.asked[-1]["grant_type"] == "refresh_token"
    assert server.seen[-1].header("authorization") == f"Bearer {TOKEN}"


def test_the_account_of_the_pod_and_who_is_behind_the_session(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "token").write_text(TOKEN)
    (account / "ca.crt").write_bytes(identity().ca)
    (account / "namespace").write_text("default")
    where = urlsplit(server.url)
    environ = {"KUBERNETES_SERVICE_HOST": str(where.hostname), "KUBERNETES_SERVICE_PORT": str(where.port)}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kubeconfig, "in_cluster", partial(kubeconfig.in_cluster, folder=account))
    with broker(
        tmp_path, {"auth": "in_cluster", "impersonate": "groups"}, POLICY, principal=AGENT,
        connector=KubectlConnector(), credentials=credentials(tmp_path, environ=environ),
    ) as running:  # fmt: skip
        assert pods(running, tmp_path).status == 200
        seen = server.seen[-1]
        assert seen.header("authorization") == f"Bearer {TOKEN}"
        assert seen.header("impersonate-user") == AGENT.on_behalf_of
        groups = [value for name, value in seen.headers if name.lower() == "impersonate-group"]
        assert groups == sorted(AGENT.groups)
