"""The providers whose word a server takes: ``[[providers]]`` and ``[[saml]]`` in its settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from cryptography.x509 import load_pem_x509_certificates
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from hoopcli.settings.model import Reference

_PLAIN: Final = (("http", "127.0.0.1"), ("http", "localhost"))
Text = Annotated[str, Field(min_length=1, max_length=300)]


def _address(value: str) -> str:
    parts = urlsplit(value)
    if not parts.hostname or (parts.scheme, parts.hostname) not in {("https", parts.hostname), *_PLAIN}:
        raise ValueError("a provider has an https:// address; http only on this machine")
    return value


def _certificates(value: str) -> str:
    try:
        found = load_pem_x509_certificates(value.encode())
    except ValueError:
        found = []
    if not found:
        raise ValueError("here belong the certificates of the provider, as PEM")
    return value


class Trust(BaseModel):
    """What every provider has: how its claims become a principal.

    ``kind`` is what those are who sign in by it. ``subject`` and ``groups`` name the claims that say who somebody is
    and what they belong to. ``require`` are claims that must have these values, such as the tenant (``tid``) or a
    repository's owner. ``grant`` are groups that all have who sign in by it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")
    kind: Literal["human", "workload"] = "human"
    subject: Text = "email"
    groups: Text = "groups"
    require: dict[Text, Text] = Field(default_factory=dict)
    grant: tuple[Text, ...] = ()


class ProviderSettings(Trust):
    """One OpenID provider.

    ``client_id`` is the audience of its tokens. ``public_secret`` is for providers that give one to programs on
    people's machines, where it is none; ``secret`` names that of the server itself. ``graph`` is Microsoft Graph, where
    the server looks up the groups of those who are in too many for a token.
    """

    issuer: Annotated[str, AfterValidator(_address)]
    client_id: Text
    scopes: tuple[Text, ...] = ("openid", "email", "profile")
    public_secret: str = Field(default="", max_length=300)
    secret: Reference | None = None
    graph: Annotated[str, AfterValidator(_address)] | None = None

    @model_validator(mode="after")
    def _has_a_secret(self) -> ProviderSettings:
        if self.graph and not self.secret:
            raise ValueError("graph needs the secret that the server asks Graph with")
        return self


class SamlSettings(Trust):
    """One SAML identity provider: its entity id, where people sign in, and the certificates that it signs with (PEM).

    ``entity_id`` of this server is ``{public_url}/sign-in/saml`` unless set. ``subject`` is ``NameID`` or an attribute.
    """

    kind: Literal["human"] = "human"
    idp: Text
    sign_in: Annotated[str, AfterValidator(_address)]
    certificates: Annotated[str, AfterValidator(_certificates)]
    entity_id: str = Field(default="", max_length=300)
    subject: Text = "NameID"
    email: Text = "email"


class SessionSettings(BaseModel):
    """How long a sign-in lasts: a token for ``token`` at most an hour, refreshed until ``whole`` has passed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0), le=timedelta(hours=1))
    whole: timedelta = Field(default=timedelta(hours=12), gt=timedelta(0), le=timedelta(days=7))
    agent_groups: tuple[Text, ...] = ("ai-agents",)
