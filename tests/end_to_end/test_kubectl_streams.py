"""Streams of a cluster by real clients: shells, copies and forwarded ports, decided, held, masked, recorded and cut."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import kubernetes
import pytest
from kubernetes.stream import portforward, stream

from connectors.kubectl.asciicast import CastEvent, read_cast
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.replay import Answered, replay
from hoopcli.ledger.search import Index, Query
from tests.kubectl.programs import Kubectl, older, programs
from tests.kubectl.test_real_streams import echo_server, echoed, terminal
from tests.support.broker import DBA
from tests.support.cluster import Session, Upstream, session, upstream
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(not programs(), reason="there is no kubectl")
CARD = "4111111111111111"
POLICY = """
version: 1
rules:
  - id: reads
    effect: allow
    verbs: ["k8s:get", "k8s:list", "k8s:discovery", "k8s:version"]
    resources: ["*"]
  - id: debug-the-shop
    effect: allow
    verbs: ["k8s:exec", "k8s:attach", "k8s:portforward"]
    resources: ["default/pods/web-1/*"]
    stream: {idle: 1h, keep_input: true}
  - id: short-visits
    effect: allow
    verbs: ["k8s:exec"]
    resources: ["default/pods/web-2/exec"]
    stream: {idle: 2s}
  - id: databases-need-somebody
    effect: require_approval
    verbs: ["k8s:exec"]
    resources: ["default/pods/db-1/exec"]
    approval: {groups: [dba]}
  - id: its-ports-too
    effect: require_approval
    verbs: ["k8s:portforward"]
    resources: ["default/pods/db-1/portforward"]
    approval: {groups: [dba]}
  - id: no-ssh
    effect: deny
    verbs: ["k8s:portforward"]
    when: statement.ports.exists(p, p == "22")
masks:
  - id: shapes
    detectors: [credit_card, email]
    method: redact
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def pods(cluster: Upstream) -> None:
    if not cluster.runs_pods:
        pytest.skip("nothing runs the pods of this cluster")


#: For what must come as far as a pod: a refusal need not.
reaches_a_pod = pytest.mark.usefixtures("pods")


