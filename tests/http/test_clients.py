"""Real clients over real sockets: the standard library's, requests, curl, and bytes sent by hand."""

from __future__ import annotations

import hashlib
import http.client
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.http.plain import POLICY, PlainConnector, plain_upstream
from tests.http.smuggling import HEADS
from tests.support.broker import RunningBroker, broker

GET = b"GET /bytes/5 HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = bytes(range(256)) * 4096 * 3  # 3 MiB


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    folder: Path = tmp_path_factory.mktemp("plain")
    with (
        plain_upstream() as port,
        broker(folder, {"port": str(port)}, POLICY, connector=PlainConnector()) as running,
    ):
        yield running


def raw(session: RunningBroker, data: bytes) -> bytes:
    """Send bytes by hand; everything that comes until the broker closes."""
    with socket.create_connection((session.listen.host, session.listen.port), 10) as client:
        client.sendall(data)
        received = b""
        try:
            while piece := client.recv(65_536):
                received += piece
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize("kind", ["bytes", "chunks"])
def test_the_standard_librarys_client_on_one_connection(session: RunningBroker, kind: str) -> None:
    client = http.client.HTTPConnection(session.listen.host, session.listen.port, timeout=20)
    for size in (0, 1, 70_000, 3_000_000):
        client.request("GET", f"/{kind}/{size}")
        assert len(client.getresponse().read()) == size
    client.request("HEAD", "/bytes/500")
    answer = client.getresponse()
    assert (answer.getheader("Content-Length"), answer.read()) == ("500", b"")
    client.request("PUT", "/a", BODY)
    assert client.getresponse().read().decode() == hashlib.sha256(BODY).hexdigest()
    client.request("PUT", "/a", iter([BODY[:10], BODY[10:]]), encode_chunked=True)
    assert client.getresponse().read().decode() == hashlib.sha256(BODY).hexdigest()
    client.close()


def test_requests_over_tls_verifies_the_sessions_own_authority(session: RunningBroker) -> None:
    with requests.Session() as client:
        client.trust_env, client.verify = False, session.listen.ca_file
        url = f"https://{session.listen.host}:{session.listen.port}"
        assert client.put(f"{url}/a", data=BODY, timeout=20).text == hashlib.sha256(BODY).hexdigest()
        assert len(client.get(f"{url}/chunks/3000000", timeout=20).content) == 3_000_000


def test_an_early_answer_reaches_its_client(session: RunningBroker) -> None:
    with requests.Session() as client:
        url = f"http://{session.listen.host}:{session.listen.port}"
        assert client.put(f"{url}/early", data=b"x", timeout=20).status_code == 412
        assert client.get(f"{url}/bytes/5", timeout=20).status_code == 200


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_up_and_down(session: RunningBroker, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(BODY)
    url = f"://{session.listen.host}:{session.listen.port}"
    common = ["curl", "-sS", "--max-time", "20", "--cacert", session.listen.ca_file]
    for scheme in ("http", "https"):
        up = [*common, "-H", "Expect: 100-continue", "-T", str(tmp_path / "body"), f"{scheme}{url}/a"]
        assert subprocess.run(up, capture_output=True, check=True).stdout.decode() == hashlib.sha256(BODY).hexdigest()
        down = subprocess.run([*common, f"{scheme}{url}/chunks/3000000"], capture_output=True, check=True)
        assert len(down.stdout) == 3_000_000


def test_http2_is_not_negotiated(session: RunningBroker) -> None:
    context = ssl.create_default_context(cafile=session.listen.ca_file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((session.listen.host, session.listen.port), 10) as plain,
        context.wrap_socket(plain, server_hostname=session.listen.host) as client,
    ):
        assert client.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("name", ["CL.TE", "TE.CL", "two Hosts", "bare LF in a value", "HTTP/1.0", "absolute-form"])
def test_smuggling_gets_one_refusal_and_the_end(session: RunningBroker, name: str) -> None:
    answer = raw(session, HEADS[name])
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"\r\n\r\n") == 1


def test_of_pipelined_requests_none_is_run(session: RunningBroker) -> None:
    before = len(session.ledger.bodies("request"))
    assert raw(session, GET + GET).startswith(b"HTTP/1.1 400 ")
    assert len(session.ledger.bodies("request")) == before
