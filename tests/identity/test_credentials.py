"""Credentials by every flow, with the real msal and an authority in this process."""

from __future__ import annotations

import asyncio
import threading
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from hoopcli.errors import NotSignedInError, UsageError
from hoopcli.identity.assertions import assertion
from hoopcli.identity.credentials import Credentials
from hoopcli.identity.flows import http_session
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.threads import in_thread
from hoopcli.identity.tokens import AccessToken, EntraTokens
from hoopcli.identity.vault import Vault
from hoopcli.model.access import Connection
from hoopcli.sansio.events import Credential
from tests.identity.authority import Authority, visit
from tests.support.clock import Clock

SQL = "https://database.windows.net/"


class Desk:
    """A broker's credentials and what is around them."""

    def __init__(self, folder: Path, authority: Authority, environ: dict[str, str] | None = None) -> None:
        self.said: list[str] = []
        self.clock = Clock()
        self.environ = environ or {}
        self.authority = authority
        self.credentials = Credentials(
            Vault(folder, Keyring(enabled=False)),
            Keyring(enabled=False),
            self.said.append,
            now=self.clock,
            environ=self.environ,
            http=authority,
        )

    def get(self, *, fresh: bool = False, **options: Any) -> Credential:
        connection = Connection("shop", "sql", {"tenant": "contoso.example", **options})
        return asyncio.run(self.credentials.get(connection, SQL, fresh))


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def desk(tmp_path: Path, authority: Authority) -> Callable[..., Desk]:
    return lambda **environ: Desk(tmp_path / "vault", authority, environ)


def test_a_device_code_once_then_silently(desk: Callable[..., Desk], authority: Authority) -> None:
    first = desk()
    assert first.get(flow="device_code") == Credential("token", "token-1")
    assert first.said == ["To sign in, enter the code ABC-123"]
    assert authority.scopes[0].startswith("https://database.windows.net/.default")
    second = desk()  # another process: the vault has the refresh token
    assert second.get(flow="device_code").secret == "token-1"
    assert second.said == []
    assert authority.issued == 1


def test_a_token_is_renewed_before_it_ends_and_when_asked(desk: Callable[..., Desk], authority: Authority) -> None:
    it = desk()
    assert it.get(flow="device_code").secret == "token-1"
    it.clock.forward(minutes=54)
    assert it.get(flow="device_code").secret == "token-1"
    it.clock.forward(minutes=2)
    assert it.get(flow="device_code").secret == "token-2"
    assert authority.asked[-1]["grant_type"] == "refresh_token"
    assert it.get(fresh=True, flow="device_code").secret == "token-3"
    assert len(it.said) == 1


def test_a_refused_refresh_asks_again(desk: Callable[..., Desk], authority: Authority) -> None:
    it = desk()
    it.get(flow="device_code")
    authority.failures.append({"error": "invalid_grant", "error_description": "AADSTS70043: expired"})
    assert it.get(fresh=True, flow="device_code").secret == "token-2"
    assert len(it.said) == 2


def test_a_device_code_that_is_refused(desk: Callable[..., Desk], authority: Authority) -> None:
    authority.failures.append({"error": "unauthorized_client", "error_description": "AADSTS700016: no\r\nTrace: 1"})
    with pytest.raises(NotSignedInError) as caught:
        desk().get(flow="device_code")
    assert caught.value.message == "signing in failed: AADSTS700016: no"
    assert "hoop connections show shop" in caught.value.hint


