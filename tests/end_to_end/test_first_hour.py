"""A server's first hour, by its commands alone: the first person signs in, a ledger is sent, and the server stops."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hoopcli.ledger.note import Cosigner
from tests.support.machine import HOOP, Machine
from tests.support.ports import free_port
from tests.support.upstream import RunningUpstream, upstream

POLICY = """
version: 1
rules:
  - {id: admins-read, effect: allow, principals: {groups: [hoop-admins]}, verbs: ["sql:*"]}
"""
COUNT = "SELECT COUNT(*) FROM dbo.customers"


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@contextmanager
def running(machine: Machine, *argv: str) -> Iterator[str]:
    """``hoop server run`` until the block ends; what it says first."""
    process = subprocess.Popen(
        [*HOOP, "server", "run", *argv],
        env=machine._environment({}),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(30)
        process.stdout.close()
    assert code == 0


def server_of(folder: Path, port: int) -> Machine:
    folder.mkdir()
    (folder / "server.toml").write_text(
        f'port = {port}\npublic_url = "http://127.0.0.1:{port}"\ndata_dir = "data"\npolicy = "first.yaml"\n'
        'witness_name = "hoop.example.com/witness"\n'
    )
    return Machine(folder, {"HOOP_SERVER_CONFIG": str(folder / "server.toml")})


def broker_of(folder: Path, port: int, shop: RunningUpstream, **environment: str) -> Machine:
    folder.mkdir()
    made = Machine(folder, {"HOOP_SERVER__URL": f"http://127.0.0.1:{port}", "SHOP": shop.options.secret} | environment)
    made.configure(POLICY, {"shop": {"user": "sa", "secret": "env:SHOP", **shop.target()}})
    return made


def sign_in(machine: Machine, code: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HOOP, "login", "--invitation", *argv],
        env=machine._environment({}),
        input=f"{code}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_from_nothing_to_a_ledger_that_the_server_has_cosigned(tmp_path: Path, shop: RunningUpstream) -> None:
    port = free_port()
    server, ada = server_of(tmp_path / "server", port), broker_of(tmp_path / "ada", port, shop)
    refused = server.run("server", "run")
    assert refused.returncode == 2
    assert "hoop server init" in refused.stderr
    made = json.loads(server.run("server", "init", "--admin", "ada@example.com", "--json").stdout)
    again = server.run("server", "init")
    assert "--invitation" not in again.stdout
    assert made["witness"] in again.stdout
    with running(server) as said:
        assert said == f"hoop server on http://127.0.0.1:{port}\n"
        without = ada.run("login")
        assert without.returncode == 2
        assert "hoop login --invitation" in without.stderr
        assert sign_in(ada, made["invitation"], "--json").returncode == 0
        used = sign_in(ada, made["invitation"])
        assert used.returncode == 3
        assert "hoop server invite" in used.stderr
        assert json.loads(ada.run("whoami", "--json").stdout)["principal"]["groups"] == ["audit", "hoop-admins"]
        pushed = ada.run("policy", "push", str(ada.folder / "policy.yaml"), "--connection", "shop")
        assert pushed.returncode == 0, pushed.stderr
        assert ada.run("exec", "shop", COUNT).returncode == 0
        sent = json.loads(ada.run("sync", "--json").stdout)
        assert sent["records"] == len(ada.ledger.bodies()) > 0
        assert sent["witness"] == made["witness"]
        assert ada.run("exec", "shop", COUNT).returncode == 0
        assert "has all" in ada.run("sync").stdout
        code = server.run("server", "invite", "omar@example.com", "--group", "engineers").stdout.strip()
        omar = broker_of(tmp_path / "omar", port, shop)
        assert "omar@example.com (human)" in sign_in(omar, code).stdout
        denied = omar.run("exec", "shop", COUNT)
        assert denied.returncode == 4, denied.stderr
    away = ada.run("sync")
    assert away.returncode == 6
    assert "does not answer" in away.stderr


def test_strict_brokers_forward_nothing_that_the_server_has_not_cosigned(tmp_path: Path, shop: RunningUpstream) -> None:
    port, second = free_port(), free_port()
    server, other = server_of(tmp_path / "server", port), server_of(tmp_path / "other", second)
    witness = json.loads(other.run("server", "init", "--json").stdout)["witness"]
    code = json.loads(server.run("server", "init", "--json").stdout)["invitation"]
    further = f"{witness} http://127.0.0.1:{second}"
    ada = broker_of(
        tmp_path / "ada", port, shop, HOOP_SERVER__SYNC="strict", HOOP_SERVER__POLICY="local",
        HOOP_SERVER__WITNESSES=further, HOOP_SERVER__STRICT_SECONDS="8",
    )  # fmt: skip
    with running(server), running(other):
        assert sign_in(ada, code).returncode == 0
        not_enrolled = ada.run("exec", "shop", COUNT)
        assert not_enrolled.returncode != 0
        assert "hoop sync" in not_enrolled.stderr
        assert "warning" in ada.run("sync").stderr, "the other witness does not know this ledger"
        assert ada.run("exec", "shop", COUNT).returncode == 0
        before = len([body for body in ada.ledger.bodies() if body["type"] == "exchange.response"])
    refused = ada.run("exec", "shop", COUNT)
    assert refused.returncode != 0
    assert "does not answer" in refused.stderr
    after = len([body for body in ada.ledger.bodies() if body["type"] == "exchange.response"])
    assert before == after


def test_a_witness_key_for_a_secret_store(tmp_path: Path) -> None:
    server = server_of(tmp_path / "server", free_port())
    key = server.run("server", "init", "--print-witness-key").stdout
    assert Cosigner.parse(key.strip()).verifier.name == "hoop.example.com/witness"
    assert not (server.folder / "data").exists()


def test_what_keeps_a_server_from_starting_says_what_to_do(tmp_path: Path) -> None:
    server = server_of(tmp_path / "server", free_port())
    assert server.run("server", "init").returncode == 0
    key = server.folder / "data" / "witness.key"
    key.chmod(0o644)
    open_to_others = server.run("server", "run")
    assert "chmod 600" in open_to_others.stderr
    key.chmod(0o600)
    key.write_text("no key")
    assert server.run("server", "run").returncode != 0
    taken = server.run("server", "run", "--database", "mysql://example.com/x")
    assert taken.returncode == 2
    assert "Traceback" not in taken.stderr
