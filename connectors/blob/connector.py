"""The connector to Azure Blob Storage, as its entry point names it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from connectors.blob.application import BlobApplication
from connectors.blob.hint import client_hint
from connectors.blob.operations import UNCLASSIFIED, VERBS
from connectors.blob.signing import Endpoint
from connectors.http.serve import serve_http
from connectors.http.upstream import Upstream
from hoopcli.errors import UsageError
from hoopcli.model.access import Connection
from hoopcli.model.decision import Action, Mask, Statement
from hoopcli.sansio.layer import Layer
from hoopcli.spi import ClientHint, Job, LayerContext, Listen, Table, Target

_AUTHS = ("entra", "key", "sas")
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_PORTS = {"http": 80, "https": 443}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class BlobConnector:
    """Azure Blob Storage and the paths of Data Lake Storage, over their REST APIs."""

    kind = "blob"
    verbs = VERBS
    discharges = frozenset({Mask.kind})
    alpn: Sequence[str] = ("http/1.1",)

    def target(self, connection: Connection) -> Target:
        """Validate a connection's options. Raises UsageError naming the option."""
        options = connection.options
        if not _ACCOUNT.fullmatch(options.get("account", "")):
            raise UsageError(f"the connection {connection.name} names no storage account", "add it with --account NAME")
        auth = options.get("auth", _AUTHS[0])
        if auth not in _AUTHS:
            known = ", ".join(_AUTHS)
            raise UsageError(f"the connection {connection.name} has auth = {auth!r}", f"use one of: {known}")
        endpoint = _endpoint(options)
        host, port = _host_port(endpoint)
        if endpoint.scheme == "http" and host not in _LOOPBACK:
            raise UsageError(
                f"the endpoint of {connection.name} is not encrypted", "use https; http is for emulators only"
            )
        return Target(host, port, auth, options)

    def layer(self, context: LayerContext) -> Layer:
        """A new layer for one accepted client connection."""
        target = context.target
        endpoint = _endpoint(target.options)
        upstream = Upstream(target.host, target.port, context.tls_client if endpoint.scheme == "https" else None)
        return serve_http(context, BlobApplication(context, target.options["account"], endpoint), upstream)

    def client_hint(self, listen: Listen, connection: Connection) -> ClientHint:
        """How native clients reach the session."""
        return client_hint(listen, connection)

    def explain(self, text: str, connection: Connection) -> Statement:
        """Read ``VERB PATH`` (``blob:read docs/a.csv``) as the statement whose decision is to be explained."""
        verb, _, path = text.strip().partition(" ")
        if verb not in self.verbs - {UNCLASSIFIED}:
            known = ", ".join(sorted(self.verbs - {UNCLASSIFIED}))
            raise UsageError(f"{verb!r} is no verb of blobs", f"write VERB PATH, with one of: {known}")
        account = connection.options.get("account", "")
        resource = "/".join(part for part in (account, path.strip().strip("/")) if part)
        return Statement(text, text.encode(), (Action(verb, (resource,)),), exact_case=True)

    def execute(self, listen: Listen, connection: Connection, job: Job) -> Iterator[Table]:
        """Do one job through a session with Microsoft's client. Raises UsageError, DeniedError, UpstreamError."""
        from connectors.blob.execute import execute  # noqa: PLC0415 - it loads the client

        return execute(listen, connection, job)

    def demo(self) -> None:
        """There is no embedded upstream: emulators are other people's programs."""

    def render(self, media_type: str, payload: bytes) -> Iterator[Table]:
        """Turn a recorded answer into tables, for replay."""
        from connectors.blob.render import render  # noqa: PLC0415 - only replay needs it

        return render(media_type, payload)


def _endpoint(options: Mapping[str, str]) -> Endpoint:
    return Endpoint.parse(options.get("endpoint") or f"https://{options.get('account', '')}.blob.core.windows.net")


def _host_port(endpoint: Endpoint) -> tuple[str, int]:
    host, _, port = endpoint.authority.rpartition(":") if ":" in endpoint.authority else (endpoint.authority, "", "")
    return host, int(port) if port else _PORTS[endpoint.scheme]
