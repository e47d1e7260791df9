"""Signing in to the pages by a real OpenID provider, and what others would try with somebody's browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from sqlalchemy import select

from hoopcli.identity import server_session
from hoopcli.server.pages.browser import cookie_name
from hoopcli.server.tables.sign_ins import sign_ins
from tests.end_to_end.test_sign_in import later
from tests.support.place import SECRET, Place, place_of

ADA = {"sub": "ada", "email": "ada@example.com", "name": "Ada", "groups": ["audit"]}
OMAR = {"sub": "omar", "email": "omar@example.com", "name": "Omar", "groups": []}
NOBODY = {"sub": "nobody", "name": "Nobody"}
POLICY = """
version: 1
rules:
  - {id: audit, effect: allow, principals: {groups: [audit]}, verbs: ["people:*", "approvals:read"]}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "secret").write_text(SECRET)
    (folder / "secret").chmod(0o600)

    def others(issuer: str) -> list[dict[str, object]]:
        with_secret = {"name": "shared", "issuer": issuer, "client_id": "hoop", "secret": f"file:{folder / 'secret'}"}
        away = {"name": "away", "issuer": "http://127.0.0.1:9", "client_id": "hoop"}
        return [with_secret, away, {"name": "ci", "issuer": issuer, "client_id": "hoop", "kind": "workload"}]

    with place_of(folder, POLICY, ADA, OMAR, NOBODY, providers=others) as running:
        yield running


@pytest.fixture
def browser(place: Place) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=place.url) as client:
        yield client


def leave(browser: httpx.Client, subject: str = "ada", provider: str = "corp", wanted: str = "/approvals") -> str:
    """Go to the provider and sign in there; the address that it sends the browser back to."""
    gone = browser.get(f"/sign-in/with/{provider}", params={"next": wanted})
    assert gone.status_code == 303, gone.text
    with httpx.Client() as at_provider:
        there = at_provider.post(gone.headers["location"], data={"sub": subject})
    return str(there.headers["location"])


def sign_in(browser: httpx.Client, subject: str = "ada", **more: str) -> httpx.Response:
    return browser.get(leave(browser, subject, **more))


def who(browser: httpx.Client) -> str | None:
    """Whom the pages know this browser as."""
    found = re.search(r'<span title="Signed in">([^<]+)</span>', browser.get("/approvals").text)
    return found[1] if found else None


def refused(response: httpx.Response) -> str:
    assert response.status_code == 403, response.text
    assert "hoop-session=" not in response.headers.get("set-cookie", "")
    found = re.search(r'role="alert">([^<]+)<', response.text)
    assert found
    return found[1]


def test_somebody_signs_in_and_comes_back_to_where_they_were(place: Place, browser: httpx.Client) -> None:
    page = browser.get("/sign-in?next=/approvals%3Fall=1").text
    assert 'href="/sign-in/with/corp?next=/approvals%3Fall%3D1"' in page
    assert "/sign-in/with/ci" not in page
    back = sign_in(browser, wanted="/approvals?all=1")
    assert (back.status_code, back.headers["location"]) == (303, "/approvals?all=1")
    cookie = back.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert who(browser) == "ada@example.com"


def test_what_the_provider_is_asked(place: Place, browser: httpx.Client) -> None:
    first = parse_qs(urlsplit(browser.get("/sign-in/with/corp").headers["location"]).query)
    assert first["response_type"] == ["code"]
    assert first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == [f"{place.url}/sign-in/return"]
    again = parse_qs(urlsplit(browser.get("/sign-in/with/corp").headers["location"]).query)
    for secret in ("state", "nonce", "code_challenge"):
        assert len(first[secret][0]) == 43
        assert first[secret] != again[secret]


def test_two_tabs_do_not_disturb_each_other(place: Place, browser: httpx.Client) -> None:
    first, second = leave(browser), leave(browser, wanted="/approvals?all=1")
    assert browser.get(second).headers["location"] == "/approvals?all=1"
    assert browser.get(first).status_code == 303


def test_a_secret_that_is_shared_with_the_provider_is_read_where_it_is(place: Place, browser: httpx.Client) -> None:
    assert sign_in(browser, provider="shared").status_code == 303


def test_an_answer_is_taken_once_and_in_the_browser_that_asked(place: Place, browser: httpx.Client) -> None:
    back = leave(browser)
    with httpx.Client(base_url=place.url) as another:
        assert "has not begun" in refused(another.get(back))
        another.get("/sign-in/with/corp")
        assert "unknown, used or too old" in refused(another.get(back))
    assert browser.get(back).status_code == 303
    assert "unknown, used or too old" in refused(browser.get(back))


