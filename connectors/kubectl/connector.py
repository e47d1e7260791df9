"""The connector to Kubernetes, as its entry point names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.http.message import Headers, Request
from connectors.http.serve import serve_http
from connectors.kubectl.application import KubectlApplication
from connectors.kubectl.asciicast import MEDIA_TYPE
from connectors.kubectl.asked import ask
from connectors.kubectl.hint import client_hint
from connectors.kubectl.request_info import request_info
from connectors.kubectl.upstream import target_of, upstream_of
from connectors.kubectl.verbs import UNCLASSIFIED, VERBS
from hoopcli.errors import UsageError
from hoopcli.model.access import Connection
from hoopcli.model.decision import Action, Mask, ShowSecrets, Statement, Streaming
from hoopcli.sansio.layer import Layer
from hoopcli.spi import ClientHint, Frame, Job, LayerContext, Listen, Table, Target

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


class KubectlConnector:
    """Kubernetes API servers, for kubectl and everything else that reads a kubeconfig."""

    kind = "kubectl"
    verbs = VERBS
    discharges = frozenset({Mask.kind, ShowSecrets.kind, Streaming.kind})
    alpn: Sequence[str] = ("http/1.1",)

    def target(self, connection: Connection) -> Target:
        """Validate a connection's options. Raises UsageError naming the option."""
        return target_of(connection)

    def layer(self, context: LayerContext) -> Layer:
        """A new layer for one accepted client connection."""
        return serve_http(context, KubectlApplication(context), upstream_of(context))

    def client_hint(self, listen: Listen, connection: Connection) -> ClientHint:
        """How native clients reach the session."""
        return client_hint(listen, connection)

    def explain(self, text: str, connection: Connection) -> Statement:
        """Read ``VERB RESOURCE`` (``k8s:get prod/secrets/db``), or ``METHOD PATH`` as a client sends it."""
        word, _, rest = text.strip().partition(" ")
        rest = rest.strip()
        if word in _METHODS:
            info = request_info(word, rest)
            return ask(Request(word, rest, Headers()), info, None).statement()
        if word not in self.verbs - {UNCLASSIFIED}:
            known = ", ".join(sorted(self.verbs - {UNCLASSIFIED}))
            raise UsageError(
                f"{word!r} is no verb of Kubernetes", f"write VERB NAMESPACE/RESOURCE/NAME, with one of: {known}"
            )
        return Statement(text, text.encode(), (Action(word, (rest,)),), exact_case=True)

    def execute(self, listen: Listen, connection: Connection, job: Job) -> Iterator[Table]:
        """Do one job through a session with kubectl. Raises UsageError, DeniedError, UpstreamError."""
        from connectors.kubectl.execute import execute  # noqa: PLC0415 - only hoop exec needs it

        return execute(self.client_hint(listen, connection), job)

    def demo(self) -> None:
        """There is no embedded upstream: a cluster is other people's program."""

    def frames(self, media_type: str, payload: bytes) -> Iterator[Frame] | None:
        """What a recorded terminal showed; None for another payload."""
        from connectors.kubectl.playing import frames  # noqa: PLC0415 - only replay needs it

        return frames(payload) if media_type == MEDIA_TYPE else None

    def render(self, media_type: str, payload: bytes) -> Iterator[Table]:
        """Turn a recorded answer into tables, for replay."""
        from connectors.kubectl.render import render  # noqa: PLC0415 - only replay needs it

        return render(media_type, payload)
