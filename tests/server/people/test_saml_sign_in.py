"""Signing in by SAML: to the pages, and for the command line through a browser."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from lxml import etree
from pydantic import ValidationError

from hoopcli.errors import NotSignedInError
from hoopcli.identity import server_session
from hoopcli.identity.dpop import ProofKey
from hoopcli.identity.login import through_server
from hoopcli.server.config import ServerSettings
from tests.end_to_end.test_sign_in import later
from tests.support.browser import chromium
from tests.support.idp import IDP, Idp, asked, posted
from tests.support.place import Place, serving

OURS = Idp()
POLICY = "version: 1\nrules:\n  - {id: audit, effect: allow, principals: {groups: [audit]}, verbs: ['people:*']}\n"
SAML = {
    "name": "saml", "idp": IDP, "sign_in": "https://idp.example.com/sso", "certificates": OURS.pem,
    "groups": "groups", "require": {"tenant": "ours"}, "grant": ["staff"],
}  # fmt: skip
GOOD = {"groups": ["audit"], "tenant": ["ours"], "email": ["ada@example.com"]}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    other = {**SAML, "name": "other", "entity_id": "urn:hoop:other"}
    with serving(tmp_path_factory.mktemp("server"), POLICY, "http://127.0.0.1:9", saml=[SAML, other]) as running:
        yield running


@pytest.fixture
def browser(place: Place) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=place.url) as client:
        yield client


def leave(browser: httpx.Client, name: str = "saml", wanted: str = "/approvals") -> str:
    gone = browser.get(f"/sign-in/with/{name}", params={"next": wanted})
    assert gone.status_code == 303, gone.text
    return str(gone.headers["location"])


def response(place: Place, url: str, **changed: list[str]) -> dict[str, str]:
    """What the identity provider has a browser post, as it was asked."""
    request = asked(url)
    told = GOOD | changed
    made = OURS.document(request.address, request.issuer, request.id, place.now(), **told)
    return {"SAMLResponse": posted(OURS.sign(made)), "RelayState": request.relay}


def post(place: Place, form: dict[str, str]) -> httpx.Response:
    """From another site no cookie of ours comes along."""
    with httpx.Client(base_url=place.url, headers={"origin": "https://idp.example.com"}) as client:
        return client.post("/sign-in/saml", data=form)


def who(browser: httpx.Client) -> str | None:
    found = re.search(r'<span title="Signed in">([^<]+)</span>', browser.get("/approvals").text)
    return found[1] if found else None


def test_somebody_signs_in_and_comes_back_to_where_they_were(place: Place, browser: httpx.Client) -> None:
    back = post(place, response(place, leave(browser, wanted="/approvals?all=1")))
    assert back.status_code == 303
    assert "set-cookie" not in back.headers
    assert browser.get(back.headers["location"]).headers["location"] == "/approvals?all=1"
    assert who(browser) == "ada@example.com"
    assert "Sign in by saml" in browser.get("/sign-in").text


def test_the_other_knows_this_server_by_another_name(place: Place, browser: httpx.Client) -> None:
    url = leave(browser, "other")
    assert asked(url).issuer == "urn:hoop:other"
    assert post(place, response(place, url)).status_code == 303


@contextmanager
def idp_page(place: Place, sent: list[str]) -> Iterator[str]:
    """The identity provider's page on another site, which has the browser post the response by itself."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "SAMLRequest" not in self.path:
                self.send_error(404)
                return
            form = response(place, self.path)
            fields = "".join(f'<input name="{name}" value="{value}">' for name, value in form.items())
            there = asked(self.path).address
            body = f'<form method="post" action="{there}">{fields}</form><script>document.forms[0].submit()</script>'
            sent.append(there)
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/sso"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_in_a_real_browser_across_sites(place: Place, tmp_path: Path) -> None:
    """The cookie is kept from the provider's POST, and comes with what follows."""
    sent: list[str] = []
    with idp_page(place, sent) as address, serving(
        tmp_path, POLICY, "http://127.0.0.1:9", saml=[{**SAML, "sign_in": address}]
    ) as own, chromium() as running:  # fmt: skip
        page = running.new_page()
        page.goto(f"{own.url}/approvals")
        page.get_by_role("link", name="Sign in by saml").click()
        page.wait_for_url("**/approvals")
        assert page.get_by_title("Signed in").inner_text() == "ada@example.com"
        assert sent == [f"{own.url}/sign-in/saml"]
        names = {cookie["name"]: cookie for cookie in page.context.cookies()}
        assert names["hoop-session"]["httpOnly"]
        page.context.close()


def test_a_response_is_taken_once_and_goes_on_once(place: Place, browser: httpx.Client) -> None:
    form = response(place, leave(browser))
    first = post(place, form)
    assert post(place, form).status_code == 403
    assert browser.get(first.headers["location"]).status_code == 303
    assert browser.get(first.headers["location"]).status_code == 403


def test_a_response_to_another_request_is_refused(place: Place, browser: httpx.Client) -> None:
    mine, other = response(place, leave(browser)), response(place, leave(browser))
    assert "another sign-in" in post(place, mine | {"RelayState": other["RelayState"]}).text


def test_nobody_is_signed_in_who_did_not_begin(place: Place, browser: httpx.Client) -> None:
    """Neither by a response out of nowhere, nor by that of an attacker who began in a browser of their own."""
    for relay in ("", "x", "x" * 43):
        assert post(place, response(place, leave(browser)) | {"RelayState": relay}).status_code == 403
    with httpx.Client(base_url=place.url) as attacker:
        bait = post(place, response(place, leave(attacker))).headers["location"]
    leave(browser)
    assert browser.get(bait).status_code == 403
    assert who(browser) is None


