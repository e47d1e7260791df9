"""hoop connect and hoop exec, end to end: the demo's server, a real client, the real ledger."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pymssql
import pytest

from hoopcli.ledger.keys import read_vkey
from hoopcli.ledger.verify import verify
from tests.cli.conftest import Hoop
from tests.support.upstream import RunningUpstream, upstream

pytestmark = pytest.mark.e2e
POLICY = """\
version: 1
rules:
  - id: reads
    effect: allow
    verbs: ["sql:select", "sql:set", "sql:declare", "sql:print", "sql:control", "sql:transaction", "sql:use"]
  - id: ddl
    effect: require_approval
    verbs: ["sql:drop"]
    approval: {groups: [dba], expires: 1m}
masks:
  - {id: ssn, fields: ["*.dbo.customers.ssn"], method: {keep_last: 4}}
"""
SELECT = "SELECT TOP 2 id, ssn FROM shop.dbo.customers ORDER BY id"
HOOP = [sys.executable, "-m", "hoopcli.cli.main"]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@pytest.fixture(autouse=True)
def shop(home: Path, server: RunningUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to the demo's server; omar may approve what others ask for."""
    monkeypatch.setenv("SHOP_SECRET", server.options.secret)
    options = server.target() | {"user": "sa", "secret": "env:SHOP_SECRET"}
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
    port = f'port = "{server.port}"'
    (home / "config.toml").write_text(
        'keyring = false\n[identity]\nsubject = "omar@example.com"\ngroups = ["dba"]\n[connections.shop]\n'
        + lines.replace(port, f"port = {server.port}")
    )
    (home / "policy.yaml").write_text(POLICY)


def read_document(stream: IO[str]) -> dict[str, Any]:
    text = ""
    for line in stream:
        text += line
        if line == "}\n":
            break
    found: dict[str, Any] = json.loads(text)
    return found


def client(host: str, port: int, secret: str) -> Any:
    return pymssql.connect(server=host, port=str(port), user="hoop", password=secret, database="shop", autocommit=True)


def fetch(host: str, port: int, secret: str, text: str = SELECT) -> list[Any]:
    connection = client(host, port, secret)
    try:
        cursor = connection.cursor()
        cursor.execute(text)
        rows: list[Any] = cursor.fetchall() if cursor.description else []
        return rows
    finally:
        connection.close()


def test_exec(hoop: Hoop, home: Path) -> None:
    done = hoop("exec", "shop", SELECT, "--json")
    assert done.code == 0, done.err
    [result] = done.json["results"]
    assert result["columns"] == ["id", "ssn"]
    assert [row[1][:7] for row in result["rows"]] == ["*" * 7] * 2
    assert "(2 rows)" in hoop("exec", "shop", SELECT).out
    assert hoop("exec", "shop", SELECT, "--format", "csv").out.startswith("id,ssn\n1,*******")
    report = verify(home / "state" / "ledger.db", read_vkey(home / "state"))
    assert report.intact
    assert report.complete
    assert report.sessions == 3


def test_exec_from_a_file_and_stdin(hoop: Hoop, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "q.sql").write_text("\ufeff" + SELECT)
    assert hoop("exec", "shop", "-f", str(home / "q.sql"), "--json").code == 0
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(SELECT))
    assert hoop("exec", "shop", "--json").code == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO(SELECT))
    assert hoop("exec", "shop", "-f", "-", "--json").code == 0


def test_exec_of_nothing(hoop: Hoop, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not both" in hoop("exec", "shop", "x", "-f", "y").err
    assert "empty" in hoop("exec", "shop", "  ").err
    assert "in quotes" in hoop("exec", "shop", "SELECT", "1").err
    assert "cannot be read" in hoop("exec", "shop", "-f", str(home)).err
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda _: True})())
    assert "nothing to run" in hoop("exec", "shop").err
    assert hoop("exec", "shop", "x", "--csv-guard").code == 2


def test_exec_that_is_denied(hoop: Hoop, server: RunningUpstream) -> None:
    before = len(server.seen.statements)
    done = hoop("exec", "shop", "DELETE FROM dbo.customers", "--json")
    assert done.code == 4
    assert "default-deny" in done.error["message"]
    assert not any("DELETE" in text for text in server.seen.statements[before:])


