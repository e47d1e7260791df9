"""What a page sends and takes: headers, tokens against forged requests, cookies, and the way in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from hoopcli.model.access import Principal
from hoopcli.server.pages import browser as sessions
from hoopcli.server.pages.browser import cookie_name
from hoopcli.server.pages.signin import local
from hoopcli.server.pages.static import versioned
from tests.server.pages.conftest import SignedIn, ask, show, ticket
from tests.support.approvals import NADIA, PIET, Running


@contextmanager
def client(server: Running, person: Principal | None = None) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, verify=False) as made:
        if person is not None:
            secret = ticket(server, person).partition("#")[2]
            assert made.post("/sign-in", data={"ticket": secret}).status_code == 303
        yield made


def token(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page.text)
    assert found
    return found[1]


@pytest.mark.parametrize("path", ["/approvals", "/approvals/nope", "/sign-in"])
def test_every_page_is_strict(server: Running, path: str) -> None:
    with client(server, NADIA) as browser:
        headers = browser.get(path).headers
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"


def test_the_cookie_is_kept_from_scripts(server: Running) -> None:
    with client(server) as browser:
        secret = ticket(server, NADIA).partition("#")[2]
        cookie = browser.post("/sign-in", data={"ticket": secret}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    https = server.services.settings.model_copy(update={"public_url": "https://hoop.example"})
    assert cookie_name(https) == "__Host-hoop-session"


def test_a_ticket_works_once_and_only_as_what_it_is(server: Running) -> None:
    secret = ticket(server, NADIA).partition("#")[2]
    with client(server) as browser:
        assert browser.post("/sign-in", data={"ticket": secret}).headers["location"] == "/approvals"
        cookie = browser.cookies["hoop-session"]
        for spent in (secret, cookie, "x" * 43):
            refused = browser.post("/sign-in", data={"ticket": spent})
            assert (refused.status_code, "used already" in refused.text) == (403, True)
    unspent = ticket(server, NADIA).partition("#")[2]
    with httpx.Client(base_url=server.url, cookies={"hoop-session": unspent}, verify=False) as thief:
        assert thief.get("/approvals").status_code == 303


def test_who_is_not_signed_in_is_led_to_where_they_can(server: Running) -> None:
    with client(server) as browser:
        assert browser.get("/approvals").headers["location"] == "/sign-in?next=/approvals"
        live = browser.get("/approvals/live?seen=x", headers={"hx-request": "true"})
        assert (live.status_code, live.headers["hx-redirect"]) == (401, "/sign-in")
        assert browser.post("/approvals/x/answer").headers["location"] == "/sign-in"
        assert browser.post("/sign-out").headers["location"] == "/sign-in"


def test_signing_out_ends_it(server: Running) -> None:
    with client(server, NADIA) as browser:
        cookie = browser.cookies["hoop-session"]
        csrf = token(browser.get("/approvals"))
        assert browser.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
        assert browser.post("/sign-out", data={"csrf": csrf}).headers["location"] == "/sign-in"
        assert "hoop-session" not in browser.cookies
    with httpx.Client(base_url=server.url, cookies={"hoop-session": cookie}, verify=False) as kept:
        assert kept.get("/approvals").status_code == 303


@pytest.mark.parametrize(
    ("data", "headers", "status"),
    [
        ({"csrf": ""}, {}, 403),
        ({"csrf": "0" * 64}, {}, 403),
        ({"csrf": "ü"}, {}, 403),
        ({}, {"origin": "https://evil.example"}, 403),
        ({}, {"origin": "null"}, 403),
        ({}, {"sec-fetch-site": "cross-site"}, 403),
        ({}, {"sec-fetch-site": "same-site"}, 403),
        ({"approve": "maybe"}, {}, 422),
        ({"uses": "0"}, {}, 400),
        ({"uses": "-1"}, {}, 400),
        ({"uses": "9"}, {}, 400),
        ({"minutes": "x"}, {}, 400),
        ({"minutes": "²"}, {}, 400),
        ({"comment": "x" * 4001}, {}, 422),
        ({"uses": "1", "minutes": "1"}, {"sec-fetch-site": "same-origin"}, 303),
    ],
    ids=str,
)
def test_a_forged_answer_is_refused(
    server: Running, data: dict[str, str], headers: dict[str, str], status: int
) -> None:
    identity = ask(server, (repr(data) + repr(headers)).encode().hex()[-64:])
    with client(server, NADIA) as browser:
        good = {"csrf": token(browser.get(f"/approvals/{identity}")), "approve": "yes"}
        response = browser.post(f"/approvals/{identity}/answer", data=good | data, headers=headers)
    assert response.status_code == status
    assert show(server, NADIA, identity)["state"] == ("approved" if status == 303 else "waiting")


def test_the_token_of_another_is_no_good(server: Running) -> None:
    identity = ask(server, "e1")
    with client(server, PIET) as other, client(server, NADIA) as browser:
        csrf = token(other.get("/approvals"))
        response = browser.post(f"/approvals/{identity}/answer", data={"csrf": csrf, "approve": "yes"})
    assert response.status_code == 403


def test_a_header_does_for_the_token_too(server: Running) -> None:
    identity = ask(server, "e2")
    with client(server, NADIA) as browser:
        csrf = token(browser.get("/approvals"))
        answer = {"approve": "no"}
        headers = {"x-csrf-token": csrf}
        assert browser.post(f"/approvals/{identity}/answer", data=answer, headers=headers).status_code == 303
        late = browser.post(f"/approvals/{identity}/answer", data=answer, headers=headers)
    assert late.status_code == 409
    assert "Too late" in late.text


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example", "x", "/a\nb", ""])
def test_nobody_is_led_elsewhere(path: str) -> None:
    assert local(path) == "/approvals"


def test_a_ticket_in_the_address_leads_where_it_says(server: Running, signed_in: SignedIn) -> None:
    page = signed_in(NADIA)
    assert "#" not in page.url
    page.go_back()
    assert page.evaluate("location.hash") == ""


def test_static_files_are_those_that_pages_name(server: Running) -> None:
    with client(server) as browser:
        good = browser.get(versioned("hoop.css"))
        assert good.status_code == 200
        assert "immutable" in good.headers["cache-control"]
        plain = browser.get(versioned("hoop.css"), headers={"accept-encoding": "identity"})
        assert (good.headers["content-encoding"], "content-encoding" in plain.headers) == ("gzip", False)
        assert good.content == plain.content
        for path in ("/static/x/hoop.css", "/static/x/..%2frender.py", "/static/0/none.js"):
            assert browser.get(path).status_code == 404


def test_a_session_ends_with_its_time(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SESSION_LIFE", timedelta(seconds=-1))
    with client(server, NADIA) as browser:
        assert browser.get("/approvals").status_code == 303


def test_errors_are_pages(server: Running) -> None:
    with client(server, NADIA) as browser:
        missing: Any = browser.get("/approvals/abc")
        assert (missing.status_code, "text/html" in missing.headers["content-type"]) == (404, True)
        assert browser.get("/approvals/a.b").status_code == 422
        nowhere = browser.get("/nowhere", headers={"accept": "text/html,*/*;q=0.8"})
        assert (nowhere.status_code, "There is no such page" in nowhere.text) == (404, True)
        assert browser.get("/v1/nowhere").headers["content-type"] == "application/problem+json"
        assert "What needs attention" in browser.get("/").text
