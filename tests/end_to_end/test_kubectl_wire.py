"""Streams by hand: frames that no honest client sends, ends without goodbye, secrets in pieces."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from connectors.kubectl.streams.channels import ChannelCodec
from connectors.kubectl.streams.events import Channel, Data, Side
from connectors.kubectl.streams.handshake import CHANNEL_PROTOCOLS, WEBSOCKET, request_headers
from tests.support.cluster import Session, Upstream, session, upstream
from tests.support.waiting import eventually

POLICY = """
version: 1
rules:
  - {id: shells, effect: allow, verbs: ["k8s:exec"], resources: ["default/pods/web-1/exec"]}
masks:
  - {id: shapes, detectors: [credit_card], method: redact}
"""
EXEC = "/api/v1/namespaces/default/pods/web-1/exec?"
#: A shell that says who it is, and then waits.
WAITING = "echo pid $$; exec sleep 600"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Upstream]:
    with upstream() as running:
        if running.server is None:
            pytest.skip("the processes of a real cluster cannot be seen")
        yield running


@pytest.fixture(scope="module")
def hoop(cluster: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with session(tmp_path_factory.mktemp("wire"), cluster, POLICY) as running:
        yield running


class Wire:
    """A WebSocket to a command in a pod that sends what it is told."""

    def __init__(self, bare: ssl.SSLSocket) -> None:
        self.bare = bare
        self.codec = ChannelCodec(Side.CLIENT, CHANNEL_PROTOCOLS[0])
        self.shown = b""

    def read(self) -> bool:
        """Take what comes next; whether the broker is still there."""
        try:
            data = self.bare.recv(65536)
        except (ConnectionError, ssl.SSLError):
            return False
        for event in self.codec.feed(data):
            if isinstance(event, Data):
                self.shown += event.data
        return bool(data)

    def pid(self) -> int:
        """The process at the other end."""
        while not (found := re.search(rb"pid (\d+)\n", self.shown)):
            assert self.read(), "the stream ended"
        return int(found[1])


@contextmanager
def wire(hoop: Session, script: str, query: str = "&stdin=true&stdout=true", early: bytes = b"") -> Iterator[Wire]:
    """A shell in a pod, upgraded to; ``early`` goes with the request."""
    listen = hoop.broker.listen
    target = f"{EXEC}command=sh&command=-c&command={quote(script, safe='')}{query}"
    pairs: Sequence[tuple[str, str]] = [
        ("Host", f"{listen.host}:{listen.port}"),
        ("Authorization", f"Bearer {listen.secret}"),
        *request_headers(WEBSOCKET, CHANNEL_PROTOCOLS[0], bytes(16)),
    ]
    head = f"GET {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in pairs) + "\r\n"
    context = ssl.create_default_context(cafile=listen.ca_file)
    with (
        socket.create_connection((listen.host, listen.port), 30) as bare,
        context.wrap_socket(bare, server_hostname=listen.host) as secured,
    ):
        secured.sendall(head.encode() + early)
        answer = b""
        while b"\r\n\r\n" not in answer and (piece := secured.recv(1)):
            answer += piece
        if not early:
            assert answer.startswith(b"HTTP/1.1 101 "), answer
        else:
            assert answer.startswith(b"HTTP/1.1 400 "), answer
        yield Wire(secured)


def gone(pid: int) -> bool:
    """Whether a process is no more."""
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\x82\x05\x00rm -", id="not masked"),
        pytest.param(b"\xc2\x81aaaa\x61", id="compressed"),
        pytest.param(b"\x82\x82aaaa" + bytes([1 ^ 97, 0]), id="output of a client"),
        pytest.param(b"\x82\x82aaaa" + bytes([9 ^ 97, 0]), id="a channel that is none"),
        pytest.param(b"\x82\xff" + b"\xff" * 8 + b"aaaa", id="longer than anything"),
        pytest.param(b"\x83\x80aaaa", id="an opcode that is none"),
        pytest.param(b"\x80\x80aaaa", id="the rest of no message"),
        pytest.param(b"\x89\xfe\x01\x00aaaa" + bytes(256), id="a long ping"),
        pytest.param(b"\x80\x03\x00\x01\x00\x00\x00\x0a" + bytes(10), id="SPDY"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", id="HTTP"),
    ],
)
def test_a_frame_that_must_not_be_ends_the_stream_and_its_process(hoop: Session, frame: bytes) -> None:
    with wire(hoop, WAITING) as attacker:
        pid = attacker.pid()
        attacker.bare.sendall(frame)
        while attacker.read():
            pass
        eventually(lambda: gone(pid))
    assert hoop.broker.ledger.outcome_of("k8s:exec")["status"] == "blocked"


def test_input_that_was_not_asked_for(hoop: Session) -> None:
    with wire(hoop, WAITING, "&stdin=false&stdout=true") as attacker:
        pid = attacker.pid()
        attacker.bare.sendall(attacker.codec.send(Data(Channel.STDIN, b"rm -rf /\n")))
        eventually(lambda: gone(pid))
    assert "without input" in hoop.broker.ledger.outcome_of("k8s:exec")["errors"][0]


@pytest.mark.parametrize("half", [True, False], ids=["half open", "without goodbye"])
def test_who_leaves_takes_the_process_along(hoop: Session, *, half: bool) -> None:
    with wire(hoop, WAITING) as attacker:
        pid = attacker.pid()
        if half:
            attacker.bare.shutdown(socket.SHUT_WR)
        else:
            attacker.bare.close()
        eventually(lambda: gone(pid))
    assert hoop.broker.ledger.outcome_of("k8s:exec")["status"] == "cancelled"


def test_frames_before_the_upgrade_reach_nobody(hoop: Session, cluster: Upstream) -> None:
    early = ChannelCodec(Side.CLIENT, CHANNEL_PROTOCOLS[0]).send(Data(Channel.STDIN, b"x"))
    with wire(hoop, "echo smuggled", early=early):
        assert cluster.never_saw("smuggled")


@pytest.mark.parametrize(
    "script",
    [
        "printf 4111; printf 11111111; printf '1111\\n'",
        "printf 4111; sleep 0.1; printf 111111111111; echo",
        "for c in 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1; do printf $c; done; echo",
        "head -c 70000 /dev/zero | tr '\\0' x; echo ' 4111111111111111 '; head -c 70000 /dev/zero | tr '\\0' x",
    ],
)
def test_a_secret_in_pieces_is_masked(hoop: Session, script: str) -> None:
    with wire(hoop, f"{script}; echo done", "&stdout=true") as reader:
        with suppress(ConnectionError):
            while b"done" not in reader.shown:
                assert reader.read()
        assert not re.search(rb"[0-9]{9}", reader.shown)
        assert b"[redacted]" in reader.shown
