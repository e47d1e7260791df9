"""What is taken in is found by every criterion, page by page, by those who may read it, and by nobody else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DatabaseError

from hoopcli.errors import UsageError
from hoopcli.ledger import drafts
from hoopcli.ledger.record import seal
from hoopcli.model.decision import Action, Approve, Statement
from hoopcli.model.outcome import Outcome, Status
from hoopcli.server.records import chores, indexing, newest, search
from hoopcli.server.records.search import PAGE, Query
from hoopcli.server.records.sight import Sight, may_read, resource, sight_of
from hoopcli.server.services import Services
from hoopcli.server.tables import records as tables
from tests.ledger.stage import ALLOW, DENY
from tests.server.records.stage import EVERYTHING, Story, find, odd, store, story, take, texts, told
from tests.support.server import ADA, OMAR

NOW = "2026-03-01T09:30:00.000000Z"
FOUND_BY: list[tuple[dict[str, Any], int]] = [
    ({}, 3),
    ({"text": "drop customers"}, 1),
    ({"text": "DROP dbo.customers"}, 1),
    ({"text": "cust*"}, 2),
    ({"text": "customer"}, 0),
    ({"person": "agent:claire"}, 3),
    ({"person": "agent:clair"}, 0),
    ({"on_behalf_of": "omar@example.com", "connector": "sql"}, 3),
    ({"connection": "azure-sql", "rule": "no-drops"}, 1),
    ({"verb": "sql:select", "effect": "allow"}, 2),
    ({"resource": "Customers"}, 3),
    ({"resource": "dbo.customers"}, 3),
    ({"resource": "shop.dbo"}, 0),
    ({"masked": True}, 2),
    ({"waited": True}, 1),
    ({"after": datetime(2026, 3, 1, 9, 0, 3, tzinfo=UTC)}, 2),
    ({"before": datetime(2026, 3, 1, 9, 0, 3, tzinfo=UTC), "text": "select"}, 1),
]


@pytest.mark.parametrize("cut", [(), (1,), (2,), (3, 4, 7)])
def test_it_is_found_by_all_that_is_known_of_it(made: Services, cut: tuple[int, ...]) -> None:
    """However the records were cut into batches."""
    records = story()
    store(made.database, 1, records)
    take(made.database, 1, records, *cut)
    assert [len(find(made, **asked).rows) for asked, _ in FOUND_BY] == [count for _, count in FOUND_BY]
    [first] = find(made, person="agent:claire", before=datetime(2026, 3, 1, 9, 0, 2, tzinfo=UTC)).rows
    assert (first["status"], first["rows"], first["masked"], first["name"]) == ("completed", 2, 2, "s1")


def test_commands_typed_into_a_terminal_are_found(made: Services) -> None:
    typed = Outcome("x", Status.COMPLETED, 0, 1, "ab" * 32, {}, facts={"commands": ["cat /etc/Sch\u00e4den", "ls"]})
    shell = Story().open().ask("x", text="exec shop/pod-1")
    records = told([*shell.drafts, drafts.exchange_outcome("s1", typed), drafts.exchange_outcome("s1", typed)])
    store(made.database, 1, records)
    take(made.database, 1, records, 2, 3)
    assert texts(find(made, text="sch\u00e4den exec")) == ["exec shop/pod-1"]
    assert texts(find(made, text="sch\u00e4*")) == ["exec shop/pod-1"]


def test_sessions_are_found_and_counted(made: Services) -> None:
    take(made.database, 1, story("s1") + told(Story("s2", "omar@example.com").open().ask("a", DENY).drafts, 5))
    with search.snapshot(made.database) as connection:
        page = search.sessions(connection, Query(), EVERYTHING, NOW)
        assert [row["session"] for row in page.rows] == ["s2", "s1"]
        one = page.rows[1]
        assert [one[name] for name in ("statements", "denied", "rows", "masked")] == [3, 1, 4, 4]
        assert (one["closed"], one["why"]) == ("2026-03-01T09:00:07.000000Z", "closed")
        for asked, names in (
            ({"live": True}, ["s2"]),
            ({"person": "omar@example.com"}, ["s2"]),
            ({"masked": True, "connection": "azure-sql", "connector": "sql"}, ["s1"]),
            ({"waited": True}, []),
            ({"before": datetime(2026, 3, 1, 9, 3, tzinfo=UTC), "on_behalf_of": "omar@example.com"}, ["s1"]),
        ):
            found = search.sessions(connection, Query(**asked), EVERYTHING, NOW).rows
            assert [row["session"] for row in found] == names
        facets = search.session_facets(connection, Query(), EVERYTHING, NOW)
        assert facets.facets["person"] == [("omar@example.com", 1), ("agent:claire", 1)]
        assert search.sessions(connection, Query(live=True), EVERYTHING, "2026-03-01T10:00:00.000000Z").rows == []


def test_pages_follow_one_another_without_a_gap(made: Services) -> None:
    long = Story().open()
    for number in range(PAGE + 7):
        long.ask(f"x{number}", text=f"SELECT {number}")
    take(made.database, 1, _same_time(long))
    first = find(made, text="select")
    second = find(made, text="select", below=first.next)
    assert second.next is None
    assert texts(first) + texts(second) == [f"SELECT {n}" for n in reversed(range(PAGE + 7))]
    with search.snapshot(made.database) as connection:
        facets = search.statement_facets(connection, Query(text="select"), EVERYTHING)
    assert (facets.counted, facets.facets["verb"]) == (PAGE + 7, [("sql:select", PAGE + 7)])


def test_one_reads_what_the_policy_says_and_counts_no_more(made: Services) -> None:
    take(made.database, 1, story("s1") + told(Story("s2", "omar@example.com").open().ask("a").drafts, 5))
    with search.snapshot(made.database) as connection:
        everything = sight_of(connection, made, ADA)
        nothing = sight_of(connection, made, OMAR)
        assert (len(everything.scopes), everything.everything) == (2, True)
        assert nothing == Sight(frozenset(), everything=False)
        assert search.sessions(connection, Query(), nothing, NOW).rows == []
        assert search.statements(connection, Query(), nothing).rows == []
        assert search.statement_facets(connection, Query(), nothing).counted == 0
        [omars] = [
            s
            for s in everything.scopes
            if search.sessions(connection, Query(), _only(s), NOW).rows[0]["session"] == "s2"
        ]
        for only in (_only(omars), _only(omars, *range(1_000, 1_400))):
            assert [row["name"] for row in search.statements(connection, Query(text="select"), only).rows] == ["s2"]
            assert [row["session"] for row in search.sessions(connection, Query(), only, NOW).rows] == ["s2"]
    assert may_read(made, ADA, "azure-sql", "x")
    assert not may_read(made, OMAR, "azure-sql", "omar@example.com")


def test_names_cannot_pass_for_others() -> None:
    assert resource("a/b", "c") != resource("a", "b/c")
    assert "*" not in resource("*", "*")


def test_what_makes_no_sense_is_passed_over(made: Services) -> None:
    request = {"type": "exchange.request", "exchange": "x", "text": "SELECT strange", "media_type": ""}
    decision = {"effect": "allow", "rule": "r", "obligations": []}
    records = [
        b'not json "session":',
        odd(type="session.open"),
        odd(type="exchange.request", session="unknown"),
        *told(Story().open().drafts),
        odd(type="session.open"),
        odd(**request),
        odd(**request, actions=[{"verb": 7, "resources": []}], decision=decision),
        odd(**request, actions=[], decision=decision, time="yesterday"),
        odd(type="exchange.outcome", exchange="x"),
        odd(type="exchange.outcome", exchange="nowhere", status="", rows="9" * 20, masked={"a": -7}),
        odd(type="session.close", why=7),
        odd(
            **request | {"text": "a\0b \ud800 kept"}, actions=[{"verb": "v\0", "resources": ["\0"]}], decision=decision
        ),
        odd(type="exchange.outcome", exchange="x", status="", rows=1 << 70, masked={"a": 1 << 70, "b": True}),
    ]
    store(made.database, 1, records)
    take(made.database, 1, records, 3, len(records) - 1)
    [row] = find(made, text="kept").rows
    assert (row["text"], row["status"], row["rows"], row["masked"]) == ("a\u2400b ? kept", "unknown", 1 << 53, 1 << 53)
    with search.snapshot(made.database) as connection:
        [session] = search.sessions(connection, Query(), EVERYTHING, NOW).rows
        assert (session["statements"], session["closed"]) == (1, "")


def test_waiting_for_people_is_known_by_the_question_too(made: Services) -> None:
    waits = drafts.approval_asked("s1", "x", "q", "r", Approve(), datetime(2026, 3, 1, tzinfo=UTC))
    asked = drafts.exchange_request(
        "s1", "x", Statement("TRUNCATE t", b"", (Action("sql:truncate", ("t",)),)), ALLOW, shown="TRUNCATE t"
    )
    take(made.database, 1, told([*Story().open().drafts, waits, asked]))
    assert texts(find(made, waited=True)) == ["TRUNCATE t"]


@pytest.mark.parametrize("asked", ["ab*", "\u2026 !", " ".join(f"w{n}" for n in range(21))])
def test_what_nobody_can_look_for_is_said(made: Services, asked: str) -> None:
    with pytest.raises(UsageError):
        find(made, text=asked, sight=EVERYTHING)


def test_records_from_before_there_was_an_index_are_taken_in_by_a_chore(made: Services) -> None:
    records = story()
    store(made.database, 1, records)
    with made.database.write() as connection:  # what comes next waits for them
        indexing.extend(connection, 1, len(records), [(len(records), records[0])])
    assert find(made).rows == []
    turns = 0
    while chores.catch_up(made, 4):
        turns += 1
    assert (turns, len(find(made).rows)) == (2, 3)


def test_nobody_changes_what_is_known_of_reading(made: Services) -> None:
    row = {"at": 1.0, "subject": "ada", "what": "sessions", "asked": {}, "allowed": True, "found": 0}
    with made.database.write() as connection:
        connection.execute(insert(tables.reads).values(row))
    for change in ("UPDATE audit_reads SET subject = 'eve'", "DELETE FROM audit_reads"):
        with pytest.raises(DatabaseError), made.database.write() as connection:
            connection.execute(text(change))
    with made.database.read() as connection:
        assert connection.execute(select(tables.reads.c.subject)).scalars().all() == ["ada"]


def _only(*scopes: int) -> Sight:
    return Sight(frozenset(scopes), everything=False)


def _same_time(long: Story) -> list[bytes]:
    return [seal(draft).encode("2026-03-01T09:00:00.000000Z") for draft in long.drafts]


def test_where_the_planner_errs_everything_is_looked_at(made: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL the newest are looked at first: few that match are found all the same, and many in order."""
    long = Story().open()
    for number in range(PAGE * 2):
        long.ask(f"x{number}", DENY if number == 3 else ALLOW, text=f"SELECT {number}")
    take(made.database, 1, _same_time(long))
    monkeypatch.setattr(newest, "_FIRST", 0)
    for margin in (1, 0.001, 0.0001):
        monkeypatch.setattr(newest, "_MARGIN", margin)
        assert texts(find(made, text="select", effect="deny")) == ["SELECT 3"]
        assert texts(find(made, text="select")) == [f"SELECT {n}" for n in reversed(range(PAGE, PAGE * 2))]
        assert (
            texts(find(made, text="select", sight=_only(1, *range(50, 90)), connection="azure-sql"))[0] == "SELECT 99"
        )
        assert texts(find(made, text="select", sight=_only(1), person="nobody@example.com")) == []


def test_statements_of_one_moment_in_two_ledgers_are_told_apart(made: Services) -> None:
    for ledger in (1, 1 + 2048, 1 + 2 * 2048):  # their keys would be the same
        take(made.database, ledger, story())
    assert len({row["key"] for row in find(made, person="agent:claire").rows}) == 9
