"""One client connection as a dialogue with the layer, brokered by the plainest application there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.http.exchange import Exchange
from connectors.http.head import end_to_end
from connectors.http.message import Headers, Request
from connectors.http.serve import Application, serve_http
from connectors.http.upstream import Upstream
from hoopcli.certificates import issue
from hoopcli.masking.masker import Masking
from hoopcli.model.access import Connection, Principal
from hoopcli.model.decision import Action, Decision, Effect, Statement
from hoopcli.model.session import Session
from hoopcli.sansio.commands import Authorize, Command, OpenUpstream
from hoopcli.sansio.events import DataReceived, Deny, Event, Peer, PeerClosed, Permit, UpstreamOpened
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext, SessionSecret, Target
from tests.support.clock import Clock
from tests.support.playbook import Playbook, only, sent

NOW = datetime.now(UTC)
IDENTITY = issue("s1", NOW, timedelta(hours=1))
PERMIT = Permit("x1", Decision(Effect.ALLOW, "reads"))
DENY = Deny("x1", "no-writes", "no-writes denies this", "ask for it")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Passing:
    """Asks about each request by its first line, then passes it and its answer on. It forwards even what is denied
    if ``obedient`` is not set."""

    def __init__(self, *, obedient: bool = True) -> None:
        self.obedient = obedient
        self.handled: list[Request] = []

    def handle(self, exchange: Exchange) -> Steps[None]:
        request = exchange.request
        self.handled.append(request)
        text = f"{request.method} {request.target}"
        reply = yield from exchange.authorize(Statement(text, text.encode(), (Action("t:do"),)))
        if isinstance(reply, Deny) and self.obedient:
            yield from exchange.respond(403, Headers(), reply.message.encode())
            return
        response = yield from exchange.forward(self.upstream_request(request))
        yield from exchange.begin(response)
        while (data := (yield from exchange.upstream_chunk())) is not None:
            yield from exchange.send(data)
        yield from exchange.end()

    def upstream_request(self, request: Request) -> Request:
        headers = end_to_end(request.headers).without("expect")
        if "transfer-encoding" in request.headers:
            headers = headers.with_("Transfer-Encoding", "chunked")
        return Request(request.method, request.target, headers.with_("Host", "upstream"))

    def refusal(
        self, status: int, code: str, message: str, hint: str, request: Request | None
    ) -> tuple[Headers, bytes]:
        body = f"{code}: {message} ({hint})".encode()
        return Headers([("Content-Type", "text/plain"), ("Content-Length", str(len(body))), ("x-code", code)]), body


def context(**options: str) -> LayerContext:
    session = Session("s1", Principal("omar"), Connection("files", "blob"), NOW, NOW)
    return LayerContext(
        session=session,
        target=Target("upstream", 80, "none", options),
        secret=SessionSecret("x"),
        tls_server=lambda newest: IDENTITY.server_context(["http/1.1"], newest),
        tls_client=lambda newest: IDENTITY.server_context(["http/1.1"], newest),
        masking=lambda masks: Masking(masks, b"k" * 32),
        now=Clock(),
    )


class Dialogue:
    """A client and an upstream that are played by the test."""

    def __init__(self, application: Application | None = None) -> None:
        self.application = application or Passing()
        self.play = Playbook(serve_http(context(), self.application, Upstream("upstream", 80, None)))

    @property
    def ended(self) -> bool:
        return self.play.ended

    def hear(self, event: Event) -> list[Command]:
        return self.play.hear(event)

    def client(self, data: bytes) -> list[Command]:
        return self.hear(DataReceived(Peer.CLIENT, data))

    def upstream(self, data: bytes) -> list[Command]:
        return self.hear(DataReceived(Peer.UPSTREAM, data))

    def hangs_up(self, peer: Peer) -> list[Command]:
        return self.hear(PeerClosed(peer))

    def forwarded(self, data: bytes) -> bytes:
        """Send a request, permit it, connect if that is asked; what the upstream got."""
        assert only(self.client(data), Authorize)
        commands = self.hear(PERMIT)
        if only(commands, OpenUpstream):
            commands = self.hear(UpstreamOpened())
        return sent(commands, Peer.UPSTREAM)

    def to_client(self) -> bytes:
        return sent(self.play.log, Peer.CLIENT)

    def to_upstream(self) -> bytes:
        return sent(self.play.log, Peer.UPSTREAM)
