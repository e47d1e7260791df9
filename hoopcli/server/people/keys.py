"""The keys of a server's providers, fetched once and shared by all requests."""

from __future__ import annotations

import threading
from typing import Any

import httpx

from hoopcli.identity.openid import Keys
from hoopcli.server.people.settings import ProviderSettings

_MAKING = threading.Lock()


def keys_of(app: Any, provider: ProviderSettings) -> Keys:
    """The keys of one provider."""
    with _MAKING:
        known = _known(app)
        if provider.issuer not in known:
            known[provider.issuer] = Keys(provider.issuer, httpx.Client(follow_redirects=False), app.state.services.now)
        return known[provider.issuer]


def _known(app: Any) -> dict[str, Keys]:
    if not hasattr(app.state, "provider_keys"):
        app.state.provider_keys = {}
    found: dict[str, Keys] = app.state.provider_keys
    return found
