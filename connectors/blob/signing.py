"""The request that goes upstream: written anew from what was understood, with the broker's credential on it.

Nothing that proves the client goes along: no ``Authorization``, no parameter of a SAS, no proof for a source. Headers
that the reference does not know are left behind (``classify`` has refused unknown ones of the service's own). A source
in the own account is named by its upstream URL, with the broker's proof for it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlsplit

from connectors.blob.address import Address
from connectors.blob.copy import Source
from connectors.blob.operations import Operation
from connectors.blob.reference import HEADERS, SAS_PARAMETERS, Answer
from connectors.blob.sharedkey import authorization, http_date
from connectors.http.message import Headers, Request
from hoopcli.errors import UpstreamError, UsageError
from hoopcli.sansio.events import Credential

#: The audience of Microsoft Entra tokens for storage.
AUDIENCE = "https://storage.azure.com/"

_VERSION = "2024-11-04"
_DATE = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]")
_RENAME = "Path - Rename"
_PROOFS = ("x-ms-copy-source-authorization",)
_CONTENT = frozenset({Answer.CONTENT, Answer.DERIVED})
#: What one client says of an account, taking it for a container; servers differ on it.
_MISTAKEN = ("restype", "container")
_FROM_URL = frozenset(
    {"Put Blob From URL", "Copy Blob From URL", "Put Block From URL", "Append Block From URL", "Put Page From URL"}
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a storage account is. ``authority`` is host and port; ``base`` is the path before containers, or empty."""

    scheme: str
    authority: str
    base: str

    @classmethod
    def parse(cls, url: str) -> Endpoint:
        """Read ``https://ACCOUNT.blob.core.windows.net`` or ``http://HOST:PORT/ACCOUNT``. Raises UsageError."""
        try:
            parts = urlsplit(url)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            good = False
        if not good or parts.username is not None or parts.query or parts.fragment or not url.isascii():
            raise UsageError(
                f"{url!r} is not the URL of a storage account", "use https://ACCOUNT.blob.core.windows.net"
            )
        return cls(parts.scheme, parts.netloc.lower(), parts.path.rstrip("/"))

    def of(self, api: str) -> Endpoint:
        """The account's endpoint for ``blob`` or ``dfs``; emulators have one for both."""
        other = "blob" if api == "dfs" else "dfs"
        host, dot, rest = self.authority.partition(f".{other}.")
        return replace(self, authority=f"{host}.{api}.{rest}") if dot else self

    def url(self, address: Address) -> str:
        """The URL of an address here."""
        return f"{self.scheme}://{self.authority}{address.target(self.base)}"


def without_proof(request: Request, address: Address, operation: Operation) -> tuple[Request, Address]:
    """A request and its address without all that proves the client: this is what may be recorded and approved.

    The version that a SAS asks for stays as the request's, as the service would have it. A query of a source elsewhere,
    which may be a credential, is named by its digest.
    """
    query = dict(address.query)
    plain = replace(address, query=tuple(pair for pair in address.query if not _is_left(address, pair)))
    asked = (request.headers.get("x-ms-version"), query.get("api-version"), query.get("sv"))
    version = next((text for text in asked if text and _DATE.fullmatch(text)), _VERSION)
    headers = request.headers.without("authorization", "cookie", *_PROOFS).with_("x-ms-version", version)
    if operation.source is not None:
        header = "x-ms-rename-source" if operation.name == _RENAME else "x-ms-copy-source"
        headers = headers.with_(header, _shown(operation.source))
    return Request(request.method, plain.target(f"/{plain.account}"), headers), plain


def _is_left(address: Address, parameter: tuple[str, str]) -> bool:
    """Whether a parameter stays behind."""
    return parameter[0] in SAS_PARAMETERS or (parameter == _MISTAKEN and not address.container)


def _shown(source: Source) -> str:
    if source.address is not None:
        return source.address.target(f"/{source.address.account}")
    query = source.url.partition("?")[2]
    return source.shown + (f"?sha256={hashlib.sha256(query.encode()).hexdigest()}" if query else "")


def upstream_request(
    request: Request,
    address: Address,
    operation: Operation,
    endpoint: Endpoint,
    credential: Credential,
    now: datetime,
    *,
    length: int | None = None,
) -> Request:
    """The request for the upstream, signed. ``request`` and ``address`` are those of ``without_proof``.

    ``length`` is that of the body where it is not the client's. Raises UpstreamError for a credential that is none
    for storage.
    """
    there = endpoint.of(operation.api)
    headers = Headers([("Host", there.authority), *_kept(request.headers), ("Accept", _accept(operation))])
    if length is not None:
        headers = headers.with_("Content-Length", str(length))
    if operation.source is not None:
        headers = _with_source(headers, operation, operation.source, endpoint, credential)
    return signed(Request(request.method, address.target(there.base), headers), address.account, credential, now)


def signed(request: Request, account: str, credential: Credential, now: datetime) -> Request:
    """A request with the broker's credential: a ``token``, an account's ``key`` or a ``sas``. Raises UpstreamError."""
    headers = request.headers.without("authorization", "date").with_("x-ms-date", http_date(now))
    match credential.kind:
        case "token":
            return replace(request, headers=headers.with_("Authorization", f"Bearer {credential.secret}"))
        case "key":
            dated = replace(request, headers=headers)
            return replace(
                dated, headers=headers.with_("Authorization", authorization(dated, account, credential.secret))
            )
        case "sas":
            return Request(request.method, _with_sas(request.target, credential), headers)
    raise UpstreamError(
        f"a credential of the kind {credential.kind!r} proves nothing to a storage account",
        "use auth = entra, key or sas",
    )


def _kept(headers: Headers) -> list[tuple[str, str]]:
    return [
        (name, value) for name, value in headers if name.lower() in HEADERS or name.lower().startswith("x-ms-meta-")
    ]


def _accept(operation: Operation) -> str:
    """The form of answers that can be filtered, whatever else the client takes."""
    if operation.answer in _CONTENT:
        return "*/*"
    return "application/json" if operation.api == "dfs" else "application/xml"


def _with_source(
    headers: Headers, operation: Operation, source: Source, endpoint: Endpoint, credential: Credential
) -> Headers:
    if source.address is None:
        return headers.with_("x-ms-copy-source", source.url)
    if operation.name == _RENAME:
        target = source.address.target("")
        return headers.with_(
            "x-ms-rename-source", _with_sas(target, credential) if credential.kind == "sas" else target
        )
    url = endpoint.url(source.address)
    if credential.kind == "token" and operation.name in _FROM_URL:
        headers = headers.with_("x-ms-copy-source-authorization", f"Bearer {credential.secret}")
    return headers.with_("x-ms-copy-source", _with_sas(url, credential) if credential.kind == "sas" else url)


def _with_sas(target: str, credential: Credential) -> str:
    return f"{target}{'&' if '?' in target else '?'}{credential.secret.strip().removeprefix('?')}"
