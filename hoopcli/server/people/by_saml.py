"""Signing in to the pages by a SAML identity provider, and for programs by way of a browser."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from hoopcli.model.access import Principal
from hoopcli.server.people import saml
from hoopcli.server.people.claims import principal_of
from hoopcli.server.people.settings import SamlSettings
from hoopcli.server.services import Services

RETURN: Final = "/sign-in/saml"


def entity_id(services: Services, provider: SamlSettings) -> str:
    """What the identity provider knows this server as."""
    return provider.entity_id or address(services)


def address(services: Services) -> str:
    """Where responses are sent."""
    return f"{services.settings.public_url}{RETURN}"


def leave(services: Services, provider: SamlSettings, state: str) -> str:
    """Where a browser goes to sign in."""
    own = entity_id(services, provider)
    return saml.request_url(provider.sign_in, own, address(services), _request(state), state, services.now())


def come_back(services: Services, provider: SamlSettings, state: str, response: str) -> Principal:
    """Who came back with a response to the request of this state. Raises NotSignedInError, DeniedError."""
    trusted = saml.certificates(provider.certificates)
    expected = saml.Expected(provider.idp, entity_id(services, provider), address(services), _request(state), trusted)
    return principal_of(_claims(saml.claims_of(response, expected, services.now()), provider), provider)


def _claims(said: dict[str, Any], provider: SamlSettings) -> dict[str, Any]:
    """Attributes as the claims of a token: one value is a text, groups are a list in any case."""
    claims = {
        name: values[0] if isinstance(values, list) and len(values) == 1 and name != provider.groups else values
        for name, values in said.items()
    }
    return claims | {"email": claims.get(provider.email, "")}


def _request(state: str) -> str:
    """The id of the request: a name in XML, and no secret, unlike the state."""
    return f"_{hashlib.sha256(f'saml request {state}'.encode()).hexdigest()}"
