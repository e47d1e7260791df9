"""A server and a browser, once for all tests of pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from hoopcli.model.access import Principal
from hoopcli.proxy.remote_approvals import PATH, asked
from hoopcli.server.database import sqlite_url
from tests.support.approvals import OMAR, TERMS, Running, question, replica
from tests.support.browser import chromium

SignedIn = Callable[..., Page]


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
