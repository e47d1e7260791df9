"""Tokens of a real issuer, and all that a forger or a thief would send in their place."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from hoopcli.errors import HoopError, NotSignedInError, UpstreamError
from hoopcli.identity.openid import Keys, discover, fetch, validate
from tests.support.issuer import CLIENT, NOW, RSA, Issuer, issuer, public

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def answering() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def provider(answering: Issuer) -> Issuer:
    answering.publish(public("first"))
    answering.asked.clear()
    return answering


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(provider: Issuer, clock: Clock) -> Iterator[Keys]:
    with httpx.Client() as http:
        yield Keys(provider.url, http, clock)


def check(provider: Issuer, keys: Keys, token: str, now: datetime = NOW, nonce: str = "n") -> Any:
    return validate(token, keys, provider.url, CLIENT, now, nonce)


def words(*parts: bytes) -> str:
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def test_a_good_token_says_who_it_is(provider: Issuer, keys: Keys) -> None:
    assert check(provider, keys, provider.token())["email"] == "ada@example.com"
    provider.publish(provider.curve())


def test_other_signatures_with_a_public_key_are_taken(provider: Issuer, keys: Keys) -> None:
    provider.publish(provider.curve())
    assert check(provider, keys, provider.curve_token())["sub"] == "ada"


def test_no_signature_is_none(provider: Issuer, keys: Keys) -> None:
    body = json.dumps(provider.claims()).encode()
    for name in ("none", "None", "NONE", "nOnE", ""):
        head = json.dumps({"alg": name, "typ": "JWT", "kid": "first"}).encode()
        with pytest.raises(NotSignedInError):
            check(provider, keys, words(head, body) + ".")


def test_the_public_key_is_no_shared_secret(provider: Issuer, keys: Keys) -> None:
    pem = RSA["first"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = json.dumps(provider.claims()).encode()
    for secret in (pem, json.dumps(public("first")).encode(), public("first")["n"].encode()):
        signed = words(json.dumps({"alg": "HS256", "kid": "first"}).encode(), body)
        mac = hmac.digest(secret, signed.encode(), hashlib.sha256)
        with pytest.raises(NotSignedInError, match="not signed as it must be"):
            check(provider, keys, f"{signed}.{words(mac)}")


@pytest.mark.parametrize("header", ["jwk", "jku", "x5u", "x5c"])
def test_a_token_does_not_bring_its_own_key(provider: Issuer, keys: Keys, header: str) -> None:
    own = {"jwk": public("second"), "jku": f"{provider.url}/evil", "x5u": f"{provider.url}/evil", "x5c": ["AAAA"]}
    provider.documents["/evil"] = {"keys": [public("second")]}
    forged = provider.token("second", {"kid": "first", header: own[header]})
    with pytest.raises(NotSignedInError):
        check(provider, keys, forged)
    assert "/evil" not in provider.asked


@pytest.mark.parametrize("headers", [{"crit": ["exp"]}, {"typ": "logout+jwt"}, {"typ": "at+jwt"}, {"typ": "dpop+jwt"}])
def test_a_token_of_another_kind_is_refused(provider: Issuer, keys: Keys, headers: dict[str, Any]) -> None:
    with pytest.raises(NotSignedInError):
        check(provider, keys, provider.token(headers=headers))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://login.example.net"},
        {"iss": None},
        {"aud": "another"},
        {"aud": None},
        {"aud": []},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"sub": None},
        {"exp": None},
        {"iat": None},
        {"exp": "soon"},
        {"exp": float("inf")},
        {"iat": {}},
        {"nbf": []},
        {"nonce": None},
        {"nonce": "another"},
        {"nonce": ["n"]},
    ],
)
def test_claims_that_are_wrong_or_missing(provider: Issuer, keys: Keys, changed: dict[str, Any]) -> None:
    with pytest.raises(NotSignedInError):
        check(provider, keys, provider.token(**changed))


def test_an_audience_of_several_names_the_client_that_asked(provider: Issuer, keys: Keys) -> None:
    assert check(provider, keys, provider.token(aud=[CLIENT]))
    assert check(provider, keys, provider.token(aud=["account", CLIENT], azp=CLIENT))


def test_clocks_may_differ_by_a_minute_and_no_more(provider: Issuer, keys: Keys) -> None:
    at = int(NOW.timestamp())
    token = provider.token(iat=at, exp=at + 300)
    ends = NOW + timedelta(seconds=300)
    for good in (NOW - MINUTE, NOW, ends, ends + MINUTE):
        assert check(provider, keys, token, good)
    for late in (ends + MINUTE + SECOND, ends + timedelta(days=1)):
        with pytest.raises(NotSignedInError, match="expired"):
            check(provider, keys, token, late)
    with pytest.raises(NotSignedInError, match="not good yet"):
        check(provider, keys, token, NOW - MINUTE - SECOND)


@pytest.mark.parametrize("name", ["nbf", "iat"])
def test_a_token_of_the_future_is_refused(provider: Issuer, keys: Keys, name: str) -> None:
    at = int(NOW.timestamp())
    past = {"iat": at - 500, "nbf": at - 500}
    assert check(provider, keys, provider.token(**(past | {name: at + 60})))
    with pytest.raises(NotSignedInError, match="not good yet"):
        check(provider, keys, provider.token(**(past | {name: at + 61})))


def test_a_rotation_is_seen_at_once(provider: Issuer, keys: Keys, clock: Clock) -> None:
    assert check(provider, keys, provider.token())
    provider.publish(public("second"))
    clock.now += 11 * SECOND
    assert check(provider, keys, provider.token("second"))
    with pytest.raises(NotSignedInError, match="does not have"):
        check(provider, keys, provider.token("first"))


def test_a_forger_cannot_have_the_provider_asked_for_each_try(provider: Issuer, keys: Keys, clock: Clock) -> None:
    for number in range(50):
        with pytest.raises(NotSignedInError):
            check(provider, keys, provider.token(headers={"kid": f"unknown-{number}"}))
    assert provider.asked.count("/keys") == 1
    clock.now += 11 * SECOND
    for _ in range(10):
        with pytest.raises(NotSignedInError):
            check(provider, keys, provider.token(headers={"kid": "unknown"}))
    assert provider.asked.count("/keys") == 2


def test_keys_that_have_expired_are_trusted_no_longer(provider: Issuer, keys: Keys, clock: Clock) -> None:
    assert check(provider, keys, provider.token())
    clock.now += timedelta(hours=1, seconds=1)
    provider.documents["/keys"] = 503
    for _ in range(5):
        with pytest.raises(UpstreamError):
            check(provider, keys, provider.token(), clock.now)
    assert provider.asked.count("/keys") == 2  # a provider that is down is not asked by every request
    provider.publish(public("first"))
    clock.now += 11 * SECOND
    at = int(clock.now.timestamp())
    assert check(provider, keys, provider.token(iat=at, exp=at + 60), clock.now)


def test_a_provider_that_is_away_signs_nobody_in() -> None:
    with httpx.Client() as http, pytest.raises(UpstreamError, match="does not answer"):
        Keys("http://127.0.0.1:9", http, lambda: NOW).key("first")


def test_a_token_without_a_key_id(provider: Issuer, keys: Keys, clock: Clock) -> None:
    token = jwt.encode(provider.claims(), RSA["first"], "RS256")
    assert check(provider, keys, token)
    provider.publish(public("first"), public("second"))
    clock.now += timedelta(hours=2)
    with pytest.raises(NotSignedInError):
        check(provider, keys, token)


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "first"},
        {**public("first"), "use": "enc"},
        {**public("second"), "kid": "first"},
        {"kty": "RSA", "kid": "first"},
        {"kid": "first"},
        {"kty": "RSA", "n": 5, "e": [], "kid": "first"},
        "first",
        None,
        7,
    ],
)
def test_keys_that_are_no_such_keys(provider: Issuer, keys: Keys, key: Any) -> None:
    provider.publish(key)
    with pytest.raises(NotSignedInError):
        check(provider, keys, provider.token())


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": []}, {"keys": {}}, {"keys": 7}, [], "x", 404, 301])
def test_documents_that_hold_no_keys(provider: Issuer, keys: Keys, document: Any) -> None:
    provider.documents["/keys"] = document if document != [] else [[]]
    with pytest.raises((NotSignedInError, UpstreamError)):
        check(provider, keys, provider.token())


def test_another_issuer_does_not_speak_for_this_one(provider: Issuer) -> None:
    said = provider.documents["/.well-known/openid-configuration"]
    provider.documents["/.well-known/openid-configuration"] = said | {"issuer": "https://login.example.net"}
    try:
        with httpx.Client() as http, pytest.raises(UpstreamError, match="another issuer"):
            discover(http, provider.url)
    finally:
        provider.documents["/.well-known/openid-configuration"] = said


@pytest.mark.parametrize("url", ["http://login.example.com/", "http://127.0.0.1.example.com/", "ftp://127.0.0.1/", "x"])
def test_what_is_not_encrypted_is_not_asked(url: str) -> None:
    with httpx.Client() as http, pytest.raises(UpstreamError, match="not encrypted"):
        fetch(http, url)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.text(max_size=200), st.builds(words, st.binary(max_size=40), st.binary(max_size=40), st.binary())))
def test_garbage_is_refused_as_such(token: str) -> None:
    class NoKeys(Keys):
        def key(self, identity: str) -> jwt.PyJWK:
            raise NotSignedInError("no key")

    nobody: Callable[[], datetime] = lambda: NOW  # noqa: E731
    with httpx.Client() as http, pytest.raises(HoopError):
        validate(token, NoKeys("https://login.example.com", http, nobody), "https://login.example.com", CLIENT, NOW)
