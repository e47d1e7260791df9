"""Groups that a token of Entra leaves out because they are many: looked up at Microsoft Graph, where that is set up.

The address in the token (``_claim_sources``) is not followed: the settings say where Graph is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from hoopcli.errors import NotSignedInError, UpstreamError
from hoopcli.identity.openid import discover
from hoopcli.server.people.claims import leaves_out_groups
from hoopcli.server.people.oauth import post, secret_of
from hoopcli.server.people.settings import ProviderSettings

_SECONDS: Final = 15.0
_OBJECT: Final = re.compile(r"[0-9a-fA-F-]{36}")
_OVERAGE: Final = frozenset({"_claim_names", "_claim_sources", "hasgroups"})


def with_groups(claims: Mapping[str, Any], provider: ProviderSettings) -> Mapping[str, Any]:
    """The claims with all groups. Without a Graph they stay as they are. Raises NotSignedInError, UpstreamError."""
    if provider.graph is None or not leaves_out_groups(claims, provider):
        return claims
    who = claims.get("oid")
    if not isinstance(who, str) or not _OBJECT.fullmatch(who):
        raise NotSignedInError("the token does not say oid, by which groups are looked up", "run: hoop login")
    rest = {name: value for name, value in claims.items() if name not in _OVERAGE}
    return rest | {provider.groups: _groups(provider, provider.graph.rstrip("/"), who)}


def _groups(provider: ProviderSettings, graph: str, who: str) -> list[str]:
    """The ids of the security groups that somebody is in, directly or not (``getMemberGroups``)."""
    with httpx.Client(follow_redirects=False, timeout=_SECONDS) as http:
        headers = {"Authorization": f"Bearer {_token(http, provider, graph)}"}
        try:
            asked = {"securityEnabledOnly": True}
            answer = http.post(f"{graph}/users/{who}/getMemberGroups", json=asked, headers=headers)
            found = answer.json().get("value") if answer.status_code == 200 else None
        except (httpx.HTTPError, ValueError, AttributeError) as error:
            raise UpstreamError(f"Microsoft Graph does not answer ({type(error).__name__})", "try again") from error
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise UpstreamError(
            f"Microsoft Graph does not tell the groups of this account ({answer.status_code})",
            "let the application read them: GroupMember.Read.All",
        )
    return found


def _token(http: httpx.Client, provider: ProviderSettings, graph: str) -> str:
    """A token of the server's own for Graph (client credentials, RFC 6749 4.4)."""
    form = {
        "grant_type": "client_credentials",
        "client_id": provider.client_id,
        "client_secret": secret_of(provider),
        "scope": f"{httpx.URL(graph).copy_with(path='/.default')}",
    }
    token = post(http, discover(http, provider.issuer).token, form).get("access_token")
    if not isinstance(token, str):
        raise UpstreamError(
            "the provider gives this server no token for Microsoft Graph", "check the provider's secret"
        )
    return token
