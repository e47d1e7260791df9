"""OpenID providers: what they say of themselves, and whether a token is theirs (OpenID Connect Core, Discovery).

Keys are fetched by discovery and kept for a while; a token under an unknown key has them fetched again, at most once in
a few seconds, so that a rotation is seen at once and a forger cannot make the provider be asked for each try.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt
from jwt.types import Options

from hoopcli.errors import NotSignedInError, UpstreamError

SKEW: Final = timedelta(minutes=1)
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA")
"""Signatures with a public key only: neither ``none`` nor a shared secret."""
_KEEP: Final = timedelta(hours=1)
_PATIENCE: Final = timedelta(seconds=10)
_SECONDS: Final = 10.0
_LONGEST: Final = 1 << 20
# The clock is the caller's, so that times are compared here.
_UNCLOCKED: Final[Options] = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "require": ["exp", "iat", "sub"],
}
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a provider says of itself."""

    issuer: str
    authorization: str
    token: str
    device: str
    jwks: str


def encrypted(url: str) -> str:
    """The same address, if it is https, or http on this machine. Raises UpstreamError."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise UpstreamError(f"the provider's address {url[:200]} is not encrypted", "use https")
    return url


def fetch(http: httpx.Client, url: str) -> dict[str, Any]:
    """A JSON document over https, or http on this machine. Raises UpstreamError."""
    parts = urlsplit(encrypted(url))
    try:
        answer = http.get(url, timeout=_SECONDS)
        document = answer.json() if answer.status_code == 200 and len(answer.content) <= _LONGEST else None
    except (httpx.HTTPError, ValueError) as error:
        raise UpstreamError(f"{parts.hostname} does not answer ({type(error).__name__})", "try again") from error
    if not isinstance(document, dict):
        raise UpstreamError(f"{parts.hostname} answered {answer.status_code}", "check the issuer's address")
    return document


def discover(http: httpx.Client, issuer: str) -> Endpoints:
    """Ask an issuer for its endpoints. Raises UpstreamError, also if it says that it is another one."""
    found = fetch(http, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if str(found.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        raise UpstreamError(f"{issuer} says that it is another issuer", "check the issuer's address")
    return Endpoints(
        issuer=str(found["issuer"]),
        authorization=str(found.get("authorization_endpoint") or ""),
        token=str(found.get("token_endpoint") or ""),
        device=str(found.get("device_authorization_endpoint") or ""),
        jwks=str(found.get("jwks_uri") or ""),
    )


class Keys:
    """The keys of one issuer. Safe to share between threads."""

    def __init__(self, issuer: str, http: httpx.Client, now: Callable[[], datetime]) -> None:
        self._issuer = issuer
        self._http = http
        self._now = now
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched: datetime | None = None
        self._tried: datetime | None = None

    def key(self, identity: str) -> jwt.PyJWK:
        """The key of an id, or the only one where a token names none. Raises NotSignedInError, UpstreamError."""
        with self._lock:
            self._renew(identity, self._now())
            only = next(iter(self._keys.values()), None) if not identity and len(self._keys) == 1 else None
            found = self._keys.get(identity) or only
        if found is None:
            raise NotSignedInError("the token is signed by a key that its issuer does not have", "run: hoop login")
        return found

    def _renew(self, identity: str, now: datetime) -> None:
        """Fetch the keys where they are old, or one is not there. Raises UpstreamError: old keys are no keys."""
        old = self._fetched is None or now - self._fetched > _KEEP
        if not old and (not identity or identity in self._keys):
            return
        if self._tried is None or now - self._tried > _PATIENCE:
            self._tried = now
            self._keys = self._load()
            self._fetched = now
        elif old:
            raise UpstreamError(f"{self._issuer} did not answer a moment ago", "try again in a few seconds")

    def _load(self) -> dict[str, jwt.PyJWK]:
        document = fetch(self._http, discover(self._http, self._issuer).jwks)
        keys: dict[str, jwt.PyJWK] = {}
        found = document.get("keys")
        for each in found if isinstance(found, list) else ():
            try:
                if each.get("use", "sig") == "sig":
                    keys[str(each.get("kid", ""))] = jwt.PyJWK(each)
            except (jwt.PyJWTError, AttributeError, TypeError, ValueError):
                continue  # of a kind that nobody here knows
        return keys


def validate(token: str, keys: Keys, issuer: str, audience: str, now: datetime, nonce: str = "") -> Mapping[str, Any]:
    """The claims of a token of this issuer for this audience, good now. Raises NotSignedInError, UpstreamError.

    ``nonce`` must be the token's own where the token was asked for with one.
    """
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS or "crit" in header:
            raise _refused("it is not signed as it must be")
        if str(header.get("typ", "JWT")).upper() != "JWT":
            raise _refused("it is a token of another kind")
        key = keys.key(str(header.get("kid", "")))
        claims: dict[str, Any] = jwt.decode(
            token, key.key, [header["alg"]], audience=audience, issuer=issuer, options=_UNCLOCKED
        )
        ends, issued = (datetime.fromtimestamp(float(claims[name]), now.tzinfo) for name in ("exp", "iat"))
        begins = datetime.fromtimestamp(float(claims.get("nbf", claims["iat"])), now.tzinfo)
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
        raise _refused(type(error).__name__) from None
    if now > ends + SKEW:
        raise _refused("it has expired")
    if now < max(begins, issued) - SKEW:
        raise _refused("it is not good yet; compare the clocks of both machines")
    audiences = claims["aud"]
    if isinstance(audiences, list) and len(audiences) > 1 and claims.get("azp") != audience:
        raise _refused("it was issued to another client")
    if nonce and claims.get("nonce") != nonce:
        raise _refused("it answers another sign-in")
    return claims


def _refused(why: str) -> NotSignedInError:
    return NotSignedInError(f"the token is not accepted: {why}", "run: hoop login")
