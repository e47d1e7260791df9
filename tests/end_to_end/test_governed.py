"""Brokers that a server governs: who they act as, what decides, and how soon both change under a running session."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from hoopcli.identity import server_session
from tests.support.clients import fetch, odbc
from tests.support.machine import Connected, Machine
from tests.support.place import Place, browser_of, place_of, serving
from tests.support.provider import provider
from tests.support.upstream import RunningUpstream, upstream
from tests.support.waiting import eventually

ADA = {"sub": "ada", "email": "ada@example.com", "name": "Ada", "groups": ["hoop-admins"]}
OMAR = {"sub": "omar", "email": "omar@example.com", "name": "Omar", "groups": ["engineers"]}
AT_SERVER = """
version: 1
rules:
  - {id: enrol, effect: allow, verbs: ["ledger:enrol"]}
  - {id: fetch, effect: allow, verbs: ["policy:fetch"]}
  - {id: admins, effect: allow, principals: {groups: [hoop-admins]}, verbs: ["policy:*", "people:*"]}
"""
READS = """
version: 1
rules:
  - id: engineers-read
    effect: allow
    principals: {groups: [engineers]}
    verbs: ["sql:select", "sql:set", "sql:use", "sql:transaction"]
"""
AGENTS = READS.replace("groups: [engineers]", "kinds: [agent], groups: [ai-agents]")
LOCAL = READS.replace("    principals: {groups: [engineers]}\n", "").replace("engineers-read", "local-rule")
COUNT = "SELECT COUNT(*) FROM dbo.customers"


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "server").mkdir()
    with place_of(tmp_path / "server", AT_SERVER, ADA, OMAR) as running:
        yield running


def machine(folder: Path, place: Place, person: str, shop: RunningUpstream, *, add: bool = True) -> Machine:
    """A machine whose owner is signed in; it has the shop's secret, and with ``add`` knows where the shop is."""
    folder.mkdir()
    made = Machine(
        folder,
        {"HOOP_SERVER__URL": place.url, "BROWSER": browser_of(folder, person), "SHOP_SECRET": shop.options.secret},
    )
    options: dict[str, str] = {"user": "sa", "secret": "env:SHOP_SECRET"} | (shop.target() if add else {})
    made.configure(LOCAL, {"shop": options})
    assert made.run("login").returncode == 0
    return made


def push(ada: Machine, policy: str, *more: str) -> dict[str, Any]:
    file = ada.folder / "pushed.yaml"
    file.write_text(policy)
    done = ada.run("policy", "push", str(file), "--json", *more)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@contextmanager
def connected(running: Connected) -> Iterator[Any]:
    listen = running.listen
    with odbc(listen.port, listen.user, listen.secret) as connection:
        yield connection


def count(running: Connected) -> str:
    """How many customers there are, or what the refusal says."""
    try:
        with connected(running) as connection:
            return str(fetch(connection, COUNT)[0][0])
    except pyodbc.Error as error:
        return str(error)


def test_the_servers_policy_decides_and_its_changes_reach_a_running_session(
    tmp_path: Path, place: Place, shop: RunningUpstream
) -> None:
    ada = machine(tmp_path / "ada", place, "ada", shop)
    omar = machine(tmp_path / "omar", place, "omar", shop, add=False)
    refused = omar.run("exec", "shop", COUNT)
    assert refused.returncode != 0
    assert "no policy yet" in refused.stderr
    assert push(ada, READS, "--connection", "shop", "--comment", "first")["serial"] == 1
    listed = json.loads(omar.run("connections", "ls", "--json").stdout)["connections"]
    assert [(each["name"], each["options"]["server"]) for each in listed] == [("shop", "127.0.0.1")]
    assert "SHOP_SECRET" not in json.dumps(json.loads(ada.run("policy", "pull", "--json").stdout))
    with omar.connect("shop") as session:
        assert session.document["principal"] == "omar@example.com"
        assert count(session).isdigit()
        assert push(ada, AGENTS)["serial"] == 2
        assert eventually(lambda: (said := count(session)) and not said.isdigit() and said)
    with omar.connect("shop", "--agent", "claire") as session:
        assert session.document["principal"] == "agent:claire"
        assert count(session).isdigit()
    log = json.loads(ada.run("policy", "log", "--json").stdout)["revisions"]
    assert [(each["serial"], each["author"], each["comment"]) for each in log] == [
        (2, "ada@example.com", ""),
        (1, "ada@example.com", "first"),
    ]
    bodies = omar.ledger.bodies()
    [change] = [each for each in bodies if each["type"] == "policy.changed"]
    assert change["source"] == "revision 2 of the server's policy"
    rules = {each["decision"]["rule"] for each in bodies if each["type"] == "exchange.request"}
    assert rules == {"engineers-read", "default-deny"}, "what the file of this machine says has no part in it"


