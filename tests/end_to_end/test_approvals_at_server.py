"""A real SQL client waits, and an approver answers in a browser, or on the command line, through a server."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyodbc
import pytest
from playwright.sync_api import expect

from hoopcli.model.approval import Request
from hoopcli.proxy.remote_approvals import RemoteApprovals
from hoopcli.server.database import sqlite_url
from tests.end_to_end.conftest import POLICY
from tests.server.pages.conftest import ticket
from tests.support.approvals import NADIA, OMAR, Running, replica
from tests.support.broker import ENGINEER, RunningBroker, broker, eventually
from tests.support.browser import chromium
from tests.support.clients import change, fetch, odbc
from tests.support.upstream import RunningUpstream, upstream

TRUNCATE = "TRUNCATE TABLE dbo.order_items"
RULES = """
version: 1
rules:
  - id: dbas-answer
    effect: allow
    principals: {groups: [dba]}
    verbs: ["approvals:answer"]
"""


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def hoop_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with replica(sqlite_url(tmp_path_factory.mktemp("hoop") / "server.db"), policy=RULES) as running:
        yield running


@pytest.fixture
def shop_server() -> Iterator[RunningUpstream]:
    with upstream() as running:
        yield running


@pytest.fixture
def hoop(hoop_server: Running, shop_server: RunningUpstream, tmp_path: Path) -> Iterator[RunningBroker]:
    """A session of Omar's whose approvals are at the server."""
    assert ENGINEER.subject == OMAR.subject
    desk = RemoteApprovals(hoop_server.signed(OMAR), now)
    with broker(tmp_path, shop_server.target(), POLICY, principal=ENGINEER, reason="spring", desk=desk) as running:
        yield running


@pytest.fixture
def nadia(hoop_server: Running) -> RemoteApprovals:
    return RemoteApprovals(hoop_server.signed(NADIA), now)


def connect(hoop: RunningBroker) -> Any:
    return odbc(hoop.listen.port, hoop.listen.user, hoop.listen.secret)


@contextmanager
def asking(hoop: RunningBroker, text: str) -> Iterator[Future[None]]:
    def run() -> None:
        with connect(hoop) as connection:
            change(connection, text)

    threads = ThreadPoolExecutor(1)
    try:
        yield threads.submit(run)
    finally:
        threads.shutdown(wait=False)


def pending(nadia: RemoteApprovals) -> Request:
    [request] = eventually(nadia.pending)
    assert isinstance(request, Request)
    return request


def test_a_statement_runs_once_it_is_approved_in_a_browser(
    hoop: RunningBroker, hoop_server: Running, shop_server: RunningUpstream
) -> None:
    with chromium() as browser, asking(hoop, TRUNCATE) as asked:
        page = browser.new_page()
        page.goto(ticket(hoop_server, NADIA))
        page.click("#waiting a.request")
        expect(page.locator("pre.statement")).to_have_text(TRUNCATE)
        expect(page.locator("main")).to_contain_text("sql:truncate")
        assert TRUNCATE not in shop_server.seen.statements
        page.click("button.approve")
        asked.result(20)
        expect(page.locator("#status .state")).to_have_text("used")
    assert TRUNCATE in shop_server.seen.statements
    kinds = [r["type"] for r in hoop.ledger.bodies() if r["type"].startswith("approval.")]
    assert kinds == ["approval.asked", "approval.answered", "approval.used"]
    assert NADIA.subject in hoop.ledger.request_of(TRUNCATE)["decision"]["reason"]


def test_a_denial_reaches_the_client_with_its_comment(
    hoop: RunningBroker, nadia: RemoteApprovals, shop_server: RunningUpstream
) -> None:
    with asking(hoop, TRUNCATE) as asked:
        nadia.answer(pending(nadia).id, None, approve=False, comment="not before the audit")
        with pytest.raises(pyodbc.Error, match="not before the audit"):
            asked.result(20)
    assert TRUNCATE not in shop_server.seen.statements


def test_a_cancel_is_seen_by_the_approver_and_the_next_identical_try_runs(
    hoop: RunningBroker, nadia: RemoteApprovals, shop_server: RunningUpstream
) -> None:
    with connect(hoop) as connection:
        cursor = connection.cursor()
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(cursor.execute, TRUNCATE)
            request = pending(nadia)
            cursor.cancel()
            with suppress(pyodbc.Error):
                asked.result(20)
        cursor.close()
        eventually(lambda: nadia.get(request.id).withdrawn)
        assert fetch(connection, "SELECT 1") == [(1,)]
        nadia.answer(request.id, None, approve=True)
        assert TRUNCATE not in shop_server.seen.statements
        change(connection, TRUNCATE)
    assert shop_server.seen.statements.count(TRUNCATE) == 1
