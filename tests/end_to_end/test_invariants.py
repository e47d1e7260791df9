"""The invariants of the design, each with attempts to break it: a real broker, a real upstream, real clients.

The credential and the port are in ``test_credentials.py``, the ledger is in ``test_evidence.py``. That a statement is
recorded before it is forwarded is also shown by killing the broker, in ``tests/sql/test_kill.py``.
"""

from __future__ import annotations

import hashlib
import json
import resource
import socket
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.sql.demo import shop
from connectors.sql.demo.options import Options
from connectors.sql.exchange import DENIED
from connectors.sql.tds.packet import PacketType, packetize
from connectors.sql.tds.request import SqlBatch, encode_request
from connectors.sql.tds.tokenstream import read_tokens
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.record import Slot, digest, references
from tests.end_to_end.conftest import POLICY, SECRET
from tests.sql.demo.stage import RawClient, errors, raw, rows
from tests.support.ledger import records_of
from tests.support.machine import COLLEAGUE, Connected, Machine
from tests.support.upstream import RunningUpstream, upstream
from tests.support.waiting import eventually

TRUNCATE = "TRUNCATE TABLE dbo.order_items"
CUSTOMERS = "SELECT id, ssn, email FROM dbo.customers ORDER BY id"
ATTENTION = b"".join(packetize(PacketType.ATTENTION, []))


# 1. Recorded before forwarded.


def full_disk(session: Connected, _machine: Machine) -> None:
    page = 4096  # not even the first page fits: a log that was checkpointed is written from its beginning
    resource.prlimit(session.pid, resource.RLIMIT_FSIZE, (page, page))


def broken_file(_session: Connected, machine: Machine) -> None:
    db = sqlite3.connect(machine.ledger.path)
    db.execute("DROP TABLE records")
    db.close()


@pytest.mark.parametrize("fail", [full_disk, broken_file])
def test_when_the_ledger_fails_nothing_more_is_forwarded_and_the_session_ends(
    machine: Machine, server: RunningUpstream, fail: Callable[[Connected, Machine], None]
) -> None:
    with machine.connect("shop") as session, raw(session.listen.port, secret=session.listen.secret) as client:
        assert rows(client.ask(SqlBatch("SELECT 1"))) == [(1,)]
        fail(session, machine)
        before = len(server.seen.statements)
        with pytest.raises(ConnectionError):
            client.ask(SqlBatch("SELECT 1 AS after_the_failure"))
        assert session.process.wait(20) == 7
        assert server.seen.statements[before:] == []
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", session.listen.port))
    assert "ledger" in session.err


# 2. Masked before delivered.


def test_what_a_client_receives_is_masked_and_is_what_the_ledger_says(client: RawClient, machine: Machine) -> None:
    client.send(*encode_request(SqlBatch(CUSTOMERS)))
    payload = client.receive()
    assert machine.ledger.outcome_of(CUSTOMERS)["delivered"]["size"] == len(payload)
    with Reader.open(machine.ledger.path) as reader:
        record = next(r for r in records_of(machine.ledger.path) if r.type == "exchange.outcome")
        row = reader.payload_row(record.index, Slot.DELIVERED)
        assert row is not None
        assert row.salt is not None
        [recorded] = [r for r in references(record.body) if r.slot is Slot.DELIVERED]
        assert recorded.digest == digest(row.salt, hashlib.sha256(payload).digest())
    for _, _, ssn, email, *_ in dict(shop.rows())["customers"]:
        assert str(ssn).encode() not in payload
        assert str(email).encode("utf-16-le") not in payload
    assert len(rows(read_tokens(payload))) == len(list(dict(shop.rows())["customers"]))


# 3. Fails closed.


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("EXEC('DROP TABLE dbo.orders')", "sql:"),
        ("DECLARE @t nvarchar(99) = N'DROP TABLE dbo.orders' EXEC(@t)", "sql:"),
        ("SELECT * FROM OPENROWSET('SQLNCLI', 'Server=elsewhere', 'SELECT 1')", "rule"),
        ("SELECT 'unfinished", "unclassified"),
        ("xp_cmdshell 'dir'", "rule"),
        ("SELECT ssn INTO dbo.copy FROM dbo.customers", "rule"),
        ("DROP TABLE dbo.orders", "never-drop"),
    ],
)
def test_what_is_not_understood_or_not_allowed_is_denied_with_a_reason(
    client: RawClient, server: RunningUpstream, text: str, why: str
) -> None:
    before = len(server.seen.statements)
    said = client.ask(SqlBatch(text))
    assert errors(said) == [DENIED]
    assert why in str(said)
    assert "hoop policy explain" in str(said)
    assert server.seen.statements[before:] == []


def test_a_policy_that_cannot_be_read_opens_no_session(machine: Machine, server: RunningUpstream) -> None:
    (machine.folder / "policy.yaml").write_text(POLICY.replace("effect: deny", "effect: maybe"))
    before = server.seen.connections
    done = machine.run("exec", "shop", "SELECT 1")
    assert (done.returncode, server.seen.connections) == (2, before)
    assert "policy.yaml:" in done.stderr


