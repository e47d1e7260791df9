"""Exec, attach, cp and port-forward: requests that leave HTTP, asked about, held, bridged and recorded.

The upgrade is held until the request is permitted, which may take as long as people need: ``kubectl`` sets no limit to
it. Only then the upstream hears of it, and only once it has agreed the client does. From there on a bridge decodes both
ends: see ``streams``. A refusal is an ordinary answer. ``kubectl`` then asks once more over SPDY, as it would after a
refusal by the cluster itself; so what people refused is told within the WebSocket.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Protocol

from connectors.http.exchange import Exchange, RefusedError
from connectors.http.head import end_to_end
from connectors.http.link import PeerGoneError
from connectors.http.message import Headers, Request, Response
from connectors.kubectl.recording import ExecRecording, ForwardRecording
from connectors.kubectl.relay import Bridge, Relay
from connectors.kubectl.request_info import RequestInfo
from connectors.kubectl.streams.channel_forward import ChannelForward
from connectors.kubectl.streams.channels import ChannelCodec
from connectors.kubectl.streams.events import Closed, ErrorStatus, Side
from connectors.kubectl.streams.exec_stream import ExecCodec
from connectors.kubectl.streams.forwards import Forwards
from connectors.kubectl.streams.handshake import (
    CHANNEL_PROTOCOLS,
    PORT_FORWARD_PROTOCOLS,
    SPDY,
    SPDY_CHANNEL_PROTOCOLS,
    SPDY_PORT_FORWARD_PROTOCOLS,
    WEBSOCKET,
    Offer,
    accept_headers,
    check_accepted,
    chosen,
    read_offer,
    request_headers,
)
from connectors.kubectl.streams.portforward import PortForward, Refuses
from connectors.kubectl.streams.spdy_exec import SpdyExecCodec
from connectors.kubectl.upstream import AUDIENCE, upstream_headers, upstream_target
from hoopcli.errors import DeniedError, HoopError, ProtocolError, UpstreamError
from hoopcli.masking.masker import DETECTORS, about
from hoopcli.model.decision import Approve, Decision, Effect, Json, Mask, Statement, Streaming
from hoopcli.model.outcome import Outcome, Status
from hoopcli.sansio.commands import Record, SetTimer
from hoopcli.sansio.events import Deny, Peer, Permit
from hoopcli.sansio.layer import NOBODY, Steps
from hoopcli.spi import LayerContext

#: Subresources of pods that are streams.
STREAMED = frozenset({"exec", "attach", "portforward"})
_FORWARDS = "portforward"
#: Everything that looks like a secret is taken out of what the ledger holds in plain sight, whatever policy masks.
_RECORDED = Mask("recorded", detectors=tuple(detector.name for detector in DETECTORS))
_SWITCHING = 101
_UNAUTHORIZED = 401
_BAD_GATEWAY = 502
_PORT = re.compile("[1-9][0-9]{0,4}")
_LAST_PORT = 65535
_MOST_PORTS = 100
_LONGEST_REFUSAL = 1 << 20
#: How long a port-forward that people refused stands, in seconds.
_REFUSING_SECONDS = 60.0
#: Fields of the handshake, which each side makes anew.
_HANDSHAKE = (
    "upgrade",
    "connection",
    "content-length",
    "x-stream-protocol-version",
    "sec-websocket-version",
    "sec-websocket-key",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "origin",
)


class Asked(Protocol):
    """A classified request."""

    @property
    def info(self) -> RequestInfo:
        """What it asks for."""

    @property
    def resource(self) -> str:
        """What it is about, as policy names it."""

    def statement(self, **facts: Json) -> Statement:
        """What is to be decided, with these facts in place of its own."""


def serve(context: LayerContext, exchange: Exchange, asked: Asked) -> Steps[None]:
    """Ask about a request for a stream, and serve it until it is over. Raises HoopError for what is refused."""
    offer = read_offer(exchange.request.method, list(exchange.request.headers))
    if offer is None:
        raise RefusedError(400, "BadRequest", f"{asked.info.subresource} is a stream", "ask to upgrade the connection")
    protocols = _protocols(asked.info.subresource, offer)
    if asked.info.subresource == _FORWARDS and protocols[0] == PORT_FORWARD_PROTOCOLS[1]:
        _ports(asked.info)
    statement = asked.statement()
    asks_people = context.preview(statement) is Effect.REQUIRE_APPROVAL
    reply = yield from exchange.authorize(statement)
    if isinstance(reply, Deny):
        message = f"hoop: {reply.message}; {reply.hint}"
        if asks_people and offer.upgrade == WEBSOCKET and asked.info.subresource != _FORWARDS:
            yield from _told_within(exchange, offer, protocols[0], message)
            return
        if asks_people and protocols[0] == PORT_FORWARD_PROTOCOLS[0] and offer.upgrade == WEBSOCKET:
            yield from _told_in_tunnel(exchange, offer, protocols[0], message)
            return
        raise DeniedError(reply.message, reply.hint)
    stream = _Stream(context, exchange, asked, offer, reply)
    try:
        yield from stream.run(protocols)
    except PeerGoneError:
        yield Record(stream.outcome(Status.LOST))
        raise
    except HoopError as error:
        stream.errors.append(error.message)
        yield Record(stream.outcome(Status.BLOCKED))
        raise
    yield Record(stream.outcome(stream.status))


def _told_within(exchange: Exchange, offer: Offer, protocol: str, message: str) -> Steps[None]:
    """Refuse within the stream, where a client would not ask people a second time for having been refused outright."""
    yield from exchange.switch(_switching(offer, protocol))
    codec = ChannelCodec(Side.SERVER, protocol)
    for event in (ErrorStatus.refusal(message), Closed()):
        yield exchange.raw(Peer.CLIENT, codec.send(event))


def _told_in_tunnel(exchange: Exchange, offer: Offer, protocol: str, message: str) -> Steps[None]:
    """Refuse each connection that is made over a port-forward, for a while, so that its client can show why."""
    yield from exchange.switch(_switching(offer, protocol))
    bridge = PortForward(
        client_tunnelled=True, upstream_tunnelled=True, forwards=Forwards(), refuses=lambda _port: message
    )
    yield SetTimer(_REFUSING_SECONDS)
    while (got := (yield from exchange.duplex(NOBODY | {Peer.CLIENT}))) is not None:
        moved = bridge.from_client(got[1])
        yield exchange.client.send(moved.to_client)
        if moved.error is not None:
            raise moved.error
        if moved.over:
            break
    yield SetTimer(None)
    yield exchange.client.send(bridge.end(message).to_client)


def _switching(offer: Offer, protocol: str) -> Response:
    return Response(_SWITCHING, "Switching Protocols", Headers(accept_headers(offer, protocol)))


def _protocols(subresource: str, offer: Offer) -> Sequence[str]:
    """The stream protocols that the client offers and hoop reads, best first. Raises ProtocolError if there is none."""
    spdy = offer.upgrade == SPDY
    if subresource == _FORWARDS:  # only the best: the others need another query
        return [offer.choose(SPDY_PORT_FORWARD_PROTOCOLS if spdy else PORT_FORWARD_PROTOCOLS)]
    known = SPDY_CHANNEL_PROTOCOLS if spdy else CHANNEL_PROTOCOLS
    offer.choose(known)
    return [protocol for protocol in known if protocol in offer.protocols]


class _Stream:
    """One permitted stream. ``status`` and ``errors`` say how it went."""

    def __init__(self, context: LayerContext, exchange: Exchange, asked: Asked, offer: Offer, permit: Permit) -> None:
        self._context = context
        self._exchange = exchange
        self._asked = asked
        self._offer = offer
        self._permit = permit
        self._began = context.now()
        self._masking = context.masking(about(permit.decision.masks, asked.resource))
        self._terms = next((each for each in permit.decision.obligations if isinstance(each, Streaming)), Streaming())
        self._recording: ExecRecording | ForwardRecording
        if asked.info.subresource == _FORWARDS:
            self._recording = ForwardRecording(permit)
        else:
            began, keep_input = self._began.timestamp(), self._terms.keep_input
            self._recording = ExecRecording(
                asked.info, permit, self._masking, began, redact=self._redacted, keep_input=keep_input
            )
        self.status = Status.COMPLETED
        self.errors: list[str] = []

    def _redacted(self, text: str) -> str:
        return self._context.masking([_RECORDED]).detect(text)[0]

    def outcome(self, status: Status) -> Outcome:
        """What was delivered so far."""
        return self._recording.outcome(status, self.errors)

    def run(self, protocols: Sequence[str]) -> Steps[None]:
        """Upgrade both sides, and bridge them."""
        nonce = secrets.token_bytes(16)
        response = yield from self._upgraded(protocols, nonce)
        if response.status == _UNAUTHORIZED:  # revoked, maybe
            response = yield from self._upgraded(protocols, nonce, fresh=True)
        if response.status != _SWITCHING:
            yield from self._refused(response)
            return
        protocol = self._agreed(protocols, nonce, response)
        yield from self._exchange.switch(_switching(self._offer, protocol))
        yield from self._bridged(protocol)

    def _upgraded(self, protocols: Sequence[str], nonce: bytes, *, fresh: bool = False) -> Steps[Response]:
        """What the upstream answers to the handshake, with the broker's own proof."""
        credential = yield from self._exchange.credential(AUDIENCE, fresh=fresh)
        headers = upstream_headers(
            end_to_end(self._exchange.request.headers).without(*_HANDSHAKE),
            credential,
            self._context.target,
            self._context.session,
        )
        handshake = request_headers(self._offer.upgrade, ", ".join(protocols), nonce)
        request = Request(
            self._exchange.request.method,
            upstream_target(self._context.target, self._exchange.request.target),
            Headers([*headers, *handshake]),
        )
        return (yield from self._exchange.upgrade(request))

    def _agreed(self, protocols: Sequence[str], nonce: bytes, response: Response) -> str:
        """The protocol that the upstream chose. Raises UpstreamError where it did not agree to what was asked."""
        headers = list(response.headers)
        try:
            protocol = chosen(self._offer.upgrade, protocols, headers)
            check_accepted(self._offer.upgrade, protocol, nonce, response.status, headers)
        except ProtocolError as error:
            raise UpstreamError(f"the upstream does not stream as it should: {error.message}", error.hint) from error
        return protocol

    def _refused(self, response: Response) -> Steps[None]:
        """The upstream's own refusal, with what detectors find in it masked."""
        body = yield from self._exchange.upstream_read(_LONGEST_REFUSAL)
        text, _ = self._masking.detect(body.decode("utf-8", "replace"))
        self.status = Status.FAILED
        self.errors.append(f"{response.status} {response.reason}")
        content_type = response.headers.get("content-type") or "text/plain"
        # the client's own proof was good: it must not be told to find another
        status = _BAD_GATEWAY if response.status == _UNAUTHORIZED else response.status
        yield from self._exchange.respond(status, Headers([("Content-Type", content_type)]), text.encode())

    def _bridged(self, protocol: str) -> Steps[None]:
        kept = self._recording if isinstance(self._recording, ExecRecording) else None
        idle = self._terms.idle.total_seconds() if self._terms.idle else None
        relay = Relay(self._exchange, self._bridge(protocol), self._elapsed, idle=idle, recording=kept)
        try:
            self.status = yield from relay.run()
        finally:
            self.errors += relay.errors
        if self.status is not Status.BLOCKED:
            self.status = self._recording.status(self.status)

    def _bridge(self, protocol: str) -> Bridge:
        if isinstance(self._recording, ExecRecording):
            client, upstream = self._codec(Side.SERVER, protocol), self._codec(Side.CLIENT, protocol)
            return self._recording.stream(client, upstream, self._elapsed)
        return self._forward(protocol, self._recording.forwards)

    def _codec(self, side: Side, protocol: str) -> ExecCodec:
        return SpdyExecCodec(side) if self._offer.upgrade == SPDY else ChannelCodec(side, protocol)

    def _forward(self, protocol: str, forwards: Forwards) -> PortForward | ChannelForward:
        if protocol == PORT_FORWARD_PROTOCOLS[1]:
            return ChannelForward(_ports(self._asked.info), forwards)
        tunnelled = self._offer.upgrade != SPDY
        return PortForward(
            client_tunnelled=tunnelled, upstream_tunnelled=tunnelled, forwards=forwards, refuses=self._refuses()
        )

    def _refuses(self) -> Refuses:
        """Asks the policy about each port, which the request itself did not name.

        A port that people must agree to passes only where as many of the same groups have agreed to the stream.
        """
        agreed = _approval(self._permit.decision)

        def refuses(port: int) -> str:
            decision = self._context.previewed(self._asked.statement(ports=[str(port)]))
            needed = _approval(decision)
            asked = decision.effect is Effect.REQUIRE_APPROVAL
            passes = _covers(agreed, needed) if asked else decision.effect is Effect.ALLOW
            return "" if passes else f"hoop: port {port} is not allowed by the policy"

        return refuses

    def _elapsed(self) -> float:
        return (self._context.now() - self._began).total_seconds()


def _approval(decision: Decision) -> Approve | None:
    return next((each for each in decision.obligations if isinstance(each, Approve)), None)


def _covers(agreed: Approve | None, needed: Approve | None) -> bool:
    """Whether people who have agreed to the stream are those who must agree to a port of it."""
    if agreed is None or needed is None or agreed.count < needed.count:
        return False
    return not needed.groups or (bool(agreed.groups) and set(agreed.groups) <= set(needed.groups))


def _ports(info: RequestInfo) -> list[int]:
    """The ports of a query, each written as the policy knows it. Raises ProtocolError."""
    texts = [port for value in info.values("ports") for port in value.split(",")]
    if not 0 < len(texts) <= _MOST_PORTS or not all(map(_PORT.fullmatch, texts)) or max(map(int, texts)) > _LAST_PORT:
        raise ProtocolError("the query names no ports that can be forwarded, or too many")
    return [int(text) for text in texts]
