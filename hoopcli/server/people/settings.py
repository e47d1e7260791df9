"""The providers whose tokens a server takes: ``[[providers]]`` in its settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_PLAIN: Final = (("http", "127.0.0.1"), ("http", "localhost"))
Text = Annotated[str, Field(min_length=1, max_length=300)]


def _issuer(value: str) -> str:
    parts = urlsplit(value)
    if not parts.hostname or (parts.scheme, parts.hostname) not in {("https", parts.hostname), *_PLAIN}:
        raise ValueError("an issuer is an https:// address; http only on this machine")
    return value


class ProviderSettings(BaseModel):
    """One OpenID provider.

    ``kind`` is what those are who sign in by it. ``client_id`` is the audience of its tokens. ``subject`` and
    ``groups`` name the claims that say who somebody is and what they belong to. ``require`` are claims that must have
    these values, such as the tenant (``tid``) or a repository's owner. ``grant`` are groups that all have who sign in
    by it. ``public_secret`` is for providers that give one to programs on people's machines, where it is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,49}$")
    issuer: Annotated[str, AfterValidator(_issuer)]
    client_id: Text
    kind: Literal["human", "workload"] = "human"
    subject: Text = "email"
    groups: Text = "groups"
    require: dict[Text, Text] = Field(default_factory=dict)
    grant: tuple[Text, ...] = ()
    scopes: tuple[Text, ...] = ("openid", "email", "profile")
    public_secret: str = Field(default="", max_length=300)


class SessionSettings(BaseModel):
    """How long a sign-in lasts: a token for ``token`` at most an hour, refreshed until ``whole`` has passed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0), le=timedelta(hours=1))
    whole: timedelta = Field(default=timedelta(hours=12), gt=timedelta(0), le=timedelta(days=7))
    agent_groups: tuple[Text, ...] = ("ai-agents",)
