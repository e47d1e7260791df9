"""Requests of OAuth that the server itself makes, and the secret that it makes them with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from hoopcli.errors import UpstreamError
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.openid import encrypted
from hoopcli.identity.secrets import resolve
from hoopcli.server.people.settings import ProviderSettings
from hoopcli.settings.secret import parse_reference


def secret_of(provider: ProviderSettings) -> str:
    """What this server shares with a provider, if anything. Raises HoopError where it is not where it should be."""
    return resolve(parse_reference(provider.secret), Keyring()) if provider.secret else provider.public_secret


def post(http: httpx.Client, url: str, form: Mapping[str, str]) -> dict[str, Any]:
    """One request of OAuth; its answer, good or bad. Raises UpstreamError if none comes."""
    try:
        document = http.post(encrypted(url), data=dict(form)).json()
    except (httpx.HTTPError, ValueError, httpx.InvalidURL) as error:
        raise UpstreamError(f"the provider does not answer ({type(error).__name__})", "try again") from error
    if not isinstance(document, dict):
        raise UpstreamError("the provider gave no such answer", "check the issuer's address")
    return document
