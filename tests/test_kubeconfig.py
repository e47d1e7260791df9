"""What a kubeconfig says, and what is refused of it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from hoopcli.errors import UsageError
from hoopcli.kubeconfig import ActsAs, in_cluster, of_options, read
from tests.support.kubeconfigs import written

CA = "-----BEGIN CERTIFICATE-----\nca\n"


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_data_within_and_files_beside(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text(CA)
    (tmp_path / "key.pem").write_text("key")
    beside = read(
        written(
            tmp_path,
            {"client-certificate-data": data("certificate"), "client-key": "key.pem", "tokenFile": "token"},
            {"server": "https://one:6443", "certificate-authority": "ca.pem", "tls-server-name": "cluster.example"},
            namespace="prod",
        )
    )
    assert (beside.name, beside.namespace) == ("c", "prod")
    assert (beside.cluster.server, beside.cluster.ca, beside.cluster.verify) == ("https://one:6443", CA, True)
    assert beside.cluster.server_name == "cluster.example"
    assert beside.user.certificate == b"certificate\nkey"
    assert beside.user.token_file == tmp_path / "token"
    within = {"certificate-authority-data": data(CA), "server": "https://one", "insecure-skip-tls-verify": True}
    assert read(written(tmp_path, {"token": "t"}, within)).cluster.verify is False
    assert "hunter2" not in repr(read(written(tmp_path, {"token": "hunter2", "password": "hunter2"})))


def test_another_context_and_no_user(tmp_path: Path) -> None:
    path = written(tmp_path, {"token": "t"})
    document = yaml.safe_load(path.read_text())
    document["contexts"].append({"name": "other", "context": {"cluster": "c"}})
    path.write_text(yaml.safe_dump(document))
    assert read(path, "other").user.token == ""
    assert of_options({"kubeconfig": str(path), "context": "other"}).name == "other"


def test_plugins_and_impersonation(tmp_path: Path) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "kubelogin", "args": ["get-token"],
        "env": [{"name": "A", "value": "b"}], "installHint": "get it", "provideClusterInfo": True,
    }  # fmt: skip
    acting = {"as": "ada", "as-uid": "7", "as-groups": ["dba"], "as-user-extra": {"why": ["x"]}}
    user = read(written(tmp_path, {"exec": plugin, **acting})).user
    assert user.plugin is not None
    assert (user.plugin.command, user.plugin.arguments, user.plugin.environment) == (
        "kubelogin", ["get-token"], {"A": "b"},
    )  # fmt: skip
    assert user.plugin.wants_cluster
    assert user.acts_as == ActsAs("ada", "7", ["dba"], {"why": ["x"]})


@pytest.mark.parametrize(
    ("user", "cluster", "said"),
    [
        ({"auth-provider": {"name": "azure"}}, {}, "auth-provider"),
        ({"exec": {"command": "x"}}, {}, "KeyError"),
        ({"exec": ["x"]}, {}, "TypeError"),
        ({"client-certificate-data": "!"}, {}, "base64"),
        ({"client-certificate": "nowhere.pem"}, {}, "No such file"),
        ({"as-user-extra": ["x"]}, {}, "AttributeError"),
        ({}, {"proxy-url": "http://proxy"}, "proxy"),
        ({}, {"certificate-authority-data": data("ä")}, "UnicodeDecodeError"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, user: Any, cluster: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(written(tmp_path, user, {"server": "https://one", **cluster}))


@pytest.mark.parametrize("text", ["[", "[]", "{}", "current-context: 7", "current-context: c\nclusters: [7]"])
def test_what_is_no_kubeconfig(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(UsageError):
        read(path)


def test_names_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FileNotFound"):
        read(tmp_path / "nowhere")
    path = written(tmp_path, {"token": "t"})
    with pytest.raises(UsageError, match="no context 'd'") as caught:
        read(path, "d")
    assert caught.value.hint == "known: c"
    text = path.read_text()
    path.write_text(text.replace("cluster: c", "cluster: gone"))
    with pytest.raises(UsageError, match="no cluster 'gone'"):
        read(path)


def test_an_error_shows_nothing_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("token: hunter2\n\tbad")
    with pytest.raises(UsageError) as caught:
        read(path)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_within_a_cluster(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}
    with pytest.raises(UsageError, match="no pod"):
        in_cluster(environ, tmp_path)
    (tmp_path / "token").write_text("t")
    (tmp_path / "ca.crt").write_text(CA)
    context = in_cluster(environ, tmp_path)
    assert (context.cluster.server, context.cluster.ca) == ("https://[fd00::1]:6443", CA)
    assert (context.namespace, context.user.token_file) == ("", tmp_path / "token")
    (tmp_path / "namespace").write_text("prod")
    assert in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path).namespace == "prod"
    with pytest.raises(UsageError, match="no pod"):
        of_options({"auth": "in_cluster"}, {})
