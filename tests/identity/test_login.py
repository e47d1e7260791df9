"""Signing in at a provider: by a code on another device, and what a browser or a provider may answer instead."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from hoopcli.errors import NotSignedInError, UpstreamError
from hoopcli.identity.login import by_device, in_browser
from hoopcli.identity.openid import Endpoints
from tests.support.issuer import CLIENT, Issuer, issuer

SCOPES = ["openid", "email"]
BEGUN = {"device_code": "d", "user_code": "ABCD", "verification_uri": "https://login.example.com/device", "interval": 5,
         "expires_in": 60}  # fmt: skip


@pytest.fixture(scope="module")
def answering() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def provider(answering: Issuer) -> Issuer:
    answering.bodies.clear()
    answering.documents["/device"] = dict(BEGUN)
    answering.documents["/token"] = {"id_token": "a.b.c"}
    return answering


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


def endpoints(provider: Issuer, **changed: str) -> Endpoints:
    url = provider.url
    found = {
        "issuer": url, "authorization": f"{url}/authorize", "token": f"{url}/token", "device": f"{url}/device",
        "jwks": f"{url}/keys",
    } | changed  # fmt: skip
    return Endpoints(**found)


def test_a_code_on_another_device(provider: Issuer, http: httpx.Client) -> None:
    pauses: list[float] = []
    said: list[str] = []
    provider.documents["/token"] = [
        {"error": "authorization_pending"}, {"error": "slow_down"}, {"id_token": "a.b.c"},
    ]  # fmt: skip
    token, nonce = by_device(http, endpoints(provider), CLIENT, SCOPES, said.append, pauses.append, "known")
    assert token == "a.b.c"
    assert pauses == [5, 5, 10]
    assert "ABCD" in said[0]
    asked = [parse_qs(body.decode()) for body in provider.bodies]
    assert asked[0]["nonce"] == [nonce]
    assert asked[-1]["client_secret"] == ["known"]


def test_nobody_enters_the_code(provider: Issuer, http: httpx.Client) -> None:
    provider.documents["/token"] = {"error": "authorization_pending"}
    with pytest.raises(NotSignedInError, match="in time"):
        by_device(http, endpoints(provider), CLIENT, SCOPES, lambda _said: None, lambda _seconds: None)


def test_a_provider_without_codes(provider: Issuer, http: httpx.Client) -> None:
    with pytest.raises(NotSignedInError, match="knows no sign-in by a code"):
        by_device(http, endpoints(provider, device=""), CLIENT, SCOPES, lambda _said: None)


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        ({"error": "access_denied", "error_description": "not you\nand more"}, NotSignedInError, "not you$"),
        ({"error": "expired_token"}, NotSignedInError, "expired_token"),
        ({"access_token": "x"}, NotSignedInError, "no ID token"),
        ({"id_token": 5}, NotSignedInError, "no ID token"),
        (500, UpstreamError, "does not answer"),
        ([[]], UpstreamError, "answered 200"),
    ],
)
def test_what_a_provider_may_answer(
    provider: Issuer, http: httpx.Client, answer: Any, error: type[Exception], why: str
) -> None:
    provider.documents["/token"] = answer
    with pytest.raises(error, match=why):
        by_device(http, endpoints(provider), CLIENT, SCOPES, lambda _said: None, lambda _seconds: None)


def come_back(address: str, **query: str) -> httpx.Response:
    asked = parse_qs(urlsplit(address).query)
    return httpx.get(asked["redirect_uri"][0], params={"state": asked["state"][0]} | query)


def test_only_who_knows_the_state_comes_back(provider: Issuer, http: httpx.Client) -> None:
    answers: list[int] = []

    def show(address: str) -> None:
        def browse() -> None:
            answers.append(come_back(address, state="x" * 43, code="evil").status_code)
            answers.append(come_back(address, state="", code="evil").status_code)
            answers.append(come_back(address, code="good").status_code)

        threading.Thread(target=browse).start()

    token, nonce = in_browser(http, endpoints(provider), CLIENT, SCOPES, lambda _said: None, show)
    assert (token, answers) == ("a.b.c", [400, 400, 200])
    spent = parse_qs(provider.bodies[-1].decode())
    assert spent["code"] == ["good"]
    assert len(spent["code_verifier"][0]) == 43
    assert "client_secret" not in spent
    assert nonce


@pytest.mark.parametrize(
    ("query", "why"), [({"error": "access_denied"}, "access_denied"), ({}, "no code"), ({"code": ""}, "no code")]
)
def test_a_sign_in_that_the_provider_refused(
    provider: Issuer, http: httpx.Client, query: dict[str, str], why: str
) -> None:
    def show(address: str) -> None:
        threading.Thread(target=come_back, args=(address,), kwargs=query).start()

    with pytest.raises(NotSignedInError, match=why):
        in_browser(http, endpoints(provider), CLIENT, SCOPES, lambda _said: None, show)


def test_a_browser_that_does_not_come_back(
    provider: Issuer, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hoopcli.identity.login.BROWSER_SECONDS", 0.01)
    with pytest.raises(NotSignedInError, match="did not come back"):
        in_browser(http, endpoints(provider), CLIENT, SCOPES, lambda _said: None, lambda _address: None)
