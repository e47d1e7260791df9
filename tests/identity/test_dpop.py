"""Proofs of possession (RFC 9449): what holds, and what a thief of a token would send."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from hoopcli.errors import NotSignedInError
from hoopcli.identity.dpop import ProofKey, address, check, digest, thumbprint

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
URL = "https://hoop.example.com/v1/sessions/current"
KEY = ProofKey.generate()
PRIVATE = Ed25519PrivateKey.from_private_bytes(KEY.to_bytes())
SECOND = timedelta(seconds=1)


def jwk() -> dict[str, Any]:
    raw = PRIVATE.public_key().public_bytes_raw()
    return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode()}


def proof(headers: dict[str, Any] | None = None, **changed: Any) -> str:
    """A proof that is good but for what is changed; a claim that is None is left out."""
    good = {"jti": "0123456789abcdef", "htm": "GET", "htu": URL, "iat": int(NOW.timestamp()), "ath": digest("t")}
    claims = {name: value for name, value in (good | changed).items() if value is not None}
    return jwt.encode(claims, PRIVATE, "EdDSA", {"typ": "dpop+jwt", "jwk": jwk()} | (headers or {}))


def test_a_proof_holds_for_its_request() -> None:
    proved = check(KEY.proof("GET", f"{URL}?seconds=5", NOW, "t"), "GET", URL, NOW, "t")
    assert proved.thumbprint == KEY.thumbprint == thumbprint(jwk())
    assert proved.expires >= NOW + timedelta(minutes=1)
    assert check(proof(), "GET", URL, NOW, "t").id == "0123456789abcdef"


def test_each_proof_has_an_id_of_its_own() -> None:
    seen = {check(KEY.proof("GET", URL, NOW), "GET", URL, NOW).id for _ in range(50)}
    assert len(seen) == 50


def test_it_is_remembered_for_as_long_as_it_is_good() -> None:
    """A proof that was made ahead of this clock is not good again once its note is forgotten."""
    ahead = KEY.proof("GET", URL, NOW + timedelta(minutes=1))
    expires = check(ahead, "GET", URL, NOW).expires
    with pytest.raises(NotSignedInError):
        check(ahead, "GET", URL, expires + SECOND)


def test_clocks_may_differ_by_a_minute_and_no_more() -> None:
    made = KEY.proof("GET", URL, NOW)
    for good in (-60, 0, 60):
        assert check(made, "GET", URL, NOW + timedelta(seconds=good))
    for bad in (-61, 61):
        with pytest.raises(NotSignedInError, match="compare the clocks"):
            check(made, "GET", URL, NOW + timedelta(seconds=bad))


@pytest.mark.parametrize(
    "changed",
    [
        {"htm": "POST"},
        {"htm": "get"},
        {"htm": None},
        {"htu": "https://hoop.example.com/v1/sessions"},
        {"htu": "http://hoop.example.com/v1/sessions/current"},
        {"htu": "https://hoop.example.net/v1/sessions/current"},
        {"htu": f"{URL}/"},
        {"htu": f"{URL}?a=b"},
        {"htu": None},
        {"ath": digest("another")},
        {"ath": None},
        {"ath": ["t"]},
        {"jti": None},
        {"jti": "short"},
        {"jti": "x" * 101},
        {"jti": 12345678901},
        {"iat": None},
        {"iat": "now"},
        {"iat": [1]},
        {"iat": 1e400},
        {"iat": 10**30},
    ],
)
def test_claims_that_are_wrong_or_missing(changed: dict[str, Any]) -> None:
    with pytest.raises(NotSignedInError):
        check(proof(**changed), "GET", URL, NOW, "t")


@pytest.mark.parametrize(
    "headers",
    [
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"jwk": None},
        {"jwk": "key"},
        {"jwk": {}},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": 5}},
        {"jwk": {"kty": "OKP", "crv": "X25519", "x": jwk()["x"]}},
        {"jwk": jwk() | {"d": "c2VjcmV0"}},
        {"jwk": {"kty": "oct", "k": "c2VjcmV0", "x": ""}},
    ],
)
def test_headers_of_another_kind(headers: dict[str, Any]) -> None:
    with pytest.raises(NotSignedInError):
        check(proof(headers), "GET", URL, NOW, "t")


def test_a_proof_by_another_key_has_another_thumbprint() -> None:
    """And with somebody else's public key in its head its signature does not hold."""
    other = ProofKey.generate()
    assert check(other.proof("GET", URL, NOW), "GET", URL, NOW).thumbprint != KEY.thumbprint
    claims = {"jti": "0123456789abcdef", "htm": "GET", "htu": URL, "iat": int(NOW.timestamp())}
    forged = jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", {"typ": "dpop+jwt", "jwk": jwk()})
    with pytest.raises(NotSignedInError):
        check(forged, "GET", URL, NOW)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_signature_is_by_the_key(algorithm: str) -> None:
    key = None if algorithm == "none" else jwk()["x"].encode()
    claims = {"jti": "0123456789abcdef", "htm": "GET", "htu": URL, "iat": int(NOW.timestamp())}
    with pytest.raises(NotSignedInError):
        check(jwt.encode(claims, key, algorithm, {"typ": "dpop+jwt", "jwk": jwk()}), "GET", URL, NOW)


def test_a_proof_without_a_token_is_for_no_token() -> None:
    with pytest.raises(NotSignedInError, match="another token"):
        check(KEY.proof("GET", URL, NOW), "GET", URL, NOW, "t")


def test_addresses_are_compared_without_query_and_case_of_the_host() -> None:
    assert address("HTTPS://Hoop.Example.com/V1?x=1#y") == "https://hoop.example.com/V1"
    assert address("https://hoop.example.com") == "https://hoop.example.com/"


def test_a_key_survives_its_keeping() -> None:
    assert ProofKey.from_bytes(KEY.to_bytes()).thumbprint == KEY.thumbprint


def _objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.text(max_size=4), values)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300),
        st.just("x" * 3000),
        st.builds(
            lambda head, rest: f"{base64.urlsafe_b64encode(json.dumps(head).encode()).rstrip(b'=').decode()}.{rest}",
            st.recursive(
                st.none() | st.integers() | st.text(max_size=5), lambda c: st.dictionaries(st.text(max_size=4), c)
            ),
            st.from_regex(r"[A-Za-z0-9_-]{0,20}\.[A-Za-z0-9_-]{0,20}", fullmatch=True),
        ),
    )
)
def test_garbage_is_refused_as_such(garbage: str) -> None:
    with pytest.raises(NotSignedInError):
        check(garbage, "GET", URL, NOW)
