"""The API of audit: what one may read and nothing else, provable, and every reading of it kept."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import update

from hoopcli.ledger.merkle import leaf_hash, verify_inclusion
from hoopcli.ledger.note import Verifier, open_checkpoint
from hoopcli.model.access import Principal
from hoopcli.server.records import evidence, story
from hoopcli.server.tables import ledgers
from tests.server.pages.sessions_stage import hostile_session, shell_session, sql_session
from tests.server.pages.stage import Machine, looked_after
from tests.support.approvals import ADA, EVE, Running

SESSIONS, STATEMENTS, READS = "/v1/audit/sessions", "/v1/audit/statements", "/v1/audit/reads"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with looked_after(tmp_path_factory.mktemp("records")) as running:
        machine = Machine(running, "ledger.example/claires-laptop")
        sql_session(machine)
        shell_session(machine)
        hostile_session(machine)
        yield running


def get(server: Running, path: str, person: Principal = ADA) -> Any:
    answer = server.signed(person).request("GET", path)
    assert answer.status_code == 200, answer.text
    return answer.json()


def status(server: Running, path: str, person: Principal = ADA) -> int:
    return server.signed(person).request("GET", path).status_code


def identity(server: Running, name: str) -> str:
    return next(str(row["id"]) for row in get(server, SESSIONS)["sessions"] if row["session"] == name)


def test_sessions_and_statements_are_listed_and_counted(server: Running) -> None:
    found = get(server, f"{SESSIONS}?person=agent:claire")
    [row] = found["sessions"]
    assert (row["session"], row["statements"], row["denied"], row["waits"], row["live"]) == ("5e5510a1", 3, 1, 1, False)
    assert (found["next"], found["facets"]["of"]["connection"]) == (None, {"azure-sql": 1})
    [drop] = get(server, f"{STATEMENTS}?text=drop&resource=dbo.customers")["statements"]
    assert (drop["verbs"], drop["resources"], drop["effect"]) == (["sql:drop"], ["shop.dbo.customers"], "deny")
    assert drop["session"] == row["id"]
    assert get(server, f"{STATEMENTS}?below={drop['id']}&person=agent:claire")["statements"][0]["verbs"] == [
        "sql:select"
    ]


def test_a_session_is_told_in_steps(server: Running) -> None:
    told = get(server, f"{SESSIONS}/{identity(server, '5e5510a1')}")
    assert [step["type"] for step in told["steps"]][1:4] == ["exchange.request", "exchange.outcome", "exchange.request"]
    result = told["steps"][2]
    assert result["results"][0]["rows"] == [["Nadia", "•••-••-1234"], ["Omar", "NULL"]]
    assert (result["masked"], told["ledger"], told["next"]) == ([["ssn", 1]], "ledger.example/claires-laptop", None)
    later = get(server, f"{SESSIONS}/{told['session']['id']}?start={told['steps'][5]['index']}")
    assert later["steps"] == told["steps"][5:]


def test_long_sessions_come_in_parts(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "AT_ONCE", 2)
    monkeypatch.setattr(evidence, "AT_ONCE", 4)
    path = f"{SESSIONS}/{identity(server, '5e5510a1')}"
    first = get(server, path)
    assert (len(first["steps"]), first["next"]) == (2, first["steps"][1]["index"] + 1)
    parts: list[list[int]] = []
    start: int | None = 0
    while start is not None:
        part = get(server, f"{path}/evidence?start={start}")
        parts.append([record["index"] for record in part["records"]])
        start = part["next"]
    assert (parts, part["total"]) == ([[0, 1, 2, 3], [4, 5, 6, 7], [8]], 9)


def test_the_evidence_proves_each_record(server: Running) -> None:
    found = get(server, f"{SESSIONS}/{identity(server, '5e5510a1')}/evidence")
    keys = Verifier.parse(found["key"]), Verifier.parse(found["witness"])
    checkpoint = open_checkpoint(found["note"], keys[0], [keys[1]])
    for record in found["records"]:
        proof = [bytes.fromhex(part) for part in record["proof"]]
        leaf = leaf_hash(b64decode(record["data"]))
        assert verify_inclusion(leaf, record["index"], checkpoint.size, proof, checkpoint.root)


def test_records_that_no_checkpoint_covers_have_no_proof(server: Running) -> None:
    identified = identity(server, "5e5510a1")
    with server.services.database.write() as connection:
        kept = connection.execute(ledgers.ledgers.select()).mappings().one()
        connection.execute(update(ledgers.ledgers).values(note=None, witnessed_note=None))
    found = get(server, f"{SESSIONS}/{identified}/evidence")
    with server.services.database.write() as connection:
        notes = {name: kept[name] for name in ("note", "witnessed_note")}
        connection.execute(update(ledgers.ledgers).values(notes))
    assert (found["note"], {record["proof"] for record in found["records"]}) == ("", {None})


def test_who_may_not_read_finds_nothing_and_is_told_as_much(server: Running) -> None:
    hidden = identity(server, "5e5510a1")
    assert get(server, SESSIONS, EVE) == {"sessions": [], "next": None, "facets": {"counted": 0, "of": {}}}
    assert get(server, f"{STATEMENTS}?text=drop", EVE)["facets"]["counted"] == 0
    for path in (hidden, f"{hidden}/evidence"):
        denied = server.signed(EVE).request("GET", f"{SESSIONS}/{path}")
        missing = server.signed(EVE).request("GET", f"{SESSIONS}/{path.replace(hidden, '77')}")
        assert (denied.status_code, denied.json()) == (404, missing.json())


def test_reading_is_recorded_also_where_it_is_denied(server: Running) -> None:
    hidden = identity(server, "5e5510a1")
    get(server, f"{STATEMENTS}?text=drop&after=2026-03-01")
    status(server, f"{SESSIONS}/{hidden}", EVE)
    assert status(server, READS, EVE) == 403
    found = get(server, READS)
    assert [(row["subject"], row["what"], row["allowed"], row["found"]) for row in found[:3]] == [
        (EVE.subject, "reads", False, 0),
        (EVE.subject, "session", False, 0),
        (ADA.subject, "statements", True, 1),
    ]
    assert found[2]["asked"] == {"text": "drop", "after": "2026-03-01T00:00:00+00:00"}
    assert found[1]["asked"] == {"id": hidden}
    older = get(server, f"{READS}?below={found[1]['id']}")
    assert older[0] == found[2]


def test_what_cannot_be_asked_is_refused(server: Running) -> None:
    for path, expected in (
        (f"{SESSIONS}?after=yesterday", 400),
        (f"{STATEMENTS}?text=a*", 400),
        (f"{SESSIONS}?after=0001-01-01T00:00:00%2B23:00", 400),
        (f"{SESSIONS}?person=%00&connection=%F0%9F%92%A9", 200),
        (f"{SESSIONS}?below=-1", 422),
        (f"{SESSIONS}/{1 << 63}", 422),
        (f"{SESSIONS}/x", 422),
    ):
        assert status(server, path) == expected, path
