"""``hoop approvals`` at a real server, as somebody who is signed in there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from hoopcli.cli import remote
from hoopcli.cli.approvals import _arrivals
from hoopcli.cli.workspace import Workspace, now
from hoopcli.errors import UpstreamError
from hoopcli.model.access import Principal
from hoopcli.proxy.approvals import Approvals
from hoopcli.proxy.remote_approvals import PATH, RemoteApprovals, asked, checked, read
from hoopcli.server.database import sqlite_url
from tests.cli.conftest import Hoop
from tests.support.approvals import NADIA, OMAR, QUESTION, TERMS, Running, Signed, question, replica

As = Callable[[Principal], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with replica(sqlite_url(tmp_path_factory.mktemp("server") / "server.db")) as running:
        yield running


@pytest.fixture
def signed_in(server: Running, home: Path, monkeypatch: pytest.MonkeyPatch) -> As:
    (home / "config.toml").write_text(f'keyring = false\n[server]\nurl = "{server.url}"\n')

    def become(person: Principal) -> None:
        @contextmanager
        def session(_workspace: Workspace) -> Iterator[Signed]:
            yield server.signed(person)

        monkeypatch.setattr(remote, "signed_in", session)

    become(NADIA)
    return become


def ask(server: Running, digest: str, uses: int = 1) -> str:
    body = asked(question(digest), TERMS)
    body["terms"]["uses"] = uses
    return str(server.signed(OMAR).request("POST", PATH, json=body).json()["id"])


def test_ls_show_approve_and_deny(server: Running, signed_in: As, hoop: Hoop) -> None:
    one, two = ask(server, "01"), ask(server, "02")
    assert {one, two} <= {r["id"] for r in hoop("approvals", "ls", "--json").json["requests"]}
    assert one in hoop("approvals", "ls").out
    shown = hoop("approvals", "show", one)
    assert f"{server.url}/approvals/{one}" in shown.out
    done = hoop("approvals", "approve", one, "-m", "fine", "--json").json
    assert (done["state"], done["answers"][0]["approver"]) == ("approved", NADIA.subject)
    assert hoop("approvals", "deny", two, "--json").json["state"] == "denied"
    assert hoop("approvals", "deny", two).code == 2
    assert hoop("approvals", "show", "nope").code == 2
    assert hoop("approvals", "show", "../x").code == 2


def test_less_is_granted(server: Running, signed_in: As, hoop: Hoop) -> None:
    identity = ask(server, "03", uses=3)
    assert hoop("approvals", "approve", identity, "--uses", "4").code == 2
    before = hoop("approvals", "show", identity, "--json").json["expires"]
    done = hoop("approvals", "approve", identity, "--uses", "2", "--for", "1m", "--json").json
    assert done["uses"] == 2
    assert done["expires"] < before


def test_nobody_approves_their_own(server: Running, signed_in: As, hoop: Hoop) -> None:
    identity = ask(server, "04")
    signed_in(OMAR)
    assert identity in hoop("approvals", "ls").out
    done = hoop("approvals", "approve", identity)
    assert done.code == 4


def test_watch_shows_each_as_it_comes(server: Running, tmp_path: Path) -> None:
    arrivals = _arrivals(RemoteApprovals(server.signed(NADIA), now))
    first = ask(server, "05")
    while next(arrivals).id != first:
        pass
    with ThreadPoolExecutor(1) as threads:
        coming = threads.submit(next, arrivals)
        second = ask(server, "06")
        assert coming.result(30).id == second


def test_watch_on_one_machine(home: Path, hoop: Hoop, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Approvals(home / "state" / "approvals.db", now)
    request = store.ask(QUESTION.binding, TERMS, session="s1", on_behalf_of="", reason="", text="DROP TABLE t")
    monkeypatch.setattr("hoopcli.cli.approvals.POLL_SECONDS", 0)
    lists = iter([store.pending()])
    monkeypatch.setattr(Approvals, "pending", lambda _: next(lists, None) or interrupt())
    done = hoop("approvals", "watch", "--json")
    store.close()
    assert [line["id"] for line in done.lines] == [request.id]
    assert done.code == 130


def interrupt() -> None:
    raise KeyboardInterrupt


def test_open_prints_an_address_that_signs_in(server: Running, signed_in: As, hoop: Hoop) -> None:
    url = hoop("approvals", "open", "--json").json["url"]
    assert url.startswith(f"{server.url}/sign-in#")
    assert hoop("approvals", "open").out.startswith(f"{server.url}/sign-in#")


def test_what_needs_a_server_says_so(hoop: Hoop) -> None:
    for argv in (["open"], ["approve", "x", "--uses", "1"]):
        done = hoop("approvals", *argv)
        assert done.code == 2
        assert "[server]" in done.err


def test_without_a_sign_in_nothing_is_shown(server: Running, home: Path, hoop: Hoop) -> None:
    (home / "config.toml").write_text(f'keyring = false\n[server]\nurl = "{server.url}"\n')
    done = hoop("approvals", "ls")
    assert done.code == 3
    assert "hoop login" in done.err


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b"{}", b'{"id": 1}', b'{"id": "x", "asked": "never", "state": "waiting"}']
)
def test_an_answer_that_is_no_request_is_an_error(content: bytes) -> None:
    with pytest.raises(UpstreamError):
        read(checked(httpx.Response(200, content=content)))


@pytest.mark.parametrize(
    ("status", "document", "code"),
    [
        (401, {}, 3),
        (403, {"detail": "no", "hint": "ask"}, 4),
        (404, None, 2),
        (409, [], 2),
        (400, {}, 2),
        (429, {}, 6),
        (503, {"detail": 1}, 6),
    ],
)
def test_problems_are_errors_again(status: int, document: Any, code: int) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its code says which
        checked(httpx.Response(status, json=document))
    assert getattr(caught.value, "exit_code", None) == code
