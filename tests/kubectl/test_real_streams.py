"""Real clients over the bridges to real processes, terminals and sockets."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connectors.kubectl.asciicast import read_cast
from connectors.kubectl.streams.events import Channel
from tests.kubectl.apiserver import ApiServer, cluster
from tests.kubectl.bridging import Bridge, bridge
from tests.kubectl.programs import Kubectl, programs
from tests.support.waiting import eventually

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not programs(), reason="there is no kubectl")]
CARD = "4111111111111111"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="module")
def bridged(server: ApiServer) -> Iterator[Bridge]:
    with bridge(server) as running:
        yield running


@pytest.fixture(params=programs())
def kubectl(request: pytest.FixtureRequest, server: ApiServer, bridged: Bridge) -> Kubectl:
    return Kubectl(request.param, server.kubeconfig(url=bridged.url))


def test_output_errors_and_the_exit_code(kubectl: Kubectl, bridged: Bridge) -> None:
    done = kubectl.run("exec", "web-1", "--", "sh", "-c", f"echo {CARD}; echo ann@example.com >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, b"[redacted]\n")
    assert done.stderr.startswith(b"[redacted]\n")
    stream, record = bridged.last
    assert stream.status is not None
    assert stream.status.exit_code == 7
    assert stream.masked == {"shapes": 2}
    shown = "".join(event.data for event in read_cast(record.cast.kept)[1] if event.code == "o")
    assert shown.count("[redacted]\n") == 2


def test_stdin_comes_to_its_end(kubectl: Kubectl) -> None:
    assert kubectl("exec", "-i", "web-1", "--", "cat", stdin=b"line\n" * 50_000) == "line\n" * 50_000


def test_a_command_that_is_not_there(kubectl: Kubectl) -> None:
    assert b"exec failed" in kubectl.run("exec", "web-1", "--", "there-is-no-such-program").stderr


def test_a_file_goes_in_and_comes_out(kubectl: Kubectl, bridged: Bridge, tmp_path: Path) -> None:
    text = f"paid with {CARD} by ann@example.com\n"
    (tmp_path / "in.txt").write_text(text)
    kubectl("cp", str(tmp_path / "in.txt"), "web-1:copied.txt")
    (entry,) = bridged.last[1].archives[Channel.STDIN].manifest().entries
    assert (entry.name, entry.size) == ("copied.txt", len(text))
    kubectl("cp", "web-1:copied.txt", str(tmp_path / "out.txt"))
    manifest = bridged.last[1].archives[Channel.STDOUT].manifest()
    assert [entry.name for entry in manifest.entries] == ["copied.txt"]
    out = (tmp_path / "out.txt").read_text()
    assert len(out) == len(text)
    assert CARD not in out
    assert "ann@" not in out


class Terminal:
    """A person at a terminal with kubectl exec -it in it."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.master, slave = pty.openpty()
        command = kubectl.command("exec", "-it", "web-1", "--", "sh")
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.seen = b""

    def see(self, text: bytes) -> None:
        while text not in self.seen:
            self.seen += os.read(self.master, 4096)

    def type(self, text: str) -> None:
        for char in text:
            os.write(self.master, char.encode())
            time.sleep(0.002)

    def end(self) -> int:
        code = self.process.wait(20)
        os.close(self.master)
        return code


@contextmanager
def terminal(kubectl: Kubectl) -> Iterator[Terminal]:
    person = Terminal(kubectl)
    try:
        yield person
    finally:
        if person.process.poll() is None:
            os.killpg(person.process.pid, signal.SIGKILL)
            person.process.wait(20)


def test_a_person_at_a_terminal(kubectl: Kubectl, bridged: Bridge) -> None:
    with terminal(kubectl) as person:
        person.see(b"$ ")
        person.type("echo o$((40+2))k\r")
        person.see(b"o42k\r\n")
        person.type(f"echo {CARD} end\r")
        person.see(b" end\r\n$ ")
        person.type("stty size; exit 3\r")
        assert person.end() == 3
    assert CARD.encode() not in person.seen
    shown = re.search(rb"\$ echo (\d*)\[redacted\] end\r\n\[redacted\] end\r\n", person.seen)
    assert shown, "what is typed is masked like what is printed"
    assert len(shown[1]) <= 6, "of what is typed slowly, its begin is seen"
    _, record = bridged.last
    events = list(read_cast(record.cast.kept)[1])
    commands = [event.data for event in events if event.code == "m"]
    assert commands[0] == "$ echo o$((40+2))k"
    assert commands[-1] == "$ stty size; exit 3"
    assert any(event.code == "r" for event in events)
    assert not any(event.code == "i" for event in events)


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


@contextmanager
def echo_server() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def test_a_port_is_forwarded(kubectl: Kubectl, server: ApiServer, bridged: Bridge) -> None:
    data = os.urandom(2_000_000)
    with echo_server() as port:
        server.forwards[8080] = port
        command = kubectl.command("port-forward", "pod/web-1", ":8080")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            local = int(process.stdout.readline().split(b"->")[0].rpartition(b":")[2])
            for _ in range(2):
                assert echoed(local, data) == data
            process.terminate()
    (first, second) = eventually(lambda: [f for f in bridged.forwards[-1]._kept if f.received.size == len(data)][:2])
    assert first.sent.sha256.digest() == first.received.sha256.digest() == second.sent.sha256.digest()
    assert bridged.forwards[-1].facts()["ports"] == [8080]


def test_a_port_that_is_refused(kubectl: Kubectl, bridged: Bridge) -> None:
    command = kubectl.command("port-forward", "pod/web-1", ":22")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        local = int(process.stdout.readline().split(b"->")[0].rpartition(b":")[2])
        assert echoed(local, b"") == b""
        assert b"port 22 is not for you" in process.stderr.readline() + process.stderr.readline()
        process.kill()
    assert bridged.forwards[-1].facts()["ports"] == [22]


def echoed(port: int, data: bytes) -> bytes:
    """What comes back over a connection, as much as is sent."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        received = b""
        while (not data or len(received) < len(data)) and (piece := connection.recv(65536)):
            received += piece
        sender.join()
        return received
