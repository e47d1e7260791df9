"""The pages of sessions in a real browser: searched, read, replayed, verified, and deaf to what records say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.server.pages.conftest import PHONE, SignedIn, check_look
from tests.server.pages.sessions_stage import XSS, hostile_session, shell_session, sql_session
from tests.server.pages.stage import Machine, asked, looked_after
from tests.support.approvals import ADA, EVE, Running
from tests.support.browser import chromium

SQL, SHELL, BLOB = "5e5510a1", "5e5510b2", "5e5510c3"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with looked_after(tmp_path_factory.mktemp("sessions")) as running:
        machine = Machine(running, "ledger.example/claires-laptop")
        sql_session(machine)
        shell_session(machine)
        hostile_session(machine)
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


def path_of(server: Running, name: str) -> str:
    found: list[dict[str, Any]] = server.signed(ADA).request("GET", "/v1/audit/sessions").json()["sessions"]
    return "/sessions/" + next(str(row["id"]) for row in found if row["session"] == name)


def test_it_is_found_by_words_and_opened_by_the_keyboard(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, "/sessions")
    expect(page.locator("a.request")).to_have_count(4)
    page.keyboard.press("/")
    page.keyboard.type("drop cust*")
    page.keyboard.press("Enter")
    expect(page.locator("a.hit")).to_have_count(1)
    expect(page.locator("a.hit")).to_contain_text("DROP TABLE dbo.customers")
    page.keyboard.press("j")
    expect(page.locator("a.hit")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".step pre").first).to_have_text("DROP TABLE dbo.customers")
    page.keyboard.press("u")
    page.wait_for_url("**/sessions")


def test_it_is_narrowed_down_by_facets_and_widened_again(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, "/sessions")
    page.click("aside a:has-text('kubectl')")
    expect(page.locator("a.request")).to_have_count(1)
    page.click("a.chosen")
    expect(page.locator("a.request")).to_have_count(4)
    page.click(".tabs a:has-text('Statements')")
    page.click("aside a:has-text('no-drops')")
    expect(page.locator("a.hit")).to_have_count(1)
    page.goto(f"{server.url}/sessions?person=agent:claire&after=2026-03-02&before=2026-03-03&masked=1&waited=1")
    expect(page.locator("a.session")).to_have_count(1)
    page.goto(f"{server.url}/sessions?after=2026-03-03T00:00:01Z")
    expect(page.locator(".nothing")).to_be_visible()
    page.goto(f"{server.url}/sessions?after=yesterday")
    expect(page.locator("main")).to_contain_text("is not a time")


def test_a_session_tells_what_was_asked_decided_delivered_and_masked(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, path_of(server, SQL))
    expect(page.locator("h1")).to_have_text("agent:claire on azure-sql")
    expect(page.locator(".step")).to_have_count(9)
    expect(page.locator(".step table tbody tr").first).to_have_text("Nadia•••-••-1234")
    for told in (
        "1 masked by ssn",
        "Rule no-drops: not in production",
        "Waits for 1 of dba",
        "nadia@example.com approved",
    ):
        expect(page.locator(".steps")).to_contain_text(told)
    expect(page.locator(".steps .bad")).to_have_text("error 1205: deadlock victim")


def test_it_is_verified_in_the_browser(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, path_of(server, SQL))
    page.keyboard.press("v")
    expect(page.locator("#verified")).to_be_visible()
    assert page.locator("#checks .good").count() == 5
    expect(page.locator("#checks")).to_contain_text("9 of 9 records hash into the root")
    expect(page.locator("#checks")).to_contain_text("Both keys came from this server")
    assert "DROP TABLE dbo.customers" in (page.locator("#verified pre").text_content() or "")


@pytest.mark.parametrize("what", ["record", "proof", "root", "signature", "gone", "no checkpoint", "away"])
def test_what_was_altered_is_seen(server: Running, signed_in: SignedIn, what: str) -> None:
    page = signed_in(ADA, path_of(server, SQL))

    def altered(route: Any) -> None:
        if what == "away":
            route.fulfill(status=503)
            return
        document = route.fetch().json()
        record = document["records"][3]
        if what == "record":
            record["data"] = record["data"][:-4] + "AAAA"
        elif what == "proof":
            record["proof"][0] = "00" * 32
        elif what == "gone":
            del document["records"][3]
        elif what == "no checkpoint":
            document["note"] = ""
        else:
            lines = document["note"].split("\n")
            if what == "root":
                lines[2] = "A" * 43 + "="
            else:
                start = lines[4].rindex(" ") + 20
                lines[4] = lines[4][:start] + ("B" if lines[4][start] == "A" else "A") + lines[4][start + 1 :]
            document["note"] = "\n".join(lines)
        route.fulfill(json=document)

    page.route("**/evidence**", altered)
    page.click("#verify")
    expect(page.locator("#verify")).to_be_enabled()
    if what == "no checkpoint":
        expect(page.locator("#checks")).to_contain_text("No checkpoint covers these records yet")
    else:
        expect(page.locator("#checks .bad").first).to_be_visible()


def test_a_browser_without_cryptography_says_so(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, path_of(server, SQL))
    page.evaluate("Object.defineProperty(crypto, 'subtle', { value: undefined })")
    page.click("#verify")
    expect(page.locator("#checks")).to_contain_text("nothing was checked")


def test_it_is_replayed_and_stepped_through(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, path_of(server, SQL))
    output = page.locator("#player output")
    expect(output).to_have_text("9 of 9")
    page.keyboard.press(",")
    page.keyboard.press(",")
    expect(output).to_have_text("7 of 9")
    expect(page.locator(".step:visible")).to_have_count(7)
    page.keyboard.press(".")
    expect(output).to_have_text("8 of 9")
    page.select_option("#player select", "32")
    page.click("[data-do=play]")
    expect(output).to_have_text("9 of 9")
    expect(page.locator("[data-do=play]")).to_have_text("Play")
    page.click("[data-do=play]")
    page.click("[data-do=play]")
    expect(page.locator("[data-do=play]")).to_have_text("Play")


def test_a_terminal_is_played_and_only_its_page_loads_the_player(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, path_of(server, SHELL))
    expect(page.locator(".terminal .ap-player")).to_be_visible()
    page.click(".terminal .ap-overlay-start")
    expect(page.locator(".terminal .ap-term")).to_contain_text("queue.txt")
    page.goto(server.url + path_of(server, SQL))
    assert "asciinema" not in page.content()


@pytest.mark.parametrize("name", [XSS[:100], BLOB])
def test_what_records_say_is_text(server: Running, signed_in: SignedIn, name: str) -> None:
    page = signed_in(ADA, "/sessions?show=statements&text=hostile")
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    for path in (
        "/sessions",
        "/sessions?show=statements&text=hostile",
        f"/sessions?person={XSS[:40]}&text={XSS[1:7]}",
        path_of(server, name),
    ):
        page.goto(server.url + path.replace("#", "%23"))
        for details in page.locator("details").all():
            details.evaluate("each => { each.open = true }")
        assert page.evaluate("window.pwned === undefined")
        assert page.locator("main svg, main img, main script").count() == 0
    page.click("#verify")
    expect(page.locator("#verified")).to_be_visible()
    assert page.evaluate("window.pwned === undefined")


def test_what_one_may_not_read_is_not_there(server: Running, signed_in: SignedIn) -> None:
    path = path_of(server, SQL)
    page = signed_in(EVE, "/sessions")
    expect(page.locator(".nothing")).to_be_visible()
    assert page.locator("aside").count() == 0
    for hidden in (path, path + "/evidence", "/sessions/1"):
        page.goto(server.url + hidden)
        expect(page.locator("h1")).to_have_text("Not found")


def test_pages_are_light_fit_a_phone_and_have_no_faults(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, viewport=PHONE)
    sessions = [path_of(server, name) for name in (XSS[:100], BLOB)]
    for path in ("/sessions", "/sessions?show=statements", "/sessions?after=yesterday", *sessions):
        page.goto(server.url + path)
        check_look(page)
    page.goto(server.url + path_of(server, SQL))
    page.click("#verify")
    expect(page.locator("#verified")).to_be_visible()
    page.keyboard.press(",")
    check_look(page)
    page.goto(server.url + path_of(server, SHELL))
    page.click(".terminal .ap-overlay-start")
    expect(page.locator(".terminal .ap-term")).to_contain_text("queue.txt")
    check_look(page)


def test_many_statements_come_page_by_page(server: Running, signed_in: SignedIn) -> None:
    machine = Machine(server, "build-7.example/hoop")
    machine.open("5e5510d4")
    machine.record(*[asked("5e5510d4", f"SELECT {n} FROM dbo.many") for n in range(60)])
    page = signed_in(ADA, "/sessions?show=statements&text=many", viewport=PHONE)
    expect(page.locator("a.hit")).to_have_count(50)
    check_look(page)
    page.keyboard.press("n")
    expect(page.locator("a.hit")).to_have_count(10)
