"""Statements that wait for a person: answered from elsewhere, withdrawn, bound to their bytes, and in nobody's way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from connectors.sql import catalog_reader
from hoopcli.proxy.approvals import Approvals, Request
from tests.end_to_end.conftest import POLICY
from tests.support.broker import DBA, ENGINEER, SA, RunningBroker, broker, eventually
from tests.support.clients import change, fetch, odbc
from tests.support.upstream import RunningUpstream, upstream

TRUNCATE = "TRUNCATE TABLE dbo.order_items"
ALTER = "ALTER TABLE dbo.products ADD colour varchar(20)"


@pytest.fixture
def server() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@contextmanager
def session(server: RunningUpstream, folder: Path, policy: str = POLICY, **more: Any) -> Iterator[RunningBroker]:
    with broker(folder, server.target(), policy, principal=ENGINEER, reason="spring cleaning", **more) as running:
        yield running


@contextmanager
def colleague(folder: Path) -> Iterator[Approvals]:
    """The requests as another process of the same machine opens them."""
    store = Approvals(folder / "approvals.db", lambda: datetime.now(UTC))
    try:
        yield store
    finally:
        store.close()


def connect(hoop: RunningBroker) -> Any:
    return odbc(hoop.listen.port, hoop.listen.user, hoop.listen.secret)


@contextmanager
def asking(hoop: RunningBroker, text: str) -> Iterator[Future[None]]:
    """Run a statement in a thread with a connection of its own; the end of the session ends it if nothing else does."""

    def run() -> None:
        with connect(hoop) as connection:
            change(connection, text)

    threads = ThreadPoolExecutor(1)
    try:
        yield threads.submit(run)
    finally:
        threads.shutdown(wait=False)


def pending(store: Approvals) -> Request:
    """The one request that waits."""
    [request] = eventually(store.pending)
    assert isinstance(request, Request)
    return request


def approvals_in(hoop: RunningBroker) -> list[str]:
    """What the ledger says of approvals, in order."""
    return [r["type"] for r in hoop.ledger.bodies() if r["type"].startswith("approval.")]


def test_an_approved_statement_runs_as_it_was_shown(server: RunningUpstream, tmp_path: Path) -> None:
    with session(server, tmp_path) as hoop, colleague(tmp_path) as store, asking(hoop, TRUNCATE) as asked:
        request = pending(store)
        assert (request.text, request.reason, request.binding.principal) == (
            TRUNCATE, "spring cleaning", ENGINEER.subject,
        )  # fmt: skip
        assert TRUNCATE not in server.seen.statements
        store.answer(request.id, DBA, approve=True, comment="go ahead")
        asked.result(20)
        assert TRUNCATE in server.seen.statements
        assert approvals_in(hoop) == ["approval.asked", "approval.answered", "approval.used"]
        assert DBA.subject in hoop.ledger.request_of(TRUNCATE)["decision"]["reason"]


def test_a_real_process_of_a_colleague_answers(server: RunningUpstream, tmp_path: Path) -> None:
    answer = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from hoopcli.proxy.approvals import Approvals; from tests.support.broker import DBA\n"
        "store = Approvals(Path(sys.argv[1]), lambda: datetime.now(UTC))\n"
        "print(store.answer(sys.argv[2], DBA, approve=True).state)\n"
    )
    with session(server, tmp_path) as hoop, colleague(tmp_path) as store, asking(hoop, TRUNCATE) as asked:
        command = [sys.executable, "-c", answer, str(tmp_path / "approvals.db"), pending(store).id]
        assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "approved\n"
        asked.result(20)


def test_a_denied_statement_carries_the_comment(server: RunningUpstream, tmp_path: Path) -> None:
    with session(server, tmp_path) as hoop, colleague(tmp_path) as store, asking(hoop, TRUNCATE) as asked:
        store.answer(pending(store).id, DBA, approve=False, comment="not before the audit")
        with pytest.raises(pyodbc.Error, match="not before the audit"):
            asked.result(20)
        assert approvals_in(hoop) == ["approval.asked", "approval.answered"]
        assert TRUNCATE not in server.seen.statements


def test_what_nobody_answers_expires(server: RunningUpstream, tmp_path: Path) -> None:
    with session(server, tmp_path, POLICY.replace("15m", "1s")) as hoop, asking(hoop, TRUNCATE) as asked:
        with pytest.raises(pyodbc.Error, match="expired"):
            asked.result(20)
        assert approvals_in(hoop) == ["approval.asked", "approval.expired"]
        assert TRUNCATE not in server.seen.statements


def test_a_cancel_withdraws_the_wait_and_the_connection_goes_on(server: RunningUpstream, tmp_path: Path) -> None:
    with session(server, tmp_path) as hoop, colleague(tmp_path) as store, connect(hoop) as connection:
        cursor = connection.cursor()
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(cursor.execute, TRUNCATE)
            pending(store)
            cursor.cancel()
            with suppress(pyodbc.Error):  # unixODBC loses some of what the driver says of a cancel
                asked.result(20)
        cursor.close()
        assert fetch(connection, "SELECT 1") == [(1,)]
        assert approvals_in(hoop) == ["approval.asked", "approval.withdrawn"]
        assert hoop.ledger.request_of(TRUNCATE)["decision"]["effect"] == "deny"
        assert TRUNCATE not in server.seen.statements


def test_what_was_approved_after_a_hang_up_runs_at_the_next_identical_try(
    server: RunningUpstream, tmp_path: Path
) -> None:
    with session(server, tmp_path) as hoop, colleague(tmp_path) as store:
        leave_while_it_waits(hoop, store)
        assert eventually(lambda: approvals_in(hoop) == ["approval.asked", "approval.withdrawn"])
        store.answer(pending(store).id, DBA, approve=True)
        assert TRUNCATE not in server.seen.statements
        with connect(hoop) as connection:
            change(connection, TRUNCATE)
        assert server.seen.statements.count(TRUNCATE) == 1
        assert approvals_in(hoop)[-1] == "approval.used"


def test_an_approval_is_spent_on_nothing_else(server: RunningUpstream, tmp_path: Path) -> None:
    with session(server, tmp_path) as hoop, colleague(tmp_path) as store:
        leave_while_it_waits(hoop, store)
        approved = pending(store)
        store.answer(approved.id, DBA, approve=True)
        for other in (TRUNCATE + " ", TRUNCATE.replace("order_items", "orders"), TRUNCATE.lower()):
            with asking(hoop, other) as asked:
                request = pending(store)
                assert request.id != approved.id
                store.answer(request.id, DBA, approve=False)
                with pytest.raises(pyodbc.Error, match="denied"):
                    asked.result(20)
            assert other not in server.seen.statements


def test_a_use_is_a_use(server: RunningUpstream, tmp_path: Path) -> None:
    with session(server, tmp_path) as hoop, colleague(tmp_path) as store:
        with asking(hoop, TRUNCATE) as asked:
            store.answer(pending(store).id, DBA, approve=True)
            asked.result(20)
        with asking(hoop, TRUNCATE) as again:
            store.answer(pending(store).id, DBA, approve=False)
            with pytest.raises(pyodbc.Error, match="denied"):
                again.result(20)
        assert server.seen.statements.count(TRUNCATE) == 1


def test_others_of_the_session_go_on_meanwhile(server: RunningUpstream, tmp_path: Path) -> None:
    with session(server, tmp_path) as hoop, colleague(tmp_path) as store, asking(hoop, TRUNCATE) as asked:
        waiting = pending(store)
        with connect(hoop) as connection, asking(hoop, ALTER) as other:
            assert fetch(connection, "SELECT count(*) FROM dbo.products") == [(8,)]
            eventually(lambda: len(store.pending()) == 2)
            eventually(lambda: hoop.live.stats.waiting == 2)
            for request in store.pending():
                store.answer(request.id, DBA, approve=request.id == waiting.id)
            with pytest.raises(pyodbc.Error, match="denied"):
                other.result(20)
        asked.result(20)


def leave_while_it_waits(hoop: RunningBroker, store: Approvals) -> None:
    """Ask for TRUNCATE from a process that dies while it waits."""
    text = (
        "import sys; from tests.support.clients import odbc, change\n"
        "with odbc(int(sys.argv[1]), 'hoop', sys.argv[2]) as connection: change(connection, sys.argv[3])\n"
    )
    command = [sys.executable, "-c", text, str(hoop.listen.port), hoop.listen.secret, TRUNCATE]
    process = subprocess.Popen(command)
    pending(store)
    process.kill()
    process.wait(10)
    eventually(lambda: hoop.live.stats.waiting == 0)


CALLS = """
version: 1
rules:
  - {id: reading, effect: allow, verbs: ["sql:select", "sql:execute", "sql:set"]}
  - {id: deleting, effect: require_approval, verbs: ["sql:delete"], approval: {groups: [dba], expires: 15m, uses: 2}}
