"""One request and its answer, as a connector sees them: every step is a generator to be used with ``yield from``."""

from __future__ import annotations

from collections.abc import Callable

import h11

from connectors.http.framing import BodyReader, BodyWriter, reader_of_request
from connectors.http.head import content_length, end_to_end, is_chunked, reason, write_head
from connectors.http.link import Link, PeerGoneError
from connectors.http.message import Headers, Request, Response
from connectors.http.upstream import Upstream
from hoopcli.errors import NotSignedInError, ProtocolError, UpstreamError
from hoopcli.model.decision import Statement
from hoopcli.sansio.commands import Authorize, Await, CancelAuthorize, Drain, GetCredential, SendData, SetTimer
from hoopcli.sansio.events import (
    Credential,
    CredentialGranted,
    CredentialRefused,
    DataReceived,
    Deny,
    Drained,
    Event,
    Noticed,
    Peer,
    PeerClosed,
    Permit,
)
from hoopcli.sansio.layer import BOTH, CLIENT, NOBODY, UPSTREAM, Steps, receive
from hoopcli.sansio.notice import Notice
from hoopcli.sansio.spool import SpoolFile

_PIECE = 1 << 18
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_DRAINED = 64 << 20
_DRAIN_SECONDS = 10.0
_AHEAD = 256 << 10
_NO_BODY = frozenset({204, 304})
_WITH_BODY = frozenset({"PATCH", "POST", "PUT"})


