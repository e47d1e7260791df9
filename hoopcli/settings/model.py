"""What can be set. ``docs/configuration.md`` describes every key; a test compares the two."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_config_path, user_state_path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from hoopcli.errors import HoopError
from hoopcli.model.access import Connection, PrincipalKind
from hoopcli.settings.secret import parse_reference

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")
_SERVER_URL = re.compile(r"(https://[^\s/?#@]+|http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]+)?)(/[^\s?#]*)?")
_FORBID = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def config_dir() -> Path:
    """The folder of the user's settings."""
    return user_config_path("hoop", appauthor=False)


def bad_name(name: str) -> str:
    """What is wrong with a connection's name."""
    return f"the connection name {name!r} may have letters, digits, - and _ only"


def _listed(value: object) -> object:
    """Accept ``a, b`` from the environment where the file has a list."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _reference(value: str) -> str:
    try:
        parse_reference(value)
    except HoopError as error:
        raise ValueError(error.message) from error
    return value


def _server_url(value: str) -> str:
    if not _SERVER_URL.fullmatch(value):
        raise ValueError("a server is reached by https://HOST[:PORT]; http only on this machine")
    return value.rstrip("/")


def _yes_no(value: object) -> object:
    return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
Auth = Literal["entra", "password", "key", "sas", "token", "kubeconfig", "in_cluster", "certificate", "none"]
YesNo = Annotated[Literal["yes", "no"], BeforeValidator(_yes_no)]
Reference = Annotated[str, AfterValidator(_reference)]


class IdentitySettings(BaseModel):
    """Who the user is, as far as the machine's account does not say it."""

    model_config = _FORBID

    subject: str | None = None
    kind: PrincipalKind | None = None
    name: str = ""
    email: str = ""
    groups: Names = ()
    on_behalf_of: str | None = None
    agent_groups: Names = ("ai-agents",)


class ConnectionSettings(BaseModel):
    """One upstream. ``options`` are passed to connectors that know more options than these."""

    model_config = _FORBID

    kind: str = "sql"
    server: str | None = None
    port: int | None = Field(None, ge=1, le=65535)
    database: str | None = None
    account: str | None = None
    endpoint: str | None = None
    context: str | None = None
    kubeconfig: Path | None = None
    impersonate: Literal["no", "user", "groups"] | None = None
    auth: Auth | None = None
    user: str | None = None
    secret: Reference | None = None
    encrypt: Literal["on", "strict", "off", "none"] | None = None
    ca_file: Path | None = None
    trust_server_certificate: YesNo | None = None
    flow: Literal["interactive", "device_code", "client_credential", "managed_identity", "workload"] | None = None
    tenant: str | None = None
    client_id: str | None = None
    certificate: Path | None = None
    authority: str | None = None
    options: dict[str, str] = Field(default_factory=dict)

    def connection(self, name: str) -> Connection:
        """The connection as the rest of hoop knows it: options are text, what is not set is left out."""
        values = self.model_dump(exclude={"kind", "options"}, exclude_none=True, mode="json")
        values.setdefault("auth", "kubeconfig" if self.context or self.kubeconfig else "entra")
        return Connection(name, self.kind, {key: str(value) for key, value in values.items()} | self.options)


class ServerConnection(BaseModel):
    """The server that this machine works with; none unless ``url`` is set."""

    model_config = _FORBID

    url: Annotated[str, AfterValidator(_server_url)] | None = None
    ca_file: Path | None = None
    key: str | None = None
    policy: Literal["server", "local"] = "server"
    sync: Literal["on", "off", "strict"] = "on"
    strict_seconds: Annotated[float, Field(gt=0, le=3600)] = 30.0
    witnesses: Names = ()

    @field_validator("sync", mode="before")
    @classmethod
    def _on_off(cls, value: object) -> object:
        return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


class Settings(BaseSettings):
    """All settings. ``ledger`` and ``policy`` have places of their own unless set."""

    model_config = SettingsConfigDict(
        env_prefix="HOOP_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    policy: Path = Field(default_factory=lambda: config_dir() / "policy.yaml")
    state_dir: Path = Field(default_factory=lambda: user_state_path("hoop", appauthor=False))
    ledger: Path | None = None
    keyring: bool = True
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    server: ServerConnection = Field(default_factory=ServerConnection)
    connections: dict[str, ConnectionSettings] = Field(default_factory=dict)

    @field_validator("connections")
    @classmethod
    def _names(cls, value: dict[str, ConnectionSettings]) -> dict[str, ConnectionSettings]:
        for name in value:
            if not NAME.fullmatch(name):
                raise ValueError(bad_name(name))
        return value

    @field_validator("policy", "state_dir", "ledger")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @property
    def ledger_path(self) -> Path:
        """Where the ledger is."""
        return self.ledger or self.state_dir / "ledger.db"