@pytest.fixture(scope="module")
def hoop(cluster: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with session(tmp_path_factory.mktemp("hoop"), cluster, POLICY) as running:
        yield running


@pytest.fixture(params=[*programs(), *older()], ids=lambda path: Path(path).parent.name)
def kubectl(request: pytest.FixtureRequest, hoop: Session) -> Kubectl:
    return hoop.kubectl(request.param)


def last(hoop: Session, verb: str) -> Mapping[str, Any]:
    """The outcome of the last request with this verb."""
    return hoop.broker.ledger.outcome_of(verb)


def recording(hoop: Session, verb: str) -> list[CastEvent]:
    """What was kept of the last request with this verb."""
    exchange = last(hoop, verb)["exchange"]
    with Reader.open(hoop.broker.ledger.path) as reader:
        found = [
            event
            for event in replay(reader, hoop.broker.live.session.id)
            if isinstance(event, Answered) and event.exchange == exchange
        ]
    return list(read_cast(found[0].payload)[1])


@reaches_a_pod
def test_a_command_is_masked_and_recorded_with_its_exit_code(kubectl: Kubectl, hoop: Session) -> None:
    done = kubectl.run("exec", "web-1", "--", "sh", "-c", f"echo {CARD}; echo ann@example.com >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, b"[redacted]\n")
    assert done.stderr.startswith(b"[redacted]\n")
    outcome = last(hoop, "k8s:exec")
    assert (outcome["status"], outcome["facts"], outcome["masked"]) == ("completed", {"exit_code": 7}, {"shapes": 2})
    assert "".join(event.data for event in recording(hoop, "k8s:exec")).count("[redacted]\n") == 2


@reaches_a_pod
def test_a_person_at_a_terminal(kubectl: Kubectl, hoop: Session) -> None:
    with terminal(kubectl) as person:
        person.see(b"$ ")
        person.type("echo o$((40+2))k\r")
        person.see(b"o42k\r\n")
        person.type("exit 3\r")
        assert person.end() == 3
    outcome = last(hoop, "k8s:exec")
    assert outcome["facts"] == {"exit_code": 3, "commands": ["$ echo o$((40+2))k", "$ exit 3"]}
    with Reader.open(hoop.broker.ledger.path) as reader, Index(reader) as index:
        assert outcome["exchange"] in [row.id for row in index.exchanges(Query(text="echo o$((40+2))k"))]
    events = recording(hoop, "k8s:exec")
    assert [event.data for event in events if event.code == "m"] == outcome["facts"]["commands"]
    assert "".join(event.data for event in events if event.code == "i") == "echo o$((40+2))k\rexit 3\r"
    assert any(event.code == "r" for event in events)


@reaches_a_pod
def test_files_are_copied_masked_and_listed(kubectl: Kubectl, hoop: Session, tmp_path: Path) -> None:
    text = f"paid with {CARD} by ann@example.com\n"
    (tmp_path / "in.txt").write_text(text)
    kubectl("cp", str(tmp_path / "in.txt"), "web-1:copied.txt")
    copy = last(hoop, "k8s:exec")["facts"]["copied"]
    assert (copy["to"], [(entry["name"], entry["size"]) for entry in copy["entries"]]) == (
        "pod", [("copied.txt", len(text))],
    )  # fmt: skip
    kubectl("cp", "web-1:copied.txt", str(tmp_path / "out.txt"))
    copy = last(hoop, "k8s:exec")["facts"]["copied"]
    assert (copy["to"], [entry["name"] for entry in copy["entries"]]) == ("client", ["copied.txt"])
    out = (tmp_path / "out.txt").read_text()
    assert len(out) == len(text)
    assert CARD not in out
    assert "ann@" not in out


@reaches_a_pod
def test_a_port_is_forwarded(kubectl: Kubectl, cluster: Upstream, hoop: Session) -> None:
    data = os.urandom(500_000)
    with echo_server() as port:
        if cluster.server is None:
            pytest.skip("what listens in a real pod is not known")
        cluster.server.forwards[8080] = port
        command = kubectl.command("port-forward", "pod/web-1", ":8080")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert echoed(listening(process), data) == data
            process.terminate()
    outcome = last(hoop, "k8s:portforward")
    assert (outcome["status"], outcome["delivered"]["size"], outcome["facts"]["ports"]) == (
        "completed", len(data), [8080],
    )  # fmt: skip


@reaches_a_pod
def test_a_port_that_the_policy_denies_is_not_forwarded(kubectl: Kubectl, hoop: Session) -> None:
    command = kubectl.command("port-forward", "pod/web-1", ":22")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert echoed(listening(process), b"") == b""
        assert process.stderr is not None
        assert any(b"port 22 is not allowed by the policy" in line for line in process.stderr)
        process.kill()
    assert last(hoop, "k8s:portforward")["facts"]["ports"] == [22]


def test_a_refused_forward_is_one_question_and_its_client_is_told(hoop: Session) -> None:
    """Refused outright, kubectl would ask once more over SPDY."""
    command = hoop.kubectl(programs()[0]).command("port-forward", "pod/db-1", ":5432")
    store = hoop.broker.approvals
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        [request] = eventually(lambda: hoop.broker.call(store.pending))
        hoop.broker.call(lambda: store.answer(request.id, DBA, approve=False, comment="not today"))
        assert echoed(listening(process), b"") == b""
        assert process.stderr is not None
        assert b"not today" in process.stderr.read()
        assert process.wait(30) == 1
        assert hoop.broker.call(store.pending) == []
    asked = [record for record in hoop.broker.ledger.bodies() if record["type"] == "approval.asked"]
    assert [record["request_id"] for record in asked].count(request.id) == 1


def listening(process: subprocess.Popen[bytes]) -> int:
    """The local port that kubectl says it forwards."""
    assert process.stdout is not None
    return int(process.stdout.readline().split(b"->")[0].rpartition(b":")[2])


def test_a_denied_stream_names_the_rule_and_reaches_no_pod(kubectl: Kubectl, hoop: Session, cluster: Upstream) -> None:
    done = kubectl.run("attach", "web-2")
    assert done.returncode != 0
    assert b"no rule allows" in done.stderr
    assert cluster.never_saw("web-2/attach")


def answer(hoop: Session, *, approve: bool) -> None:
    """A colleague's answer to what waits next."""
    waiting = eventually(lambda: hoop.broker.call(hoop.broker.approvals.pending))
    hoop.broker.call(lambda: hoop.broker.approvals.answer(waiting[0].id, DBA, approve=approve, comment="as agreed"))


@pytest.mark.parametrize("approve", [True, False])
def test_an_exec_waits_for_somebody(kubectl: Kubectl, hoop: Session, cluster: Upstream, *, approve: bool) -> None:
    if approve and not cluster.runs_pods:
        pytest.skip("nothing runs the pods of this cluster")
    mark = f"echo approved-{approve}-{Path(kubectl.program).parent.name}"
    command = kubectl.command("exec", "db-1", "--", "sh", "-c", mark)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        answer(hoop, approve=approve)
        out, err = process.communicate(timeout=60)
    if approve:
        assert out.decode() == mark.removeprefix("echo ") + "\n"
    else:
        assert process.returncode != 0
        assert b"as agreed" in err
        assert cluster.never_saw(f"approved-{approve}")


@reaches_a_pod
def test_a_silent_stream_is_ended(kubectl: Kubectl, hoop: Session) -> None:
    done = kubectl.run("exec", "web-2", "--", "sleep", "600")
    assert done.returncode != 0
    assert b"nothing happened for 2 seconds" in done.stderr
    assert last(hoop, "k8s:exec")["status"] == "blocked"


@reaches_a_pod
def test_who_ends_a_session_cuts_its_streams_both_ways(cluster: Upstream, tmp_path: Path) -> None:
    with ExitStack() as open_session:
        hoop = open_session.enter_context(session(tmp_path, cluster, POLICY))
        with terminal(hoop.kubectl(programs()[0])) as person:
            person.see(b"$ ")
            person.type("echo pid $$; sleep 600\r")
            while not (told := re.search(rb"\npid (\d+)\r\n", person.seen)):
                person.seen += os.read(person.master, 4096)
            open_session.close()
            assert person.end() != 0
    eventually(lambda: not Path(f"/proc/{int(told[1])}").exists())
    outcome = hoop.broker.ledger.outcome_of("k8s:exec")
    assert outcome["status"] == "cancelled"
    assert "sleep 600" in outcome["facts"]["commands"][0]


# --- the Python client -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def python(hoop: Session) -> Iterator[kubernetes.client.CoreV1Api]:
    config: Any = kubernetes.config  # it is not typed
    with config.new_client_from_config(str(hoop.kubeconfig)) as api:
        yield kubernetes.client.CoreV1Api(api)


@reaches_a_pod
def test_the_python_client_runs_commands(python: Any, hoop: Session) -> None:
    command = ["sh", "-c", f"echo {CARD}; read line; echo got $line; exit 4"]
    shell = stream(
        python.connect_get_namespaced_pod_exec, "web-1", "default", command=command,
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )  # fmt: skip
    shell.write_stdin("a line\n")
    shell.run_forever(timeout=30)
    assert shell.returncode == 4
    assert shell.read_all() == "[redacted]\ngot a line\n"
    shell.close()
    shell.sock.shutdown()  # the client forgets to
    assert last(hoop, "k8s:exec")["facts"]["exit_code"] == 4


def test_the_python_client_hears_why_not(python: Any) -> None:
    with pytest.raises(kubernetes.client.ApiException) as caught:
        stream(python.connect_get_namespaced_pod_exec, "web-1", "prod", command=["true"], stdout=True)
    assert "403" in caught.value.reason


@reaches_a_pod
def test_the_python_client_forwards_ports(python: Any, hoop: Session, cluster: Upstream) -> None:
    if cluster.server is None:
        pytest.skip("what listens in a real pod is not known")
    with echo_server() as port:
        cluster.server.forwards[9090] = port
        forward = portforward(python.connect_get_namespaced_pod_portforward, "web-1", "default", ports="9090")
        socket = forward.socket(9090)
        socket.setblocking(True)
        socket.sendall(b"hello there")
        assert socket.recv(100) == b"hello there"
        socket.close()
    assert last(hoop, "k8s:portforward")["facts"]["ports"] == [9090]
