"""The layer of a connector whose clients speak HTTP/1.1: one request after the other, handled by an application."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import h11

from connectors.http.exchange import Exchange
from connectors.http.head import keeps_alive, read_request, take_head
from connectors.http.link import TLS, Link, PeerGoneError, looks_like_tls
from connectors.http.message import Headers, Request
from connectors.http.upstream import Upstream
from hoopcli.errors import DeniedError, HoopError, NotSignedInError, ProtocolError, UpstreamError
from hoopcli.sansio.commands import ClosePeer, SetTimer
from hoopcli.sansio.events import DataReceived, Peer, PeerClosed, Wakeup
from hoopcli.sansio.layer import CLIENT, Layer, Steps, receive
from hoopcli.sansio.tls import TlsChannel
from hoopcli.spi import LayerContext

HEAD_SECONDS = 30.0
IDLE_SECONDS = 300.0
_STATUS: dict[type[HoopError], tuple[int, str]] = {
    NotSignedInError: (401, "NoUpstreamCredential"),
    DeniedError: (403, "Denied"),
    UpstreamError: (502, "UpstreamFailed"),
}


@runtime_checkable
class Answerable(Protocol):
    """An error that says how it is answered."""

    status: int
    code: str


class Application(Protocol):
    """What a connector makes of HTTP."""

    def handle(self, exchange: Exchange) -> Steps[None]:
        """Answer one request. Raises HoopError, which becomes an answer if none was begun."""

    def refusal(
        self, status: int, code: str, message: str, hint: str, request: Request | None
    ) -> tuple[Headers, bytes]:
        """An error in the protocol's own form."""


def serve_http(context: LayerContext, application: Application, upstream: Upstream) -> Layer:
    """Handle one client connection until a peer leaves, or something is not as it must be."""
    client = Link(Peer.CLIENT)
    try:
        yield from _accept(context, client)
        while True:
            role = h11.Connection(h11.SERVER)
            request = yield from _next(client, upstream, role, application)
            if request is None:
                return
            exchange = Exchange(request, role, client, upstream)
            exchange.last = not keeps_alive(request.headers)
            if not (yield from _handled(application, exchange)) or exchange.last:
                yield ClosePeer(Peer.CLIENT)
                return
    except PeerGoneError:
        return


def _accept(context: LayerContext, client: Link) -> Steps[None]:
    """Take the first bytes, and run TLS if the client begins with it."""
    yield SetTimer(HEAD_SECONDS)
    match (yield from receive(CLIENT)):
        case DataReceived(data=data) if looks_like_tls(data):
            yield from client.secure(TlsChannel(context.tls_server(TLS), server_side=True), data)
        case DataReceived(data=data):
            client.took(data)
        case _:
            raise PeerGoneError(Peer.CLIENT)


def _next(client: Link, upstream: Upstream, role: h11.Connection, application: Application) -> Steps[Request | None]:
    """The head of the next request; None where the connection is over."""
    while True:
        try:
            raw = take_head(client.buffer)
            if raw is not None:
                yield SetTimer(None)
                return read_request(raw, role)
        except ProtocolError as error:
            yield from _refuse_head(client, application, 400, "InvalidInput", error.message)
            return None
        yield SetTimer(HEAD_SECONDS if client.buffer else IDLE_SECONDS)
        match (yield from receive(CLIENT)):
            case DataReceived(data=data):
                client.took(data)
            case PeerClosed(peer=Peer.UPSTREAM):
                upstream.open = False
            case Wakeup() if client.buffer:
                yield from _refuse_head(client, application, 408, "RequestTimeout", "the request took too long")
                return None
            case _:
                return None


def _refuse_head(client: Link, application: Application, status: int, code: str, message: str) -> Steps[None]:
    """Answer what was no request, by hand: there is nothing for h11 to answer."""
    headers, body = application.refusal(status, code, f"hoop: {message}", "", None)
    lines = [f"HTTP/1.1 {status} Refused", *(f"{name}: {value}" for name, value in headers)]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", "Connection: close", "", ""])
    yield client.send([head.encode("latin-1"), body])
    yield ClosePeer(Peer.CLIENT)


def _handled(application: Application, exchange: Exchange) -> Steps[bool]:
    """Handle one request; whether its answer is whole, so that the connection can go on."""
    try:
        yield from application.handle(exchange)
    except PeerGoneError:
        raise
    except HoopError as error:
        if exchange.begun:
            yield from exchange.upstream.drop()
            raise
        status, code = _told(error)
        headers, body = application.refusal(status, code, f"hoop: {error.message}", error.hint, exchange.request)
        yield from exchange.upstream.drop()
        yield from exchange.respond(status, headers, body)
    return exchange.ended


def _told(error: HoopError) -> tuple[int, str]:
    """The status and code of an error's answer: its own where it has them."""
    if isinstance(error, Answerable):
        return error.status, error.code
    return next((told for kind, told in _STATUS.items() if isinstance(error, kind)), (400, "InvalidInput"))