class RefusedError(ProtocolError):
    """A request that is answered with an error of its own ``status`` and ``code``."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code


class Exchange:
    """A request from a client, and what may be done about it.

    ``last`` says that the connection ends with it; ``begun`` that an answer was begun, ``ended`` that it is complete.
    """

    def __init__(self, request: Request, role: h11.Connection, client: Link, upstream: Upstream) -> None:
        self.request = request
        self.last = False
        self.begun = False
        self.ended = False
        self.upstream = upstream
        self.client = client
        self._role = role
        self._permitted = False
        self._broken = False
        self._body: BodyReader = reader_of_request(request.headers, role)
        self._continue = "expect" in request.headers
        self._writer = BodyWriter(0)

    # -- the request

    def check_turn(self) -> None:
        """Raises RefusedError if something follows the request: requests are answered one at a time."""
        if self._body.done and self.client.buffer:
            raise RefusedError(400, "InvalidInput", "the client sent more before its request was answered")

    def chunk(self) -> Steps[bytes | None]:
        """The next piece of the request's body, None at its end. Raises PeerGoneError, ProtocolError."""
        while not self._body.done:
            if self.client.buffer:
                if data := self._taken():
                    return data
                continue
            if self._continue:
                self._continue = False
                yield self.client.send([_CONTINUE])
            match (yield from receive(CLIENT)):
                case DataReceived(data=data):
                    self.client.took(data)
                case PeerClosed(peer=Peer.CLIENT):
                    raise PeerGoneError(Peer.CLIENT)
                case PeerClosed():
                    self.upstream.open = False
                case _:
                    raise RefusedError(408, "RequestTimeout", "the request took too long")
        return None

    def _taken(self) -> bytes:
        try:
            return self._body.take(self.client.buffer)
        except ProtocolError:
            self._broken = True
            raise

    def read(self, limit: int) -> Steps[bytes]:
        """The whole body. Raises RefusedError above a limit of bytes."""
        pieces: list[bytes] = []
        size = 0
        while (data := (yield from self.chunk())) is not None:
            size += len(data)
            if size > limit:
                raise RefusedError(413, "RequestBodyTooLarge", f"the request's body is longer than {limit:,} bytes")
            pieces.append(data)
        return b"".join(pieces)

    # -- what is asked of the broker

    def authorize(self, statement: Statement) -> Steps[Permit | Deny]:
        """Ask whether the statement may run. A client that hangs up while that is open withdraws the question."""
        yield Authorize(statement)
        try:
            reply = yield from self._reply(Permit, Deny)
        except ProtocolError:
            yield CancelAuthorize()
            raise
        if isinstance(reply, Deny):
            return reply
        assert isinstance(reply, Permit)
        self._permitted = True
        return reply

    def credential(self, resource: str = "", *, fresh: bool = False) -> Steps[Credential]:
        """The broker's own credential. Raises NotSignedInError."""
        yield GetCredential(resource, fresh)
        reply = yield from self._reply(CredentialGranted, CredentialRefused)
        if isinstance(reply, CredentialRefused):
            raise NotSignedInError(reply.message, reply.hint)
        assert isinstance(reply, CredentialGranted)
        return reply.credential

    def noticed(self, notice: Notice) -> Steps[None]:
        """Wait until another exchange gives this notice."""
        yield Await(notice)
        yield from self._reply(Noticed)

    def drained(self) -> Steps[None]:
        """Wait until the client has taken what it was sent: for answers that do not come from the upstream."""
        yield Drain(Peer.CLIENT)
        yield from self._reply(Drained)

    def rest(self) -> Steps[None]:
        """Let other connections have their turn amid long work."""
        notice = Notice()
        yield Await(notice)
        notice.give()
        yield from self._reply(Noticed)

    def _reply(self, *kinds: type[Event]) -> Steps[Event]:
        """Wait for a reply, hearing both peers. Raises PeerGoneError, RefusedError for a request out of turn.

        Some of the body is taken meanwhile: behind unread bytes nobody would hear the client hang up.
        """
        while True:
            wanted = CLIENT if len(self.client.buffer) < _AHEAD else NOBODY
            match (yield from receive(wanted | UPSTREAM if self.upstream.idle else wanted)):
                case DataReceived(peer=Peer.CLIENT, data=data):
                    self.client.took(data)
                    self.check_turn()
                case DataReceived():
                    yield from self.upstream.drop()  # nobody asked it anything
                case PeerClosed(peer=Peer.CLIENT):
                    raise PeerGoneError(Peer.CLIENT)
                case PeerClosed():
                    self.upstream.open = False
                case event if isinstance(event, kinds):
                    return event

    # -- upstream

    def forward(
        self, request: Request, body: bytes | SpoolFile | None = None, tap: Callable[[bytes], object] | None = None
    ) -> Steps[Response]:
        """Send a request upstream; the head of its final answer. Without a body, the client's is streamed through.

        ``tap`` sees every piece of a body that is streamed. A spooled body is complete.

        Only a permitted exchange forwards. A connection kept from before that breaks at once is replaced, once,
        if nothing of the client's body went with it. Raises UpstreamError, PeerGoneError, ProtocolError.
        """
        if not self._permitted:
            raise AssertionError("a request was to be forwarded before it was permitted")
        streams = body is None and not self._body.done
        request = self._framed(request, body, streams=streams)
        while True:
            yield from self.upstream.ready()
            try:
                return (yield from self._ask(request, body, tap, streams=streams))
            except PeerGoneError as gone:
                if gone.peer is Peer.CLIENT:
                    raise
                if streams or not self.upstream.may_ask_again:
                    raise UpstreamError("the upstream closed the connection without an answer", "try again") from None

    def _framed(self, request: Request, body: bytes | SpoolFile | None, *, streams: bool) -> Request:
        """The request with the framing of the body that goes with it, and nothing about the client's connection."""
        headers = end_to_end(request.headers).without("content-length", "expect")
        if streams and is_chunked(self.request.headers):
            headers = headers.with_("Transfer-Encoding", "chunked")
        elif streams:
            headers = headers.with_("Content-Length", str(content_length(self.request.headers)))
        elif body is not None or "content-length" in request.headers or request.method in _WITH_BODY:
            size = len(body or b"") if isinstance(body, bytes | None) else body.size
            headers = headers.with_("Content-Length", str(size))
        return Request(request.method, request.target, headers)

    def _ask(
        self, request: Request, body: bytes | SpoolFile | None, tap: Callable[[bytes], object] | None, *, streams: bool
    ) -> Steps[Response]:
        buffers, writer = self.upstream.begin(request)
        if isinstance(body, bytes):
            buffers += writer.frame(body)
        if not streams and isinstance(body, bytes | None):
            buffers += writer.end()
        yield self.upstream.link.send(buffers)
        if not isinstance(body, bytes | None):
            yield from self._replay(writer, body)
        if streams:
            early = yield from self._stream(writer, tap)
            if early is not None:
                return early
        while (response := self.upstream.answered()) is None:
            yield from self.upstream.more()
        return response

    def _replay(self, writer: BodyWriter, body: SpoolFile) -> Steps[None]:
        """Send a spooled body, piece by piece as the upstream takes it."""
        for offset in range(0, body.size, _PIECE):
            yield self.upstream.link.send(writer.frame(body.read(offset, _PIECE)))
            yield Drain(Peer.UPSTREAM)
            yield from self._reply(Drained)
        writer.end()

    def _stream(self, writer: BodyWriter, tap: Callable[[bytes], object] | None) -> Steps[Response | None]:
        """Pass the client's body on; an answer that comes before its end makes this the last exchange."""
        if self._continue:
            self._continue = False
            yield self.client.send([_CONTINUE])
        while not self._body.done:
            if self.client.buffer:
                data = self._taken()
                if tap is not None:
                    tap(data)
                yield self.upstream.link.send(writer.frame(data))
                continue
            match (yield from receive(BOTH)):
                case DataReceived(peer=Peer.CLIENT, data=data):
                    self.client.took(data)
                case event:
                    self.upstream.took(event)
                    if (response := self.upstream.answered()) is not None:
                        self.last = True
                        return response
        buffers = writer.end()
        if buffers:
            yield self.upstream.link.send(buffers)
        return None

    def upstream_chunk(self) -> Steps[bytes | None]:
        """The next piece of the upstream's answer, None at its end."""
        return (yield from self.upstream.chunk())

    def upstream_read(self, limit: int) -> Steps[bytes]:
        """The whole of the upstream's answer. Raises UpstreamError above a limit of bytes."""
        pieces: list[bytes] = []
        size = 0
        while (data := (yield from self.upstream_chunk())) is not None:
            size += len(data)
            if size > limit:
                raise UpstreamError(f"the upstream's answer is longer than {limit:,} bytes")
            pieces.append(data)
        return b"".join(pieces)

    # -- the answer

    def begin(self, response: Response) -> Steps[None]:
        """Begin an answer. Its length is what the head says; without one it goes in chunks."""
        self.last = self.last or not self._body.done  # nobody reads the rest of the request
        headers = end_to_end(response.headers)
        if self.last:
            headers = headers.with_("Connection", "close")
        self.begun = True
        bodiless = self.request.method == "HEAD" or response.status in _NO_BODY
        self._writer = BodyWriter(content_length(headers), bodiless=bodiless)
        head = Response(response.status, response.reason or reason(response.status), headers)
        yield self.client.send([write_head(head, self._role)])

    def send(self, data: bytes) -> Steps[None]:
        """Send a piece of the answer's body."""
        if buffers := self._writer.frame(data):
            yield self.client.send(buffers)

    def end(self) -> Steps[None]:
        """End the answer."""
        if buffers := self._writer.end():
            yield self.client.send(buffers)
        self.ended = True
        if not self._body.done:
            yield from self._drain()

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> Steps[None]:
        """Answer with a body that is at hand."""
        if status not in _NO_BODY:
            headers = headers.with_("Content-Length", str(len(body)))
        yield from self.begin(Response(status, "", headers))
        yield from self.send(body)
        yield from self.end()

    def _drain(self) -> Steps[None]:
        """Take some of what the client still sends, so that it comes to read its answer before the connection ends."""
        left = 0 if self._continue or self._broken else _DRAINED
        yield SetTimer(_DRAIN_SECONDS)
        try:
            while left > 0 and (data := (yield from self.chunk())) is not None:
                left -= len(data)
        except RefusedError:
            return
        yield SetTimer(None)

    # -- an upgraded connection

    def upgrade(self, request: Request) -> Steps[Response]:
        """Forward a request for another protocol. After a 101 use ``switch`` and ``duplex``."""
        if not self._permitted:
            raise AssertionError("an upgrade was to be forwarded before it was permitted")
        if not self._body.done:
            raise RefusedError(400, "InvalidInput", "a request that upgrades has no body")
        yield from self.upstream.drop()
        yield from self.upstream.ready()
        buffers, _ = self.upstream.begin(request)
        yield self.upstream.link.send(buffers)
        while (response := self.upstream.answered(upgrading=True)) is None:
            yield from self.upstream.more()
        return response

    def switch(self, response: Response) -> Steps[None]:
        """Tell the client of the new protocol; the connection ends with it."""
        self.begun = self.ended = self.last = True
        yield self.client.send([write_head(response, self._role)])

    def duplex(self, peers: frozenset[Peer] = BOTH) -> Steps[tuple[Peer, bytes] | None]:
        """The next bytes of either peer after a switch; None on a timer. Raises PeerGoneError."""
        for link in (self.client, self.upstream.link):
            if link.buffer and link.peer in peers:
                data = bytes(link.buffer)
                link.buffer.clear()
                return link.peer, data
        match (yield from receive(peers)):
            case DataReceived(peer=peer, data=data):
                link = self.client if peer is Peer.CLIENT else self.upstream.link
                link.took(data)
                taken = bytes(link.buffer)
                link.buffer.clear()
                return peer, taken
            case PeerClosed(peer=peer):
                raise PeerGoneError(peer)
            case _:
                return None

    def raw(self, peer: Peer, data: bytes) -> SendData:
        """The command that sends bytes after a switch."""
        return (self.client if peer is Peer.CLIENT else self.upstream.link).send([data])
