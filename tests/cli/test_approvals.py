from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from hoopcli.model.decision import Approve
from hoopcli.proxy.approvals import Approvals, Binding, Request
from tests.cli.conftest import Hoop

TEXT = "DROP TABLE shop.dbo.orders \x1b[2J-- " + "x" * 100


@pytest.fixture
def request_(home: Path) -> Request:
    """An agent's request that ada, a DBA, may answer."""
    (home / "config.toml").write_text('[identity]\nsubject = "ada@example.com"\ngroups = ["dba"]\n')
    return ask(home, "agent:claire")


def ask(home: Path, subject: str) -> Request:
    store = Approvals(home / "state" / "approvals.db", lambda: datetime.now(UTC))
    try:
        return store.ask(
            Binding(subject, "azure-sql", "prod-ddl", "d" * 64),
            Approve(groups=("dba",)),
            session="s1",
            on_behalf_of="omar@example.com" if subject.startswith("agent") else "",
            reason="clean up",
            text=TEXT,
        )
    finally:
        store.close()


def test_nothing_waits(hoop: Hoop) -> None:
    assert hoop("approvals", "ls").out == "Nothing waits for approval.\n"
    assert hoop("approvals", "ls", "--json").json == {"requests": []}


def test_ls_and_show(hoop: Hoop, request_: Request) -> None:
    out = hoop("approvals", "ls").out
    assert request_.id in out
    assert "\x1b" not in out
    [found] = hoop("approvals", "ls", "--json").json["requests"]
    assert found["text"] == TEXT
    assert found["state"] == "waiting"
    out = hoop("approvals", "show", request_.id).out
    assert "DROP TABLE shop.dbo.orders ␛[2J" in out
    assert "1 of dba" in out
    assert hoop("approvals", "show", request_.id, "--json").json == found


@pytest.mark.parametrize(("verb", "state"), [("approve", "approved"), ("deny", "denied")])
def test_answering(hoop: Hoop, request_: Request, verb: str, state: str) -> None:
    done = hoop("approvals", verb, request_.id, "-m", "looks right", "--json")
    assert done.json["state"] == state
    assert done.json["answers"][0]["approver"] == "ada@example.com"
    assert f"ada@example.com {state} looks right" in hoop("approvals", "show", request_.id).out
    assert hoop("approvals", verb, request_.id).code == 2


def test_nobody_approves_their_own_and_no_agent_approves(
    hoop: Hoop, request_: Request, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ask(home, "ada@example.com")
    done = hoop("approvals", "approve", own.id)
    assert done.code == 4
    assert "their own" in done.err
    assert own.id in hoop("approvals", "ls").out
    monkeypatch.setenv("HOOP_AGENT", "claire")
    assert hoop("approvals", "approve", request_.id).code == 4


def test_a_request_that_is_not_there(hoop: Hoop) -> None:
    assert hoop("approvals", "approve", "nope").code == 2
