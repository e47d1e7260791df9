"""Finding sessions and exchanges; the index is derived, and can always be made again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hoopcli.ledger.drafts import session_close
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.record import Draft
from hoopcli.ledger.search import Index, Query
from hoopcli.ledger.tally import Tally
from tests.ledger.stage import Story, filled, ledger, whole_story
from tests.support.clock import Clock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path, stories=3)


@pytest.fixture
def index(path: Path) -> Iterator[Index]:
    with Reader.open(path) as reader, Index(reader) as opened:
        yield opened


def ids(index: Index, query: Query, limit: int = 100) -> list[str]:
    return [row.id for row in index.sessions(query, limit)]


def test_sessions_are_listed_newest_first(index: Index) -> None:
    newest = index.sessions()[0]
    assert (newest.id, newest.principal, newest.kind, newest.connection) == ("s3", "agent:claire", "agent", "azure-sql")
    assert (newest.statements, newest.denied, newest.rows, newest.masked) == (3, 1, 4, 4)
    assert (newest.why, newest.closed > newest.opened, newest.reason) == ("closed", True, "ticket 7")
    assert ids(index, Query()) == ["s3", "s2", "s1"]
    assert ids(index, Query(), limit=1) == ["s3"]


def test_sessions_by_what_they_were(index: Index) -> None:
    later = Clock().time + timedelta(seconds=30)
    assert ids(index, Query(session="s2")) == ["s2"]
    assert ids(index, Query(principal="agent:claire", connection="azure-sql", denied=True, masked=True)) != []
    assert ids(index, Query(principal="nobody")) == []
    assert ids(index, Query(denied=False)) == []
    assert ids(index, Query(after=later)) == ["s3", "s2"]
    assert ids(index, Query(before=later)) == ["s1"]


def test_sessions_by_what_they_asked(index: Index) -> None:
    assert ids(index, Query(text="drop table", session="s1")) == ["s1"]
    assert ids(index, Query(rule="no-drops", verb="sql:select")) == ["s3", "s2", "s1"]
    assert ids(index, Query(verb="sql:drop")) == []


def test_exchanges_are_found_in_the_order_of_the_ledger(index: Index) -> None:
    found = index.exchanges(Query(text="NAME from"))
    assert [(e.index, e.id, e.status, e.rows, e.masked) for e in found] == [
        (1, "s1-1", "completed", 2, 2),
        (9, "s2-1", "completed", 2, 2),
        (17, "s3-1", "completed", 2, 2),
    ]
    assert (found[0].principal, found[0].connection) == ("agent:claire", "azure-sql")
    assert [e.id for e in index.exchanges(Query(denied=True, session="s2"))] == ["s2-2"]
    assert [e.id for e in index.exchanges(Query(masked=False, rule="no-drops"), limit=2)] == ["s1-2", "s2-2"]


@pytest.mark.parametrize("text", ["%", "_", "\\", "DROP%customers", "' OR 1=1 --"])
def test_what_is_looked_for_is_no_pattern(index: Index, text: str) -> None:
    assert index.exchanges(Query(text=text)) == []


def test_new_records_are_found_at_the_next_search(path: Path, index: Index) -> None:
    assert len(index.exchanges()) == 9
    with ledger(path.parent, Clock(Clock().time + timedelta(hours=1))) as opened:
        opened.append(whole_story("s4"))
    assert len(index.exchanges(Query(session="s4"))) == 3
    assert len(index.exchanges()) == 12


def index_file(path: Path) -> Path:
    return path.with_name("ledger.db.index")


def test_the_index_is_private_and_can_be_thrown_away(path: Path) -> None:
    for spoil in (None, b"garbage" * 1000, b""):
        with Reader.open(path) as reader, Index(reader) as index:
            assert len(index.exchanges()) == 9
        assert index_file(path).stat().st_mode & 0o777 == 0o600
        index_file(path).unlink()
        if spoil is not None:
            index_file(path).write_bytes(spoil)
    with Reader.open(path) as reader, Index(reader) as index:
        assert len(index.exchanges()) == 9


@pytest.mark.parametrize(
    "sql", ["UPDATE progress SET origin = 'x'", "UPDATE progress SET size = 99", "DROP TABLE progress"]
)
def test_an_index_of_another_ledger_is_made_again(path: Path, sql: str) -> None:
    with Reader.open(path) as reader, Index(reader) as index:
        index.sessions()
    db = sqlite3.connect(index_file(path))
    db.execute("DELETE FROM exchanges")
    db.execute(sql)
    db.commit()
    db.close()
    with Reader.open(path) as reader, Index(reader) as index:
        assert len(index.exchanges()) == 9


def test_records_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append([Draft("exchange.request", {}, "s1"), Draft("session.open", {"principal": 1}, "s1")])
        opened.append([*Story().open().drafts, session_close("s9", "never opened", Tally())])
    with Reader.open(tmp_path / "ledger.db") as reader, Index(reader) as index:
        assert [row.id for row in index.sessions()] == ["s1"]
