"""The pages of approvals in a real browser: live, by keyboard, on a phone, and deaf to what statements say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import insert, select

from hoopcli.model.decision import Action
from hoopcli.proxy.remote_approvals import PATH
from hoopcli.server.approvals.listing import PAGE
from hoopcli.server.database import sqlite_url
from hoopcli.server.tables import approvals as tables
from tests.server.pages.conftest import PHONE, SignedIn, ask, check_look, show, ticket
from tests.support.approvals import EVE, NADIA, OMAR, PIET, Running, replica

XSS = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"'><svg/onload=window.pwned=1>{{7*7}}"


def answer(server: Running, identity: str, *, approve: bool = True) -> None:
    response = server.signed(NADIA).request("POST", f"{PATH}/{identity}/answer", json={"approve": approve})
    assert response.status_code == 200


def test_a_request_appears_and_goes_while_one_looks(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(PIET)
    identity = ask(server, "a1", text="DROP TABLE dbo.appears")
    expect(page.locator(f"#r-{identity}")).to_contain_text("DROP TABLE dbo.appears")
    answer(server, identity)
    expect(page.locator(f"#r-{identity}")).to_have_count(0)


def test_it_is_approved_with_a_comment_by_the_mouse(server: Running, signed_in: SignedIn) -> None:
    identity = ask(server, "a2", text="DROP TABLE dbo.by_mouse")
    page = signed_in(NADIA)
    page.click(f"#r-{identity}")
    expect(page.locator("pre.statement")).to_have_text("DROP TABLE dbo.by_mouse")
    page.fill("#comment", "go on")
    page.click("button.approve")
    expect(page.locator("#status .state")).to_have_text("approved")
    shown = show(server, NADIA, identity)
    assert (shown["state"], shown["answers"][0]["comment"]) == ("approved", "go on")
    assert shown["answers"][0]["approver"] == NADIA.subject


def test_it_is_denied_by_the_keyboard_alone(server: Running, signed_in: SignedIn) -> None:
    for digest in ("a3", "a4"):
        identity = ask(server, digest, text=f"DROP TABLE dbo.keys_{digest}")
    page = signed_in(NADIA)
    expect(page.locator(f"#r-{identity}")).to_be_visible()
    for _ in range(page.locator("#waiting a.request").count()):
        page.keyboard.press("j")
    expect(page.locator(f"#r-{identity}")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/approvals/{identity}")
    page.keyboard.press("c")
    page.keyboard.type("ad jk")  # keys are text while one types
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    expect(page.locator("button.deny")).to_be_focused()
    assert show(server, NADIA, identity)["state"] == "waiting"
    page.keyboard.press("Enter")
    expect(page.locator("#status .state")).to_have_text("denied")
    assert show(server, NADIA, identity)["answers"][0]["comment"] == "ad jk"
    page.keyboard.press("u")
    page.wait_for_url("**/approvals")


def test_what_is_typed_stays_while_the_page_is_live_and_the_form_goes_once_it_is_answered(
    server: Running, signed_in: SignedIn
) -> None:
    identity = ask(server, "a5", count=2)
    page = signed_in(PIET, f"/approvals/{identity}")
    page.fill("#comment", "half a sen")
    answer(server, identity)
    expect(page.locator("#status")).to_contain_text("1 of 2 agree")
    expect(page.locator("#comment")).to_have_value("half a sen")
    server.signed(OMAR).request("POST", f"{PATH}/{identity}/withdraw")
    expect(page.locator("#status")).to_contain_text("stopped waiting")
    page.context.new_page().close()
    other = ask(server, "a6")
    page.goto(f"{server.url}/approvals/{other}")
    expect(page.locator("#answer form")).to_have_count(1)
    answer(server, other, approve=False)
    expect(page.locator("#status .state")).to_have_text("denied")
    expect(page.locator("#answer form")).to_have_count(0)


def test_less_can_be_granted(server: Running, signed_in: SignedIn) -> None:
    identity = ask(server, "a7", uses=5)
    page = signed_in(NADIA, f"/approvals/{identity}")
    page.click("#answer summary")
    page.fill("#uses", "2")
    page.fill("#minutes", "600")  # longer than the policy allows: it stays what the policy says
    before = show(server, NADIA, identity)["expires"]
    page.click("button.approve")
    expect(page.locator("#status .state")).to_have_text("approved")
    shown = show(server, NADIA, identity)
    assert (shown["uses"], shown["expires"]) == (2, before)


def test_nobody_is_offered_to_answer_their_own(server: Running, signed_in: SignedIn) -> None:
    identity = ask(server, "a8", groups=())
    page = signed_in(OMAR, f"/approvals/{identity}")
    expect(page.locator("#answer")).to_contain_text("You cannot answer this")
    expect(page.locator("#answer form")).to_have_count(0)
    page = signed_in(EVE, f"/approvals/{identity}")
    expect(page.locator("h1")).to_have_text("Not found")


@pytest.mark.parametrize("where", ["text", "reason", "why", "session", "media_type", "resource", "fact", "comment"])
def test_what_others_write_is_text(server: Running, signed_in: SignedIn, where: str) -> None:
    changes: dict[str, Any] = {where: XSS[:100]} if where not in {"resource", "fact", "comment"} else {}
    if where == "resource":
        changes = {"actions": (Action(XSS, (XSS,)),)}
    if where == "fact":
        changes = {"facts": {"touches": [XSS], XSS: XSS, "list": [XSS], "deep": {XSS: [1]}}}
    identity = ask(server, f"b{where.encode().hex()}", **changes)
    page = signed_in(NADIA)
    expect(page.locator(f"#r-{identity}")).to_be_visible()
    page.click(f"#r-{identity}")
    page.wait_for_url(f"**/approvals/{identity}")
    if where == "comment":
        page.fill("#comment", XSS)
    page.click("button.deny")
    expect(page.locator("#status .state")).to_have_text("denied")
    page.click("a[data-key=u]")
    page.click("details.settled summary")
    expect(page.locator(f"a[href='/approvals/{identity}']")).to_be_visible()
    assert page.evaluate("window.pwned === undefined")
    assert page.locator("main svg, main img, main script").count() == 0


def test_marks_that_hide_and_reorder_are_visible(server: Running, signed_in: SignedIn) -> None:
    identity = ask(server, "a9", text="DELETE \u202eFROM\u200b t\x1b[2J")
    page = signed_in(NADIA, f"/approvals/{identity}")
    expect(page.locator("pre.statement")).to_have_text("DELETE \\u202eFROM\\u200b t␛[2J")


def test_pages_are_light_fit_a_phone_and_have_no_faults(server: Running, signed_in: SignedIn) -> None:
    identity = ask(server, "c1", text="SELECT " + "x" * 500, reason="y" * 300, count=2)
    page = signed_in(NADIA, viewport=PHONE)
    for path in ("/approvals", f"/approvals/{identity}", "/approvals/nope", "/approvals/a.b", "/nowhere", "/sign-in"):
        page.goto(server.url + path)
        check_look(page)


def test_without_scripts_it_works_too(server: Running, signed_in: SignedIn) -> None:
    identity = ask(server, "d1")
    page = signed_in(NADIA)
    state = page.context.storage_state()
    browser = page.context.browser
    assert browser is not None
    plain = browser.new_context(java_script_enabled=False, storage_state=state)
    bare: Page = plain.new_page()
    bare.goto(f"{server.url}/approvals/{identity}")
    bare.click("button.approve")
    expect(bare.locator("#status .state")).to_have_text("approved")
    plain.close()


def test_a_server_that_is_away_is_said(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(NADIA)
    page.route("**/approvals/live**", lambda route: route.abort())
    page.reload()
    expect(page.locator(".offline")).to_be_visible()
    page.unroute("**/approvals/live**")
    with page.expect_request("**/approvals/live**"):
        pass
    ask(server, "d2")
    expect(page.locator(".offline")).to_be_hidden()


def test_ten_thousand_waiting_are_read_page_by_page_and_by_what_is_alike(tmp_path: Path, browser: Browser) -> None:
    with replica(sqlite_url(tmp_path / "server.db")) as server:
        first = ask(server, "f0", text="DROP TABLE dbo.the_oldest")
        fill(server, first, 10_000)
        page = browser.new_context().new_page()
        page.goto(ticket(server, NADIA))
        page.wait_for_url("**/approvals")
        expect(page.locator("#waiting .count").first).to_contain_text("10\u202f001 waiting")
        expect(page.locator("#waiting a.request")).to_have_count(PAGE)
        size = "performance.getEntriesByType('navigation')[0].decodedBodySize"
        assert page.evaluate(size) < 80_000
        page.keyboard.press("n")
        page.wait_for_url(f"**skip={PAGE}")
        expect(page.locator(f"#r-{first}")).to_have_count(0)
        page.keyboard.press("p")
        expect(page.locator(f"#r-{first}")).to_be_visible()
        page.click("details.alike summary")
        page.click("details.alike a:has-text('agent:dora')")
        expect(page.locator("#waiting .count").first).to_contain_text("500 waiting")
        expect(page.locator("#waiting a.request").first).to_contain_text("agent:dora")
        page.goto(server.url + "/approvals")
        answer(server, first)
        expect(page.locator(f"#r-{first}")).to_have_count(0)  # live with so many too
        page.goto(f"{server.url}/approvals?principal=%3Cscript%3Enobody")
        expect(page.locator("main")).to_contain_text("Nothing like that waits for you")
        page.context.close()


def fill(server: Running, like: str, count: int) -> None:
    """So many more requests like one, and each twentieth of another agent."""
    requests, groups = tables.requests, tables.groups
    with server.services.database.write() as connection:
        row = dict(connection.execute(select(requests).where(requests.c.id == like)).mappings().one())
        rows = [
            {**row, "id": f"n{n}", "bound": f"{n:064}", "asked": row["asked"] + n / 1e4,
             "principal": "agent:dora" if n % 20 == 0 else row["principal"]}
            for n in range(count)
        ]  # fmt: skip
        connection.execute(insert(requests), rows)
        connection.execute(insert(groups), [{"request": each["id"], "name": "dba"} for each in rows])
