"""What a session's page shows of records that lost something, or that no honest broker would have written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import update

from hoopcli.ledger import drafts
from hoopcli.ledger.record import Draft
from hoopcli.model.access import Connection
from hoopcli.model.outcome import Outcome, Piece, Status
from hoopcli.server.access import Caller
from hoopcli.server.problems import Problem
from hoopcli.server.records import story
from hoopcli.server.records.reading import Reading
from hoopcli.server.tables import ledgers
from tests.server.pages.sessions_stage import OMAR, Acted, rows_of
from tests.server.pages.stage import Machine, looked_after
from tests.support.approvals import ADA, Running

TDS = "application/vnd.hoop.tds"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with looked_after(tmp_path_factory.mktemp("story")) as running:
        yield running


def identity(server: Running, name: str) -> str:
    found = server.signed(ADA).request("GET", "/v1/audit/sessions").json()["sessions"]
    return next(str(row["id"]) for row in found if row["session"] == name)


def begun(server: Running, name: str, kind: str = "sql") -> Acted:
    return Acted(Machine(server, f"ledger.example/{name}"), name, OMAR, Connection("azure-sql", kind))


def told(server: Running, name: str) -> list[dict[str, Any]]:
    answer = server.signed(ADA).request("GET", f"/v1/audit/sessions/{identity(server, name)}")
    assert answer.status_code == 200
    steps: list[dict[str, Any]] = answer.json()["steps"]
    return steps[1:]


def ended(session: str, kept: bytes = b"", media_type: str = TDS, *, whole: bool = True, **facts: Any) -> Draft:
    found = Outcome("x", Status.COMPLETED, 1, 10, "ab" * 32, {}, (), kept, whole, media_type, facts=facts)
    return drafts.exchange_outcome(session, found)


def test_what_was_not_kept_or_is_cut_or_has_expired_is_said(server: Running) -> None:
    acted = begun(server, "gone")
    acted.record(ended("gone", whole=False), ended("gone", rows_of(["a"], ["b"]), whole=False))
    acted.record(ended("gone", rows_of(["a"], ["kept"])), ended("gone", facts="kept"))
    with server.services.database.write() as connection:
        mine = ledgers.payloads.c.idx == 3
        connection.execute(update(ledgers.payloads).where(mine).values(salt=None, content=None))
    steps = told(server, "gone")
    assert [step["note"][:20] for step in steps] == [
        "The policy keeps no ",
        "Only the beginning o",
        "What was kept has ex",
        "",
    ]
    assert steps[1]["results"][0]["rows"] == [["b"]]


def test_long_texts_and_large_results_are_cut(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    acted = begun(server, "long")
    acted.ask("x", "SELECT 1 -- " + "y" * 20_000)
    acted.record(ended("long", rows_of(["a"], *[["z" * 90]] * 60) * 3))
    monkeypatch.setattr(story, "TABLES", 2)
    monkeypatch.setattr(story, "CELL", 50)
    asked, answered = told(server, "long")
    assert (len(asked["text"]), asked["note"]) == (20_012, "")
    assert [(len(result["rows"]), result["more"]) for result in answered["results"]] == [(50, 10)] * 2
    assert (len(answered["results"][0]["rows"][0][0]), answered["note"]) == (50, "Only the first 2 results are shown.")
    monkeypatch.setattr(story, "TEXT", 100)
    assert told(server, "long")[0]["note"] == "Only the beginning of the text is shown."


def test_what_cannot_be_rendered_is_said(server: Running) -> None:
    acted = begun(server, "odd")
    acted.record(ended("odd", b"x", "text/strange"))
    other = begun(server, "other", "mainframe")
    other.record(ended("other", b"x"))
    assert told(server, "odd")[0]["note"].startswith("The result cannot be shown")
    assert told(server, "other")[0]["note"].startswith("The connector that could show this")


def test_records_of_any_kind_are_told(server: Running) -> None:
    acted = begun(server, "kinds")
    for draft in (
        drafts.session_heartbeat("kinds", 3),
        drafts.exchange_piece("kinds", Piece("x", 1, b"12345", "application/x-asciicast")),
        drafts.approval_ended("expired", "kinds", "x", "q"),
        drafts.approval_ended("used", "kinds", "x", "q"),
        Draft("approval.asked", {"exchange": 7, "groups": None}, "kinds"),
    ):
        acted.record(draft)
    steps = told(server, "kinds")
    assert steps[0]["facts"] == [["statements", 3]]
    notes = [
        "",
        "Part 2 of a recording, 5 bytes, kept before its end.",
        "Nobody answered in time.",
        "The approval was used.",
        "This record cannot be shown",
    ]
    assert [step["note"].partition(":")[0] for step in steps] == notes


def test_only_terminals_are_played(server: Running) -> None:
    acted = begun(server, "shell", "kubectl")
    lines = [{"version": 2, "width": 80, "height": 24}, [0.5, "o", "ls\r\n"]]
    cast = "".join(json.dumps(line) + "\n" for line in lines).encode()
    acted.record(ended("shell", cast, "application/x-asciicast"), ended("shell", b"{}", "application/json"))
    acted.record(ended("shell", cast + b"[broken\n", "application/x-asciicast"))
    reading = Reading(server.services, Caller(ADA, "s", datetime.now(UTC), "t"))
    key = int(identity(server, "shell"))
    assert b"ls" in reading.cast(key, 1)
    assert b"ls" in reading.cast(key, 3)
    for index in (0, 2, 99):
        with pytest.raises(Problem):
            reading.cast(key, index)
