"""Invariants 4 and 5: the upstream's credential stays in the broker, and the port is for those with the secret."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import sys
from contextlib import suppress
from pathlib import Path

import pyodbc
import pytest

from connectors.sql.accept import SERVER_VERSION
from connectors.sql.tds.login import Login7, encode_login7
from connectors.sql.tds.packet import MessageReader, PacketType, packetize
from connectors.sql.tds.prelogin import Prelogin, decode_prelogin, encode_prelogin
from connectors.sql.tds.request import SqlBatch, encode_request
from connectors.sql.tds.tokenstream import read_tokens
from tests.end_to_end.conftest import POLICY, SECRET
from tests.sql.demo.stage import errors
from tests.support.clients import fetch, odbc
from tests.support.machine import Connected, Machine
from tests.support.upstream import RunningUpstream

CUSTOMERS = "SELECT id, ssn, email FROM dbo.customers ORDER BY id"


# 4. Upstream credentials stay in the broker.

_SPY = """
import os, pathlib, sys
import pyodbc
for who in (os.getpid(), os.getppid()):
    print(who, pathlib.Path(f"/proc/{who}/cmdline").read_bytes())
print(pathlib.Path("/proc/self/environ").read_bytes())
from connectors.sql.driver import odbc_driver
text = os.environ["HOOP_ODBC"].replace("{ODBC Driver 18 for SQL Server}", odbc_driver())
try:
    with pyodbc.connect(text) as connection:
        print(connection.execute("SELECT TOP 3 * FROM dbo.customers").fetchall())
        print(connection.execute("SELECT suser_name(), @@SERVERNAME, @@SPID").fetchall())
        connection.execute("EXEC nonsense")
except pyodbc.Error as error:
    print(error)
