"""The loop after the login: a request is authorised, forwarded as it is, and its answer filtered on the way back."""

from __future__ import annotations

from dataclasses import replace

from connectors.sql.accept import Accepted
from connectors.sql.answer import Answer
from connectors.sql.catalog_reader import CatalogReader
from connectors.sql.link import PeerGoneError
from connectors.sql.replies import attention_acknowledged, classification_for, error_message
from connectors.sql.sizes import Sizes
from connectors.sql.tds.packet import Message, MessageReader, PacketType, PayloadStream, Status, packetize
from connectors.sql.tds.request import decode_request
from connectors.sql.tds.response import Classification
from connectors.sql.tsql.names import Scope
from connectors.sql.understand import Handles, Understood, scope_after, understand
from connectors.sql.upstream import LoggedIn
from hoopcli.errors import HoopError, ProtocolError
from hoopcli.model.outcome import Status as Ending
from hoopcli.sansio.commands import Authorize, CancelAuthorize, ClosePeer, Record, SendData
from hoopcli.sansio.events import DataReceived, Deny, Event, Peer, PeerClosed, Permit
from hoopcli.sansio.layer import BOTH, CLIENT, Layer, Steps, receive
from hoopcli.spi import LayerContext

DENIED = 50403
BROKEN = 50502
_ATTENTION = packetize(PacketType.ATTENTION, [])
_RESETS = Status.RESET_CONNECTION | Status.RESET_CONNECTION_SKIP_TRAN


