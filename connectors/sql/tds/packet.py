"""TDS packets ([MS-TDS] 2.2.3): an eight-byte header and a payload; a message is one or more packets.

``MessageReader`` reassembles what a client sends, strictly; ``PayloadStream`` passes a server's answer through without
reassembly; ``PacketWriter`` cuts a payload into packets in either role.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import Buffer

HEADER_SIZE = 8
DEFAULT_PACKET_SIZE = 4096  # until the login response says otherwise
MIN_PACKET_SIZE = 512
MAX_PACKET_SIZE = 32767
MESSAGE_LIMIT = 64 * 1024 * 1024

_HEADER = struct.Struct(">BBHHBB")


class PacketType(IntEnum):
    """What a message is ([MS-TDS] 2.2.3.1.1)."""

    SQL_BATCH = 0x01
    RPC = 0x03
    TABULAR_RESULT = 0x04
    ATTENTION = 0x06
    BULK_LOAD = 0x07
    FEDAUTH_TOKEN = 0x08
    TRANSACTION_MANAGER = 0x0E
    LOGIN7 = 0x10
    SSPI = 0x11
    PRELOGIN = 0x12


class Status(IntFlag):
    """The status bits of a packet ([MS-TDS] 2.2.3.1.2)."""

    NORMAL = 0x00
    EOM = 0x01
    IGNORE = 0x02
    RESET_CONNECTION = 0x08
    RESET_CONNECTION_SKIP_TRAN = 0x10


_RESETS = Status.RESET_CONNECTION | Status.RESET_CONNECTION_SKIP_TRAN
_KNOWN_STATUS = int(Status.EOM | Status.IGNORE | _RESETS)
_KNOWN_TYPES = {int(kind): kind for kind in PacketType}


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message. ``status`` holds the reset bits of its first packet.

    The sender gave up a message midway when ``ignored``: its payload is then empty, and the only answer it waits for
    is a DONE ([MS-TDS] 2.2.1.7).
    """

    type: PacketType
    status: Status
    payload: bytes
    ignored: bool = False


@dataclass(frozen=True, slots=True)
class Fragment:
    """The payload of one packet of a streamed message; ``last`` ends the message, ``ignored`` says that it is void."""

    type: PacketType
    status: Status
    payload: bytes
    last: bool
    ignored: bool = False


