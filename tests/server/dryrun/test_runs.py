"""Dry runs: how decisions change, what may not be read stays out, and steps that any replica takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from hoopcli.errors import UsageError
from hoopcli.ledger.record import Draft
from hoopcli.server.dryrun import changes, recorded, runs
from hoopcli.server.dryrun.changes import Kind
from hoopcli.server.dryrun.runs import Runs
from hoopcli.server.pages.connections import current
from hoopcli.server.problems import Problem
from tests.server.pages.stage import CLAIRE, OMAR, POLICY, Machine, asked, looked_after, publish
from tests.support.approvals import Running

KINDS = (
    POLICY.replace('["sql:select"]', '["sql:select", "sql:insert"]')
    .replace("15m", "30m")
    .replace("keep_last: 4", "keep_last: 2")
)
APPROVED = POLICY.replace("effect: allow", "effect: require_approval")


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with looked_after(tmp_path_factory.mktemp("dryrun")) as running:
        publish(running)
        machine = Machine(running, "omar-laptop.example/hoop")
        machine.open("s1", OMAR)
        machine.record(*[asked("s1", f"SELECT {n}") for n in range(5)])
        machine.record(asked("s1", "INSERT", "sql:insert"), asked("s1", "DROP", "sql:drop"))
        machine.open("s2", CLAIRE, "gone")
        machine.record(asked("s2", "SELECT 'agent'"), Draft("exchange.request", {"text": "not one"}, "s2"))
        yield running


def everything(connection: str, principal: str) -> bool:
    return True


def run_of(server: Running, draft: str, may_read: recorded.MayRead = everything) -> runs.Run:
    mine = Runs(server.services.database, "nadia@example.com", may_read)
    run = mine.begin(draft, server.services.now())
    while not run.over:
        run = mine.step(mine.get(run.id), seconds=0)
    assert mine.get(run.id) == run
    return run


def test_what_changes_is_told_by_kind(server: Running) -> None:
    found = run_of(server, KINDS).changes
    assert found.kinds == {Kind.ALLOWED: 1, Kind.MASKS: 7}
    assert (found.seen, found.unreadable, found.hidden) == (8, 1, 0)
    assert found.sorted()[0][0].kind is Kind.ALLOWED
    assert run_of(server, POLICY.replace("15m", "30m")).changes.kinds == {Kind.TERMS: 1}
    assert run_of(server, APPROVED).changes.kinds == {Kind.APPROVAL: 6}
    assert run_of(server, POLICY).changes.sorted() == []


def test_what_one_may_not_read_is_left_out(server: Running) -> None:
    found = run_of(server, KINDS, lambda connection, principal: principal == OMAR.subject).changes
    assert (found.seen, found.hidden) == (7, 1)
    assert "agent" not in str(found.document())


def test_groups_and_records_are_bounded(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_GROUPS", 1)
    monkeypatch.setattr(recorded, "KEPT_SESSIONS", 1)
    found = run_of(server, KINDS).changes
    assert len(found.groups) == 1
    assert found.left_out + sum(count for _, count in found.sorted()) == sum(found.kinds.values())
    monkeypatch.setattr(runs, "CHUNK", 2)
    monkeypatch.setattr(runs, "MOST_RECORDS", 3)
    cut = run_of(server, KINDS)
    assert (cut.total, cut.cut, cut.done) == (3, True, 4)


def test_a_step_counts_once_at_whichever_replica(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "CHUNK", 2)
    mine = Runs(server.services.database, "nadia@example.com", everything)
    run = mine.begin(KINDS, server.services.now())
    first = mine.step(mine.get(run.id), seconds=0)
    again = mine.step(replace(run, changes=changes.Changes()), seconds=0)
    assert (first.turn, again) == (1, first)


def test_nobody_else_sees_it_and_a_draft_must_be_valid(server: Running) -> None:
    run = Runs(server.services.database, "nadia@example.com", everything).begin(KINDS, server.services.now())
    with pytest.raises(Problem):
        Runs(server.services.database, "piet@example.com", everything).get(run.id)
    with pytest.raises(UsageError):
        run_of(server, "rules: [")


def test_without_a_policy_there_is_nothing_to_compare(tmp_path_factory: pytest.TempPathFactory) -> None:
    with looked_after(tmp_path_factory.mktemp("empty")) as server:
        assert current(server.services) is None
        with pytest.raises(Problem):
            run_of(server, POLICY)
