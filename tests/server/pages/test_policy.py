"""The pages of the policy: what holds, what changed, why, and what a draft would change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.server.catalog.store import Catalog
from hoopcli.server.pages import differences, highlight
from hoopcli.server.pages.policy_draft import remarks
from tests.server.pages import stage
from tests.server.pages.conftest import PHONE, SignedIn, check_look
from tests.server.pages.stage import CLAIRE, POLICY, Machine, asked, looked_after, publish
from tests.server.pages.test_inbox import XSS
from tests.server.pages.test_ledgers import csrf, harmless
from tests.server.pages.test_security import client as httpx_of
from tests.support import approvals
from tests.support.approvals import ADA, EVE, NADIA, OMAR, Running

NARROWER = POLICY.replace('["shop.dbo.*"]', '["shop.dbo.*"]\n    principals: {kinds: [human]}')
PAGES = ("/policy", "/policy/revisions", "/policy/revisions/1", "/policy/diff?old=1&new=2", "/policy/explain")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with looked_after(tmp_path_factory.mktemp("policy")) as running:
        publish(running, comment="the first of them")
        publish(running, POLICY.replace("15m", "30m"), comment="half an hour to answer")
        yield running


def current(server: Running) -> Any:
    return Catalog(server.services.database).current()


def test_the_document_has_numbers_and_colours(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, "/policy/revisions/1")
    expect(page.locator("#L1 .y-comment")).to_have_text("# Who may do what with the shop.")
    expect(page.locator("#L4 .y-key")).to_have_text("id")
    expect(page.locator("main")).to_contain_text("the first of them")
    assert page.locator("[style]").count() == 0
    expect(page.get_by_text("Draft a change")).to_have_count(0)


def test_revisions_are_compared(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, "/policy/revisions")
    expect(page.locator("tbody tr").last).to_contain_text("nadia@example.com")
    page.goto(f"{server.url}/policy/diff?old=1&new=2")
    expect(page.locator("tr.gone")).to_contain_text("expires: 15m")
    expect(page.locator("tr.come")).to_contain_text("expires: 30m")
    expect(page.locator("main")).to_contain_text("Nothing changed")  # of the connections
    page.click("text=Side by side")
    expect(page.locator("td.half.gone")).to_contain_text("expires: 15m")
    expect(page.locator("td.half.come")).to_contain_text("expires: 30m")


def test_a_statement_is_explained(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, "/policy/explain?connection=azure-sql", viewport=PHONE)
    page.fill("#subject", "agent:claire")
    page.select_option("#kind", "agent")
    page.fill("#text", "SELECT ssn FROM shop.dbo.customers")
    page.click("text=Explain >> nth=-1")
    expect(page.locator(".verdict")).to_have_text("allowed by everybody-reads")
    expect(page.locator("tbody tr", has_text="ddl-needs-a-human")).to_contain_text("it is not about sql:select")
    page.fill("#text", "SELECT * FROM shop.dbo.salaries")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_have_text("denied by no-agents-in-salaries")
    check_look(page)


def test_what_cannot_be_explained_is_said(server: Running) -> None:
    with httpx_of(server, ADA) as browser:
        form = {"csrf": csrf(browser), "subject": "omar", "text": "SELECT 1", "connection": "no-such"}
        refused = browser.post("/policy/explain", data=form)
        assert (refused.status_code, "hands out no connection" in refused.text) == (422, True)
        assert browser.post("/policy/explain", data=form | {"csrf": "0" * 64}).status_code == 403


def test_a_draft_is_checked_at_line_and_column(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(NADIA, "/policy/draft")
    text = page.input_value("#policy-text")
    assert text == current(server).policy
    page.fill("#policy-text", text.replace("effect: deny", "effect: deni"))
    expect(page.locator("#remarks")).to_contain_text("line 14, column 13")
    page.click("button[data-line]")
    at = page.evaluate("document.getElementById('policy-text').selectionStart")
    assert page.input_value("#policy-text")[at:].startswith("deni")
    page.click("text=Publish")
    expect(page.locator("#remarks")).to_contain_text("Input should be")
    assert "deni\n" in page.input_value("#policy-text")


def test_remarks_of_any_text() -> None:
    worst = remarks("version: 1\nrules: [")[0]
    assert (worst.level, worst.line) == ("error", 2)
    assert remarks("")[0].level == "error"
    assert any(r.level == "warning" and "sql:selekt" in r.message for r in remarks(POLICY.replace("select", "selekt")))


def test_a_dry_run_says_what_would_change(server: Running, signed_in: SignedIn) -> None:
    machine = Machine(server, "omar-laptop.example/hoop")
    long_ago = server.services.now() - timedelta(days=8)
    machine.open("s0", OMAR, at=long_ago)
    machine.record(asked("s0", "SELECT 'long ago'"), at=long_ago)
    machine.open("s1", OMAR)
    machine.record(asked("s1", "SELECT name FROM dbo.orders"))
    machine.open("s2", CLAIRE)
    machine.record(*[asked("s2", f"SELECT {XSS} {n} FROM dbo.orders") for n in range(700)], asked("lost", "SELECT 2"))
    page = signed_in(NADIA, "/policy/draft", viewport=PHONE)
    page.fill("#policy-text", NARROWER)
    page.click("text=Try on last week's statements")
    expect(page.locator("#found")).to_contain_text("701 statements decided again, and that is all.")
    expect(page.locator("#found")).to_contain_text("1 could not be read")
    row = page.locator("#found tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("newly denied")
    expect(row).to_contain_text("agent:claire on azure-sql")
    expect(row).to_contain_text("everybody-reads → default-deny")
    check_look(page)
    harmless(page)
    run = page.url
    with httpx_of(server, ADA) as browser:
        assert browser.get(run).status_code == 403
    page.click("text=Back to the draft")
    assert page.input_value("#policy-text").strip() == NARROWER.strip()


def test_a_draft_is_published_once_for_each_that_was_seen(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(NADIA, "/policy/draft")
    before = current(server).serial
    page.fill("#comment", "people only")
    page.fill("#policy-text", NARROWER)
    publish(server, POLICY.replace("15m", "45m"), "piet@example.com", "I was first")
    page.click("text=Publish >> nth=0")
    expect(page.locator("[role=alert]")).to_contain_text(f"piet@example.com has published revision {before + 1}")
    assert current(server).author == "piet@example.com"
    assert page.input_value("#policy-text").strip() == NARROWER.strip()
    page.click(f"text=Publish over revision {before + 1}")
    page.wait_for_url("**/policy")
    held = current(server)
    assert (held.serial, held.author, held.comment) == (before + 2, "nadia@example.com", "people only")
    assert held.policy.strip() == NARROWER.strip()
    assert set(held.connections) == {"azure-sql", "invoices-blob"}


def test_who_may_not_changes_nothing(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = Principal("agent:dora", PrincipalKind.AGENT, groups=frozenset({"dba"}), on_behalf_of="nadia@example.com")
    monkeypatch.setitem(approvals.PEOPLE, agent.subject, agent)
    before = current(server).serial
    for person in (ADA, EVE, agent):
        with httpx_of(server, person) as browser:
            form = {"csrf": csrf(browser), "policy": "version: 1\nrules: []\n", "after": str(before)}
            for path in ("/policy/draft/publish", "/policy/draft/check", "/policy/draft", "/policy/dry-runs"):
                assert browser.post(path, data=form).status_code == 403
            assert browser.get("/policy/draft").status_code == 403
        answer = server.signed(person).request(
            "POST", "/v1/policy/revisions", json={"after": before, "policy": "version: 1\nrules: []\n"}
        )
        assert answer.status_code == 403
    with httpx_of(server, NADIA) as browser:
        forged = {"csrf": "0" * 64, "policy": POLICY, "after": str(before)}
        assert browser.post("/policy/draft/publish", data=forged).status_code == 403
        assert browser.get("/policy/dry-runs/" + "0" * 16).status_code == 404
    with httpx_of(server, EVE) as browser:
        assert [browser.get(path).status_code for path in PAGES] == [403] * len(PAGES)
    assert current(server).serial == before


def test_what_others_write_is_text(server: Running, signed_in: SignedIn) -> None:
    hostile = f"# {XSS}\n{POLICY}".replace("reading is for all", '"' + XSS.replace('"', "'") + '"')
    serial = publish(server, hostile, XSS, XSS)
    page = signed_in(NADIA)
    paths = ("/", *PAGES[:2], f"/policy/diff?old=1&new={serial}", f"/policy/diff?old=1&new={serial}&view=split")
    for path in (*paths, "/policy/draft"):
        page.goto(server.url + path)
        expect(page.locator("main")).to_contain_text("pwned")
        harmless(page)
    page.goto(f"{server.url}/policy/explain")
    for field in ("subject", "groups", "behalf", "reason", "text"):
        page.fill(f"#{field}", XSS)
    page.click("text=Explain >> nth=-1")
    expect(page.locator("#subject")).to_have_value(XSS)
    harmless(page)
    publish(server)


def test_pages_are_light_fit_a_phone_and_have_no_faults(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(NADIA, viewport=PHONE)
    for path in (*PAGES[:-1], "/policy/diff?old=1&new=2&view=split"):
        page.goto(server.url + path)
        check_look(page)
    page.goto(f"{server.url}/policy/draft")
    page.fill("#policy-text", POLICY.replace("effect: deny", "effect: deni"))
    expect(page.locator("#remarks")).to_contain_text("line 14, column 13")
    check_look(page)


def test_colours_lose_no_character() -> None:
    for line in (POLICY + XSS + "a: 'it''s' # x\n- {b: \"c\\\"\", d: 12}\n\n: :").split("\n"):
        assert "".join(text for _, text in highlight.lines(line)[0]) == line


def test_rows_of_differences() -> None:
    assert differences.rows("a", "a") == []
    beside = differences.rows("a\nb\nc", "a\nB\nx\nc")
    assert [(r.kind, r.old, r.new) for r in beside] == [
        ("same", "a", "a"), ("changed", "b", "B"), ("changed", "", "x"), ("same", "c", "c"),
    ]  # fmt: skip
    assert [(r.old, r.new) for r in differences.unified(beside)] == [
        ("a", "a"), ("b", ""), ("", "B"), ("", "x"), ("c", "c"),
    ]  # fmt: skip
    far = differences.rows("\n".join("abcdefghijklmnop"), "\n".join("Abcdefghijklmnop".replace("p", "P")))
    assert [r.kind for r in far].count("gap") == 1
    assert differences.unified(far)[-1].new == "P"


def test_the_first_policy_is_written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with looked_after(tmp_path) as server, httpx_of(server, NADIA) as browser:
        assert "There is no policy yet" in browser.get("/").text
        assert "Write the first" in browser.get("/policy").text
        assert "hands out no connections yet" in browser.get("/connections").text
        assert "None yet" in browser.get("/policy/revisions").text
        form = {"csrf": csrf(browser), "policy": POLICY.replace("\n", "\r\n"), "after": "0", "comment": "first"}
        assert browser.post("/policy/dry-runs", data=form).status_code == 404
        assert browser.post("/policy/dry-runs", data=form | {"policy": "rules: ["}).status_code == 422
        assert browser.post("/policy/draft/publish", data=form).headers["location"] == "/policy"
        assert current(server).policy == POLICY
        broken = {"lost": {"kind": "sql"}, "unknown": {"kind": "no-such"}}
        monkeypatch.setattr(stage, "CONNECTIONS", broken)
        publish(server)
        shown = browser.get("/connections").text
        assert "no connector of kind" in shown
