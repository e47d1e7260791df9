"""One logged-in connection of the demo's server: its requests, run in a thread, and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from connectors.sql.demo.answers import CANCELLED, Answers, Piece
from connectors.sql.demo.canned import Canned
from connectors.sql.demo.engine import Engine, Session
from connectors.sql.demo.faults import Faults
from connectors.sql.demo.procedures import Procedures
from connectors.sql.demo.results import Pause
from connectors.sql.inquiry import is_inquiry
from connectors.sql.link import Link
from connectors.sql.tds.packet import Message, MessageReader, PacketType, PacketWriter, Status
from connectors.sql.tds.request import Attention, SqlBatch, decode_request
from connectors.sql.tds.tokens import Done

if TYPE_CHECKING:
    from connectors.sql.demo.server import DemoServer

_RESETS = Status.RESET_CONNECTION | Status.RESET_CONNECTION_SKIP_TRAN
_ASK_AGAIN = 0.02  # seconds after which DuckDB is asked again to stop: between two statements it does not hear


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
        classification: int = 0,
    ) -> None:
        self._options = server.options
        self._seen = server.seen
        self._link = link
        self._reader = reader
        self._writer = writer
        self._size = packet_size
        self._spid = spid
        self._classification = classification
        self._messages = MessageReader(packet_size=max(packet_size, 4096))
        self._next: asyncio.Task[Message | None] | None = None

    async def serve(self, engine: Engine, canned: Canned) -> None:
        """Answer requests until the client leaves."""
        session = Session(engine, self._options.user, self._spid)
        answers = Answers(session, Procedures(session), self._classification)
        try:
            while (message := await self._message()) is not None:
                await self._answer(message, session, answers, canned)
        finally:
            if self._next is not None:
                self._next.cancel()
            session.close()

    async def _message(self) -> Message | None:
        """The next message, also one that a running answer has been waiting beside; None at the end."""
        pending = self._awaited()
        self._next = None
        return await pending

    def _awaited(self) -> asyncio.Task[Message | None]:
        """The reading of the next message, begun if it was not."""
        if self._next is None:
            self._next = asyncio.create_task(self._read())
        return self._next

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

    async def _answer(self, message: Message, session: Session, answers: Answers, canned: Canned) -> None:
        if message.ignored:
            await self._send(iter([Done().encode()]), session)
            return
        request = decode_request(message.type, message.payload)
        if isinstance(request, Attention):
            self._seen.attentions += 1
            await self._send(iter([CANCELLED]), session)
            return
        text = request.text if isinstance(request, SqlBatch) else ""
        if is_inquiry(request):
            self._seen.questions += 1
        else:
            self._seen.statements.append(text or repr(request))
        if self._options.delay and await self._cancelled(self._options.delay):
            await self._send(iter([Done().encode()]), session)
            await self._send(iter([CANCELLED]), session)
        elif self._options.canned and (ready := canned.answer(text)) is not None:
            await self._send(ready, session, ready=True)
        else:
            pieces = answers.to(request, reset=bool(message.status & _RESETS))
            await self._send(pieces, session)

    async def _send(self, pieces: Iterator[Piece], session: Session, *, ready: bool = False) -> None:
        """Send an answer as it is made, until it ends or is cancelled. What is ``ready`` needs no thread."""
        writer = PacketWriter(PacketType.TABULAR_RESULT, self._size)
        faults = Faults(self._options)
        cancelled = False
        while not cancelled:
            piece = next(pieces, None) if ready else await self._made(pieces, session)
            if piece is None:
                break
            if isinstance(piece, Pause):
                cancelled = await self._cancelled(piece.seconds)
                continue
            data, lost = faults.spoil(piece)
            await self._flush(writer.write(data) + (writer.flush() if lost else []))
            if lost:
                raise ConnectionAbortedError("cut off as the options ask")
            cancelled = await self._cancelled()
        await self._flush((writer.write(Done().encode()) if cancelled else []) + writer.finish())
        if cancelled:  # the ATTENTION is a message of its own, and so is its acknowledgement
            await self._flush(writer.write(CANCELLED) + writer.finish())

    async def _made(self, pieces: Iterator[Piece], session: Session) -> Piece | None:
        """The next piece, made in a thread; it is told to stop when the client cancels or leaves."""
        making = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
        try:
            await asyncio.wait({making, self._awaited()}, return_when=asyncio.FIRST_COMPLETED)
            while not making.done() and self._stops():
                session.cancel()
                await asyncio.wait({making}, timeout=_ASK_AGAIN)
            return await making
        finally:
            while not making.done():
                session.cancel()
                await asyncio.wait({making}, timeout=_ASK_AGAIN)

    def _stops(self) -> bool:
        """Whether what came while an answer is made ends it: an ATTENTION, or the client's leaving."""
        message = self._awaited()
        if not message.done():
            return False
        return (found := message.result()) is None or found.type is PacketType.ATTENTION

    async def _cancelled(self, seconds: float = 0) -> bool:
        """Whether an ATTENTION came, waiting so long for one. Any other message stays for later."""
        await asyncio.wait({self._awaited()}, timeout=seconds)
        if not self._stops():
            return False
        if await self._message() is None:
            raise ConnectionResetError("the client left")
        self._seen.attentions += 1
        return True

    async def _flush(self, packets: list[bytes]) -> None:
        if packets:
            self._writer.writelines(self._link.send(packets).buffers)
            await self._writer.drain()