# 6. An approval is bound.


def ask(machine: Machine, *argv: str) -> str:
    """Ask without waiting; the id of the request that now waits, empty if the statement ran."""
    done = machine.run("exec", *argv, "--no-wait", "--json")
    assert done.returncode in {0, 5}, done.stderr
    requests: list[dict[str, Any]] = json.loads(machine.run("approvals", "ls", "--json").stdout)["requests"]
    return str(requests[-1]["id"]) if done.returncode == 5 else ""


def test_an_approval_is_good_for_one_statement_of_one_principal_on_one_connection_once(
    machine: Machine, server: RunningUpstream
) -> None:
    claire = ("--agent", "claire")
    approved = ask(machine, "shop", TRUNCATE, *claire)
    assert machine.run("approvals", "approve", approved).returncode == 4  # omar, for whom claire acts
    assert machine.run("approvals", "approve", approved, HOOP_AGENT="bob", **COLLEAGUE).returncode == 4
    assert machine.run("approvals", "approve", approved, HOOP_IDENTITY__SUBJECT="eve@example.com").returncode == 4
    assert TRUNCATE not in server.seen.statements
    assert machine.run("approvals", "approve", approved, **COLLEAGUE).returncode == 0
    for other in (
        ("shop", TRUNCATE + " ", *claire),
        ("shop", TRUNCATE.lower(), *claire),
        ("shop", TRUNCATE, "--agent", "bob"),
        ("shop", TRUNCATE),
        ("shop-too", TRUNCATE, *claire),
    ):
        assert ask(machine, *other) not in {"", approved}
    assert TRUNCATE not in server.seen.statements
    assert ask(machine, "shop", TRUNCATE, *claire) == ""
    assert server.seen.statements.count(TRUNCATE) == 1
    assert ask(machine, "shop", TRUNCATE, *claire) not in {"", approved}
    assert server.seen.statements.count(TRUNCATE) == 1


# 8. Bounded memory.

ENOUGH = 150_000_000
ROOM = 64_000_000


def resident(pid: int) -> int:
    """The most memory that a process has had since its count was reset."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_a_result(machine: Machine) -> None:
    with upstream(Options(secret=SECRET, canned=True, big_rows=4000)) as big:
        machine.configure(POLICY, {"shop": {**big.target(), "user": "sa", "secret": "env:SHOP_SECRET"}})
        with machine.connect("shop") as session, raw(session.listen.port, secret=session.listen.secret) as client:
            client.ask(SqlBatch("SELECT 1"))
            Path(f"/proc/{session.pid}/clear_refs").write_text("5")
            before = resident(session.pid)
            client.send(*encode_request(SqlBatch("SELECT * FROM dbo.huge")))
            room = memoryview(bytearray(1 << 20))
            received = 0
            while received < ENOUGH:
                received += (count := client.socket.recv_into(room))
                assert count
            assert resident(session.pid) - before < ROOM
            client.socket.close()
        outcome = machine.ledger.outcome_of("dbo.huge")
        assert outcome["status"] == "lost"
        assert outcome["delivered"]["size"] > ENOUGH * 0.9


# 9. The loop is never blocked.


def test_one_statement_waits_while_others_run_and_its_cancel_is_heard(
    session: Connected, client: RawClient, machine: Machine, server: RunningUpstream
) -> None:
    client.send(*encode_request(SqlBatch(TRUNCATE)))
    eventually(lambda: machine.ledger.bodies("approval.asked"))
    before = server.seen.statements.count(TRUNCATE)
    with (
        raw(session.listen.port, secret=session.listen.secret) as other,
        raw(session.listen.port, secret=session.listen.secret) as deaf,
    ):
        deaf.send(*encode_request(SqlBatch("SELECT a.* FROM dbo.orders a, dbo.customers b, dbo.customers c")))
        for number in range(20):
            assert rows(other.ask(SqlBatch(f"SELECT {number} AS n"))) == [(number,)]
    client.socket.sendall(ATTENTION)
    assert errors(client.tokens()) == [DENIED]
    client.cancelled()
    assert rows(client.ask(SqlBatch("SELECT 1"))) == [(1,)]
    eventually(lambda: machine.ledger.bodies("approval.withdrawn"))
    assert server.seen.statements.count(TRUNCATE) == before


def test_a_client_that_hangs_up_while_it_waits_is_heard(session: Connected, machine: Machine) -> None:
    with raw(session.listen.port, secret=session.listen.secret) as client:
        client.send(*encode_request(SqlBatch(TRUNCATE)))
        eventually(lambda: machine.ledger.bodies("approval.asked"))
    eventually(lambda: machine.ledger.bodies("approval.withdrawn"))
    assert machine.ledger.request_of(TRUNCATE)["decision"]["effect"] == "deny"