@pytest.mark.parametrize(
    "changed", [{"tenant": ["theirs"]}, {"tenant": ["ours", "theirs"]}, {"tenant": []}, {"groups": ["x"] * 2001}]
)
def test_attributes_that_the_settings_refuse(
    place: Place, browser: httpx.Client, changed: dict[str, list[str]]
) -> None:
    assert post(place, response(place, leave(browser), **changed)).status_code == 403


def test_a_sign_in_that_took_too_long(place: Place, browser: httpx.Client) -> None:
    url = leave(browser)
    with later(place, timedelta(minutes=11)):
        assert post(place, response(place, url)).status_code == 403
    back = post(place, response(place, leave(browser))).headers["location"]
    with later(place, timedelta(minutes=2)):
        assert browser.get(back).status_code == 403


def test_openid_does_not_answer_for_saml(place: Place, browser: httpx.Client) -> None:
    state = asked(leave(browser)).relay
    assert browser.get(f"/sign-in/return?state={state}&code=x").status_code == 403


def test_settings_name_real_certificates_and_each_provider_once() -> None:
    provider = {"name": "saml", "issuer": "https://login.example.com", "client_id": "hoop"}
    for wrong in (
        {"saml": [{**SAML, "certificates": "none"}]},
        {"saml": [{**SAML, "certificates": OURS.pem.replace("M", "!", 5)}]},
        {"saml": [{**SAML, "sign_in": "http://idp.example.com/sso"}]},
        {"saml": [SAML, SAML]},
        {"saml": [SAML], "providers": [provider]},
    ):
        with pytest.raises(ValidationError):
            ServerSettings.model_validate(wrong)


def test_metadata(place: Place, browser: httpx.Client) -> None:
    found = etree.fromstring(browser.get("/sign-in/saml").content)
    assert found.get("entityID") == f"{place.url}/sign-in/saml"


def in_a_browser(place: Place, address: str) -> httpx.Response:
    """What a person and their browser do, until they are back at the program."""
    with httpx.Client(base_url=place.url) as browser:
        gone = browser.get(address)
        assert gone.status_code == 303, gone.text
        back = post(place, response(place, gone.headers["location"]))
        home = browser.get(back.headers["location"]).headers["location"]
        return httpx.get(home) if home.startswith("http://127.0.0.1") else browser.get(home)


def code_of(place: Place, key: ProofKey) -> tuple[str, str]:
    def show(address: str) -> None:
        threading.Thread(target=in_a_browser, args=(place, address)).start()

    return through_server(place.url, "saml", key, lambda _said: None, show)


def test_a_program_signs_in_through_the_browser(place: Place) -> None:
    key = ProofKey.generate()
    with closing(server_session.client(place.url)) as http:
        told = {each["name"]: each["by"] for each in server_session.providers(http)}
        assert told == {"corp": "openid", "saml": "saml", "other": "saml"}
        code, verifier = code_of(place, key)
        proof = {"provider": "saml", "token": code, "nonce": verifier}
        stored = server_session.begin(http, place.url, proof, place.now(), key)
        assert stored.principal.subject == "ada@example.com"
        assert stored.principal.groups == {"audit", "staff"}
        with pytest.raises(NotSignedInError):
            server_session.begin(http, place.url, proof, place.now(), key)


def test_a_code_is_good_for_the_program_that_asked(place: Place) -> None:
    """Not for another key, another verifier, another provider, nor later; and a wrong try uses it up."""
    with closing(server_session.client(place.url)) as http:
        for other in ("key", "verifier", "provider", "time"):
            key = ProofKey.generate()
            code, verifier = code_of(place, key)
            proof = {
                "provider": "other" if other == "provider" else "saml",
                "token": code,
                "nonce": "x" * 43 if other == "verifier" else verifier,
            }
            presented = ProofKey.generate() if other == "key" else key
            with later(place, timedelta(minutes=2 if other == "time" else 0)), pytest.raises(NotSignedInError):
                server_session.begin(http, place.url, proof, place.now(), presented)
            with pytest.raises(NotSignedInError):
                right = {"provider": "saml", "token": code, "nonce": verifier}
                server_session.begin(http, place.url, right, place.now(), key)


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "http://127.0.0.1.evil.example:8000/"},
        {"redirect_uri": "http://127.0.0.1:8000/path"},
        {"redirect_uri": "http://127.0.0.1:8000@evil.example/"},
        {"redirect_uri": "http://localhost:8000/"},
        {"redirect_uri": "http://127.0.0.1:8000/\n"},
        {"state": ""},
        {"state": "a b"},
        {"code_challenge": "short"},
        {"dpop_jkt": ""},
    ],
)
def test_a_code_goes_to_programs_of_this_machine_only(browser: httpx.Client, changed: dict[str, str]) -> None:
    good = {
        "provider": "saml", "redirect_uri": "http://127.0.0.1:8000/", "state": "s", "code_challenge": "x" * 43,
        "dpop_jkt": "y" * 43,
    }  # fmt: skip
    assert browser.get(f"/sign-in/program?{urlencode(good)}").status_code == 303
    answer = browser.get(f"/sign-in/program?{urlencode(good | changed)}")
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_a_code_is_no_cookie_and_a_cookie_no_code(place: Place, browser: httpx.Client) -> None:
    code, _verifier = code_of(place, ProofKey.generate())
    with httpx.Client(base_url=place.url, cookies={"hoop-session": code}) as thief:
        assert who(thief) is None
    leave(browser)
    assert browser.get("/sign-in/on", params={"secret": code}).status_code == 403
    assert parse_qs(urlsplit(leave(browser)).query)["RelayState"]