class Exchanges:
    """One logged-in connection, from its first request to its end."""

    def __init__(
        self, context: LayerContext, client: Accepted, upstream: LoggedIn, catalog: CatalogReader | None = None
    ) -> None:
        self._context = context
        self._client = client.link
        self._upstream = upstream.link
        self._client_size = client.packet_size
        self._upstream_size = upstream.packet_size
        self._classification = Classification(upstream.classification, classification_for(client, upstream))
        self._requests = MessageReader(packet_size=client.packet_size)
        self._home = Scope(upstream.database or context.target.options.get("database", "master"))
        self._scope = self._home
        self._handles = Handles()
        self._catalog = catalog
        self._sizes = Sizes(context, upstream)
        self._announced: tuple[str, ...] = ()
        self._resets = Status.NORMAL  # asked for by a request that was not forwarded

    def serve(self) -> Layer:
        """Handle requests until a peer leaves."""
        while True:
            for message in self._requests.feed(b""):
                assert isinstance(message, Message)
                yield from self._handle(message)
            event = yield from receive(BOTH)
            if not isinstance(event, DataReceived):
                return
            if event.peer is Peer.UPSTREAM:
                raise ProtocolError("the upstream spoke without being asked")
            self._take(event.data)

    def _take(self, data: bytes) -> None:
        """Buffer client bytes; the reader decodes them when asked for messages."""
        self._requests.feed(self._client.opened(data))

    def _handle(self, message: Message) -> Steps[None]:
        if message.type is PacketType.ATTENTION:
            yield self._deliver(attention_acknowledged())  # nothing runs, so nothing is to be cancelled
            return
        message = self._resetting(message)
        if message.ignored:
            yield self._deliver(error_message(DENIED, "the request was given up midway"))
            return
        if self._cancelled(b""):  # it came along with the request, before anything was asked
            yield from self._given_up()
            return
        request = decode_request(message.type, message.payload)
        announced, self._announced = self._announced, ()

        def read(scope: Scope) -> Understood:
            return understand(request, message.payload, scope, self._handles, announced)

        resets = message.status & _RESETS
        if self._catalog is None:
            prepared = understood = read(self._scope)
        else:
            prepared = yield from self._catalog.prepare(read, request, resets, self._scope)
            understood = yield from self._sizes.told(prepared, request, resets, self._scope)
        reply = yield from self._authorize(understood)
        match reply:
            case Permit() if self._catalog is not None and not (
                yield from self._catalog.confirm(prepared, read, request, resets, self._scope)
            ):
                yield from self._outdated(understood, reply)
            case Permit():
                yield from self._run(message, understood, reply)
            case Deny():
                yield self._deliver(
                    error_message(DENIED, f"hoop: {reply.message}", reply.hint, procedure=understood.procedure)
                )
            case None:
                yield from self._given_up()

    def _outdated(self, understood: Understood, permit: Permit) -> Steps[None]:
        """What was decided is not what would run: others have defined something anew while it waited."""
        message = "what the statement names was defined anew while it waited"
        answer = Answer(self._context, understood, permit, self._client_size, self._classification)
        yield Record(replace(answer.outcome(Ending.BLOCKED), errors=(message,)))
        hint = "run it again, so that it is decided as it is now"
        yield self._deliver(error_message(DENIED, f"hoop: {message}", hint, procedure=understood.procedure))

    def _given_up(self) -> Steps[None]:
        """The request and the ATTENTION are two messages, and clients wait for an answer to each."""
        yield self._deliver(error_message(DENIED, "hoop: cancelled while it waited"))
        yield self._deliver(attention_acknowledged())

    def _resetting(self, message: Message) -> Message:
        """The message with the reset that it or an earlier one, which was not forwarded, asked for."""
        self._resets |= message.status & _RESETS
        if not self._resets:
            return message
        if self._resets & Status.RESET_CONNECTION:  # the stronger of the two; both at once are not allowed
            self._resets = Status.RESET_CONNECTION
        self._handles.forget()
        self._scope = self._home
        return replace(message, status=message.status & ~_RESETS | self._resets)

    def _authorize(self, understood: Understood) -> Steps[Permit | Deny | None]:
        """Wait for the decision; None if the client cancelled. Hearing it hang up ends the layer."""
        yield Authorize(understood.statement)
        while True:
            event = yield from receive(CLIENT)
            match event:
                case Permit() | Deny():
                    return event
                case DataReceived(data=data):
                    if self._cancelled(data):
                        yield CancelAuthorize()
                        return None
                case PeerClosed(peer=peer):
                    yield CancelAuthorize()
                    raise PeerGoneError(peer, " while a statement waited")

    def _cancelled(self, data: bytes) -> bool:
        """Whether these bytes of a waiting client complete an ATTENTION, the only thing that it may send.

        Several say no more than one ([MS-TDS] 2.2.1.7).
        """
        cancelled = False
        for message in self._requests.feed(self._client.opened(data) if data else b""):
            if message.type is not PacketType.ATTENTION:
                raise ProtocolError("the client sent a request before the last one was answered")
            cancelled = True
        return cancelled

    def _run(self, message: Message, understood: Understood, permit: Permit) -> Steps[None]:
        """Forward the very bytes that were authorised, and deliver the answer through the filter."""
        yield self._upstream.send(packetize(message.type, [message.payload], self._upstream_size, message.status))
        self._resets = Status.NORMAL
        answer = Answer(self._context, understood, permit, self._client_size, self._classification)
        stream = PayloadStream()
        while not answer.complete:
            event = yield from receive(BOTH)
            if not isinstance(event, DataReceived) or event.peer is Peer.UPSTREAM:
                yield from self._pass_on(event, stream, answer)
            elif (yield from self._cancels(event.data, answer)):
                yield self._upstream.send(_ATTENTION)
        yield Record(answer.outcome())
        self._learn(answer, understood)

    def _cancels(self, data: bytes, answer: Answer) -> Steps[bool]:
        """Whether a client whose answer is under way cancels it with these bytes, for the first time."""
        try:
            heard = self._cancelled(data)
        except ProtocolError as error:
            yield Record(replace(answer.outcome(Ending.LOST), errors=(error.message,)))
            raise
        first = heard and not answer.cancelled
        answer.cancelled |= heard
        return first

    def _pass_on(self, event: Event, stream: PayloadStream, answer: Answer) -> Steps[None]:
        if not isinstance(event, DataReceived):
            yield from self._lost(event, answer)
        assert isinstance(event, DataReceived)
        try:
            packets = answer.feed(stream.feed(self._upstream.opened(event.data)))
        except ProtocolError as error:
            yield from self._cut_off(answer, error)
            raise
        if packets:
            yield self._client.send(packets)
        if answer.complete and not stream.idle:
            answer.refuse_more()
        if answer.failure is not None:
            yield from self._cut_off(answer, answer.failure)
            raise answer.failure

    def _lost(self, event: Event, answer: Answer) -> Steps[None]:
        assert isinstance(event, PeerClosed)
        yield Record(answer.outcome(Ending.LOST))
        if event.peer is Peer.UPSTREAM:
            yield from self._tell(answer, "hoop: the upstream closed the connection before its answer was complete")
        raise PeerGoneError(event.peer, " midway")

    def _cut_off(self, answer: Answer, error: HoopError) -> Steps[None]:
        """Nothing more of this answer may pass: say so, record what did, and give the upstream up."""
        yield Record(replace(answer.outcome(Ending.BLOCKED), errors=(error.message,)))
        yield from self._tell(answer, f"hoop: the result was cut off: {error.message}", error.hint)
        yield ClosePeer(Peer.CLIENT)
        yield ClosePeer(Peer.UPSTREAM)

    def _tell(self, answer: Answer, message: str, hint: str = "") -> Steps[None]:
        """End the answer with an error, if it stands between two tokens."""
        packets = answer.abort(error_message(BROKEN, message, hint))
        if packets:
            yield self._client.send(packets)

    def _deliver(self, tokens: bytes) -> SendData:
        return self._client.send(packetize(PacketType.TABULAR_RESULT, [tokens], self._client_size))

    def _learn(self, answer: Answer, understood: Understood) -> None:
        """Keep what the answer says of the session's state: its database, its tables, new and released handles."""
        self._scope = scope_after(self._scope, understood)
        if self._catalog is not None:
            self._catalog.passed(understood)
        if answer.database:
            self._scope = replace(self._scope, database=answer.database)
        for handle in answer.handles[: understood.handles_out]:
            if handle is not None:  # also of a failed answer: the handle is there, and must not pass for another
                self._handles.learn(handle, understood.text_out)
        if answer.failed:
            return
        self._announced = understood.bulk_tables
        for handle in understood.released:
            self._handles.texts.pop(handle, None)
