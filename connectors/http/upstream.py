"""The broker as an HTTP client: one connection to the upstream, kept while it can be, and one answer at a time."""

from __future__ import annotations

import h11

from connectors.http.framing import BodyReader, BodyWriter, reader_of_response
from connectors.http.head import content_length, is_chunked, keeps_alive, read_response, take_head, write_head
from connectors.http.link import TLS, Link, PeerGoneError
from connectors.http.message import Request, Response
from hoopcli.errors import ProtocolError, UpstreamError
from hoopcli.sansio.commands import ClosePeer, OpenUpstream
from hoopcli.sansio.events import DataReceived, Event, Peer, PeerClosed, UpstreamFailed, UpstreamOpened
from hoopcli.sansio.layer import NOBODY, UPSTREAM, Steps, receive
from hoopcli.sansio.tls import TlsChannel
from hoopcli.spi import TlsContexts

_MOST_INTERIM = 20
_SWITCHING = 101


class Upstream:
    """The connection to the upstream. ``open`` tells whether it can be used for a request."""

    def __init__(self, host: str, port: int, tls: TlsContexts | None) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self.link = Link(Peer.UPSTREAM)
        self.open = False
        self.used = False
        self._role = h11.Connection(h11.CLIENT)
        self._method = ""
        self._body: BodyReader | None = None
        self._interim = 0
        self._last = False

    def ready(self) -> Steps[None]:
        """Connect unless connected. Raises UpstreamError, ProtocolError."""
        if self.open and not self.link.buffer:
            self.used = True
            return
        yield OpenUpstream(self._host, self._port)
        match (yield from receive(NOBODY)):
            case UpstreamOpened():
                pass
            case UpstreamFailed(message=message):
                raise UpstreamError(message, "check the connection with: hoop connections show NAME")
            case PeerClosed(peer=peer):
                raise PeerGoneError(peer)
            case event:
                raise ProtocolError(f"unexpected {type(event).__name__} while connecting")
        self.link = Link(Peer.UPSTREAM)
        if self._tls is not None:
            channel = TlsChannel(self._tls(TLS), server_side=False, server_hostname=self._host)
            yield from self.link.secure(channel)
        self.open, self.used = True, False

    def drop(self) -> Steps[None]:
        """Give the connection up, and whatever of an answer is still on it."""
        if self.open:
            self.open = False
            yield ClosePeer(Peer.UPSTREAM)

    def begin(self, request: Request) -> tuple[list[bytes], BodyWriter]:
        """A request's head as buffers, and the writer of its body."""
        self._role = h11.Connection(h11.CLIENT)
        self._method = request.method
        self._body, self._interim = None, 0
        self._last = not keeps_alive(request.headers)
        head = write_head(request, self._role)
        chunked = is_chunked(request.headers)
        return [head], BodyWriter(None if chunked else content_length(request.headers) or 0)

    def took(self, event: Event) -> None:
        """Take what came from the upstream. Raises PeerGoneError."""
        match event:
            case DataReceived(peer=Peer.UPSTREAM, data=data):
                self.link.took(data)
            case PeerClosed(peer=peer):
                if peer is Peer.UPSTREAM:
                    self.open = False
                raise PeerGoneError(peer)
            case _:
                raise ProtocolError("the upstream took too long")

    def answered(self, *, upgrading: bool = False) -> Response | None:
        """The head of the final answer, once it is there; interim ones are dropped. Raises ProtocolError."""
        while (raw := take_head(self.link.buffer)) is not None:
            response = read_response(raw, self._role)
            if response.status == _SWITCHING and upgrading:
                return response
            if response.status >= 200:
                self._last = self._last or not keeps_alive(response.headers)
                self._body = reader_of_response(self._method, response.status, response.headers, self._role)
                return response
            self._interim += 1
            if response.status == _SWITCHING or self._interim > _MOST_INTERIM:
                raise ProtocolError("the upstream sent interim answers that nobody asked for")
        return None

    def chunk(self) -> Steps[bytes | None]:
        """The next piece of the answer's body, None at its end."""
        assert self._body is not None
        while not self._body.done:
            if not self.link.buffer:
                self.took((yield from receive(UPSTREAM)))
            elif data := self._body.take(self.link.buffer):
                return data
        yield from self._finish()
        return None

    def _finish(self) -> Steps[None]:
        if self.link.buffer:
            yield from self.drop()
            raise ProtocolError("the upstream sent more than its answer")
        if self._last:
            yield from self.drop()
