"""What commands work with: settings, who runs them, the stores on this machine; each opened when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoopcli.errors import HoopError, UsageError
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.principal import acting, resolve
from hoopcli.identity.vault import Vault
from hoopcli.model.access import Connection, Principal
from hoopcli.settings import connectors
from hoopcli.settings.files import load, nearest
from hoopcli.settings.model import Settings
from hoopcli.spi import Connector

if TYPE_CHECKING:
    from hoopcli.policy.bundle import Bundle
    from hoopcli.policy.engine import Engine
    from hoopcli.proxy.approvals import Approvals
    from hoopcli.proxy.policies import PolicySource
    from hoopcli.proxy.remote_approvals import RemoteApprovals


def now() -> datetime:
    """The clock of the command line."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Workspace:
    """One run of a command: its settings and its principal."""

    settings: Settings
    agent: str | None = None
    draft: bool = False
    """Whether a policy was named that is to be tried instead of the one that holds."""

    @classmethod
    def open(cls, agent: str | None = None, flags: Mapping[str, Any] | None = None) -> Workspace:
        """Read the settings. Raises UsageError."""
        return cls(load(flags), agent, draft=bool(flags and flags.get("policy")))

    @cached_property
    def principal(self) -> Principal:
        """Who acts: who is signed in if there is a server, else what the settings say. Raises NotSignedInError."""
        if self.settings.server.url is None:
            return self.account
        from hoopcli.cli.remote import signed_in  # noqa: PLC0415 - it brings httpx

        with signed_in(self) as server:
            session = server.current()
        return acting(session.principal, session.agent_groups, agent=self.agent)

    @cached_property
    def account(self) -> Principal:
        """Who acts as far as this machine knows. Raises NotSignedInError."""
        return resolve(self.settings.identity, agent=self.agent)

    @property
    def governed(self) -> bool:
        """Whether a server's policy and connections hold here, not those of this machine."""
        return self.settings.server.url is not None and self.settings.server.policy == "server"

    @cached_property
    def bundle(self) -> Bundle:
        """What the server that governs handed out. Raises BundleError, NotSignedInError, UpstreamError."""
        from hoopcli.cli.governed import newest  # noqa: PLC0415 - it brings httpx, pydantic and CEL

        return newest(self)

    @cached_property
    def connections(self) -> Mapping[str, Connection]:
        """Those that can be asked for. Raises HoopError if the server that governs them has none to tell."""
        own = self.settings.connections
        if not self.governed:
            return {name: settings.connection(name) for name, settings in own.items()}
        from hoopcli.cli.governed import connections  # noqa: PLC0415

        return connections(self.bundle, own)

    def connection(self, name: str) -> Connection:
        """A connection. Raises UsageError naming the nearest one."""
        found = self.connections.get(name)
        if found is None:
            known = self.connections
            raise UsageError(f"there is no connection {name!r}", nearest(name, known) if known else self._add(name))
        return found

    def _add(self, name: str) -> str:
        if self.governed:
            return f"have it handed out: hoop policy push --connection {name}"
        return f"add it: hoop connections add {name} --server HOST"

    def connector(self, name: str) -> tuple[Connector, Connection]:
        """A configured connection and what brokers it; its options are valid. Raises UsageError."""
        connection = self.connection(name)
        connector = connectors.load(connection.kind)
        connector.target(connection)
        return connector, connection

    def engine(self) -> Engine:
        """What decides now. Raises UsageError with line and column, BundleError."""
        return self.policy().current()

    def policy(self) -> PolicySource:
        """The policy that a session is to decide by. Raises UsageError with line and column, BundleError."""
        if self.governed and not self.draft:
            from hoopcli.cli.governed import followed  # noqa: PLC0415

            return followed(self, self.bundle)
        from hoopcli.policy.document import load as load_policy  # noqa: PLC0415 - it brings pydantic and CEL
        from hoopcli.policy.engine import Engine  # noqa: PLC0415

        return Engine(load_policy(self.policy_path()))

    def policy_path(self) -> Path:
        """Where the policy is. Raises UsageError if it is not there."""
        path = self.settings.policy
        if not path.exists():
            raise UsageError(
                f"there is no policy at {path}, and without one everything is denied",
                "write one, see docs/policy.md; or name it: HOOP_POLICY=FILE",
            )
        return path

    @cached_property
    def keyring(self) -> Keyring:
        """The machine's keyring, unless the settings switch it off."""
        return Keyring(enabled=self.settings.keyring)

    @cached_property
    def vault(self) -> Vault:
        """Tokens and keys of hoop's own."""
        return Vault(self.state("vault"), self.keyring)

    def state(self, *parts: str) -> Path:
        """A path in the state folder, which is private to the user. Raises HoopError if it cannot be made."""
        folder = self.settings.state_dir
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise HoopError(f"{folder} cannot be made: {error.strerror}", "set HOOP_STATE_DIR to a folder") from error
        return folder.joinpath(*parts)

    @contextmanager
    def approvals(self) -> Iterator[Approvals | RemoteApprovals]:
        """The requests that wait: at the server if one is set, else on this machine."""
        if self.settings.server.url is not None:
            from hoopcli.cli.remote import signed_in  # noqa: PLC0415
            from hoopcli.proxy.remote_approvals import RemoteApprovals  # noqa: PLC0415

            with signed_in(self) as server:
                yield RemoteApprovals(server, now)
            return
        from hoopcli.proxy.approvals import Approvals  # noqa: PLC0415

        store = Approvals(self.state("approvals.db"), now)
        try:
            yield store
        finally:
            store.close()
