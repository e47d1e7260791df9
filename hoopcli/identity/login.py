"""Signing in at an OpenID provider: in the browser with PKCE (RFC 7636, RFC 8252), or by a code on another device."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from hoopcli.errors import NotSignedInError, UpstreamError
from hoopcli.identity.dpop import ProofKey
from hoopcli.identity.openid import Endpoints

BROWSER_SECONDS: Final = 300.0
_DONE: Final = b"<!doctype html><title>hoop</title><p>You are signed in. You can close this page."
_FAILED: Final = b"<!doctype html><title>hoop</title><p>The sign-in did not succeed. The terminal says why."
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_SECONDS: Final = 30.0


def in_browser(
    http: httpx.Client,
    endpoints: Endpoints,
    client_id: str,
    scopes: Sequence[str],
    tell: Callable[[str], None],
    show: Callable[[str], object] = webbrowser.open,
    public_secret: str = "",
) -> tuple[str, str]:
    """Sign in in the browser of this machine: the ID token and its nonce. Raises NotSignedInError, UpstreamError."""
    verifier, nonce, state = (secrets.token_urlsafe(32) for _ in range(3))
    with _Listener(state) as listener:
        asked = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": listener.address,
            "scope": " ".join(scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": _b64(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        address = f"{endpoints.authorization}?{urlencode(asked)}"
        tell(f"Sign in in the browser: {address}")
        show(address)
        code = listener.wait(BROWSER_SECONDS)
        spent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": listener.address,
            "client_id": client_id,
            "code_verifier": verifier,
            **_secret(public_secret),
        }
        return _id_token(_post(http, endpoints.token, spent)), nonce


def through_server(
    url: str, provider: str, key: ProofKey, tell: Callable[[str], None], show: Callable[[str], object] = webbrowser.open
) -> tuple[str, str]:
    """Sign in on the pages of a hoop server: a code of it, and the verifier that makes the code good for this key only.

    Raises NotSignedInError.
    """
    verifier, state = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    with _Listener(state) as listener:
        asked = {
            "provider": provider,
            "redirect_uri": listener.address,
            "state": state,
            "code_challenge": _b64(hashlib.sha256(verifier.encode()).digest()),
            "dpop_jkt": key.thumbprint,
        }
        address = f"{url.rstrip('/')}/sign-in/program?{urlencode(asked)}"
        tell(f"Sign in in the browser: {address}")
        show(address)
        return listener.wait(BROWSER_SECONDS), verifier


def by_device(
    http: httpx.Client,
    endpoints: Endpoints,
    client_id: str,
    scopes: Sequence[str],
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    public_secret: str = "",
) -> tuple[str, str]:
    """Sign in on another device (RFC 8628): the ID token and its nonce. Raises NotSignedInError, UpstreamError."""
    if not endpoints.device:
        raise NotSignedInError("this provider knows no sign-in by a code", "run: hoop login")
    nonce = secrets.token_urlsafe(32)
    begun = _post(http, endpoints.device, {"client_id": client_id, "scope": " ".join(scopes), "nonce": nonce})
    tell(f"Open {begun.get('verification_uri')} and enter the code {begun.get('user_code')}")
    pause, left = float(begun.get("interval") or 5), float(begun.get("expires_in") or 600)
    asked = {"grant_type": _DEVICE_GRANT, "device_code": str(begun.get("device_code")), "client_id": client_id}
    asked |= _secret(public_secret)
    while left > 0:
        sleep(pause)
        left -= pause
        answer = _post(http, endpoints.token, asked, allowed=("authorization_pending", "slow_down"))
        if "error" not in answer:
            return _id_token(answer), nonce
        pause += 5 if answer["error"] == "slow_down" else 0
    raise NotSignedInError("nobody entered the code in time", "run: hoop login --device")


def _secret(public_secret: str) -> dict[str, str]:
    return {"client_secret": public_secret} if public_secret else {}


def _post(http: httpx.Client, url: str, form: Mapping[str, str], allowed: Sequence[str] = ()) -> dict[str, Any]:
    """One request of OAuth; an error that is ``allowed`` is returned."""
    try:
        answer = http.post(url, data=dict(form), timeout=_SECONDS)
        document = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise UpstreamError(
            f"{urlsplit(url).hostname} does not answer ({type(error).__name__})", "try again"
        ) from error
    if not isinstance(document, dict):
        raise UpstreamError(f"{urlsplit(url).hostname} answered {answer.status_code}", "check the issuer")
    if "error" in document and document["error"] not in allowed:
        said = str(document.get("error_description") or document["error"]).partition("\n")[0][:300]
        raise NotSignedInError(f"the provider refused: {said}", "run: hoop login")
    return document


def _id_token(document: Mapping[str, Any]) -> str:
    token = document.get("id_token")
    if not isinstance(token, str):
        raise NotSignedInError("the provider gave no ID token", "have the provider's application use OpenID Connect")
    return token


class _Listener:
    """Waits on loopback for the browser to come back, once, with the ``state`` that it left with."""

    def __init__(self, state: str) -> None:
        self._came = threading.Event()
        self._query: dict[str, list[str]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                right = secrets.compare_digest((query.get("state") or [""])[0].encode(), state.encode())
                if right and not outer._came.is_set():
                    outer._query = query
                self.send_response(200 if right else 400)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(_DONE if right and "code" in query else _FAILED)
                if right:
                    outer._came.set()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's signature
                """Codes belong in no log."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="sign-in", daemon=True)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> _Listener:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> str:
        """The code. Raises NotSignedInError."""
        if not self._came.wait(seconds):
            raise NotSignedInError("the browser did not come back", "run: hoop login, or hoop login --device")
        if code := (self._query.get("code") or [""])[0]:
            return code
        said = (self._query.get("error_description") or self._query.get("error") or ["no code"])[0][:300]
        raise NotSignedInError(f"the provider refused: {said}", "run: hoop login")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
