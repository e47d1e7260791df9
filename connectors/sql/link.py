"""One peer of a TDS connection: its TLS, if any, around its packets.

TLS comes in three shapes ([MS-TDS] 3.2.5.1, 3.3.5.1): none; wrapped, where the handshake travels inside PRELOGIN
packets and the records follow bare; and strict (TDS 8.0), where TLS comes first.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence

from connectors.sql.tds.packet import Message, MessageReader, PacketType, packetize
from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import Buffer, SendData
from hoopcli.sansio.events import DataReceived, Event, Peer, PeerClosed, Wakeup
from hoopcli.sansio.layer import Steps, receive
from hoopcli.sansio.tls import TlsChannel

#: Servers differ in the type of the packets that carry their side of the handshake.
_HANDSHAKE_TYPES = {
    Peer.CLIENT: {PacketType.PRELOGIN},
    Peer.UPSTREAM: {PacketType.PRELOGIN, PacketType.TABULAR_RESULT},
}


#: TLS 1.3 ends its handshake in messages that the wrapping in PRELOGIN packets has no place for.
WRAPPED_TLS = ssl.TLSVersion.TLSv1_2
STRICT_TLS = ssl.TLSVersion.MAXIMUM_SUPPORTED


class PeerGoneError(ProtocolError):
    """The peer closed its end; nothing can be told it any more."""

    def __init__(self, peer: Peer, when: str = "") -> None:
        super().__init__(f"the {peer.value} closed the connection{when}")
        self.peer = peer


class Link:
    """Packets to and from one peer, through TLS or not."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.tls: TlsChannel | None = None

    def send(self, buffers: Sequence[Buffer]) -> SendData:
        """The command that sends these plaintext buffers."""
        if self.tls is None:
            return SendData(self.peer, buffers)
        plain = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        return SendData(self.peer, [self.tls.encrypt(plain)])

    def opened(self, data: bytes) -> bytes:
        """The plaintext of received bytes, as far as it is complete."""
        return data if self.tls is None else self.tls.decrypt(data)

    def receive(self) -> Steps[bytes]:
        """Wait for bytes of this peer alone. Raises PeerGoneError if either goes, ProtocolError if the time is up."""
        event = yield from receive(frozenset({self.peer}))
        return expect_data(event)

    def message(self, reader: MessageReader, first: bytes = b"") -> Steps[Message]:
        """Wait for one whole message."""
        data = first
        while True:
            for message in reader.feed(data):
                if not isinstance(message, Message):
                    raise ProtocolError("a streamed message came where a whole one was expected")
                return message
            data = self.opened((yield from self.receive()))

    def handshake(self, channel: TlsChannel, first: bytes = b"") -> Steps[bytes]:
        """Run TLS bare on the wire (strict). Returns the ciphertext that followed the handshake, not yet decrypted."""
        data = first
        while True:
            out = channel.handshake(data)
            if out:
                yield SendData(self.peer, [out])
            if channel.established:
                self.tls = channel
                return b""
            data = yield from self.receive()

    def wrapped_handshake(self, channel: TlsChannel, reader: MessageReader, first: bytes = b"") -> Steps[bytes]:
        """Run TLS inside PRELOGIN packets. Returns the bytes that followed: TLS records without packets around."""
        data = first
        pending: Iterable[Buffer] = [channel.handshake()]
        while True:
            out = b"".join(pending)
            if out:
                yield SendData(self.peer, packetize(PacketType.PRELOGIN, [out]))
            if channel.established:
                self.tls = channel
                return reader.rest()
            message = yield from self.message(reader, data)
            data = b""
            if message.type not in _HANDSHAKE_TYPES[self.peer]:
                raise ProtocolError("the TLS handshake was interrupted by another message")
            pending = [channel.handshake(message.payload)]


def expect_data(event: Event) -> bytes:
    """The bytes of an event that must be data."""
    match event:
        case DataReceived(data=data):
            return data
        case PeerClosed(peer=peer):
            raise PeerGoneError(peer)
        case Wakeup():
            raise ProtocolError("the login took too long")
        case _:
            raise ProtocolError(f"unexpected {type(event).__name__} during login")