"""
FEW = "CREATE OR ALTER PROCEDURE dbo.tidy AS DELETE FROM dbo.order_items WHERE order_id = -1"
MANY = "CREATE OR ALTER PROCEDURE dbo.tidy AS DELETE FROM dbo.order_items WHERE order_id > -1"


def define(server: RunningUpstream, text: str) -> None:
    with odbc(int(server.target()["port"]), SA.user, SA.secret) as direct:
        change(direct, text)


def left(server: RunningUpstream) -> int:
    with odbc(int(server.target()["port"]), SA.user, SA.secret) as direct:
        [(count,)] = fetch(direct, "SELECT COUNT(*) FROM dbo.order_items")
    return int(count)


def test_a_procedure_that_is_defined_anew_while_its_call_waits_does_not_run(
    server: RunningUpstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog_reader, "FRESH", timedelta(0))
    define(server, FEW)
    before = left(server)
    with session(server, tmp_path, CALLS) as hoop, colleague(tmp_path) as store, asking(hoop, "EXEC dbo.tidy") as asked:
        request = pending(store)
        define(server, MANY)
        store.answer(request.id, DBA, approve=True)
        with pytest.raises(pyodbc.Error, match="defined anew while it waited"):
            asked.result(20)
        assert left(server) == before
        assert hoop.ledger.outcome_of("EXEC dbo.tidy")["status"] == "blocked"


def test_an_approval_of_a_call_is_of_what_the_procedure_did_then(server: RunningUpstream, tmp_path: Path) -> None:
    define(server, FEW)
    before = left(server)
    with session(server, tmp_path, CALLS) as hoop, colleague(tmp_path) as store:
        with asking(hoop, "EXEC dbo.tidy") as asked:
            first = pending(store)
            store.answer(first.id, DBA, approve=True)
            asked.result(20)
        with asking(hoop, "EXEC dbo.tidy") as asked:
            asked.result(20)
        define(server, MANY)
        with asking(hoop, "EXEC dbo.tidy") as asked:
            second = pending(store)
            assert second.binding.digest != first.binding.digest
            store.answer(second.id, DBA, approve=False)
            with pytest.raises(pyodbc.Error):
                asked.result(20)
        assert left(server) == before
