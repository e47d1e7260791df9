"""Where connections lead, and what goes there in the name of whom."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.http.message import Headers
from connectors.kubectl.upstream import target_of, upstream_headers, upstream_target
from hoopcli.errors import DeniedError, UsageError
from hoopcli.model.access import Connection, Principal, PrincipalKind
from hoopcli.model.session import Session
from hoopcli.sansio.events import Credential
from hoopcli.spi import Target
from tests.support.kubeconfigs import written

AGENT = Principal("agent:claire", PrincipalKind.AGENT, groups=frozenset({"ai-agents", "dba"}), on_behalf_of="ada@x.dev")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TOKEN = Credential("token", "t0k3n")
URL = "https://cluster.example:6443/k8s/clusters/c-1/"


def target(**options: str) -> Target:
    return target_of(Connection("aks", "kubectl", options))


def sent(
    to: Target, headers: Mapping[str, str] | None = None, credential: Credential = TOKEN, who: Principal = AGENT
) -> list[tuple[str, str]]:
    session = Session("5e55", who, Connection("aks", "kubectl"), NOW, NOW)
    return list(upstream_headers(Headers((headers or {}).items()), credential, to, session))


def test_an_endpoint_with_a_path() -> None:
    found = target(endpoint=URL)
    assert (found.host, found.port, found.auth) == ("cluster.example", 6443, "entra")
    assert upstream_target(found, "/api/v1/pods?limit=1") == "/k8s/clusters/c-1/api/v1/pods?limit=1"
    assert target(endpoint="http://127.0.0.1").port == 80
    assert target(endpoint="https://[fd00::1]").host == "fd00::1"
    assert ("Host", "[fd00::1]") in sent(target(endpoint="https://[fd00::1]"))


def test_a_context_of_a_kubeconfig(tmp_path: Path) -> None:
    ca = base64.b64encode(b"PEM").decode()
    cluster = {"server": URL, "certificate-authority-data": ca, "insecure-skip-tls-verify": True}
    path = str(written(tmp_path, {"token": "t0k3n"}, {**cluster, "tls-server-name": "c-1"}, namespace="prod"))
    found = target(kubeconfig=path)
    assert (found.host, found.auth) == ("cluster.example", "kubeconfig")
    options = found.options
    assert (options["ca_data"], options["server_name"], options["namespace"]) == ("PEM", "c-1", "prod")
    assert options["trust_server_certificate"] == "yes"
    assert "t0k3n" not in str(found)
    theirs = target(kubeconfig=path, ca_file="ca.pem", endpoint="https://other", auth="entra")
    assert (theirs.host, theirs.auth, "ca_data" in theirs.options) == ("other", "entra", False)


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint": "cluster.example"},
        {"endpoint": "ftp://cluster.example"},
        {"endpoint": "http://cluster.example"},
        {"endpoint": "https://user:secret@cluster.example"},
        {"endpoint": "https://cluster.example?x=y"},
        {"endpoint": "https://cluster.example:99999"},
        {"endpoint": "https://clüster.example"},
        {"endpoint": "https://"},
        {"auth": "none"},
        {"endpoint": URL, "auth": "key"},
        {"endpoint": URL, "impersonate": "yes"},
        {"kubeconfig": "/nowhere"},
        {"auth": "in_cluster"},
    ],
)
def test_what_leads_nowhere(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        target(**options)


def test_nothing_that_proves_the_client_goes_along() -> None:
    theirs = {
        "Host": "127.0.0.1:4711", "Authorization": "Bearer session", "Cookie": "a=b", "User-Agent": "kubectl/v1.37",
        "Accept": "application/json", "X-Remote-User": "root", "x-remote-extra-a": "b", "X-Forwarded-For": "10.0.0.1",
    }  # fmt: skip
    assert sent(target(endpoint=URL), theirs) == [
        ("Host", "cluster.example:6443"),
        ("Accept", "application/json"),
        ("User-Agent", "kubectl/v1.37 hoop/5e55"),
        ("Authorization", "Bearer t0k3n"),
    ]


def test_other_proofs() -> None:
    basic = sent(target(endpoint=URL), credential=Credential("password", "päss", "ada"))
    assert basic[-1] == ("Authorization", "Basic " + base64.b64encode("ada:päss".encode()).decode())
    assert sent(target(endpoint=URL), credential=Credential("none", ""))[-1][0] == "User-Agent"


def acting(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [pair for pair in pairs if pair[0].startswith("Impersonate")]


def test_the_cluster_knows_the_person() -> None:
    alone = Principal("nadia@example.com", groups=frozenset({"dba"}))
    user = target(endpoint=URL, impersonate="user")
    assert acting(sent(user)) == [("Impersonate-User", "ada@x.dev")]
    assert acting(sent(user, who=alone)) == [("Impersonate-User", "nadia@example.com")]
    assert acting(sent(target(endpoint=URL, impersonate="groups"))) == [
        ("Impersonate-User", "ada@x.dev"), ("Impersonate-Group", "ai-agents"), ("Impersonate-Group", "dba"),
    ]  # fmt: skip


def test_what_a_kubeconfig_says_of_impersonation_holds(tmp_path: Path) -> None:
    user: dict[str, Any] = {
        "as": "robot", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": {"acme.com/why": ["x: y"]},
    }  # fmt: skip
    path = str(written(tmp_path, user))
    assert acting(sent(target(kubeconfig=path))) == [
        ("Impersonate-User", "robot"), ("Impersonate-Uid", "7"), ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"), ("Impersonate-Extra-acme.com%2Fwhy", "x: y"),
    ]  # fmt: skip
    assert acting(sent(target(kubeconfig=path, auth="entra"))) == []
    with pytest.raises(UsageError, match="both say"):
        target(kubeconfig=path, impersonate="user")


@pytest.mark.parametrize("name", ["Impersonate-User", "impersonate-group", "IMPERSONATE-EXTRA-x", "Impersonate-Uid"])
def test_a_client_acts_as_nobody_else_where_it_is_said_who_acts(name: str) -> None:
    assert (name, "admin") in sent(target(endpoint=URL), {name: "admin"})  # policy decides on it
    with pytest.raises(DeniedError, match="says whom"):
        sent(target(endpoint=URL, impersonate="user"), {name: "admin"})


@pytest.mark.parametrize("subject", ["system:admin", "system:serviceaccount:kube-system:x"])
def test_nobody_acts_as_the_control_plane(subject: str) -> None:
    with pytest.raises(DeniedError, match="control plane"):
        sent(target(endpoint=URL, impersonate="user"), who=Principal(subject))
    masters = Principal("ada", groups=frozenset({"system:masters"}))
    with pytest.raises(DeniedError, match="control plane"):
        sent(target(endpoint=URL, impersonate="groups"), who=masters)


@pytest.mark.parametrize("subject", ["ada\r\nImpersonate-User: root", "ädä", " ada", "a\x00"])
def test_names_that_no_header_holds_are_refused(subject: str) -> None:
    with pytest.raises(UsageError, match="no header"):
        sent(target(endpoint=URL, impersonate="user"), who=Principal(subject))


def test_what_only_a_target_has_is_no_option() -> None:
    smuggled = target(endpoint=URL, acts_as="Impersonate-User: root", base_path="/other", server_name="evil")
    assert acting(sent(smuggled)) == []
    assert upstream_target(smuggled, "/api") == "/k8s/clusters/c-1/api"
    assert "server_name" not in smuggled.options