def test_nobody_is_signed_in_as_somebody_else_by_a_link(place: Place, browser: httpx.Client) -> None:
    """An attacker's own answer, opened in the browser of somebody who is signing in just then."""
    with httpx.Client(base_url=place.url) as attacker:
        bait = leave(attacker, "omar")
    browser.get("/sign-in/with/corp")
    refused(browser.get(bait))
    assert who(browser) is None
    mine = leave(browser)
    swapped = mine.replace(parse_qs(urlsplit(mine).query)["code"][0], parse_qs(urlsplit(bait).query)["code"][0])
    refused(browser.get(swapped))  # the code belongs to another verifier and another nonce
    assert who(browser) is None


@pytest.mark.parametrize("more", ["&iss=https%3A%2F%2Flogin.example.net", "&iss=%C3%BC"])
def test_an_answer_of_another_provider(place: Place, browser: httpx.Client, more: str) -> None:
    assert "another provider" in refused(browser.get(leave(browser) + more))


def test_what_a_provider_says_is_shown_as_text(place: Place, browser: httpx.Client) -> None:
    state = parse_qs(urlsplit(leave(browser)).query)["state"][0]
    answer = browser.get(f"/sign-in/return?state={state}&error=x&error_description=<script>alert(1)</script>")
    assert "&lt;script&gt;" in answer.text
    assert "the provider refused" in refused(answer)
    assert "no code came" in refused(browser.get(f"/sign-in/return?state={state_of(browser)}"))


def state_of(browser: httpx.Client) -> str:
    return parse_qs(urlsplit(leave(browser)).query)["state"][0]


def test_a_code_that_the_provider_does_not_know(place: Place, browser: httpx.Client) -> None:
    assert "the provider refused" in refused(browser.get(f"/sign-in/return?state={state_of(browser)}&code=x"))


def test_who_has_no_name_here_is_not_signed_in(place: Place, browser: httpx.Client) -> None:
    assert "does not say email" in refused(sign_in(browser, "nobody"))


def test_a_sign_in_that_took_too_long(place: Place, browser: httpx.Client) -> None:
    back = leave(browser)
    with later(place, timedelta(minutes=11)):
        refused(browser.get(back))


@pytest.mark.parametrize("provider", ["nobody", "ci", "%2e%2e", "by invitation"])
def test_a_provider_that_signs_nobody_in(place: Place, browser: httpx.Client, provider: str) -> None:
    assert browser.get(f"/sign-in/with/{provider}").status_code == 404


def test_a_provider_that_is_away(place: Place, browser: httpx.Client) -> None:
    assert "does not answer" in refused(browser.get("/sign-in/with/away"))


@pytest.mark.parametrize("wanted", ["https://evil.example", "//evil.example", "/\\evil.example", "", "javascript:x"])
def test_a_sign_in_leads_nowhere_else(place: Place, browser: httpx.Client, wanted: str) -> None:
    assert sign_in(browser, wanted=wanted).headers["location"] == "/approvals"


def test_each_sign_in_has_a_cookie_of_its_own_and_ends_the_one_before(place: Place, browser: httpx.Client) -> None:
    browser.cookies.set("hoop-session", "planted", domain="127.0.0.1")
    sign_in(browser)
    first = browser.cookies["hoop-session"]
    assert first != "planted"
    sign_in(browser)
    assert browser.cookies["hoop-session"] != first
    with httpx.Client(base_url=place.url, cookies={"hoop-session": first}) as kept:
        assert who(kept) is None


def test_signing_out_ends_the_session_at_the_server(place: Place, browser: httpx.Client) -> None:
    sign_in(browser, "omar")
    with closing(server_session.client(place.url)) as http:
        ada = place.session_of(http, "ada")

        def signed_in() -> list[str]:
            answer = server_session.send(http, ada.key, "GET", "/v1/sessions", place.now(), token=ada.token)
            return [each["principal"]["subject"] for each in answer.json() if each["client"] == "browser"]

        assert "omar@example.com" in signed_in()
        csrf = re.search(r'name="csrf" value="([0-9a-f]{64})"', browser.get("/approvals").text)
        assert csrf
        browser.post("/sign-out", data={"csrf": csrf[1]})
        assert "omar@example.com" not in signed_in()


def test_a_revocation_ends_it_at_once(place: Place, browser: httpx.Client) -> None:
    sign_in(browser, "omar")
    assert who(browser) == "omar@example.com"
    with closing(server_session.client(place.url)) as http:
        ada = place.session_of(http, "ada")
        path = "/v1/sessions/of/omar@example.com"
        assert server_session.send(http, ada.key, "DELETE", path, place.now(), token=ada.token).status_code == 200
    assert who(browser) is None


def test_the_database_holds_no_secret_of_it(place: Place, browser: httpx.Client, tmp_path: Path) -> None:
    back = parse_qs(urlsplit(leave(browser)).query)["state"][0]
    assert place.services is not None
    with place.services.database.read() as db:
        kept = str(db.execute(select(sign_ins)).all())
    assert back not in kept
    assert browser.cookies[f"{cookie_name(place.services.settings)}-begun"] not in kept