def test_the_browser_with_pkce(
    desk: Callable[..., Desk], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    import webbrowser

    def browse(uri: str, *_rest: Any, **_more: Any) -> bool:
        redirect, form = visit(authority, uri)
        threading.Thread(target=lambda: urllib.request.urlopen(redirect, form).read(), daemon=True).start()
        return True

    monkeypatch.setattr(webbrowser, "open", browse)
    it = desk()
    assert it.get(flow="interactive").secret == "token-1"
    assert authority.asked[-1]["grant_type"] == "authorization_code"
    assert authority.asked[-1]["code_verifier"]
    assert it.said == ["Sign in in the browser window that opens."]


def test_a_client_secret_by_reference(desk: Callable[..., Desk], authority: Authority) -> None:
    it = desk(APP_SECRET="s3cret")
    options: dict[str, Any] = {"flow": "client_credential", "client_id": "app", "secret": "env:APP_SECRET"}
    assert it.get(**options).secret == "token-1"
    assert authority.asked[-1]["client_secret"] == "s3cret"
    assert it.get(**options).secret == "token-1"
    assert it.get(fresh=True, **options).secret == "token-2"
    assert any("contoso.example" in url for url in authority.urls)


def test_a_client_certificate(desk: Callable[..., Desk], authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "app.pem"
    path.write_bytes(_pem())
    it = desk()
    assert it.get(flow="client_credential", client_id="app", certificate=str(path)).secret == "token-1"
    assert authority.asked[-1]["client_assertion"].count(b".") == 2
    with pytest.raises(NotSignedInError, match="cannot be read"):
        desk().get(flow="client_credential", client_id="app", certificate=str(tmp_path / "none.pem"))


def test_workload_identity_of_kubernetes_is_the_default_there(
    desk: Callable[..., Desk], authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "federated"
    file.write_text("kubernetes-assertion\n")
    it = desk(AZURE_FEDERATED_TOKEN_FILE=str(file), AZURE_CLIENT_ID="app", AZURE_TENANT_ID="t")
    assert it.get().secret == "token-1"
    assert authority.asked[-1]["client_assertion"] == "kubernetes-assertion"
    file.write_text("rotated")
    it.get(fresh=True)
    assert authority.asked[-1]["client_assertion"] == "rotated"
    file.unlink()
    with pytest.raises(NotSignedInError, match="cannot be read"):
        it.get(fresh=True)


def test_workload_identity_of_github(desk: Callable[..., Desk], authority: Authority) -> None:
    it = desk(
        ACTIONS_ID_TOKEN_REQUEST_URL="https://token.actions.example/?a=1", ACTIONS_ID_TOKEN_REQUEST_TOKEN="bearer-1"
    )
    assert it.get(client_id="app").secret == "token-1"
    assert authority.asked[-1]["client_assertion"] == "assertion for api://AzureADTokenExchange"
    assert {"Authorization": "bearer bearer-1"} in authority.headers


def test_no_platform_vouches() -> None:
    with pytest.raises(NotSignedInError, match="no platform"):
        assertion({}, None)
    with pytest.raises(NotSignedInError, match="https"):
        assertion({"ACTIONS_ID_TOKEN_REQUEST_URL": "http://token.actions.example/"}, None)

    class Refusing:
        status_code = 403

        def get(self, *_args: object, **_more: object) -> Refusing:
            return self

    with pytest.raises(NotSignedInError, match="answered 403"):
        assertion({"ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.actions.example/"}, Refusing())


@pytest.mark.parametrize("client_id", ["", "app"])
def test_a_managed_identity(desk: Callable[..., Desk], authority: Authority, client_id: str) -> None:
    options: dict[str, Any] = {"client_id": client_id} if client_id else {}
    assert desk().get(flow="managed_identity", **options).secret == "token-1"
    assert authority.asked[-1] == {"resource": "https://database.windows.net", "client_id": client_id}


@pytest.mark.parametrize("options", [{"client_id": ""}, {"client_id": "app", "tenant": ""}])
def test_an_application_needs_tenant_and_client(desk: Callable[..., Desk], options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="tenant and client_id"):
        desk().get(flow="client_credential", **options)


def test_a_password_by_reference(desk: Callable[..., Desk]) -> None:
    it = desk(SHOP="s3cret")
    assert it.get(auth="password", user="sa", secret="env:SHOP") == Credential("password", "s3cret", "sa")
    with pytest.raises(UsageError, match="no user"):
        it.get(auth="password", secret="env:SHOP")
    with pytest.raises(UsageError, match="no secret"):
        it.get(auth="password", user="sa")
    with pytest.raises(NotSignedInError, match="env:GONE"):
        it.get(auth="password", user="sa", secret="env:GONE")


def test_no_credential_and_an_unknown_kind(desk: Callable[..., Desk]) -> None:
    assert desk().get(auth="none") == Credential("none", "")
    with pytest.raises(UsageError, match="auth = 'magic'"):
        desk().get(auth="magic")


class Scripted:
    """A flow that does as it is told."""

    def __init__(self, *script: dict[str, Any] | Exception) -> None:
        self.script = list(script)
        self.calls = 0

    def acquire(self, resource: str, *, fresh: bool) -> dict[str, Any]:
        self.calls += 1
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (ConnectionError("https://user:s3cret@proxy"), "signing in failed: ConnectionError (check the network"),
        (ValueError("no such tenant\nmore"), "signing in failed: no such tenant"),
        (ValueError(""), "signing in failed: a value was wrong"),
        ({"error": "interaction_required"}, "signing in failed: interaction_required"),
        ({}, "signing in failed: no token came"),
    ],
)
def test_whatever_goes_wrong_is_not_signed_in(step: dict[str, Any] | Exception, message: str) -> None:
    with pytest.raises(NotSignedInError) as caught:
        asyncio.run(EntraTokens(Scripted(step), Clock(), "next").token(SQL))
    assert caught.value.message.startswith(message)
    assert "s3cret" not in caught.value.message
    assert caught.value.hint == "next"


def test_callers_that_come_together_share_one_sign_in() -> None:
    flow = Scripted({"access_token": "a", "expires_in": 3600}, {"access_token": "b", "expires_in": 3600})

    async def main() -> list[AccessToken]:
        tokens = EntraTokens(flow, Clock(), "")
        await asyncio.gather(*(tokens.token(SQL) for _ in range(5)))
        return await asyncio.gather(*(tokens.token(SQL, fresh=True) for _ in range(5)))

    assert {token.value for token in asyncio.run(main())} == {"b"}
    assert flow.calls == 2


def test_a_token_is_not_shown() -> None:
    assert "s3cret" not in repr(AccessToken("s3cret", Clock()() + timedelta(hours=1)))


def test_a_thread_that_is_no_longer_awaited_harms_nobody() -> None:
    go = threading.Event()

    async def main() -> None:
        task = asyncio.ensure_future(in_thread(go.wait))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        assert await in_thread(lambda: 3) == 3

    asyncio.run(main())
    go.clear()

    async def leave() -> None:
        task = asyncio.ensure_future(in_thread(go.wait))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(leave())
    go.set()


def test_the_http_client_is_a_real_one() -> None:
    with http_session() as session:
        assert session.get


def _pem() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    start = Clock()()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("auth", ["key", "sas"])
def test_the_secret_of_a_storage_account(desk: Callable[..., Desk], auth: str) -> None:
    assert desk(KEY="c2VjcmV0").get(auth=auth, secret="env:KEY") == Credential(auth, "c2VjcmV0")
    with pytest.raises(UsageError, match="names no secret"):
        desk().get(auth=auth)
