"""HTTP to the server for what needs no sign-in: a ledger's records prove themselves."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import httpx

from hoopcli import __version__, tracing
from hoopcli.errors import UpstreamError, UsageError
from hoopcli.ledger.sync import JSON, Answer

SECONDS: Final = 60.0
CONNECT_SECONDS: Final = 5.0
MAX_ANSWER: Final = 1 << 20


class HttpTransport:
    """A ``Transport`` over one kept connection. Redirects are not followed, proxies of the environment are used."""

    def __init__(self, url: str, ca_file: Path | None = None) -> None:
        self._url = url
        self._client = httpx.Client(
            base_url=url,
            verify=_context(ca_file),
            timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS),
            headers={"user-agent": f"hoop/{__version__}"},
        )

    def __call__(self, method: str, path: str, body: bytes | None = None, media_type: str = JSON) -> Answer:
        """Make one request. Raises UpstreamError if no answer comes, or one that is too long."""
        try:
            with tracing.span(f"{method} /v1/ledgers", "client") as traced:
                headers = {"content-type": media_type, **traced.headers}
                with self._client.stream(method, path, content=body, headers=headers) as answer:
                    said = bytearray()
                    for block in answer.iter_bytes():
                        said += block
                        if len(said) > MAX_ANSWER:
                            raise UpstreamError(f"{self._url} answers at too great a length", "check server.url")
                    return Answer(answer.status_code, bytes(said))
        except (httpx.HTTPError, OSError) as error:
            why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            raise UpstreamError(f"{self._url} does not answer ({why})", "check server.url, and the network") from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"server.ca_file {ca_file} cannot be read: {error}", "give a file of PEM") from error
