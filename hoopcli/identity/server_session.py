"""A session at a server, as this machine keeps it: a key, a token bound to it, and who that is.

The token is refreshed before it ends, as long as the sign-in lasts. Each request carries a fresh proof by the key.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx

from hoopcli import tracing
from hoopcli.errors import DeniedError, NotSignedInError, UpstreamError, UsageError
from hoopcli.identity.dpop import ProofKey
from hoopcli.identity.threads import in_thread
from hoopcli.identity.vault import Vault
from hoopcli.model.access import Principal, PrincipalKind

_SECONDS: Final = 75.0
_CONNECT_SECONDS: Final = 5.0
_EARLY: Final = timedelta(minutes=5)
_ENTRY: Final = "server-session"
_PATH: Final = "/v1/sessions"


@dataclass(frozen=True, slots=True)
class Stored:
    """What is kept of a session."""

    url: str
    key: ProofKey
    token: str
    document: Mapping[str, Any]

    @property
    def expires(self) -> datetime:
        """When the token ends."""
        return datetime.fromisoformat(self.document["expires"])

    @property
    def agent_groups(self) -> frozenset[str]:
        """What every agent belongs to, as the server says."""
        return frozenset(self.document["agent_groups"])

    @property
    def principal(self) -> Principal:
        """Who is signed in, as the server says."""
        told = self.document["principal"]
        return Principal(
            told["subject"],
            PrincipalKind(told["kind"]),
            told["name"],
            told["email"],
            frozenset(told["groups"]),
            told["on_behalf_of"],
        )


def load(vault: Vault, url: str) -> Stored | None:
    """The session that this machine keeps at a server, None if there is none."""
    raw = vault.get(_ENTRY)
    try:
        kept = json.loads(raw) if raw else {}
        if kept.get("url") != url:
            return None
        stored = Stored(url, ProofKey.from_bytes(base64.b64decode(kept["key"])), kept["token"], kept["session"])
        _ = stored.expires, stored.principal, stored.agent_groups  # what cannot be read is no session
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return stored


def save(vault: Vault, stored: Stored) -> None:
    """Keep a session, in place of the one before. Raises HoopError."""
    kept = {
        "url": stored.url,
        "key": base64.b64encode(stored.key.to_bytes()).decode(),
        "token": stored.token,
        "session": dict(stored.document),
    }
    vault.put(_ENTRY, json.dumps(kept).encode())


def forget(vault: Vault) -> None:
    """Keep no session any longer."""
    vault.put(_ENTRY, b"{}")


def client(url: str, ca_file: Path | None = None) -> httpx.Client:
    """A client of a server: nothing limits how many requests wait at once, and no redirect is followed."""
    try:
        verify = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"server.ca_file {ca_file} cannot be read: {error}", "give a file of PEM") from error
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    timeout = httpx.Timeout(_SECONDS, connect=_CONNECT_SECONDS)
    return httpx.Client(base_url=url, verify=verify, timeout=timeout, limits=limits)


class ServerSession:
    """Requests of whoever is signed in. Safe to share between threads."""

    def __init__(self, vault: Vault, url: str, http: httpx.Client, now: Callable[[], datetime]) -> None:
        self._vault = vault
        self._url = url
        self._http = http
        self._now = now

    def request(
        self, method: str, path: str, *, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a request and read its answer. Raises NotSignedInError, UpstreamError if the server is away."""
        stored = self._fresh()
        answer = send(self._http, stored.key, method, path, self._now(), token=stored.token, json=json, headers=headers)
        if answer.status_code == 401:
            newer = load(self._vault, self._url)  # another process may have refreshed it meanwhile
            if newer is None or newer.token == stored.token:
                raise NotSignedInError(f"the session at {self._url} has ended", "run: hoop login")
            answer = send(
                self._http, newer.key, method, path, self._now(), token=newer.token, json=json, headers=headers
            )
        return answer

    async def arequest(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """The same, off the event loop."""
        return await in_thread(lambda: self.request(method, path, json=json))

    @property
    def expires(self) -> datetime:
        """When the token ends, unless it is refreshed. Raises NotSignedInError."""
        return self._stored().expires

    def current(self) -> Stored:
        """The session, good now. Raises NotSignedInError, UpstreamError if it has to be refreshed and cannot be."""
        stored = self._fresh()
        if stored.expires <= self._now():
            raise NotSignedInError(f"the session at {self._url} has ended", "run: hoop login")
        return stored

    def _stored(self) -> Stored:
        stored = load(self._vault, self._url)
        if stored is None:
            raise NotSignedInError(f"you are not signed in at {self._url}", "run: hoop login")
        return stored

    def _fresh(self) -> Stored:
        """The session with a token that is good for a while, refreshed where it is needed."""
        stored = self._stored()
        left = stored.expires - self._now()
        if left > _EARLY:
            return stored
        try:
            answer = send(self._http, stored.key, "POST", f"{_PATH}/current/refresh", self._now(), token=stored.token)
        except UpstreamError:
            if left <= timedelta(0):
                raise
            return stored
        if answer.status_code == 200:
            document = answer.json()
            stored = Stored(stored.url, stored.key, document.pop("token"), document)
            save(self._vault, stored)
        return stored


def begin(http: httpx.Client, url: str, proof: Mapping[str, str], now: datetime, key: ProofKey | None = None) -> Stored:
    """Exchange a provider's token for a session under a new key. Raises HoopError with the server's words."""
    key = key or ProofKey.generate()
    answer = send(http, key, "POST", _PATH, now, json=dict(proof))
    document = _document(answer)
    return Stored(url, key, document.pop("token"), document)


def providers(http: httpx.Client) -> list[dict[str, Any]]:
    """How to sign in at a server. Raises UpstreamError."""
    try:
        answer = http.get(f"{_PATH}/providers")
        found = answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError) as error:
        raise _away(http, error) from error
    if not isinstance(found, list):
        raise UpstreamError(f"{http.base_url} is no hoop server", "check server.url")
    return found


def send(
    http: httpx.Client,
    key: ProofKey,
    method: str,
    path: str,
    now: datetime,
    *,
    token: str = "",
    json: Any = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """One request with a proof. Raises UpstreamError if no answer comes."""
    proved = {"DPoP": key.proof(method, f"{str(http.base_url).rstrip('/')}{path.partition('?')[0]}", now, token)}
    if token:
        proved["Authorization"] = f"DPoP {token}"
    area = "/".join(path.partition("?")[0].split("/")[:3])  # what comes after may name a person
    with tracing.span(f"{method} {area}", "client") as traced:
        try:
            answer = http.request(method, path, json=json, headers={**(headers or {}), **proved, **traced.headers})
        except httpx.HTTPError as error:
            raise _away(http, error) from error
        traced.tell({"http.response.status_code": answer.status_code}, failed=answer.status_code >= 500)
        return answer


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = {}
    if answer.status_code == 201 and "token" in document:
        return dict(document)
    said, hint = str(document.get("detail", f"the server answered {answer.status_code}")), str(document.get("hint", ""))
    kind = {401: NotSignedInError, 403: DeniedError}.get(answer.status_code, UpstreamError)
    raise kind(said, hint or "run: hoop login")


def _away(http: httpx.Client, error: Exception) -> UpstreamError:
    return UpstreamError(
        f"{http.base_url} does not answer ({type(error).__name__})", "check server.url, and the network"
    )
