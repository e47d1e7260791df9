"""What can be set of a server: ``server.toml`` and variables ``HOOP_SERVER_*``. ``docs/server.md`` has every key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_state_path
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from hoopcli.errors import UsageError
from hoopcli.server.channels.settings import ChannelSettings
from hoopcli.server.database import sqlite_url
from hoopcli.server.people.settings import ProviderSettings, SamlSettings, SessionSettings
from hoopcli.settings.files import nearest, read_file
from hoopcli.settings.model import Reference, config_dir

VARIABLE = "HOOP_SERVER_CONFIG"
_PATHS = ("data_dir", "policy", "tls_certificate", "tls_key")


class ServerSettings(BaseSettings):
    """All settings of a server. What is left out has a value that suits one machine and a first hour."""

    model_config = SettingsConfigDict(
        env_prefix="HOOP_SERVER_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    host: str = "127.0.0.1"
    port: int = Field(default=8433, ge=0, le=65535)
    public_url: str = "http://127.0.0.1:8433"
    data_dir: Path = Field(default_factory=lambda: user_state_path("hoop", appauthor=False) / "server")
    database: str = ""
    database_password: Reference | None = None
    policy: Path = Field(default_factory=lambda: config_dir() / "policy.yaml")
    witness_name: str = Field(default="hoop.example/witness", pattern=r"^[^\s+]{1,200}$")
    witness_key: Reference | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    body_limit: int = Field(default=256 << 20, ge=1 << 20)
    silent_after: float = Field(default=300.0, gt=0)
    channels: tuple[ChannelSettings, ...] = ()
    providers: tuple[ProviderSettings, ...] = ()
    saml: tuple[SamlSettings, ...] = ()
    sessions: SessionSettings = SessionSettings()

    @field_validator(*_PATHS)
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @field_validator("public_url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("the public address begins with https://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _whole(self) -> ServerSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        names = [provider.name for provider in (*self.providers, *self.saml)]
        if len(set(names)) != len(names):
            raise ValueError("each provider has a name of its own")
        return self

    @property
    def database_url(self) -> str:
        """The URL of the database, without its password."""
        return self.database or sqlite_url(self.data_dir / "server.db")


def server_config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the file is: ``HOOP_SERVER_CONFIG``, else ``server.toml`` in the user's folder for settings."""
    named = environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else config_dir() / "server.toml"


def load_server(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ) -> ServerSettings:
    """All settings of this run. Raises UsageError that names the key and where it is set."""
    path = server_config_path(environ)
    if environ.get(VARIABLE) and not path.exists():
        raise UsageError(f"{VARIABLE} names {path}, which is not there", f"unset {VARIABLE}, or run: hoop server init")
    file = read_file(path)
    document = {
        key: str(path.parent / Path(value).expanduser()) if key in _PATHS and isinstance(value, str) else value
        for key, value in file.document.items()
    }

    class Loaded(ServerSettings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, document)

    try:
        return Loaded(**{key: value for key, value in (flags or {}).items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        keys = tuple(str(part) for part in first["loc"])
        line = file.line_of(keys) if keys else None
        where = f"{path}, line {line}" if line is not None else "a variable, a flag or the whole"
        if first["type"] == "extra_forbidden":
            known = nearest(keys[-1], ServerSettings.model_fields)
            raise UsageError(f"unknown key {keys[-1]!r} ({where})", known) from error
        said = first["msg"].removeprefix("Value error, ")
        raise UsageError(f"{'.'.join(keys) or 'settings'}: {said} ({where})", "see docs/server.md") from error
