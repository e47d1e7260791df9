"""The demo's server: TDS in the server's role on loopback, each connection a task."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count

import duckdb

from connectors.sql.accept import Greeting, granted_packet_size, greet
from connectors.sql.demo.canned import Canned
from connectors.sql.demo.connection import Connection
from connectors.sql.demo.engine import DATABASES, Engine
from connectors.sql.demo.options import Options, Seen
from connectors.sql.demo.results import SERVER
from connectors.sql.tds.features import FeatureId, decode_classification, encode_classification_ack
from connectors.sql.tds.packet import PacketType, packetize
from connectors.sql.tds.prelogin import Encryption
from connectors.sql.tds.tokens import Done, DoneStatus, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType, Routing
from connectors.sql.tds.tokens_login import FeatureExtAck, LoginAck
from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import Receive, SendData
from hoopcli.sansio.events import DataReceived, Event, Peer, PeerClosed
from hoopcli.spi import TlsContexts

_ENCRYPTION = {"off": Encryption.OFF, "on": Encryption.ON, "none": Encryption.NOT_SUP, "strict": Encryption.ON}
_LATIN1 = bytes.fromhex("0904d00034")


class DemoServer:
    """A SQL Server for the demo and the tests. ``port`` is known once started."""

    def __init__(self, tls: TlsContexts, options: Options | None = None) -> None:
        self.options = options or Options()
        self.seen = Seen()
        self.port = 0
        self._tls = tls
        self._engine = Engine(classified_catalog=self.options.classified_catalog)
        self._canned = Canned(self.options.big_rows)
        self._spids = count(51)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection and forget the database."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(duckdb.Error):  # the thread of a connection just cut may still be on its way out
            self._engine.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.seen.connections += 1
        try:
            await self._serve(reader, writer)
        except (ProtocolError, OSError, asyncio.CancelledError):
            pass  # a client that misbehaves or leaves ends its own connection
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = await self._greet(reader, writer)
        if greeting is None:
            return
        login = greeting.login
        size = granted_packet_size(login, greeting.encrypted)
        tokens, let_in = self._judge(greeting, size)
        packets = packetize(PacketType.TABULAR_RESULT, [b"".join(tokens)])
        await _write(writer, greeting.link.send(packets))
        if let_in:
            spoken = self._classification(greeting)
            connection = Connection(self, greeting.link, reader, writer, size, next(self._spids), spoken)
            await connection.serve(self._engine, self._canned)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Greeting | None:
        """Drive the same steps that the broker takes towards its clients."""
        steps = greet(self._tls, _ENCRYPTION[self.options.encrypt], fedauth=True)
        event: Event | None = None
        try:
            while True:
                command = steps.send(event)
                event = None
                if isinstance(command, SendData):
                    await _write(writer, command)
                elif isinstance(command, Receive):
                    data = await reader.read(1 << 16)
                    self.seen.wire += data
                    event = DataReceived(Peer.CLIENT, data) if data else PeerClosed(Peer.CLIENT)
        except StopIteration as stop:
            greeting: Greeting = stop.value
        if self.options.cut_login:
            self.options.cut_login -= 1
            return None
        return greeting if greeting.strict or self.options.encrypt != "strict" else None

    def _judge(self, greeting: Greeting, size: int) -> tuple[Sequence[bytes], bool]:
        """The answer to a LOGIN7, and whether it lets the client in."""
        login, options = greeting.login, self.options
        token = login.fedauth.token if login.fedauth is not None else ""
        digest = hashlib.sha256((token or login.password).encode()).hexdigest()
        self.seen.logins.append((login.user_name, login.app_name, digest))
        if options.transient:
            return _refusal(options.transient.pop(0), "Database 'shop' is not currently available."), False
        if options.token:
            if token != options.token:
                return _refusal(18456, "Login failed for user '<token-identified principal>'."), False
        elif (login.user_name, login.password) != (options.user, options.secret):
            return _refusal(18456, f"Login failed for user '{login.user_name}'."), False
        if login.database and login.database.lower() not in DATABASES:
            return _refusal(4060, f'Cannot open database "{login.database}" requested by the login.'), False
        return list(self._welcome(greeting, size)), options.route is None

    def _welcome(self, greeting: Greeting, size: int) -> Iterator[bytes]:
        login = greeting.login
        if self.options.route is not None:
            yield EnvChange(EnvType.ROUTING, Routing(*self.options.route)).encode()
        database = login.database or "shop"
        yield EnvChange(EnvType.DATABASE, database, "master").encode()
        yield ServerMessage(
            5701, f"Changed database context to '{database}'.", 0, 2, SERVER, token=TokenType.INFO
        ).encode()
        yield EnvChange(EnvType.COLLATION, _LATIN1, b"").encode()
        yield EnvChange(EnvType.LANGUAGE, "us_english", "").encode()
        yield LoginAck("Microsoft SQL Server", (16, 0, 0x03, 0xE8), login.tds_version).encode()
        yield EnvChange(EnvType.PACKET_SIZE, str(size), str(login.packet_size or 4096)).encode()
        granted = [(int(FeatureId.FEDAUTH), b"")] if login.fedauth is not None else []
        if spoken := self._classification(greeting):
            granted.append((int(FeatureId.DATACLASSIFICATION), encode_classification_ack(spoken)))
        if granted:
            yield FeatureExtAck(tuple(granted)).encode()
        yield Done().encode()

    def _classification(self, greeting: Greeting) -> int:
        """The version in which a client is told of the sensitivity of results, 0 if it does not ask."""
        features = greeting.login.features
        asked = (decode_classification(each) for each in features if each.id == FeatureId.DATACLASSIFICATION)
        return min(next(asked, 0), self.options.classification)


def _refusal(number: int, text: str) -> Sequence[bytes]:
    return [ServerMessage(number, text, 14, server=SERVER).encode(), Done(DoneStatus.ERROR).encode()]


async def _write(writer: asyncio.StreamWriter, command: SendData) -> None:
    writer.writelines(command.buffers)
    await writer.drain()
