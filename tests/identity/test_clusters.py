"""What kubeconfigs hold, and what plugins tell."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hoopcli.errors import NotSignedInError, UsageError
from hoopcli.identity.clusters import ClusterUsers, check_plugin
from hoopcli.identity.credentials import Credentials
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.vault import Vault
from hoopcli.model.access import Connection
from hoopcli.sansio.events import Credential
from tests.support.clock import Clock
from tests.support.kubeconfigs import written

V1 = "client.authentication.k8s.io/v1"
TELLS = """
import json, os, pathlib, sys
count = pathlib.Path("count")
times = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(times))
pathlib.Path("asked").write_text(os.environ["KUBERNETES_EXEC_INFO"])
token = os.environ["NAMED"] + f"-{times}"
print(json.dumps({"status": {"token": token, "expirationTimestamp": os.environ.get("ENDS")}}))
"""


class Desk:
    """The users of one kubeconfig."""

    def __init__(self, folder: Path, user: Mapping[str, Any]) -> None:
        self.clock = Clock()
        self.options = {"kubeconfig": str(written(folder, user)), "context": "c"}
        self.users = ClusterUsers(self.clock)

    def get(self, *, fresh: bool = False) -> Credential:
        return self.users.get(self.options, fresh=fresh)


def plugin(script: str, version: str = V1, command: str = sys.executable, **environment: str) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in environment.items()]
    return {"exec": {"apiVersion": version, "command": command, "args": ["-c", script], "env": env}}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_tokens_passwords_and_nothing(tmp_path: Path) -> None:
    assert Desk(tmp_path, {"token": "t"}).get() == Credential("token", "t")
    assert Desk(tmp_path, {"username": "ada", "password": "p"}).get() == Credential("password", "p", "ada")
    assert Desk(tmp_path, {}).get() == Credential("none", "")


def test_a_token_in_a_file_is_read_each_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"tokenFile": "token", "token": "older"})
    with pytest.raises(NotSignedInError, match="FileNotFoundError"):
        desk.get()
    for token in ("first", "second"):
        (tmp_path / "token").write_text(f"{token}\n")
        assert desk.get() == Credential("token", token)


def test_a_plugin_is_asked_once_while_its_token_lasts(tmp_path: Path) -> None:
    ends = (Clock()() + timedelta(minutes=10)).isoformat()
    desk = Desk(tmp_path, plugin(TELLS, NAMED="told", ENDS=ends))
    assert [desk.get().secret for _ in range(2)] == ["told-1"] * 2
    assert desk.get(fresh=True).secret == "told-2"
    desk.clock.forward(minutes=9, seconds=30)
    assert desk.get().secret == "told-3"
    asked = json.loads(Path("asked").read_text())
    assert asked == {"apiVersion": V1, "kind": "ExecCredential", "spec": {"interactive": False}}


def test_a_plugin_may_know_the_cluster(tmp_path: Path) -> None:
    user = plugin(TELLS, NAMED="told")
    user["exec"]["provideClusterInfo"] = True
    assert Desk(tmp_path, user).get() == Credential("token", "told-1")
    assert json.loads(Path("asked").read_text())["spec"]["cluster"]["server"] == "https://cluster.example:6443"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("import sys; print('hunter2'); sys.exit(3)", "ended with 3"),
        ("print('hunter2')", "nothing that is a credential"),
        ("print('[]')", "nothing that is a credential"),
        ("""print('{"status": {"token": "hunter2", "expirationTimestamp": 7}}')""", "nothing that is a credential"),
        ("""print('{"status": {"clientCertificateData": "hunter2"}}')""", "no token"),
    ],
)
def test_a_plugin_that_tells_nothing(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(NotSignedInError, match=said) as caught:
        Desk(tmp_path, plugin(script)).get()
    assert "hunter2" not in str(caught.value) + str(caught.value.__cause__)


def test_a_plugin_that_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hoopcli.identity.clusters.PLUGIN_SECONDS", 0.2)
    with pytest.raises(NotSignedInError, match="took over"):
        Desk(tmp_path, plugin("import time; time.sleep(60)")).get()


def test_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    user = plugin("", command="no-such-kubelogin")
    user["exec"]["installHint"] = "get it\n  somewhere"
    with pytest.raises(NotSignedInError, match="is not there") as caught:
        check_plugin(Desk(tmp_path, user).options)
    assert caught.value.hint == "get it somewhere"
    with pytest.raises(NotSignedInError, match="is not there"):
        Desk(tmp_path, plugin("", command="./no-such")).get()
    check_plugin(Desk(tmp_path, plugin("")).options)
    check_plugin(Desk(tmp_path, {"token": "t"}).options)
    with pytest.raises(UsageError, match="v1alpha1"):
        Desk(tmp_path, plugin("", "client.authentication.k8s.io/v1alpha1")).get()


def test_a_plugin_that_cannot_be_run(tmp_path: Path) -> None:
    program = tmp_path / "broken"
    program.write_bytes(b"\x00\x01")
    program.chmod(0o700)
    with pytest.raises(UsageError, match="cannot be run"):
        Desk(tmp_path, plugin("", command="./broken")).get()


def test_by_the_connection_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = Keyring(enabled=False)
    credentials = Credentials(Vault(tmp_path, keyring), keyring, lambda _: None, environ={"T": "by reference"})

    def get(**options: str) -> Credential:
        return asyncio.run(credentials.get(Connection("aks", "kubectl", options), "", False))

    assert get(auth="kubeconfig", kubeconfig=str(written(tmp_path, {"token": "t"}))) == Credential("token", "t")
    assert get(auth="token", secret="env:T") == Credential("token", "by reference")
    assert get(auth="certificate").kind == "none"
    with pytest.raises(UsageError, match="no pod"):
        get(auth="in_cluster")
    with pytest.raises(UsageError, match="auth = 'magic'"):
        get(auth="magic")
