"""Approvals: what they are bound to, who may answer, and every way round them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hoopcli.errors import DeniedError, HoopError, UsageError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.model.decision import Approve
from hoopcli.proxy.approvals import WAITING_LIMIT, Approvals, Binding, Request, State
from tests.support.clock import Clock

BINDING = Binding("agent:claire", "azure-sql", "ddl-needs-a-human", "d1")
TERMS = Approve(groups=("dba",), count=1, expires=timedelta(minutes=15))
DBA = Principal("nadia@example.com", groups=frozenset({"dba"}))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def approvals(tmp_path: Path, clock: Clock) -> Iterator[Approvals]:
    store = Approvals(tmp_path / "approvals.db", clock)
    yield store
    store.close()


def ask(approvals: Approvals, binding: Binding = BINDING, terms: Approve = TERMS, session: str = "s1") -> Request:
    return approvals.ask(
        binding, terms, session=session, on_behalf_of="omar@example.com", reason="ticket 7", text="DROP TABLE t"
    )


def test_an_approval_is_asked_answered_and_used_once(approvals: Approvals) -> None:
    request = ask(approvals)
    assert [r.id for r in approvals.pending()] == [request.id]
    assert approvals.answer(request.id, DBA, approve=True, comment="fine").state is State.APPROVED
    assert approvals.pending() == []
    assert approvals.use(request.id, BINDING)
    assert approvals.get(request.id).state is State.USED
    assert not approvals.use(request.id, BINDING)


@pytest.mark.parametrize(
    "other",
    [
        replace(BINDING, principal="agent:other"),
        replace(BINDING, connection="azure-sql-2"),
        replace(BINDING, rule="another-rule"),
        replace(BINDING, digest="d2"),
    ],
)
def test_an_approval_is_good_for_nothing_else(approvals: Approvals, other: Binding) -> None:
    request = ask(approvals)
    approvals.answer(request.id, DBA, approve=True)
    assert not approvals.use(request.id, other)
    assert ask(approvals, other).id != request.id
    assert approvals.use(request.id, BINDING)


def test_the_next_identical_try_finds_its_approval(approvals: Approvals) -> None:
    request = ask(approvals)
    approvals.answer(request.id, DBA, approve=True)
    again = ask(approvals, session="s2")
    assert (again.id, again.state) == (request.id, State.APPROVED)


def test_it_expires_absolutely_also_once_approved(approvals: Approvals, clock: Clock) -> None:
    waiting, approved = ask(approvals), ask(approvals, replace(BINDING, digest="d2"))
    approvals.answer(approved.id, DBA, approve=True)
    clock.forward(minutes=15)
    assert approvals.get(waiting.id).state is State.EXPIRED
    assert not approvals.use(approved.id, replace(BINDING, digest="d2"))
    with pytest.raises(UsageError, match="expired already"):
        approvals.answer(waiting.id, DBA, approve=True)
    assert ask(approvals).id != waiting.id


def test_one_no_is_a_no(approvals: Approvals) -> None:
    request = ask(approvals, terms=replace(TERMS, count=2))
    approvals.answer(request.id, DBA, approve=True)
    assert approvals.get(request.id).state is State.WAITING
    second = replace(DBA, subject="piet@example.com")
    assert approvals.answer(request.id, second, approve=False, comment="not today").state is State.DENIED
    assert not approvals.use(request.id, BINDING)


def test_a_count_needs_different_people(approvals: Approvals) -> None:
    request = ask(approvals, terms=replace(TERMS, count=2))
    approvals.answer(request.id, DBA, approve=True)
    with pytest.raises(UsageError, match="answered request"):
        approvals.answer(request.id, DBA, approve=True)
    assert not approvals.use(request.id, BINDING)
    approvals.answer(request.id, replace(DBA, subject="piet@example.com"), approve=True)
    assert approvals.use(request.id, BINDING)


@pytest.mark.parametrize(
    ("approver", "why"),
    [
        (Principal("agent:claire", groups=frozenset({"dba"})), "their own"),
        (Principal("bot", PrincipalKind.AGENT, groups=frozenset({"dba"})), "only a person"),
        (Principal("ci", PrincipalKind.WORKLOAD, groups=frozenset({"dba"})), "only a person"),
        (Principal("omar@example.com", groups=frozenset({"sales"})), "needs an approver of dba"),
        (Principal("omar@example.com"), "needs an approver of dba"),
    ],
)
def test_who_may_not_answer(approvals: Approvals, approver: Principal, why: str) -> None:
    request = ask(approvals)
    for approve in (True, False):
        with pytest.raises(DeniedError, match=why):
            approvals.answer(request.id, approver, approve=approve)
    assert approvals.get(request.id).state is State.WAITING


def test_several_uses_are_counted(approvals: Approvals) -> None:
    request = ask(approvals, terms=replace(TERMS, uses=2))
    approvals.answer(request.id, DBA, approve=True)
    assert [approvals.use(request.id, BINDING) for _ in range(3)] == [True, True, False]


def test_a_second_process_sees_the_answer(approvals: Approvals, tmp_path: Path, clock: Clock) -> None:
    request = ask(approvals)
    other = Approvals(tmp_path / "approvals.db", clock)
    other.answer(request.id, DBA, approve=True)
    other.close()
    assert approvals.get(request.id).state is State.APPROVED


def test_a_session_cannot_pile_up_requests(approvals: Approvals) -> None:
    for number in range(WAITING_LIMIT):
        ask(approvals, replace(BINDING, digest=f"d{number}"))
    with pytest.raises(DeniedError, match="already wait"):
        ask(approvals, replace(BINDING, digest="one more"))
    ask(approvals, replace(BINDING, digest="one more"), session="s2")


def test_old_requests_are_forgotten(approvals: Approvals, clock: Clock, tmp_path: Path) -> None:
    request = ask(approvals)
    approvals.answer(request.id, DBA, approve=True)
    clock.forward(days=2)
    ask(approvals, replace(BINDING, digest="d2"))
    with pytest.raises(UsageError, match="no approval request"):
        approvals.get(request.id)
    with sqlite3.connect(tmp_path / "approvals.db") as db:
        assert db.execute("SELECT count(*) FROM answers").fetchone() == (0,)
    db.close()


def test_the_file_is_private(approvals: Approvals, tmp_path: Path) -> None:
    ask(approvals)
    assert (tmp_path / "approvals.db").stat().st_mode & 0o077 == 0


def test_a_broken_file_is_a_clear_error(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "approvals.db"
    path.write_bytes(b"this is no database, but it is long enough to look like a header would" * 20)
    with pytest.raises(HoopError, match="cannot be opened") as caught:
        Approvals(path, clock)
    assert caught.value.hint == "run: hoop doctor"


def test_a_file_that_breaks_later_is_a_clear_error(approvals: Approvals) -> None:
    ask(approvals)
    approvals._db.execute("DROP TABLE requests")
    with pytest.raises(HoopError, match="cannot be read or written"):
        approvals.pending()


def test_what_it_would_touch_is_kept_also_in_a_file_of_an_earlier_version(tmp_path: Path, clock: Clock) -> None:
    earlier = Approvals(tmp_path / "approvals.db", clock)
    asked = ask(earlier)
    earlier.close()
    db = sqlite3.connect(tmp_path / "approvals.db")
    db.execute("ALTER TABLE requests DROP COLUMN touches")
    db.close()
    for _ in range(2):
        store = Approvals(tmp_path / "approvals.db", clock)
        assert store.get(asked.id).touches == ()
        told = store.ask(
            replace(BINDING, digest="d2"), TERMS, session="s1", on_behalf_of="", reason="", text="x", touches=["all"]
        )
        assert store.get(told.id).touches == ("all",)
        store.close()
