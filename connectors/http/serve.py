"""The layer of a connector whose clients speak HTTP/1.1: one request after the other, handled by an application."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import h11

from connectors.http.exchange import Exchange, RefusedError
from connectors.http.head import keeps_alive, read_request, reason, take_head
from connectors.http.link import TLS, Link, PeerGoneError, looks_like_tls
from connectors.http.message import Headers, Request
from connectors.http.upstream import Upstream
from hoopcli.errors import DeniedError, HoopError, NotSignedInError, ProtocolError, UpstreamError
from hoopcli.sansio.commands import ClosePeer, SetTimer
from hoopcli.sansio.events import DataReceived, Peer, PeerClosed, Wakeup
from hoopcli.sansio.layer import BOTH, CLIENT, Layer, Steps, receive
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
    """Handle one client connection until a peer leaves, or something is not as it must be.

    A client that breaks the protocol is answered; then the error is raised, so that the session records it.
    """
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
            yield from _handle(application, exchange)
            if exchange.last or not exchange.ended:
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
    """The head of the next request; None where the connection is over. Raises ProtocolError once it was answered."""
    try:
        raw = yield from _head(client, upstream)
        return None if raw is None else read_request(raw, role)
    except PeerGoneError:
        raise
    except ProtocolError as error:
        yield from _refuse_head(client, application, error)
        raise


def _head(client: Link, upstream: Upstream) -> Steps[bytes | None]:
    """The bytes of the next head; None where no more comes. The time for it runs from its first byte."""
    started = False
    yield SetTimer(IDLE_SECONDS)
    while (raw := take_head(client.buffer)) is None:
        if client.buffer and not started:
            started = True
            yield SetTimer(HEAD_SECONDS)
        match (yield from receive(BOTH if upstream.open else CLIENT)):
            case DataReceived(peer=Peer.CLIENT, data=data):
                client.took(data)
            case DataReceived():
                yield from upstream.drop()  # nobody asked it anything
            case PeerClosed(peer=Peer.UPSTREAM):
                upstream.open = False
            case Wakeup() if started:
                raise RefusedError(408, "RequestTimeout", "the request took too long")
            case _:
                return None
    yield SetTimer(None)
    return raw


def _refuse_head(client: Link, application: Application, error: ProtocolError) -> Steps[None]:
    """Answer what was no request, by hand: there is nothing for h11 to answer."""
    status, code = _told(error)
    headers, body = application.refusal(status, code, f"hoop: {error.message}", error.hint, None)
    headers = headers.with_("Content-Length", str(len(body))).with_("Connection", "close")
    lines = [f"HTTP/1.1 {status} {reason(status)}", *(f"{name}: {value}" for name, value in headers)]
    yield client.send(["\r\n".join([*lines, "", ""]).encode("latin-1"), body])
    yield ClosePeer(Peer.CLIENT)


def _handle(application: Application, exchange: Exchange) -> Steps[None]:
    """Handle one request. Whatever goes wrong before an answer was begun becomes one."""
    try:
        exchange.check_turn()
        yield from application.handle(exchange)
        exchange.check_turn()
    except PeerGoneError as gone:
        if gone.peer is Peer.CLIENT or exchange.begun:
            raise
        yield from _refuse(application, exchange, UpstreamError("the upstream broke off its answer", "try again"))
    except HoopError as error:
        cut = exchange.begun or isinstance(error, ProtocolError)
        exchange.last = exchange.last or cut
        yield from _refuse(application, exchange, error)
        if cut:
            yield ClosePeer(Peer.CLIENT)
            raise
    except Exception:
        yield from _refuse(application, exchange, RefusedError(500, "InternalError", "the request cannot be handled"))
        raise


def _refuse(application: Application, exchange: Exchange, error: HoopError) -> Steps[None]:
    """Answer with an error, if no answer was begun; one that was stays cut short."""
    if not exchange.upstream.idle:
        yield from exchange.upstream.drop()
    if exchange.begun:
        return
    status, code = _told(error)
    headers, body = application.refusal(status, code, f"hoop: {error.message}", error.hint, exchange.request)
    yield from exchange.respond(status, headers, body)


def _told(error: HoopError) -> tuple[int, str]:
    """The status and code of an error's answer: its own where it has them."""
    if isinstance(error, Answerable):
        return error.status, error.code
    return next((told for kind, told in _STATUS.items() if isinstance(error, kind)), (400, "InvalidInput"))
