"""``hoop connect`` to a cluster as people use it, and everything that may prove the broker there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.kubectl.apiserver import ApiServer, cluster, identity
from tests.kubectl.cluster.connection import TOKEN
from tests.kubectl.programs import programs
from tests.support.machine import Machine
from tests.support.waiting import eventually

POLICY = """
version: 1
rules:
  - {id: look, effect: allow, verbs: ["k8s:get", "k8s:list", "k8s:watch"]}
"""

pytestmark = pytest.mark.skipif(not programs(), reason="there is no kubectl")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with cluster() as running:
        yield running


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.configure(POLICY, {})
    return made


def added(machine: Machine, *words: str) -> None:
    done = machine.run("connections", "add", "aks", "--kind", "kubectl", *words)
    assert done.returncode == 0, done.stderr


def pods(machine: Machine) -> str:
    done = machine.run("connect", "aks", "--", programs()[0], "get", "pods", "-o", "name")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_command_within_a_session(machine: Machine, server: ApiServer) -> None:
    added(machine, "--kubeconfig", str(server.kubeconfig()))
    kubectl = programs()[0]
    script = f"{kubectl} get pods -o name; {kubectl} delete pod web-1; echo $KUBECONFIG; env; cat $KUBECONFIG"
    done = machine.run("connect", "aks", "--", "sh", "-c", script)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["pod/db-1", "pod/web-1", "pod/web-2"]
    assert "Forbidden" in done.stderr
    assert lines[3].startswith(str(machine.state))
    assert not Path(lines[3]).exists()
    assert TOKEN not in done.stdout


def test_a_session_until_it_ends(machine: Machine, server: ApiServer) -> None:
    added(machine, "--kubeconfig", str(server.kubeconfig()))
    with machine.connect("aks") as session:
        path = Path(session.document["environment"]["KUBECONFIG"])
        document = yaml.safe_load(path.read_text())
        assert document["current-context"] == "aks"
        assert document["contexts"][0]["context"]["namespace"] == "default"
        assert TOKEN not in json.dumps(session.document) + path.read_text()
        assert path.stat().st_mode & 0o077 == 0
    assert not path.parent.exists()
    assert session.end() == 0


def test_a_broker_that_is_killed_keeps_what_was_shown(machine: Machine, server: ApiServer) -> None:
    (machine.folder / "policy.yaml").write_text(POLICY + '  - {id: shells, effect: allow, verbs: ["k8s:exec"]}\n')
    added(machine, "--kubeconfig", str(server.kubeconfig()))
    script = "echo before the end; head -c 70000 /dev/zero | tr '\\0' x; exec sleep 600"
    with machine.connect("aks") as session:
        config = session.document["environment"]["KUBECONFIG"]
        command = [programs()[0], "--kubeconfig", config, "exec", "web-1", "--", "sh", "-c", script]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
            eventually(lambda: machine.ledger.bodies("exchange.piece"))
            session.process.kill()
            client.wait(60)
    opened = machine.ledger.bodies("session.open")[0]["session"]
    done = machine.run("audit", "replay", opened, "--instant")
    assert "before the end" in done.stdout, done.stderr
    assert "its end is not on record" in done.stdout
    assert "unfinished" in done.stdout
    cut = machine.ledger.bodies("exchange.piece")[0]["exchange"]
    assert cut not in {outcome["exchange"] for outcome in machine.ledger.bodies("exchange.outcome")}


def test_a_plugin_tells_the_token(machine: Machine, server: ApiServer, tmp_path: Path) -> None:
    path = tmp_path / "with-plugin"
    document = yaml.safe_load(server.kubeconfig().read_text())
    told = json.dumps({"kind": "ExecCredential", "status": {"token": TOKEN}})
    document["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "IfAvailable",
            "command": sys.executable, "args": ["-c", f"print('''{told}''')"],
        }
    }  # fmt: skip
    path.write_text(yaml.safe_dump(document))
    added(machine, "--kubeconfig", str(path))
    assert pods(machine).startswith("pod/db-1\n")


def test_a_token_by_reference(machine: Machine, server: ApiServer, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(identity().ca)
    where = ("--endpoint", server.url, "--ca-file", str(ca))
    added(machine, *where, "--auth", "token", "--secret", "env:CLUSTER_TOKEN")
    machine.environment["CLUSTER_TOKEN"] = TOKEN
    done = machine.run("connect", "aks", "--", "sh", "-c", f"{programs()[0]} get pods -o name; env")
    assert done.stdout.startswith("pod/db-1\n")
    assert TOKEN not in done.stdout


def test_doctor_says_what_is_missing(machine: Machine, server: ApiServer, tmp_path: Path) -> None:
    path = tmp_path / "with-plugin"
    document = yaml.safe_load(server.kubeconfig().read_text())
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-kubelogin", "installHint": "get it"}
    document["users"][0]["user"] = {"exec": plugin}
    path.write_text(yaml.safe_dump(document))
    added(machine, "--kubeconfig", str(path))
    checks = {check["name"]: check for check in json.loads(machine.run("doctor", "--json").stdout)["checks"]}
    assert checks["connection aks"]["status"] == "failed"
    assert "no-such-kubelogin" in checks["connection aks"]["detail"]
    assert checks["connection aks"]["mend"] == "get it"


def test_one_command_has_no_credential_of_the_cluster(machine: Machine, server: ApiServer, tmp_path: Path) -> None:
    """kubectl runs whatever is called kubectl-NAME; that finds the session in its environment, and no more."""
    plugin = tmp_path / "bin" / "kubectl-spy"
    plugin.parent.mkdir()
    plugin.write_text("#!/bin/sh\nenv\n")
    plugin.chmod(0o755)
    ca = tmp_path / "ca.pem"
    ca.write_bytes(identity().ca)
    where = ("--endpoint", server.url, "--ca-file", str(ca))
    added(machine, *where, "--auth", "token", "--secret", "env:CLUSTER_TOKEN")
    folder = Path(programs()[0]).parent
    path = f"{plugin.parent}:{folder}:/bin:/usr/bin"
    done = machine.run("exec", "aks", "--", "get", "pods", "-o", "name", PATH=path, CLUSTER_TOKEN=TOKEN)
    assert "pod/web-1" in done.stdout, done.stderr
    done = machine.run("exec", "aks", "spy", PATH=path, CLUSTER_TOKEN=TOKEN)
    assert "KUBECONFIG=" in done.stdout, done.stderr
    assert TOKEN not in done.stdout
