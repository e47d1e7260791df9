"""The client of the Kubernetes project for JavaScript: one script does it all, and says what every step gave."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubectl.apiserver import ApiServer, cluster
from tests.kubectl.test_real_streams import echo_server
from tests.support.cluster import Session, Upstream, session

NODE = Path(__file__).parent / "node"
POLICY = """
version: 1
rules:
  - {id: everything, effect: allow, verbs: ["k8s:*"]}
  - {id: nodes-stay, effect: deny, verbs: ["k8s:delete"], resources: ["*/nodes/*"]}
  - {id: one-shell, effect: deny, verbs: ["k8s:exec"], resources: ["*/pods/web-2/exec"]}
masks:
  - {id: api-keys, columns: ["$.data.api_key"], resources: ["*/configmaps/*"]}
  - {id: shapes, detectors: [email, credit_card]}
"""
PASSWORD = b"correct horse battery"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no node on this machine"),
    pytest.mark.skipif(
        not (NODE / "node_modules/@kubernetes/client-node").is_dir(), reason="run: npm ci in tests/end_to_end/node"
    ),
]

Said = dict[str, Any]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with cluster() as running:
        running.log("db-1", b"mail of ada.lovelace@example.com\nend\n")
        yield running


@pytest.fixture(scope="module")
def opened(server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with session(tmp_path_factory.mktemp("broker"), Upstream(server.kubeconfig(), server), POLICY) as running:
        yield running


@pytest.fixture(scope="module")
def said(opened: Session, server: ApiServer) -> Said:
    with echo_server() as port:
        server.forwards[8080] = port
        at = json.dumps({"kubeconfig": str(opened.kubeconfig), "port": 8080})
        command = ["node", "--no-deprecation", str(NODE / "kubernetes.js"), at]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            line = process.stdout.readline()
            if line == "cut\n":  # the informer watches: its server goes away for a moment
                server.hang_up()
                line, _ = process.communicate("go on\n", timeout=60)
            assert line, process.stderr.read() if process.stderr else ""
    found: Said = json.loads(line)
    return found


def test_objects_are_read_and_masked(said: Said) -> None:
    assert said["pods"]["got"] == ["web-1", "web-2"]
    assert PASSWORD not in base64.b64decode(said["secret"]["got"]["password"])
    assert said["config"]["got"]["LOG_LEVEL"] == "info"
    assert said["config"]["got"]["api_key"] == "[hoop:redacted]"


def test_objects_are_written_by_every_kind_of_patch(said: Said) -> None:
    assert said["changes"]["got"] == {"a": "b", "j": "1", "m": "1", "s": "1", "r": "1"}
    assert said["generic"]["got"] == "generic"


def test_a_denial_is_an_api_exception_that_names_the_rule(said: Said) -> None:
    assert said["denied"]["error"]["code"] == 403
    assert "nodes-stay" in said["denied"]["error"]["body"]
    assert "masked" in said["maskedBack"]["error"]["body"]


def test_logs_are_read_and_followed(said: Said) -> None:
    assert said["log"]["got"] == "listening on :8080\n"
    assert said["followed"]["got"] == "mail of [redacted]\nend\n"


def test_commands_run(said: Said) -> None:
    ran = said["executed"]["got"]
    assert (ran["out"], ran["err"], ran["status"]["status"]) == ("[redacted]\n", "err\n", "Failure")
    assert ran["status"]["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert said["fed"]["got"]["out"] == "got a word\n"
    assert said["fed"]["got"]["status"]["status"] == "Success"


def test_a_refused_command_is_an_error(said: Said) -> None:
    assert "403" in said["refusedExec"]["error"]["message"]


def test_a_port_is_forwarded(said: Said) -> None:
    assert said["forwarded"]["got"] == 100_000


def test_an_informer_goes_on_when_its_watch_was_cut(said: Said) -> None:
    told = said["informed"]["got"]["seen"]
    assert "add informed" in told
    assert told[-1] == "delete informed"
