"""From the claims of a token to a principal. Pure. What a token does not say plainly is refused, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hoopcli.errors import DeniedError, NotSignedInError
from hoopcli.model.access import Principal, PrincipalKind
from hoopcli.server.people.settings import Trust

_LONGEST: Final = 300
_MOST_GROUPS: Final = 2000
_OTHERS: Final = tuple(f"{kind}:" for kind in PrincipalKind)


def principal_of(claims: Mapping[str, Any], provider: Trust) -> Principal:
    """Who a token is of. Raises NotSignedInError, DeniedError naming the claim that is missing or wrong."""
    for name, wanted in provider.require.items():
        if str(claims.get(name, "")) != wanted:
            raise DeniedError(
                f"the sign-in has not the {name} that this server asks for", "sign in with another account"
            )
    subject = _text(claims, provider.subject)
    if provider.subject == "email" and str(claims.get("email_verified", True)).lower() != "true":
        raise NotSignedInError("the provider has not verified the address of this account", "verify it, then sign in")
    kind = PrincipalKind(provider.kind)
    if kind is PrincipalKind.HUMAN and subject.startswith(_OTHERS):
        raise DeniedError(f"nobody is called {subject[:60]!r}: such names are those of agents and workloads")
    return Principal(
        subject if kind is PrincipalKind.HUMAN else f"{kind}:{subject}",
        kind,
        _optional(claims, "name") or subject,
        _optional(claims, "email"),
        frozenset([*_groups(claims, provider), *provider.grant]),
        _optional(claims, "actor") or None if kind is PrincipalKind.WORKLOAD else None,
    )


def leaves_out_groups(claims: Mapping[str, Any], provider: Trust) -> bool:
    """Whether groups are left out for being many, as Entra says it."""
    elsewhere = claims.get("_claim_names")
    return (isinstance(elsewhere, Mapping) and provider.groups in elsewhere) or bool(claims.get("hasgroups"))


def agent_of(human: Principal, name: str, groups: tuple[str, ...]) -> Principal:
    """An agent that acts for somebody: it never has that person's groups. Raises DeniedError for another's agent."""
    if human.kind is not PrincipalKind.HUMAN:
        raise DeniedError("only a person has agents", "leave out the agent's name")
    return Principal(f"agent:{name}", PrincipalKind.AGENT, name, groups=frozenset(groups), on_behalf_of=human.subject)


def _groups(claims: Mapping[str, Any], provider: Trust) -> list[str]:
    """The groups of a token. Where it leaves them out nobody knows them, unless they were looked up."""
    if leaves_out_groups(claims, provider):
        raise DeniedError(
            "this account is in more groups than its token can name",
            "have the provider name only those assigned to this application, use its roles, or set graph and secret",
        )
    found = _at(claims, provider.groups, [])
    if not isinstance(found, list) or len(found) > _MOST_GROUPS or not all(isinstance(each, str) for each in found):
        raise NotSignedInError(f"the claim {provider.groups} of the token is no list of names", "run: hoop doctor")
    return found


def _at(claims: Mapping[str, Any], name: str, otherwise: object) -> object:
    """A claim by its name; where no claim has it, its dots lead into objects (Keycloak's ``realm_access.roles``)."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return otherwise
        found = found[part]
    return found


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = _optional(claims, name)
    if not value:
        raise NotSignedInError(f"the token does not say {name}", "have the provider add that claim, or set another one")
    return value


def _optional(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    good = isinstance(value, str) and len(value) <= _LONGEST and value.isprintable() and value == value.strip()
    return value if good and isinstance(value, str) else ""
