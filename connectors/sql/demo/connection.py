"""One logged-in connection of the demo's server: its requests, run in a thread, and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from connectors.sql.demo.answers import Answers
from connectors.sql.demo.canned import Canned
from connectors.sql.demo.engine import Engine, Session
from connectors.sql.demo.procedures import Procedures
from connectors.sql.demo.results import Pause
from connectors.sql.link import Link
from connectors.sql.tds.packet import Message, MessageReader, PacketType, PacketWriter, Status
from connectors.sql.tds.request import Attention, SqlBatch, decode_request
from connectors.sql.tds.tokens import Done, DoneStatus

if TYPE_CHECKING:
    from connectors.sql.demo.server import DemoServer

_RESETS = Status.RESET_CONNECTION | Status.RESET_CONNECTION_SKIP_TRAN


class Connection:
    """Reads requests one at a time; an ATTENTION is heard also while one runs."""

    def __init__(
        self,
        server: DemoServer,
        link: Link,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        packet_size: int,
        spid: int,
    ) -> None:
        self._options = server.options
        self._seen = server.seen
        self._link = link
        self._reader = reader
        self._writer = writer
        self._size = packet_size
        self._spid = spid
        self._messages = MessageReader(packet_size=max(packet_size, 4096))
        self._next: asyncio.Task[Message | None] | None = None

    async def serve(self, engine: Engine, canned: Canned) -> None:
        """Answer requests until the client leaves."""
        session = await asyncio.to_thread(Session, engine, self._options.user, self._spid)
        answers = Answers(session, Procedures(session), canned if self._options.canned else None)
        try:
            while (message := await self._message()) is not None:
                if message.status & _RESETS:
                    answers.reset()
                await self._answer(message, answers)
        finally:
            if self._next is not None:
                self._next.cancel()
            session.interrupt()
            await asyncio.to_thread(session.close)

    async def _message(self) -> Message | None:
        """The next message, also one that a running answer has been waiting beside; None at the end."""
        pending, self._next = self._next, None
        return await (pending if pending is not None else self._read())

    async def _read(self) -> Message | None:
        data = b""
        while True:
            for message in self._messages.feed(data):
                assert isinstance(message, Message)
                return message
            received = await self._reader.read(1 << 18)
            if not received:
                return None
            data = self._link.opened(received)

    async def _answer(self, message: Message, answers: Answers) -> None:
        request = decode_request(message.type, message.payload)
        if isinstance(request, Attention):
            self._seen.attentions += 1
            await self._send(iter([Done(DoneStatus.ATTENTION).encode()]), answers)
            return
        self._seen.statements.append(request.text if isinstance(request, SqlBatch) else repr(request))
        if self._options.delay:
            await asyncio.sleep(self._options.delay)
        await self._send(answers.to(request), answers)

    async def _send(self, pieces: Iterator[bytes | Pause], answers: Answers) -> None:
        """Send an answer as it is made, until it ends or is cancelled."""
        writer = PacketWriter(PacketType.TABULAR_RESULT, self._size)
        left = self._options.cut_after
        while (piece := await self._next_piece(pieces)) is not None:
            if isinstance(piece, Pause):
                if await self._cancelled(piece.seconds):
                    await self._flush(writer.write(answers.cancelled()) + writer.finish())
                    return
                continue
            if self._options.malformed:
                piece = b"\x01" + piece
            if left is not None:
                piece, left = piece[:left], left - len(piece)
            await self._flush(writer.write(piece) + (writer.flush() if left is not None else []))
            if left is not None and left <= 0:
                raise ConnectionAbortedError("cut off as the options ask")
            if await self._cancelled(0):
                await self._flush(writer.write(answers.cancelled()) + writer.finish())
                return
        await self._flush(writer.finish())

    async def _next_piece(self, pieces: Iterator[bytes | Pause]) -> bytes | Pause | None:
        """Make the next piece: in a thread, unless it only has to be taken from what is canned."""
        return next(pieces, None) if self._options.canned else await asyncio.to_thread(next, pieces, None)

    async def _cancelled(self, seconds: float) -> bool:
        """Whether an ATTENTION came, waiting so long for one. Any other message stays for later."""
        if self._next is None:
            self._next = asyncio.create_task(self._read())
        done, _ = await asyncio.wait({self._next}, timeout=seconds)
        if not done:
            return False
        message = self._next.result()
        if message is not None and message.type is not PacketType.ATTENTION:
            return False
        self._next = None
        if message is None:
            raise ConnectionResetError("the client left")
        self._seen.attentions += 1
        return True

    async def _flush(self, packets: list[bytes]) -> None:
        if packets:
            self._writer.writelines(self._link.send(packets).buffers)
            await self._writer.drain()
