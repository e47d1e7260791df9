"""The fastest honest client: a blocking socket that logs in by hand and reads answers without decoding them."""

from __future__ import annotations

import socket
import struct
import time

from bench.stage import Endpoint
from connectors.sql.tds.login import Login7, encode_login7
from connectors.sql.tds.packet import PacketType, packetize
from connectors.sql.tds.prelogin import Encryption, Prelogin, encode_prelogin
from connectors.sql.tds.request import SqlBatch, encode_request

_HEADER = struct.Struct(">BBH")


class WireClient:
    """One unencrypted connection that drains what it is sent."""

    def __init__(self, endpoint: Endpoint, packet_size: int = 4096) -> None:
        self._socket = socket.create_connection(("127.0.0.1", endpoint.port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        self._send(PacketType.PRELOGIN, encode_prelogin(Prelogin(encryption=Encryption.NOT_SUP, mars=False)))
        self.drain()
        login = Login7(
            host_name="bench", user_name=endpoint.user, password=endpoint.secret, app_name="bench",
            database=endpoint.database, packet_size=packet_size,
        )  # fmt: skip
        self._send(PacketType.LOGIN7, encode_login7(login))
        self.drain()

    def query(self, text: str) -> int:
        """Run a batch and drain its answer; how many bytes it had."""
        kind, payload = encode_request(SqlBatch(text))
        self._send(kind, payload)
        return self.drain()

    def first_byte(self, text: str) -> float:
        """Run a batch and drain its answer; the seconds until its first byte came."""
        kind, payload = encode_request(SqlBatch(text))
        start = time.perf_counter()
        self._send(kind, payload)
        self._buffer += self._socket.recv(1 << 16)
        took = time.perf_counter() - start
        self.drain()
        return took

    def drain(self) -> int:
        """Read one answer to its last packet."""
        total, buffer = 0, self._buffer
        while True:
            while len(buffer) >= 8:
                _, status, length = _HEADER.unpack_from(buffer)
                if len(buffer) < length:
                    break
                del buffer[:length]
                if status & 1:
                    return total
            piece = self._socket.recv(1 << 18)
            if not piece:
                raise ConnectionError("the peer closed the connection")
            total += len(piece)
            buffer += piece

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _send(self, kind: PacketType, payload: bytes) -> None:
        self._socket.sendall(b"".join(packetize(kind, [payload])))
