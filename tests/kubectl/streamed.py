"""One request for a stream as a dialogue with the layer: a client and an upstream that the test plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from connectors.http.exchange import Exchange
from connectors.http.message import Headers, Request
from connectors.http.serve import serve_http
from connectors.http.upstream import Upstream
from connectors.kubectl import streaming
from connectors.kubectl.facts import facts_of
from connectors.kubectl.request_info import RequestInfo, request_info
from connectors.kubectl.streams.handshake import accept_headers, read_offer
from connectors.kubectl.verbs import actions_of, resource_of
from hoopcli.model.decision import Approve, Decision, Effect, Json, Mask, Obligation, Statement
from hoopcli.model.outcome import Outcome
from hoopcli.sansio.commands import Authorize, Command, GetCredential, OpenUpstream, Record, SetTimer
from hoopcli.sansio.events import (
    Credential,
    CredentialGranted,
    DataReceived,
    Deny,
    Event,
    Peer,
    PeerClosed,
    Permit,
    UpstreamOpened,
    Wakeup,
)
from hoopcli.sansio.layer import Steps
from hoopcli.spi import LayerContext
from tests.http.dialogue import context
from tests.support.clock import Clock
from tests.support.playbook import Playbook, only, sent

EXEC = "/api/v1/namespaces/default/pods/web-1/exec?command=sh&stdin=true&stdout=true&tty=true"
CARDS = Mask("cards", detectors=("credit_card",))
WEBSOCKET = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAECAwQFBgcICQoLDA0ODw=="),
    ("Sec-WebSocket-Protocol", "v5.channel.k8s.io"),
)


class Asked:
    """A classified request."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.info: RequestInfo = request_info(request.method, request.target)

    @property
    def resource(self) -> str:
        return resource_of(self.info)

    def statement(self, **facts: Json) -> Statement:
        headers = self.request.headers
        told = {**facts_of(self.info, headers, None), **facts}
        return Statement(self.request.target, b"", actions_of(self.info, headers, None), told, exact_case=True)


class Streams:
    """An application of streams only."""

    def __init__(self, context: LayerContext) -> None:
        self._context = context

    def handle(self, exchange: Exchange) -> Steps[None]:
        yield from streaming.serve(self._context, exchange, Asked(exchange.request))

    def refusal(
        self, status: int, code: str, message: str, hint: str, request: Request | None
    ) -> tuple[Headers, bytes]:
        return Headers([("Content-Type", "text/plain")]), f"{code}: {message} ({hint})".encode()


class Dialogue:
    """A client and an upstream. ``refused`` are the ports that the policy denies."""

    def __init__(self, *obligations: Obligation, keep: int = 100_000, refused: Sequence[str] = ()) -> None:
        self.clock = Clock()
        self.previewed = Effect.ALLOW
        self.needed = Approve()
        self._refused = refused
        made = context(scheme="https", base_path="")
        made = replace(made, now=self.clock, preview=self._preview, previewed=self._previewed)
        self.permit = Permit("x1", Decision(Effect.ALLOW, "streams", obligations=obligations, keep=keep))
        self.play = Playbook(serve_http(made, Streams(made), Upstream("cluster", 443, None)))

    def _preview(self, statement: Statement) -> Effect:
        ports = statement.facts["ports"]  # none for the request itself
        assert isinstance(ports, list)
        return Effect.DENY if set(ports) & set(self._refused) else self.previewed

    def _previewed(self, statement: Statement) -> Decision:
        effect = self._preview(statement)
        return Decision(effect, "streams", obligations=(self.needed,) * (effect is Effect.REQUIRE_APPROVAL))

    def request(
        self, target: str = EXEC, pairs: Sequence[tuple[str, str]] = WEBSOCKET, method: str = "GET"
    ) -> list[Authorize]:
        """Send a request; what is asked about it."""
        fields = "".join(f"{name}: {value}\r\n" for name, value in [("Host", "broker"), *pairs])
        commands = self.client(f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode())
        return only(commands, Authorize)

    def permitted(self, target: str = EXEC, pairs: Sequence[tuple[str, str]] = WEBSOCKET, method: str = "GET") -> bytes:
        """Send a request and have it permitted; the request that the upstream gets."""
        assert len(self.request(target, pairs, method)) == 1
        assert self.to_upstream() == b""
        assert only(self.hear(self.permit), GetCredential)
        commands = self.hear(CredentialGranted(Credential("token", "of-the-broker")))
        assert only(commands, OpenUpstream)
        self.hear(UpstreamOpened())
        return self.to_upstream()

    def opened(self, target: str = EXEC, pairs: Sequence[tuple[str, str]] = WEBSOCKET, method: str = "GET") -> None:
        """A stream that stands, with nothing in the log."""
        asked = self.permitted(target, pairs, method)
        self.upstream(switched(asked))
        assert self.to_client().startswith(b"HTTP/1.1 101 ")
        self.play.log.clear()

    def hear(self, event: Event) -> list[Command]:
        return self.play.hear(event)

    def client(self, data: bytes) -> list[Command]:
        return self.hear(DataReceived(Peer.CLIENT, data))

    def upstream(self, data: bytes) -> list[Command]:
        return self.hear(DataReceived(Peer.UPSTREAM, data))

    def hangs_up(self, peer: Peer) -> None:
        self.hear(PeerClosed(peer))

    def passes(self, seconds: float) -> list[Command]:
        """Time passes until the timer that was set last runs out."""
        self.clock.forward(seconds=seconds)
        return self.hear(Wakeup())

    def denied(self) -> list[Command]:
        return self.hear(Deny("x1", "no-exec", "denied by no-exec", "ask first"))

    def to_client(self) -> bytes:
        return sent(self.play.log, Peer.CLIENT)

    def to_upstream(self) -> bytes:
        return sent(self.play.log, Peer.UPSTREAM)

    @property
    def timer(self) -> float | None:
        """The timer that was set last."""
        return only(self.play.log, SetTimer)[-1].seconds

    @property
    def outcome(self) -> Outcome:
        """The one outcome."""
        (record,) = only(self.play.log, Record)
        return record.outcome


def switched(request: bytes, **instead: str) -> bytes:
    """How an upstream agrees to the upgrade that a request asks for."""
    line, *fields = request.decode().split("\r\n\r\n")[0].split("\r\n")
    pairs = [(name, value) for name, _, value in (field.partition(": ") for field in fields)]
    offer = read_offer(line.split(" ")[0], pairs)
    assert offer is not None
    answer = dict(accept_headers(offer, offer.protocols[0]))
    answer |= {name.replace("_", "-"): value for name, value in instead.items()}
    return "\r\n".join(
        ["HTTP/1.1 101 Switching Protocols", *(f"{name}: {value}" for name, value in answer.items()), "", ""]
    ).encode()
