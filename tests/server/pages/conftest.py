"""A server and a browser, once for all tests of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page

from hoopcli.model.access import Principal
from hoopcli.proxy.remote_approvals import PATH, asked
from hoopcli.server.database import sqlite_url
from tests.support.approvals import OMAR, TERMS, Running, question, replica
from tests.support.browser import chromium

SignedIn = Callable[..., Page]
PHONE = {"width": 390, "height": 844}
LIGHTEST, HEAVIEST = 20_000, 150_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with replica(sqlite_url(tmp_path_factory.mktemp("pages") / "server.db")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def signed_in(server: Running, browser: Browser) -> Iterator[SignedIn]:
    """A page of a browser of its own, signed in as a person. What its pages complain about fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_as(person: Principal, path: str = "/approvals", **options: Any) -> Page:
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Security" in said.text else None)
        page.goto(ticket(server, person))
        page.wait_for_url("**/approvals")
        if path != "/approvals":
            page.goto(server.url + path)
        return page

    yield open_as
    for context in contexts:
        context.close()
    assert complaints == []


def ticket(server: Running, person: Principal) -> str:
    """The address that signs a browser in."""
    response = server.signed(person).request("POST", "/v1/browser/tickets")
    assert response.status_code == 200
    return str(response.json()["url"])


# What fades in is half as dark half-way: its contrast is that of its end.
SETTLE = """document.getAnimations().filter((each) => each.effect.getComputedTiming().endTime !== Infinity)
.forEach((each) => each.finish())"""


def check_look(page: Page) -> None:
    """Fail if what is shown is wider than a phone, heavier than it may be, or has faults that axe finds."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
    weight = page.evaluate(
        """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .reduce((sum, entry) => sum + entry.encodedBodySize, 0)"""
    )
    assert LIGHTEST < weight < HEAVIEST, page.url
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true })")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.evaluate(SETTLE)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def ask(server: Running, digest: str, **changes: Any) -> str:
    """A new request of Omar's; its id."""
    terms = {name: changes.pop(name) for name in ("groups", "count", "uses", "expires") if name in changes}
    body = asked(question(digest, **changes), replace(TERMS, **terms))
    response = server.signed(OMAR).request("POST", PATH, json=body)
    assert response.status_code == 200, response.text
    return str(response.json()["id"])


def show(server: Running, person: Principal, identity: str) -> dict[str, Any]:
    """A request as the API shows it."""
    document: dict[str, Any] = server.signed(person).request("GET", f"{PATH}/{identity}").json()
    return document