def test_exec_that_fails_upstream(hoop: Hoop) -> None:
    done = hoop("exec", "shop", "SELECT 1/0 AS x")
    assert done.code == 6
    assert "zero" in done.err


def test_exec_without_a_secret(hoop: Hoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SHOP_SECRET")
    done = hoop("exec", "shop", SELECT)
    assert done.code in {3, 4, 6}
    assert "SHOP_SECRET" in done.err


def test_exec_that_does_not_wait(hoop: Hoop) -> None:
    argv = ("exec", "shop", "DROP TABLE dbo.nothing", "--agent", "claire", "--no-wait", "--json")
    done = hoop(*argv)
    assert done.code == 5
    [request] = hoop("approvals", "ls", "--json").json["requests"]
    assert request["id"] in done.error["message"]
    assert hoop("approvals", "approve", request["id"]).code == 0
    done = hoop(*argv)
    assert done.code == 6, "approved, it runs, and the table is not there"
    assert hoop("approvals", "ls", "--json").json == {"requests": []}


def test_exec_that_is_interrupted(home: Path) -> None:
    running = subprocess.Popen(
        [*HOOP, "exec", "shop", "DROP TABLE dbo.nothing", "--agent", "claire"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with running:
        assert running.stderr
        while "hoop approvals approve" not in running.stderr.readline():
            pass
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
        assert running.stderr.read() == ""
    report = verify(home / "state" / "ledger.db", read_vkey(home / "state"))
    assert (report.intact, report.complete, report.open_sessions) == (True, True, ())


def test_exec_whose_request_someone_else_answers(hoop: Hoop) -> None:
    """A colleague answers in another process while exec waits; at this terminal nobody can be asked."""
    answers: list[int] = []

    def colleague() -> None:
        while True:
            out = subprocess.run([*HOOP, "approvals", "ls", "--json"], capture_output=True, text=True, check=True)
            if found := json.loads(out.stdout)["requests"]:
                done = subprocess.run([*HOOP, "approvals", "deny", found[0]["id"], "-m", "not today"], check=False)
                answers.append(done.returncode)
                return

    thread = threading.Thread(target=colleague)
    thread.start()
    done = hoop("exec", "shop", "DROP TABLE dbo.nothing", "--agent", "claire")
    thread.join()
    assert answers == [0]
    assert done.code == 4
    assert "not today" in done.err
    assert "hoop approvals approve" in done.err


def test_nobody_answers_their_own(hoop: Hoop, home: Path) -> None:
    (home / "policy.yaml").write_text(POLICY.replace("expires: 1m", "expires: 1s"))
    done = hoop("exec", "shop", "DROP TABLE dbo.nothing")
    assert done.code == 5
    assert "nobody approves their own request. Someone of dba can run:" in done.err


def test_connect_with_a_command(hoop: Hoop, home: Path) -> None:
    out = home / "out.json"
    program = f"import os, json, pathlib; pathlib.Path({str(out)!r}).write_text(json.dumps(dict(os.environ)))"
    program += "; raise SystemExit(9)"
    done = hoop("connect", "shop", "--reason", "report", "--", sys.executable, "-c", program)
    assert done.code == 9
    env = json.loads(out.read_text())
    assert "SHOP_SECRET" not in env
    assert not any("upstream-secret" in value for value in env.values())
    assert env["HOOP_HOST"] == "127.0.0.1"
    assert env["SQLCMDPASSWORD"] == env["HOOP_SECRET"]
    assert "0 statements" in done.err
    assert "HOOP_AGENT" not in env


def test_what_an_agent_runs_is_the_agent(hoop: Hoop) -> None:
    """An agent that was given a session cannot answer its own requests as its human, by the same command."""
    asked = hoop("exec", "shop", "DROP TABLE dbo.nothing", "--agent", "claire", "--no-wait", "--json")
    assert asked.code == 5
    [request] = hoop("approvals", "ls", "--json").json["requests"]
    inside = hoop("connect", "shop", "--agent", "claire", "--", *HOOP, "approvals", "approve", request["id"])
    assert inside.code == 4


def test_connect_ends_with_its_time_and_takes_the_command_along(hoop: Hoop) -> None:
    done = hoop("connect", "shop", "--ttl", "1s", "--", sys.executable, "-c", "import time; time.sleep(60)")
    assert done.code == 128 + signal.SIGTERM
    assert "the session ended: expired" in done.err
    done = hoop("connect", "shop", "--ttl", "1s", "--format", "env")
    assert done.code == 0
    assert "export SQLCMDSERVER=127.0.0.1," in done.out
    assert "ended (expired)" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_connect_for_programs(number: signal.Signals, home: Path) -> None:
    running = subprocess.Popen(
        [*HOOP, "connect", "shop", "--json", "--agent", "claire"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with running:
        assert running.stdout
        assert running.stderr
        found = read_document(running.stdout)
        assert found["principal"] == "agent:claire"
        rows = fetch(found["host"], found["port"], found["secret"])
        assert rows[0][1].startswith("*")
        with pytest.raises(pymssql.Error):
            fetch(found["host"], found["port"], "wrong")
        running.send_signal(number)
        assert running.wait(20) == 0
        assert "1 statement" in running.stderr.read() or number
    report = verify(home / "state" / "ledger.db", read_vkey(home / "state"))
    assert (report.intact, report.complete, report.sessions) == (True, True, 1)
    assert not list((home / "state" / "sessions").iterdir())


class Terminal:
    """hoop at a terminal."""

    def __init__(self, *argv: str) -> None:
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*HOOP, *argv], stdin=slave, stdout=slave, stderr=slave, env=os.environ | {"TERM": "xterm"}
        )
        os.close(slave)
        self.text = ""

    def until(self, expected: str) -> str:
        """Read until this is on the screen."""
        while expected not in self.text:
            try:
                self.text += os.read(self._master, 65536).decode(errors="replace")
            except OSError as error:
                raise AssertionError(self.text) from error
        return self.text

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def close(self) -> int:
        """Read to the end; the exit code."""
        try:
            while data := os.read(self._master, 65536):
                self.text += data.decode(errors="replace")
        except OSError:
            pass
        os.close(self._master)
        return self.process.wait(20)


@pytest.mark.parametrize(("key", "code"), [("y", 208), ("n", 0)])
def test_connect_at_a_terminal_asks(key: str, code: int, server: RunningUpstream) -> None:
    import re

    terminal = Terminal("connect", "shop", "--agent", "claire", "--reason", "clean up")
    text = terminal.until("0 statements")
    assert "agent:claire for omar@example.com" in text
    found = re.search(r"127\.0\.0\.1:(\d+).*?password ([\w-]+)", text, re.DOTALL)
    assert found
    failures: list[pymssql.Error] = []

    def drop() -> None:
        try:
            fetch("127.0.0.1", int(found[1]), found[2], "DROP TABLE dbo.nothing_here")
        except pymssql.Error as error:
            failures.append(error)

    thread = threading.Thread(target=drop)
    thread.start()
    terminal.until("Let it run? [y/n]")
    assert "DROP TABLE dbo.nothing_here" in terminal.text
    terminal.type(key + "\n")
    thread.join(20)
    assert ("DROP TABLE dbo.nothing_here" in server.seen.statements[-1]) == (key == "y")
    assert (failures[0].args[0] == 208) == (code == 208), failures
    terminal.until("denied, synced: local" if key == "y" else "1 denied")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.close() == 0
    assert "ended (interrupted)" in terminal.text


def test_the_port_is_taken(hoop: Hoop, server: RunningUpstream) -> None:
    done = hoop("connect", "shop", "--port", str(server.port), "--", "true")
    assert done.code == 2
    assert "leave out --port" in done.err


def test_a_command_that_cannot_be_run(hoop: Hoop) -> None:
    assert "cannot be run" in hoop("connect", "shop", "--", "/no/such/program").err


def test_a_broken_ledger_stops_everything(hoop: Hoop, home: Path) -> None:
    (home / "state").mkdir(mode=0o700)
    (home / "state" / "ledger.db").write_bytes(b"not a database" * 100)
    done = hoop("exec", "shop", SELECT)
    assert done.code == 7
