"""The pages of ledgers, connections and people: what is wrong is seen first, and who may not look sees nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from hoopcli.model.access import Principal
from hoopcli.server.pages.render import ago, count
from hoopcli.server.people.store import Sessions
from hoopcli.server.sync import alerts, overview, store
from hoopcli.server.sync.alerts import Kind, check_silence, raise_alert
from hoopcli.server.tables.records import reads
from tests.server.pages.conftest import PHONE, SignedIn, ask, check_look
from tests.server.pages.stage import CLAIRE, Machine, asked, looked_after, publish, signed_in_session
from tests.server.pages.test_inbox import XSS
from tests.server.pages.test_security import client as httpx_of
from tests.server.pages.test_security import token
from tests.support.approvals import ADA, EVE, NADIA, OMAR, Running

AREAS = ("/ledgers", "/connections", "/people")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with looked_after(tmp_path_factory.mktemp("looked-after")) as running:
        publish(running, comment="the first of them")
        yield running


@pytest.fixture(scope="module")
def forked(server: Running) -> Machine:
    """A ledger that says to have another history than the server has."""
    machine = Machine(server, "omar-laptop.example/hoop")
    machine.open("s1")
    machine.record(asked("s1", "SELECT 1"), asked("s1", "SELECT 2"))
    machine.say_head(2, b"\x07" * 32)
    machine.say_head(1, machine.tree.root(1))
    return machine


@pytest.fixture(scope="module")
def quiet(server: Running) -> Machine:
    """A ledger that fell silent with a session open."""
    machine = Machine(server, "build-7.example/hoop", "ci@example.com")
    machine.open("s2")
    heard = server.services.now() - timedelta(hours=2)
    with server.services.database.write() as connection:
        store.set_values(connection, machine.number, heard=heard.timestamp())
    assert check_silence(server.services) == 1
    return machine


def test_what_is_wrong_comes_first(server: Running, signed_in: SignedIn, forked: Machine, quiet: Machine) -> None:
    sound = Machine(server, "nadia-laptop.example/hoop", "nadia@example.com")
    sound.record(asked("s3", "SELECT 3"))
    page = signed_in(ADA, "/ledgers")
    rows = page.locator("table.list tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.last).to_contain_text("nadia-laptop.example/hoop")
    expect(rows.last).to_contain_text("sound")
    expect(page.locator("a.alert")).to_have_count(3)
    expect(page.locator("a.alert.fork")).to_contain_text("another history before record 2")
    expect(page.locator("a.alert.silent")).to_contain_text("build-7.example/hoop")
    page.locator("a.alert.fork").click()
    expect(page.locator("h1")).to_have_text("omar-laptop.example/hoop")


def test_the_last_honest_checkpoint_stands_beside_what_contradicts_it(
    server: Running, signed_in: SignedIn, forked: Machine
) -> None:
    page = signed_in(ADA, f"/ledgers/{forked.number}")
    alert = page.locator("section.alert.fork")
    expect(alert.locator(".beside > div").first).to_contain_text(forked.tree.root(3).hex())
    expect(alert.locator(".beside > div").first).to_contain_text("Cosigned by")
    expect(alert.locator(".beside > div").first).to_contain_text(server.services.witness.verifier.name)
    expect(alert.locator(".beside > div").last).to_contain_text("07" * 32)
    expect(alert.locator("form")).to_have_count(0)
    expect(alert).to_contain_text("You may not close alerts")


def test_an_alert_is_closed_by_who_may_and_says_by_whom(server: Running, signed_in: SignedIn) -> None:
    machine = Machine(server, "closed.example/hoop")
    raise_alert(server.services, machine.signer.name, Kind.ROLLBACK, "this ledger had 3 records and says 1")
    page = signed_in(NADIA, f"/ledgers/{machine.number}")
    page.fill("textarea", "a restored backup")
    page.click("text=Close this alert")
    expect(page.locator("section.alert")).to_have_count(0)
    expect(page.locator("ol.events")).to_contain_text("Closed by nadia@example.com")
    expect(page.locator("ol.events")).to_contain_text("a restored backup")
    with server.services.database.read() as connection:
        (alert,) = alerts.every(connection, ledger=machine.number)
    assert (alert.resolved_by, alert.comment) == ("nadia@example.com", "a restored backup")
    with httpx_of(server, NADIA) as browser:
        again = browser.post(
            f"/ledgers/{machine.number}/alerts/{alert.id}", data={"csrf": csrf(browser), "comment": "again"}
        )
    assert (again.status_code, "closed already" in again.text) == (409, True)


def test_who_may_only_read_closes_nothing(server: Running, forked: Machine) -> None:
    with server.services.database.read() as connection:
        alert = alerts.every(connection, open_only=True, ledger=forked.number)[0]
    path = f"/ledgers/{forked.number}/alerts/{alert.id}"
    with httpx_of(server, ADA) as browser:
        assert browser.post(path, data={"csrf": csrf(browser), "comment": "no"}).status_code == 403
    with httpx_of(server, NADIA) as browser:
        assert browser.post(path, data={"csrf": "0" * 64, "comment": "forged"}).status_code == 403
        assert browser.post("/ledgers/999/alerts/1", data={"csrf": csrf(browser), "comment": "x"}).status_code == 409
    with server.services.database.read() as connection:
        assert alerts.every(connection, open_only=True, ledger=forked.number)[0].id == alert.id


@pytest.mark.parametrize("path", [*AREAS, "/ledgers/1"])
def test_who_may_not_look_sees_nothing(server: Running, path: str) -> None:
    with httpx_of(server, EVE) as browser:
        refused = browser.get(path)
        assert refused.status_code == 403
        assert not any(secret in refused.text for secret in ("azure-sql", "omar@example.com", "laptop.example"))
        home = browser.get("/").text
        assert not any(f'href="{area}"' in home for area in AREAS)
        assert 'href="/approvals"' in home
        assert (
            browser.post("/people/revoke", data={"csrf": csrf(browser), "subject": "omar@example.com"}).status_code
            == 403
        )


def test_there_are_no_such_ledgers(server: Running) -> None:
    with httpx_of(server, ADA) as browser:
        assert browser.get("/ledgers/999").status_code == 404
        assert browser.get("/ledgers/x").status_code == 422
        assert browser.get("/ledgers?skip=-1").status_code == 422
        assert browser.get("/approvals?principal=%00").status_code == 422
        assert browser.post("/people/revoke", data={"csrf": csrf(browser), "subject": "a\0"}).status_code == 422


def test_many_ledgers_come_page_by_page(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(overview.PAGE + 1):
        Machine(server, f"many-{n}.example/hoop")
    with httpx_of(server, ADA) as browser:
        first, second = browser.get("/ledgers").text, browser.get(f"/ledgers?skip={overview.PAGE}").text
    assert "Next" in first
    assert "Previous" in second
    assert first.count("<tr>") == overview.PAGE + 1


def test_connections_are_shown_without_secrets(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(ADA, "/connections")
    expect(page.locator("#c-azure-sql")).to_contain_text("shop.database.windows.net:1433")
    expect(page.locator("#c-invoices-blob")).to_contain_text("invoices")


def test_people_are_signed_out_with_their_agents(server: Running, signed_in: SignedIn) -> None:
    own, agents = signed_in_session(server, OMAR), signed_in_session(server, CLAIRE, "ci")
    other = signed_in_session(server, ADA)
    with httpx_of(server, ADA) as browser:
        assert browser.post("/people/revoke", data={"csrf": csrf(browser), "subject": OMAR.subject}).status_code == 403
    page = signed_in(NADIA, "/people")
    card = page.locator("li.card", has_text="omar@example.com")
    expect(card).to_contain_text("agent:claire")
    card.locator("summary").click()
    card.locator("button.deny").click()
    expect(page.locator(".done")).to_have_text("2 sessions ended.")
    store = Sessions(server.services.database, server.services.settings.sessions)
    now = server.services.now()
    assert [store.is_live(held.id, now) for held in (own, agents, other)] == [False, False, True]
    page.click("button[aria-label='End this session of ada@example.com']")
    expect(page.locator(".done")).to_have_text("1 session ended.")
    with httpx_of(server, NADIA) as browser:
        gone = browser.post("/people/end", data={"csrf": csrf(browser), "session": other.id})
    assert gone.status_code == 404


def test_who_looked_and_who_acted_is_kept(server: Running) -> None:
    with httpx_of(server, ADA) as browser:
        browser.get("/people")
    with httpx_of(server, EVE) as browser:
        browser.post("/people/revoke", data={"csrf": csrf(browser), "subject": "omar@example.com"})
    with server.services.database.read() as connection:
        rows = connection.execute(select(reads).order_by(reads.c.id.desc()).limit(2)).all()
    assert [(row.subject, row.what, row.allowed) for row in rows] == [
        ("eve@example.com", "revoke", False), ("ada@example.com", "people", True),
    ]  # fmt: skip
    assert rows[0].asked == {"subject": "omar@example.com"}


def test_home_says_what_needs_attention(server: Running, signed_in: SignedIn, forked: Machine, quiet: Machine) -> None:
    ask(server, "e1")
    page = signed_in(NADIA, "/")
    expect(page.locator("main")).to_contain_text("1 waiting for you")
    expect(page.locator("main")).to_contain_text("Forked")
    expect(page.locator("main")).to_contain_text("1 silent while sessions are open")
    expect(page.locator("main")).to_contain_text("the first of them")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/ledgers")


def test_what_others_write_is_text(server: Running, signed_in: SignedIn) -> None:
    hostile = Principal(f"eve {XSS}", name=XSS, groups=frozenset({XSS}))
    signed_in_session(server, hostile, XSS)
    machine = Machine(server, f"{XSS[:90].replace(' ', '_').replace('+', '')}", XSS)
    raise_alert(server.services, machine.signer.name, Kind.FORK, XSS, "not a note at all")
    raise_alert(server.services, machine.signer.name, Kind.ROLLBACK, XSS)
    page = signed_in(NADIA)
    for path in ("/", "/ledgers", f"/ledgers/{machine.number}", "/people"):
        page.goto(server.url + path)
        harmless(page)
    page.goto(f"{server.url}/ledgers/{machine.number}")
    page.fill("textarea >> nth=0", XSS)
    page.click("text=Close this alert >> nth=0")
    expect(page.locator("ol.events")).to_contain_text(XSS)
    harmless(page)


def test_pages_are_light_fit_a_phone_and_have_no_faults(
    server: Running, signed_in: SignedIn, forked: Machine, quiet: Machine
) -> None:
    signed_in_session(server, CLAIRE)
    page = signed_in(NADIA, viewport=PHONE)
    for path in ("/", *AREAS, f"/ledgers/{forked.number}"):
        page.goto(server.url + path)
        check_look(page)


def test_times_and_numbers_for_people() -> None:
    assert [ago(s) for s in (-5, 59, 61, 7200, 90_000, 200_000)] == [
        "just now", "just now", "1 min ago", "2 h ago", "1 day ago", "2 days ago",
    ]  # fmt: skip
    assert count(1_234_567) == "1\u202f234\u202f567"


def csrf(browser: httpx.Client) -> str:
    return token(browser.get("/approvals"))


def harmless(page: Page) -> None:
    assert page.evaluate("window.pwned === undefined")
    assert page.locator("main svg, main img, main script").count() == 0
