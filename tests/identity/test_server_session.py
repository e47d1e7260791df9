"""A session as a machine keeps it: refreshed while that can be, lost when it is lost, and never another's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hoopcli.errors import DeniedError, HoopError, NotSignedInError, UpstreamError, UsageError
from hoopcli.identity import server_session
from hoopcli.identity.dpop import ProofKey
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.server_session import ServerSession, Stored, begin, client, forget, load, providers, save
from hoopcli.identity.vault import Vault
from tests.support.issuer import Issuer, issuer

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
WHO = {"subject": "ada@example.com", "kind": "human", "name": "Ada", "email": "", "groups": [], "on_behalf_of": None}


def document(expires: datetime) -> dict[str, Any]:
    return {"principal": WHO, "agent_groups": ["ai-agents"], "expires": expires.isoformat()}


@pytest.fixture(scope="module")
def answering() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def server(answering: Issuer) -> Issuer:
    """A server whose every answer a test decides."""
    answering.asked.clear()
    for path in [path for path in answering.documents if path.startswith("/v1/")]:
        del answering.documents[path]
    answering.documents["/v1/thing"] = {"good": True}
    return answering


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "vault", Keyring(enabled=False))


@pytest.fixture
def http(server: Issuer) -> Iterator[httpx.Client]:
    with client(server.url) as made:
        yield made


def session(server: Issuer, vault: Vault, http: httpx.Client, left: timedelta = timedelta(hours=1)) -> ServerSession:
    save(vault, Stored(server.url, ProofKey.generate(), "token-1", document(NOW + left)))
    return ServerSession(vault, server.url, http, lambda: NOW)


def test_a_session_is_kept_for_its_server(server: Issuer, vault: Vault, http: httpx.Client) -> None:
    assert session(server, vault, http).current().principal.subject == "ada@example.com"
    assert load(vault, "https://another.example.com") is None
    forget(vault)
    assert load(vault, server.url) is None
    with pytest.raises(NotSignedInError, match="not signed in"):
        ServerSession(vault, server.url, http, lambda: NOW).request("GET", "/v1/thing")


@pytest.mark.parametrize("kept", [b"x", b"[]", b"5", b'{"url": "U"}', b'{"url": "U", "key": "AAAA", "token": 1}'])
def test_what_cannot_be_read_is_no_session(server: Issuer, vault: Vault, kept: bytes) -> None:
    vault.put("server-session", kept.replace(b"U", server.url.encode()))
    assert load(vault, server.url) is None


def test_it_is_refreshed_before_it_ends(server: Issuer, vault: Vault, http: httpx.Client) -> None:
    fresh = document(NOW + timedelta(hours=1)) | {"token": "token-2"}
    server.documents["/v1/sessions/current/refresh"] = fresh
    kept = session(server, vault, http, timedelta(minutes=4))
    assert kept.request("GET", "/v1/thing").json() == {"good": True}
    stored = load(vault, server.url)
    assert stored is not None
    assert stored.token == "token-2"
    assert kept.expires == NOW + timedelta(hours=1)


def test_a_token_that_is_good_for_long_is_not_refreshed(server: Issuer, vault: Vault, http: httpx.Client) -> None:
    session(server, vault, http).request("GET", "/v1/thing")
    assert server.asked == ["/v1/thing"]


def test_a_server_that_does_not_refresh_leaves_what_is_left(server: Issuer, vault: Vault, http: httpx.Client) -> None:
    server.documents["/v1/sessions/current/refresh"] = 503
    assert session(server, vault, http, timedelta(minutes=1)).current().token == "token-1"
    with pytest.raises(NotSignedInError, match="has ended"):
        session(server, vault, http, timedelta(minutes=-1)).current()


def test_a_server_that_is_away_leaves_what_is_left(server: Issuer, vault: Vault) -> None:
    with client("http://127.0.0.1:9") as away:
        assert session(server, vault, away, timedelta(minutes=1)).current().token == "token-1"
        with pytest.raises(UpstreamError):
            session(server, vault, away, timedelta(minutes=-1)).current()


def test_a_session_that_was_ended_says_so(server: Issuer, vault: Vault, http: httpx.Client) -> None:
    server.documents["/v1/thing"] = 401
    with pytest.raises(NotSignedInError, match="has ended"):
        session(server, vault, http).request("GET", "/v1/thing")


def test_another_process_may_have_refreshed_it(server: Issuer, vault: Vault, http: httpx.Client) -> None:
    kept = session(server, vault, http)
    server.documents["/v1/thing"] = [401, {"good": True}]
    stored = load(vault, server.url)
    assert stored is not None
    newer = Stored(stored.url, stored.key, "token-2", stored.document)
    held: list[Stored | None] = [stored, newer]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_session, "load", lambda _vault, _url: held.pop(0))
        assert kept.request("GET", "/v1/thing").json() == {"good": True}


@pytest.mark.parametrize(
    ("answer", "error"),
    [(401, NotSignedInError), (403, DeniedError), (500, UpstreamError), (200, UpstreamError), ({}, UpstreamError)],
)
def test_a_session_that_the_server_does_not_begin(
    server: Issuer, http: httpx.Client, answer: Any, error: type[HoopError]
) -> None:
    server.documents["/v1/sessions"] = answer
    with pytest.raises(error) as raised:
        begin(http, server.url, {"provider": "corp"}, NOW)
    assert raised.value.hint


def test_what_is_no_server_says_so(server: Issuer, http: httpx.Client) -> None:
    for answer in ({"x": 1}, 404, 200):
        server.documents["/v1/sessions/providers"] = answer
        with pytest.raises(UpstreamError):
            providers(http)
    with client("http://127.0.0.1:9") as away, pytest.raises(UpstreamError, match="does not answer"):
        providers(away)


def test_a_file_of_authorities_is_one(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(UsageError, match="ca_file"):
            client("https://hoop.example.com", tmp_path / name)


def test_the_token_is_not_sent_without_a_proof(server: Issuer, vault: Vault, http: httpx.Client) -> None:
    sent: list[httpx.Request] = []
    http.event_hooks = {"request": [sent.append]}
    session(server, vault, http).request("GET", "/v1/thing?a=b", json={"x": 1})
    (request,) = sent
    assert request.headers["authorization"] == "DPoP token-1"
    assert request.headers["dpop"].count(".") == 2
    assert json.loads(request.content) == {"x": 1}
