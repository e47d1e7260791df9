"""An Entra authority in this process: the endpoints that msal asks, as the HTTP client that msal is given."""

from __future__ import annotations

import base64
import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


@dataclass
class Reply:
    """What msal needs of an HTTP response."""

    status_code: int
    text: str
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        return json.loads(self.text)

    def raise_for_status(self) -> None:
        assert self.status_code < 400


def segment(data: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


@dataclass
class Authority:
    """Answers token requests; ``asked`` holds their forms. ``failures`` are answered first, in order."""

    lifetime: int = 3600
    asked: list[dict[str, Any]] = field(default_factory=list)
    failures: deque[dict[str, str]] = field(default_factory=deque)
    urls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    issued: int = 0
    nonce: str | None = None

    def get(self, url: str, params: Any = None, headers: Any = None, **_rest: Any) -> Reply:
        self.urls.append(url)
        self.headers.append(dict(headers or {}))
        if "openid-configuration" in url:
            base = url.split("/v2.0/", maxsplit=1)[0]
            return self._json(
                {
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                    "issuer": f"{base}/v2.0",
                }
            )
        if "discovery/instance" in url:
            return self._json({"tenant_discovery_endpoint": params["authorization_endpoint"], "metadata": []})
        if "169.254.169.254" in url:
            self.asked.append({"resource": params["resource"], "client_id": params.get("client_id", "")})
            return self._json({"access_token": self._fresh(), "expires_in": str(self.lifetime), "token_type": "Bearer"})
        if "token.actions.example" in url:
            return self._json({"value": f"assertion for {params['audience']}"})
        raise AssertionError(url)

    def post(self, url: str, data: Any = None, headers: Any = None, **_rest: Any) -> Reply:
        self.urls.append(url)
        form = dict(data)
        if "devicecode" in url:
            self.scopes.append(form["scope"])
            if self.failures:
                return self._json(self.failures.popleft(), 400)
            return self._json(
                {"user_code": "ABC-123", "device_code": "d", "interval": 0, "expires_in": 900,
                 "message": "To sign in, enter the code ABC-123", "verification_uri": "https://example.com"}
            )  # fmt: skip
        self.asked.append(form)
        if self.failures:
            return self._json(self.failures.popleft(), 400)
        reply: dict[str, Any] = {
            "access_token": self._fresh(),
            "expires_in": self.lifetime,
            "token_type": "Bearer",
            "scope": form.get("scope") or self.scopes[-1],
        }
        if form["grant_type"] != "client_credentials":
            claims = {"iss": "x", "aud": form["client_id"], "exp": 9_999_999_999, "iat": 0, "sub": "ada", "oid": "ada",
                      "preferred_username": "ada@example.com", "nonce": self.nonce}  # fmt: skip
            reply |= {
                "refresh_token": f"refresh-{self.issued}",
                "id_token": f"{segment({'alg': 'none'})}.{segment(claims)}.",
                "client_info": segment({"uid": "ada", "utid": "tenant"}),
            }
        return self._json(reply)

    def close(self) -> None:
        """msal closes its client."""

    def _fresh(self) -> str:
        self.issued += 1
        return f"token-{self.issued}"

    @staticmethod
    def _json(document: object, status: int = 200) -> Reply:
        return Reply(status, json.dumps(document), {"content-type": "application/json"})


def visit(authority: Authority, uri: str) -> tuple[str, bytes]:
    """Where the browser posts, and what, after the person signed in at ``uri``."""
    query = {k: v[0] for k, v in parse_qs(urlsplit(uri).query).items()}
    assert query["code_challenge_method"] == "S256"
    authority.nonce = query["nonce"]
    return query["redirect_uri"], urlencode({"code": "c", "state": query["state"]}).encode()