"""


def shapes(secret: str) -> list[bytes]:
    """The secret as it may stand in a file or on a wire."""
    wide = secret.encode("utf-16-le")
    hidden = bytes(((b << 4 | b >> 4) & 0xFF) ^ 0xA5 for b in wide)
    plain = [secret.encode(), wide, hidden]
    return [*plain, *(base64.b64encode(p).rstrip(b"=") for p in plain), *(p.hex().encode() for p in plain)]


def leaks(secret: str, *where: Path | str) -> list[str]:
    """Where the secret is to be found: in texts, and in all files of folders."""
    files = [file for place in where if isinstance(place, Path) for file in place.rglob("*") if file.is_file()]
    contents = {str(file): file.read_bytes() for file in files}
    contents |= {place[:40]: place.encode() for place in where if isinstance(place, str)}
    for name, content in list(contents.items()):
        if name.endswith("payloads.jsonl"):
            contents |= {
                f"{name} {number}": base64.b64decode(json.loads(line).get("content") or "")
                for number, line in enumerate(content.splitlines())
            }
    return [name for name, content in contents.items() if any(shape in content for shape in shapes(secret))]


@pytest.mark.parametrize("keeper", ["env", "file", "command"])
@pytest.mark.parametrize("right", [True, False], ids=["let in", "refused"])
def test_the_upstreams_credential_is_nowhere(
    machine: Machine, server: RunningUpstream, tmp_path_factory: pytest.TempPathFactory, keeper: str, right: bool
) -> None:
    secret = SECRET if right else "Wr0ng/S3cret-08.15"
    kept = tmp_path_factory.mktemp("kept") / "secret"
    kept.touch(mode=0o600)
    kept.write_text(secret)
    machine.environment["SHOP_SECRET"] = secret if keeper == "env" else "unused"
    reference = {"env": "env:SHOP_SECRET", "file": f"file:{kept}", "command": f"command:cat {kept}"}[keeper]
    machine.configure(POLICY, {"shop": {**server.target(), "user": "sa", "secret": reference}})
    before = len(server.seen.logins)
    child = [sys.executable, "-c", _SPY]
    done = machine.run("connect", "shop", "--agent", "claire", "--", *child, HOOP_DEBUG="1")
    assert done.returncode == 0, done.stderr
    assert ("refused the login" in done.stdout) is not right
    user, _, proof = server.seen.logins[before]
    assert (user, proof) == ("sa", hashlib.sha256(secret.encode()).hexdigest())
    with machine.connect("shop", HOOP_DEBUG="1") as session:
        with suppress(pyodbc.Error), odbc(session.listen.port, "hoop", session.listen.secret) as connection:
            fetch(connection, CUSTOMERS)
        command = Path(f"/proc/{session.pid}/cmdline").read_text()
        assert leaks(secret, machine.folder, command) == []
    failing = machine.run("exec", "shop", "SELECT * FROM nowhere", HOOP_DEBUG="1")
    assert failing.returncode == 6
    exported = machine.run("audit", "export", str(machine.folder / "evidence"))
    assert exported.returncode == 0, exported.stderr
    said = [text for run in (done, failing, exported) for text in (run.stdout, run.stderr)]
    assert leaks(secret, machine.folder, session.out, session.err, *said) == []


def test_the_search_for_leaks_finds_them(tmp_path: Path) -> None:
    for number, shape in enumerate(shapes(SECRET)):
        (tmp_path / str(number)).write_bytes(b"before" + shape + b"after")
    line = json.dumps({"content": base64.b64encode(f"ab{SECRET}".encode()).decode()})
    (tmp_path / "payloads.jsonl").write_text(line)
    assert len(leaks(SECRET, tmp_path, f"said {SECRET}")) == len(shapes(SECRET)) + 2


# 5. The loopback port serves one session.


def login(secret: str) -> bytes:
    return b"".join(packetize(PacketType.LOGIN7, [encode_login7(Login7(user_name="sa", password=secret))]))


HELLO = b"".join(packetize(PacketType.PRELOGIN, [encode_prelogin(Prelogin())]))


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ([b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"], b"HTTP/1.1 400"),
        ([bytes(range(256)) * 8], b""),
        ([b"\x00"], None),
        ([HELLO, login("guess")], b"\x04"),
        ([HELLO, login(SECRET)], b"\x04"),
        ([HELLO, login("")], b"\x04"),
        ([HELLO, login("guess")[:-20]], None),
        ([HELLO], None),
        ([login("guess")], b""),
        ([HELLO, b"".join(packetize(*encode_request(SqlBatch("SELECT 1"))[:1], [b"SELECT 1"]))], None),
    ],
    ids=[
        "HTTP", "random bytes", "one byte", "a wrong secret", "the upstream's own secret", "no secret", "half a login",
        "no login", "a login at once", "a statement instead",
    ],
)  # fmt: skip
def test_who_has_not_the_secret_gets_nothing(
    session: Connected, server: RunningUpstream, said: list[bytes], heard: bytes | None
) -> None:
    before, wire = server.seen.connections, len(server.seen.wire)
    with socket.create_connection(("127.0.0.1", session.listen.port), timeout=20) as stranger:
        for number, data in enumerate(said):
            stranger.sendall(data)
            if number + 1 < len(said):  # an answer to PRELOGIN, of the broker's own
                [hello] = MessageReader().feed(stranger.recv(4096))
                assert decode_prelogin(hello.payload).version == SERVER_VERSION
        stranger.shutdown(socket.SHUT_WR)
        received = b""
        while piece := stranger.recv(4096):
            received += piece
    if heard is not None:
        assert received.startswith(heard)
        assert heard or not received
    if received.startswith(b"\x04") and len(said) == 2:
        assert errors(read_tokens(received[8:])) == [18456]
    assert (server.seen.connections, len(server.seen.wire)) == (before, wire)


def test_tls_that_carries_something_else_gets_nothing(session: Connected, server: RunningUpstream) -> None:
    before = server.seen.connections
    trusting = ssl.create_default_context(cafile=session.listen.ca_file)
    with (
        socket.create_connection(("127.0.0.1", session.listen.port), timeout=20) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as stranger,
    ):
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with suppress(ssl.SSLEOFError, ConnectionError):
            assert stranger.recv(4096) == b""
    assert server.seen.connections == before


def test_the_secret_of_another_session_opens_nothing(machine: Machine, server: RunningUpstream) -> None:
    with machine.connect("shop") as one, machine.connect("shop") as other:
        before = server.seen.connections
        with pytest.raises(pyodbc.Error, match="not this session's secret"):
            odbc(one.listen.port, "hoop", other.listen.secret).__enter__()
        assert server.seen.connections == before
        with odbc(one.listen.port, "hoop", one.listen.secret) as connection:  # and nobody was disturbed
            assert fetch(connection, "SELECT 1") == [(1,)]
