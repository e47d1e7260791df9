"""The broker's own credentials for its upstreams."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from hoopcli.errors import UsageError
from hoopcli.identity.clusters import ClusterUsers
from hoopcli.identity.flows import Tell, flow_for
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.secrets import resolve
from hoopcli.identity.threads import in_thread
from hoopcli.identity.tokens import EntraTokens, TokenSource
from hoopcli.identity.vault import Vault
from hoopcli.model.access import Connection
from hoopcli.sansio.events import Credential
from hoopcli.settings.secret import parse_reference

#: Ways to prove oneself that need a secret and no user's name: an account's key, a shared access signature, a token.
_BARE_SECRETS = frozenset({"key", "sas", "token"})
#: Ways that a kubeconfig or a pod's service account opens.
_CLUSTER = frozenset({"kubeconfig", "in_cluster"})
#: What is proved without a credential of its own: by the certificate of the TLS connection, or not at all.
_NOTHING = frozenset({"certificate", "none"})


class Credentials:
    """Gets the credential that a connection's ``auth`` names. ``tell`` shows a person how to sign in."""

    def __init__(
        self,
        vault: Vault,
        keyring: Keyring,
        tell: Tell,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        environ: Mapping[str, str] = os.environ,
        http: Any = None,
    ) -> None:
        self._vault = vault
        self._keyring = keyring
        self._tell = tell
        self._now = now
        self._environ = environ
        self._http = http
        self._sources: dict[str, TokenSource] = {}
        self._clusters = ClusterUsers(now, environ)

    async def get(self, connection: Connection, resource: str, fresh: bool) -> Credential:
        """A credential that is valid now: its kind is ``token``, ``password``, ``key``, ``sas`` or ``none``.

        Raises NotSignedInError, and UsageError if the connection's options do not say enough.
        """
        auth = connection.options.get("auth", "entra")
        if auth == "entra":
            token = await self._source(connection).token(resource, fresh=fresh)
            return Credential("token", token.value)
        if auth == "password":
            user = connection.options.get("user")
            if not user:
                raise UsageError(f"the connection {connection.name} names no user", "add it with --user NAME")
            return Credential("password", await in_thread(lambda: self._secret(connection)), user)
        if auth in _BARE_SECRETS:
            return Credential(auth, await in_thread(lambda: self._secret(connection)))
        if auth in _CLUSTER:
            return await in_thread(lambda: self._clusters.get(connection.options, fresh=fresh))
        if auth in _NOTHING:
            return Credential("none", "")
        raise UsageError(
            f"the connection {connection.name} has auth = {auth!r}",
            "use entra, password, key, sas, token, kubeconfig, in_cluster, certificate or none",
        )

    def _source(self, connection: Connection) -> TokenSource:
        if connection.name not in self._sources:
            flow = flow_for(
                connection,
                self._vault,
                self._tell,
                lambda: self._secret(connection),
                environ=self._environ,
                http=self._http,
            )
            hint = f"check the sign-in of {connection.name} with: hoop connections show {connection.name}"
            self._sources[connection.name] = EntraTokens(flow, self._now, hint)
        return self._sources[connection.name]

    def _secret(self, connection: Connection) -> str:
        reference = connection.options.get("secret")
        if not reference:
            raise UsageError(
                f"the connection {connection.name} names no secret", "add it with --secret keyring:NAME or env:NAME"
            )
        return resolve(parse_reference(reference), self._keyring, self._environ)