def test_whose_sign_in_ends_loses_the_running_sessions(tmp_path: Path, place: Place, shop: RunningUpstream) -> None:
    ada = machine(tmp_path / "ada", place, "ada", shop)
    omar = machine(tmp_path / "omar", place, "omar", shop, add=False)
    push(ada, READS, "--connection", "shop")
    with omar.connect("shop") as session, connected(session) as connection:
        assert fetch(connection, COUNT)
        assert omar.run("logout").returncode == 0
        assert session.process.wait(20) == 0
        with pytest.raises(pyodbc.Error):
            fetch(connection, COUNT)
    assert "signed out at the server" in session.err
    refused = omar.run("connect", "shop")
    assert refused.returncode == 3
    assert "hoop login" in refused.stderr
    assert omar.run("login").returncode == 0
    with omar.connect("shop") as session:
        assert count(session).isdigit()
        with closing(server_session.client(place.url)) as http:
            key = place.session_of(http, "ada")
            path = "/v1/sessions/of/omar@example.com"
            revoked = server_session.send(http, key.key, "DELETE", path, place.now(), token=key.token)
        assert revoked.json() == {"ended": 1}
        assert session.process.wait(20) == 0


def test_a_machine_cannot_lead_a_connection_elsewhere(tmp_path: Path, place: Place, shop: RunningUpstream) -> None:
    ada = machine(tmp_path / "ada", place, "ada", shop)
    push(ada, LOCAL, "--connection", "shop")
    omar = machine(tmp_path / "omar", place, "omar", shop, add=False)
    secret = {"user": "sa", "secret": "env:SHOP_SECRET"}
    omar.configure(LOCAL, {"shop": secret | {"server": "attacker.example"}, "mine": secret | shop.target()})
    refused = omar.run("exec", "shop", COUNT)
    assert refused.returncode == 2
    assert "sets its server" in refused.stderr
    omar.configure(LOCAL, {"mine": secret | shop.target()})
    refused = omar.run("exec", "mine", COUNT)
    assert refused.returncode == 2
    assert "no connection 'mine'" in refused.stderr
    for settings in ['secret = "command:id"', 'options = {secret = "command:id"}']:
        pushed = ada.folder / "connections.toml"
        pushed.write_text(f'[connections.trap]\nserver = "127.0.0.1"\n{settings}\n')
        ada.run("policy", "push", "--connection", "trap")
        handed_out = json.loads(ada.run("policy", "pull", "--json").stdout)["connections"]
        assert "command" not in json.dumps(handed_out.get("trap", {}))


def test_a_server_that_is_away_leaves_the_kept_policy_and_one_set_back_is_refused(
    tmp_path: Path, shop: RunningUpstream
) -> None:
    folder, older = tmp_path / "server", tmp_path / "older"
    folder.mkdir()
    older.mkdir()
    with provider(ADA, OMAR) as issuer:
        with serving(folder, AT_SERVER, issuer) as place:
            port = int(place.url.rpartition(":")[2])
            ada = machine(tmp_path / "ada", place, "ada", shop)
            omar = machine(tmp_path / "omar", place, "omar", shop, add=False)
            push(ada, AGENTS, "--connection", "shop")
            push(ada, READS)
            assert omar.run("exec", "shop", COUNT).returncode == 0
            assert omar.run("policy", "pull").returncode == 0
        assert omar.run("exec", "shop", COUNT).returncode == 0, "the bundle that is kept decides"
        doctor = omar.run("doctor").stdout
        assert "revision 2 of" in doctor
        (older / "witness.key").write_bytes((folder / "witness.key").read_bytes())
        with serving(older, AT_SERVER, issuer, port) as place:
            assert ada.run("login").returncode == 0
            assert push_to_the_older(ada).returncode == 0
            assert omar.run("login").returncode == 0
            refused = omar.run("exec", "shop", COUNT)
    assert refused.returncode == 4
    assert "revision 1 of the policy after revision 2" in refused.stderr


def push_to_the_older(ada: Machine) -> Any:
    (ada.folder / "pushed.yaml").write_text(AGENTS)
    return ada.run("policy", "push", str(ada.folder / "pushed.yaml"), "--connection", "shop")
