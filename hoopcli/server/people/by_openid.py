"""Signing in to the pages by an OpenID provider: a code, with PKCE, state and nonce (OpenID Connect Core 3.1).

The provider's answer comes to the server, which may have a secret that it shares with the provider.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

import httpx
from fastapi import FastAPI

from hoopcli.errors import NotSignedInError
from hoopcli.identity.openid import discover, validate
from hoopcli.model.access import Principal
from hoopcli.server.people.claims import principal_of
from hoopcli.server.people.graph import with_groups
from hoopcli.server.people.keys import keys_of
from hoopcli.server.people.oauth import post, secret_of
from hoopcli.server.people.settings import ProviderSettings
from hoopcli.server.people.sign_ins import challenge, derived
from hoopcli.server.services import Services

RETURN: Final = "/sign-in/return"
_SECONDS: Final = 15.0


def leave(services: Services, provider: ProviderSettings, cookie: str, state: str) -> str:
    """Where a browser goes to sign in. Raises UpstreamError."""
    with httpx.Client(follow_redirects=False) as http:
        endpoints = discover(http, provider.issuer)
    asked = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": f"{services.settings.public_url}{RETURN}",
        "scope": " ".join(provider.scopes),
        "state": state,
        "nonce": derived(cookie, state, "nonce"),
        "code_challenge": challenge(derived(cookie, state, "verifier")),
        "code_challenge_method": "S256",
    }
    joint = "&" if "?" in endpoints.authorization else "?"
    return f"{endpoints.authorization}{joint}{urlencode(asked)}"


def come_back(
    services: Services, app: FastAPI, provider: ProviderSettings, cookie: str, state: str, said: Mapping[str, str]
) -> Principal:
    """Who came back with ``code``. Raises NotSignedInError, DeniedError, UpstreamError."""
    if said.get("iss") and not hmac.compare_digest(
        said["iss"].rstrip("/").encode(), provider.issuer.rstrip("/").encode()
    ):
        raise NotSignedInError("another provider answered than was asked", "begin again")  # RFC 9207
    if not said.get("code"):
        why = (said.get("error_description") or said.get("error") or "no code came")[:300]
        raise NotSignedInError(f"the provider refused: {why}", "begin again")
    token = _token(services, provider, said["code"], derived(cookie, state, "verifier"))
    nonce = derived(cookie, state, "nonce")
    keys = keys_of(app, provider)
    claims = validate(token, keys, provider.issuer, provider.client_id, services.now(), nonce)
    return principal_of(with_groups(claims, provider), provider)


def _token(services: Services, provider: ProviderSettings, code: str, verifier: str) -> str:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": f"{services.settings.public_url}{RETURN}",
        "client_id": provider.client_id,
        "code_verifier": verifier,
    }
    if secret := secret_of(provider):
        form["client_secret"] = secret
    with httpx.Client(follow_redirects=False, timeout=_SECONDS) as http:
        document = post(http, discover(http, provider.issuer).token, form)
    token = document.get("id_token")
    if not isinstance(token, str):
        why = str(document.get("error_description") or document.get("error") or "no ID token came")[:300]
        raise NotSignedInError(f"the provider refused: {why}", "begin again")
    return token