class MessageReader:
    """Reassembles messages from bytes cut anywhere.

    Messages longer than ``limit`` bytes of payload are refused, but for the types in ``streamed``, whose packets come
    as fragments. ``packet_size`` is the negotiated size, to be set when it changes. A packet that raised ProtocolError
    is never consumed: feeding on raises again.
    """

    def __init__(
        self,
        limit: int = MESSAGE_LIMIT,
        packet_size: int = DEFAULT_PACKET_SIZE,
        streamed: frozenset[PacketType] = frozenset(),
    ) -> None:
        self.packet_size = packet_size
        self._limit = limit
        self._streamed = streamed
        self._buffer = bytearray()
        self._type: PacketType | None = None
        self._status = Status.NORMAL
        self._payload = bytearray()

    def feed(self, data: bytes) -> Iterator[Message | Fragment]:
        """Take bytes; iterate what they complete. Each is decoded when it is asked for, so that ``rest`` is exact.

        Raises ProtocolError, while iterating, at the first packet that the protocol does not allow.
        """
        self._buffer += data
        return self._decode()

    def rest(self) -> bytes:
        """Take back the bytes not decoded yet: what follows the last message may be TLS, no longer packets."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    @property
    def idle(self) -> bool:
        """Whether the reader stands between two messages with nothing buffered."""
        return self._type is None and not self._buffer

    def _decode(self) -> Iterator[Message | Fragment]:
        while len(self._buffer) >= HEADER_SIZE:
            kind, bits, length, _spid, _packet_id, _window = _HEADER.unpack_from(self._buffer)
            self._check(kind, bits, length)
            if len(self._buffer) < length:
                return
            payload = bytes(memoryview(self._buffer)[HEADER_SIZE:length])
            del self._buffer[:length]
            event = self._accept(_KNOWN_TYPES[kind], Status(bits), payload)
            if event is not None:
                yield event

    def _check(self, kind: int, bits: int, length: int) -> None:
        if kind not in _KNOWN_TYPES:
            raise ProtocolError(f"not a TDS packet: its type is 0x{kind:02x}", "connect with a SQL Server client")
        if self._type is not None and kind != self._type:
            raise ProtocolError(f"the packet type changed from 0x{self._type:02x} to 0x{kind:02x} inside a message")
        if bits & ~_KNOWN_STATUS or Status(bits) & _RESETS == _RESETS:
            raise ProtocolError(f"a packet has the status 0x{bits:02x}, which TDS does not define")
        if bits & Status.IGNORE and not bits & Status.EOM:
            raise ProtocolError("a packet is marked to be ignored but does not end its message")
        if length < HEADER_SIZE:
            raise ProtocolError(f"a packet says it is {length} bytes long, shorter than its header")
        if length > self.packet_size:
            raise ProtocolError(f"a packet is {length} bytes long; {self.packet_size} were agreed")
        if kind not in self._streamed and len(self._payload) + length - HEADER_SIZE > self._limit:
            raise ProtocolError(f"a message is longer than {self._limit} bytes", "send the statement in smaller parts")

    def _accept(self, kind: PacketType, status: Status, payload: bytes) -> Message | Fragment | None:
        if self._type is None:
            self._type, self._status = kind, status & _RESETS
        last, ignored = bool(status & Status.EOM), bool(status & Status.IGNORE)
        if last:
            self._type = None
        if kind in self._streamed:
            return Fragment(kind, self._status, b"" if ignored else payload, last, ignored)
        self._payload += payload
        return self._complete(kind, ignored) if last else None

    def _complete(self, kind: PacketType, ignored: bool) -> Message:
        payload = b"" if ignored else bytes(self._payload)
        self._payload.clear()
        return Message(kind, self._status, payload, ignored)


class PayloadStream:
    """Takes the packets of a server's answer apart as they come, without waiting for whole packets.

    Built for speed: a few operations a packet, and no copy of the payload.
    """

    def __init__(self, packet_type: PacketType = PacketType.TABULAR_RESULT) -> None:
        self._type = int(packet_type)
        self._header = b""
        self._left = 0
        self._last = False

    @property
    def idle(self) -> bool:
        """Whether the stream stands between two packets."""
        return not self._header and not self._left

    def feed(self, data: bytes) -> list[tuple[memoryview, bool]]:
        """Take bytes and return ``(payload, eom)`` pieces; ``eom`` marks the piece that ends its message.

        The pieces are views of ``data``. Raises ProtocolError on a packet of another type or shorter than its header.
        """
        if self._header:
            data, self._header = self._header + data, b""
        view, pieces, position, end = memoryview(data), [], 0, len(data)
        while True:
            taken = min(self._left, end - position)
            self._left -= taken
            done = self._last and not self._left
            if taken or done:
                pieces.append((view[position : position + taken], done))
                position += taken
                self._last = self._last and not done
            if self._left:
                return pieces
            if end - position < HEADER_SIZE:
                self._header = data[position:]
                return pieces
            self._open(data, position)
            position += HEADER_SIZE

    def _open(self, data: bytes, position: int) -> None:
        kind, bits, length, _spid, _packet_id, _window = _HEADER.unpack_from(data, position)
        if kind != self._type or length < HEADER_SIZE:
            raise ProtocolError(f"the server sent a packet of type 0x{kind:02x} and length {length}")
        self._left = length - HEADER_SIZE
        self._last = bool(bits & Status.EOM)


class PacketWriter:
    """Cuts the payload of one message into packets of ``packet_size`` bytes.

    ``status`` (the reset bits) goes on the first packet; ``finish`` sends the one with the EOM bit. Each call returns
    at most one large buffer, so that TLS and the socket see few writes.
    """

    def __init__(
        self,
        packet_type: PacketType,
        packet_size: int = DEFAULT_PACKET_SIZE,
        status: Status = Status.NORMAL,
        first_packet_id: int = 1,
        spid: int = 0,
    ) -> None:
        if not MIN_PACKET_SIZE <= packet_size <= MAX_PACKET_SIZE:
            raise ValueError(f"a packet size of {packet_size} is outside {MIN_PACKET_SIZE}..{MAX_PACKET_SIZE}")
        self._type = int(packet_type)
        self._room = packet_size - HEADER_SIZE
        self._status = int(status)
        self._packet_id = first_packet_id
        self._spid = spid
        self._pending: list[Buffer] = []
        self._size = 0

    def write(self, *pieces: Buffer) -> list[bytes]:
        """Take payload; return the packets it fills. The last bytes are held back: they may be the message's last."""
        self._pending += pieces
        self._size += sum(map(len, pieces))
        if self._size <= self._room:
            return []
        payload = memoryview(self._pending[0] if len(self._pending) == 1 else b"".join(self._pending))
        cut = (self._size - 1) // self._room * self._room
        parts: list[Buffer] = []
        for start in range(0, cut, self._room):
            parts += (self._next_header(self._room), payload[start : start + self._room])
        self._pending, self._size = [bytes(payload[cut:])], self._size - cut
        return [b"".join(parts)]

    def flush(self) -> list[bytes]:
        """Return what is held back as a short packet that does not end the message."""
        return [self._take(Status.NORMAL)] if self._size else []

    def finish(self) -> list[bytes]:
        """Return the last packet of the message, empty if nothing is left."""
        return [self._take(Status.EOM)]

    def _take(self, status: Status) -> bytes:
        packet = b"".join((self._next_header(self._size, status), *self._pending))
        self._pending, self._size = [], 0
        return packet

    def _next_header(self, size: int, status: Status = Status.NORMAL) -> bytes:
        bits, self._status = self._status | status, 0
        packet_id, self._packet_id = self._packet_id, (self._packet_id + 1) % 256
        return _HEADER.pack(self._type, bits, size + HEADER_SIZE, self._spid, packet_id, 0)


def packetize(
    packet_type: PacketType,
    payload: Iterable[Buffer],
    packet_size: int = DEFAULT_PACKET_SIZE,
    status: Status = Status.NORMAL,
    first_packet_id: int = 1,
) -> list[bytes]:
    """Cut a whole payload into the packets of one message."""
    writer = PacketWriter(packet_type, packet_size, status, first_packet_id)
    return [*writer.write(*payload), *writer.finish()]
