"""An OpenID issuer whose every answer a test decides: over a real socket, with real signatures."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CLIENT = "hoop"
RSA = {name: rsa.generate_private_key(65537, 2048) for name in ("first", "second")}
CURVE = ec.generate_private_key(ec.SECP256R1())


def public(name: str) -> dict[str, Any]:
    """A public key as a JWK."""
    return {**RSAAlgorithm.to_jwk(RSA[name].public_key(), as_dict=True), "kid": name, "use": "sig"}


@dataclass
class Issuer:
    """``documents`` are what it answers by path, a number being a status; ``asked`` the paths that were asked for."""

    url: str
    documents: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def publish(self, *keys: dict[str, Any]) -> None:
        self.documents["/keys"] = {"keys": list(keys)}

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a good token; one that is None is left out."""
        now = int(NOW.timestamp())
        good = {
            "iss": self.url, "aud": CLIENT, "sub": "ada", "iat": now, "exp": now + 300, "nonce": "n",
            "email": "ada@example.com", "name": "Ada",
        } | changed  # fmt: skip
        return {name: value for name, value in good.items() if value is not None}

    def token(self, key: str = "first", headers: dict[str, Any] | None = None, **changed: Any) -> str:
        return jwt.encode(self.claims(**changed), RSA[key], "RS256", {"kid": key} | (headers or {}))

    def curve_token(self, **changed: Any) -> str:
        return jwt.encode(self.claims(**changed), CURVE, "ES256", {"kid": "curve"})

    def curve(self) -> dict[str, Any]:
        return {**ECAlgorithm.to_jwk(CURVE.public_key(), as_dict=True), "kid": "curve"}


@contextmanager
def issuer() -> Iterator[Issuer]:
    """One that answers on a port of this machine until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            made.asked.append(path)
            answer = made.documents.get(path, 404)
            answer = answer.pop(0) if isinstance(answer, list) else answer
            body = b"" if isinstance(answer, int) else json.dumps(answer).encode()
            self.send_response(answer if isinstance(answer, int) else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            made.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    made = Issuer(url)
    made.documents["/.well-known/openid-configuration"] = {
        "issuer": url, "jwks_uri": f"{url}/keys", "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
    }  # fmt: skip
    made.publish(public("first"))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
