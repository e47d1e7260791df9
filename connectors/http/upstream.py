"""The broker as an HTTP client: one connection to the upstream, kept while it can be, and one answer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
#: Methods that change nothing ([RFC 9110] 9.2.1): only these are asked again where it is unknown what became of them.
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SWITCHING = 101


class Upstream:
    """The connection to the upstream.

    ``open`` tells whether it stands. It serves another request only after one that went and was answered to its end;
    in any other state the next answer on it could be that of the last request. ``server_name`` is what its certificate
    must name, where that is not the host.
    """

    def __init__(self, host: str, port: int, tls: TlsContexts | None, server_name: str = "") -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._server_name = server_name or host
        self.link = Link(Peer.UPSTREAM)
        self.open = False
        self._kept = False
        self._heard = False
        self._role = h11.Connection(h11.CLIENT)
        self._method = ""
        self._writer = BodyWriter(0)
        self._body: BodyReader | None = None
        self._interim = 0
        self._last = False

    @property
    def may_ask_again(self) -> bool:
        """Whether a request that broke off may go once more: it changes nothing, and a kept connection was silent."""
        return self._kept and not self._heard and self._method in _SAFE

    def ready(self) -> Steps[None]:
        """Connect unless connected. Raises UpstreamError, PeerGoneError."""
        self._kept = self.idle
        if self._kept:
            return
        yield from self.drop()
        yield from self._connect()
        self.open = True

    @property
    def idle(self) -> bool:
        """Whether it stands and no request is on it."""
        answered = self._body is not None and self._body.done and not self.link.buffer
        return self.open and answered and self._writer.done and not self._last

    def _connect(self) -> Steps[None]:
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
            channel = TlsChannel(self._tls(TLS), server_side=False, server_hostname=self._server_name)
            with _blamed():
                yield from self.link.secure(channel)
        if self.link.buffer:
            raise UpstreamError("the upstream answered before it was asked")

    def drop(self) -> Steps[None]:
        """Give the connection up, and whatever of an answer is still on it."""
        if self.open:
            self.open = False
            yield ClosePeer(Peer.UPSTREAM)

    def begin(self, request: Request) -> tuple[list[bytes], BodyWriter]:
        """A request's head as buffers, and the writer of its body."""
        self._role = h11.Connection(h11.CLIENT)
        self._method = request.method
        self._body, self._interim, self._heard = None, 0, False
        self._last = not keeps_alive(request.headers)
        head = write_head(request, self._role)
        chunked = is_chunked(request.headers)
        self._writer = BodyWriter(None if chunked else content_length(request.headers) or 0)
        return [head], self._writer

    def more(self) -> Steps[None]:
        """Wait for more of the answer. Raises PeerGoneError, UpstreamError.

        That the upstream left is told once, maybe to who waited for something else: then no more is waited for.
        """
        if not self.open:
            raise PeerGoneError(Peer.UPSTREAM)
        self.took((yield from receive(UPSTREAM)))

    def took(self, event: Event) -> None:
        """Take what came from the upstream. Raises PeerGoneError, UpstreamError."""
        match event:
            case DataReceived(peer=Peer.UPSTREAM, data=data):
                self._heard = True
                with _blamed():
                    self.link.took(data)
            case PeerClosed(peer=peer):
                if peer is Peer.UPSTREAM:
                    self.open = False
                raise PeerGoneError(peer)
            case _:
                raise ProtocolError("the upstream took too long")

    def answered(self, *, upgrading: bool = False) -> Response | None:
        """The head of the final answer, once it is there; interim ones are dropped. Raises UpstreamError."""
        with _blamed():
            while (raw := take_head(self.link.buffer)) is not None:
                response = read_response(raw, self._role)
                if response.status == _SWITCHING and upgrading:
                    return response
                if response.status >= 200:
                    self._last = self._last or not keeps_alive(response.headers)
                    self._body = reader_of_response(self._method, response.status, response.headers)
                    return response
                self._interim += 1
                if response.status == _SWITCHING or self._interim > _MOST_INTERIM:
                    raise ProtocolError("it sent interim answers that nobody asked for")
        return None

    def chunk(self) -> Steps[bytes | None]:
        """The next piece of the answer's body, None at its end. Raises PeerGoneError, UpstreamError.

        What follows the end is nobody's answer: the connection is not used again.
        """
        assert self._body is not None
        while not self._body.done:
            if self.link.buffer:
                with _blamed():
                    data = self._body.take(self.link.buffer)
                if data:
                    return data
            if not self._body.done:
                yield from self.more()
        if not self.idle:
            yield from self.drop()
        return None


@contextmanager
def _blamed() -> Iterator[None]:
    """What breaks the protocol here is the upstream's doing, not the client's."""
    try:
        yield
    except PeerGoneError:
        raise
    except ProtocolError as error:
        raise UpstreamError(f"the upstream's answer cannot be used: {error.message}", error.hint) from error
