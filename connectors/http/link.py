"""One peer of an HTTP connection: plaintext to and from it, through TLS or not."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import SendData
from hoopcli.sansio.events import DataReceived, Event, Peer, PeerClosed
from hoopcli.sansio.layer import Steps, receive
from hoopcli.sansio.tls import TlsChannel

TLS = ssl.TLSVersion.MAXIMUM_SUPPORTED
_HANDSHAKE_RECORD = 0x16


class PeerGoneError(ProtocolError):
    """The peer closed its end; nothing can be told it any more."""

    def __init__(self, peer: Peer) -> None:
        super().__init__(f"the {peer.value} closed the connection")
        self.peer = peer


class Link:
    """Plaintext of one peer. ``buffer`` holds what has come and was not taken yet."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.buffer = bytearray()
        self._tls: TlsChannel | None = None

    @property
    def encrypted(self) -> bool:
        """Whether TLS is around the plaintext."""
        return self._tls is not None

    def send(self, buffers: Sequence[bytes]) -> SendData:
        """The command that sends these plaintext buffers."""
        if self._tls is None:
            return SendData(self.peer, buffers)
        return SendData(self.peer, [self._tls.encrypt(b"".join(buffers))])

    def took(self, data: bytes) -> None:
        """Buffer received bytes. Raises PeerGoneError if TLS says that no more will come."""
        if self._tls is None:
            self.buffer += data
            return
        self.buffer += self._tls.decrypt(data)
        if self._tls.closed and not self.buffer:
            raise PeerGoneError(self.peer)

    def secure(self, channel: TlsChannel, first: bytes = b"") -> Steps[None]:
        """Run the TLS handshake. Raises ProtocolError, PeerGoneError."""
        data = first
        while True:
            out = channel.handshake(data)
            if out:
                yield SendData(self.peer, [out])
            if channel.established:
                break
            data = data_of((yield from receive(frozenset({self.peer}))), self.peer)
        self._tls = channel
        self.took(b"")


def looks_like_tls(data: bytes) -> bool:
    """Whether a client begins with a TLS handshake."""
    return data[:1] == bytes([_HANDSHAKE_RECORD])


def data_of(event: Event, peer: Peer) -> bytes:
    """The bytes of an event that must be data of a peer."""
    match event:
        case DataReceived(peer=found, data=data) if found is peer:
            return data
        case PeerClosed(peer=gone):
            raise PeerGoneError(gone)
        case _:
            raise ProtocolError(f"the {peer.value} took too long")
