"""The ways to sign in to Entra, all by msal, behind one small interface. Everything here blocks.

A flow returns msal's own result: ``access_token`` and ``expires_in`` (seconds), or ``error`` and ``error_description``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from hoopcli.errors import NotSignedInError, UsageError
from hoopcli.identity.assertions import assertion, federated
from hoopcli.identity.vault import Vault
from hoopcli.model.access import Connection

AUTHORITY = "https://login.microsoftonline.com"
#: The public client of Microsoft's own developer tools, in every tenant; a tenant's own registration is better.
PUBLIC_CLIENT = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"
_SIGN_IN_SECONDS = 300

Result = Mapping[str, Any]
Tell = Callable[[str], None]


class Flow(Protocol):
    """One way to sign in."""

    def acquire(self, resource: str, *, fresh: bool) -> Result:
        """A token for a resource, e.g. ``https://database.windows.net/``; ``fresh`` takes none from a cache."""


class UserFlow:
    """A person signs in, once: in the browser (authorization code with PKCE) or with a device code.

    Later tokens come from the refresh token, which the vault keeps.
    """

    def __init__(
        self, client_id: str, authority: str, vault: Vault, tell: Tell, *, device_code: bool, http: Any = None
    ) -> None:
        self._client_id = client_id
        self._authority = authority
        self._vault = vault
        self._tell = tell
        self._device_code = device_code
        self._http = http

    def acquire(self, resource: str, *, fresh: bool) -> Result:
        """A token silently if the person has signed in before, else by asking."""
        import msal  # noqa: PLC0415 - heavy

        cache = msal.SerializableTokenCache()
        if kept := self._vault.get(self._entry):
            cache.deserialize(kept.decode())
        app = msal.PublicClientApplication(
            self._client_id, authority=self._authority, token_cache=cache, http_client=self._http
        )
        try:
            return self._silent(app, resource, fresh) or self._ask(app, resource)
        finally:
            if cache.has_state_changed:
                self._vault.put(self._entry, cache.serialize().encode())

    @property
    def _entry(self) -> str:
        safe = "".join(c if c.isalnum() or c in "-." else "_" for c in f"{self._authority}.{self._client_id}")
        return f"tokens.{safe}"

    @staticmethod
    def _silent(app: Any, resource: str, fresh: bool) -> Result | None:
        for account in app.get_accounts():
            result: Result | None = app.acquire_token_silent_with_error(
                [scope_of(resource)], account, force_refresh=fresh
            )
            if result and "access_token" in result:
                return result
        return None

    def _ask(self, app: Any, resource: str) -> Result:
        scopes = [scope_of(resource)]
        result: Result
        if self._device_code:
            result = app.initiate_device_flow(scopes)
            if "user_code" in result:
                self._tell(result["message"])
                result = app.acquire_token_by_device_flow(result)
        else:
            self._tell("Sign in in the browser window that opens.")
            result = app.acquire_token_interactive(scopes, timeout=_SIGN_IN_SECONDS)
        return result


class ClientFlow:
    """An application signs in as itself, with a secret, a certificate or its platform's assertion."""

    def __init__(self, client_id: str, authority: str, prove: Callable[[], Any], http: Any = None) -> None:
        self._client_id = client_id
        self._authority = authority
        self._prove = prove
        self._http = http

    def acquire(self, resource: str, *, fresh: bool) -> Result:
        """A new token each time: ``prove`` is asked anew, so a rotated secret is taken up."""
        import msal  # noqa: PLC0415 - heavy

        app = msal.ConfidentialClientApplication(
            self._client_id, authority=self._authority, client_credential=self._prove(), http_client=self._http
        )
        result: Result = app.acquire_token_for_client([scope_of(resource)])
        return result


class ManagedIdentityFlow:
    """The machine that Azure runs this on has an identity of its own."""

    def __init__(self, client_id: str | None, http: Any = None) -> None:
        self._client_id = client_id
        self._http = http

    def acquire(self, resource: str, *, fresh: bool) -> Result:
        """A new token each time; the endpoint caches."""
        import msal  # noqa: PLC0415 - heavy

        if self._client_id:
            identity: Any = msal.UserAssignedManagedIdentity(client_id=self._client_id)
        else:
            identity = msal.SystemAssignedManagedIdentity()
        client = msal.ManagedIdentityClient(identity, http_client=self._http or http_session())
        result: Result = client.acquire_token_for_client(resource=resource.rstrip("/"))
        return result


def flow_for(
    connection: Connection,
    vault: Vault,
    tell: Tell,
    secret: Callable[[], str],
    *,
    environ: Mapping[str, str] = os.environ,
    http: Any = None,
) -> Flow:
    """The flow that a connection's options choose. Raises UsageError if they are not enough for it."""
    options = connection.options
    name = options.get("flow") or ("workload" if federated(environ) else "interactive")
    tenant = options.get("tenant") or environ.get("AZURE_TENANT_ID") or "organizations"
    authority = f"{options.get('authority', AUTHORITY).rstrip('/')}/{tenant}"
    client_id = options.get("client_id")
    if name in {"interactive", "device_code"}:
        return UserFlow(
            client_id or PUBLIC_CLIENT, authority, vault, tell, device_code=name == "device_code", http=http
        )
    if name == "managed_identity":
        return ManagedIdentityFlow(client_id, http)
    client_id = client_id or environ.get("AZURE_CLIENT_ID")
    if not client_id or tenant == "organizations":
        raise UsageError(
            f"the connection {connection.name} signs in as an application but names no tenant and client_id",
            "add it with --tenant ID --client-id ID",
        )
    if name == "workload":
        return ClientFlow(
            client_id, authority, lambda: {"client_assertion": lambda: assertion(environ, http or http_session())}, http
        )
    return ClientFlow(client_id, authority, lambda: _client_proof(options.get("certificate"), secret), http)


def scope_of(resource: str) -> str:
    """The scope that asks for all of a resource."""
    return f"{resource.rstrip('/')}/.default"


def http_session() -> Any:
    """An HTTP client; it minds ``HTTPS_PROXY`` and the like."""
    import requests  # noqa: PLC0415 - heavy; msal brings it

    return requests.Session()


def _client_proof(certificate: str | None, secret: Callable[[], str]) -> Any:
    """A client secret, or a certificate with its key in one PEM file."""
    if certificate is None:
        return secret()
    try:
        pem = Path(certificate).read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise NotSignedInError(
            f"the certificate in {certificate} cannot be read: {type(error).__name__}", "name a PEM file"
        ) from error
    return {"private_key": pem, "public_certificate": pem}
