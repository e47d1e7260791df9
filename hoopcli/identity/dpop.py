"""Proofs of possession (RFC 9449): a token is good only with a signature by the key that it was issued to.

Pure. The key is Ed25519; a proof names the request's method and address, when it was made, and the token's digest.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.types import Options

from hoopcli.errors import NotSignedInError

SKEW: Final = timedelta(seconds=60)
_TYPE: Final = "dpop+jwt"
_ALGORITHM: Final = "EdDSA"
_LONGEST: Final = 2000
# The clock is the caller's, so that times are compared here.
_UNCLOCKED: Final[Options] = {"verify_iat": False, "verify_exp": False, "verify_nbf": False, "verify_aud": False}
_LONGEST_ID: Final = 100


class ProofKey:
    """The private key that a client's sessions are bound to. ``thumbprint`` is that of RFC 7638, of its public half."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._jwk = {"kty": "OKP", "crv": "Ed25519", "x": _b64(private.public_key().public_bytes_raw())}
        self.thumbprint = thumbprint(self._jwk)

    @classmethod
    def generate(cls) -> ProofKey:
        """A new random key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_bytes(cls, seed: bytes) -> ProofKey:
        """The key of a seed of 32 bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def to_bytes(self) -> bytes:
        """The seed."""
        return self._private.private_bytes_raw()

    def proof(self, method: str, url: str, now: datetime, token: str = "") -> str:
        """A proof for one request. ``url`` is absolute; its query does not count."""
        claims: dict[str, Any] = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": address(url),
            "iat": int(now.timestamp()),
        }
        if token:
            claims["ath"] = digest(token)
        return jwt.encode(claims, self._private, _ALGORITHM, {"typ": _TYPE, "jwk": self._jwk})


@dataclass(frozen=True, slots=True)
class Proved:
    """A proof that holds: by which key, and its id, which is not to be seen twice before ``expires``."""

    thumbprint: str
    id: str
    expires: datetime


def check(proof: str, method: str, url: str, now: datetime, token: str = "") -> Proved:
    """Verify a proof for a request. Raises NotSignedInError."""
    try:
        return _checked(proof, method, url, now, token)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise _refused(f"it cannot be read ({type(error).__name__})") from None


def _checked(proof: str, method: str, url: str, now: datetime, token: str) -> Proved:
    if len(proof) > _LONGEST:
        raise _refused("it is too long")
    header = jwt.get_unverified_header(proof)
    jwk = header["jwk"]
    if header.get("typ") != _TYPE or header.get("alg") != _ALGORITHM or set(jwk) != {"kty", "crv", "x"}:
        raise _refused("it is of another kind")
    if (jwk["kty"], jwk["crv"]) != ("OKP", "Ed25519"):
        raise _refused("its key is of another kind")
    public = Ed25519PublicKey.from_public_bytes(_unb64(jwk["x"]))
    claims = jwt.decode(proof, public, [_ALGORITHM], options=_UNCLOCKED)
    made = datetime.fromtimestamp(int(claims["iat"]), now.tzinfo)
    if abs(now - made) > SKEW:
        raise _refused("it was not made just now; compare the clocks of both machines")
    if claims["htm"] != method or claims["htu"] != address(url):
        raise _refused("it is for another request")
    if token and not secrets.compare_digest(str(claims.get("ath", "")), digest(token)):
        raise _refused("it is for another token")
    identity = claims["jti"]
    if not isinstance(identity, str) or not 8 <= len(identity) <= _LONGEST_ID:
        raise _refused("it has no id")
    return Proved(thumbprint(jwk), identity, made + 2 * SKEW)


def address(url: str) -> str:
    """An address without its query, as proofs name it."""
    parts = urlsplit(url)
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{parts.path or '/'}"


def digest(token: str) -> str:
    """SHA-256 of a token, in base64url."""
    return _b64(hashlib.sha256(token.encode()).digest())


def thumbprint(jwk: dict[str, str]) -> str:
    """The thumbprint of an Ed25519 key (RFC 7638, RFC 8037)."""
    members = {name: jwk[name] for name in ("crv", "kty", "x")}
    return _b64(hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest())


def _refused(why: str) -> NotSignedInError:
    return NotSignedInError(f"the proof of possession does not hold: {why}", "run: hoop login")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
