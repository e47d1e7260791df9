"""The filter that every response passes: nothing reaches the client but through it ([MS-TDS] 2.2.7)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from connectors.sql.tds.buffer import Reader, TruncatedError
from connectors.sql.tds.celledit import add
from connectors.sql.tds.cells import read_cell
from connectors.sql.tds.colmetadata import AltMetadata, Column, ColumnsReader, write_columns
from connectors.sql.tds.masks import BlockedError, Plan
from connectors.sql.tds.rowfilter import Out, RowFilter
from connectors.sql.tds.tokens import Done, DoneStatus, ReturnValue, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tds.tokens_login import DataClassification, Labels
from connectors.sql.tds.tokenstream import PLAIN
from connectors.sql.tds.types import Layout, TypeId
from connectors.sql.tds.values import decode_int
from hoopcli.errors import HoopError, ProtocolError

__all__ = ["CUT_OFF", "UNCLASSIFIED", "BlockedError", "Classification", "Plan", "ResponseFilter"]

CUT_OFF = 50413  # the number of the INFO that says rows were left out
_MOST_ERRORS = 32
_MOST_HANDLES = 16  # no procedure returns more of them
_LONGEST_TEXT = 16_000  # what fits an ERROR's two-byte length with room for the rest
_ROWS = frozenset((TokenType.ROW, TokenType.NBCROW, TokenType.ALTROW))
_DONES = frozenset((TokenType.DONE, TokenType.DONEPROC, TokenType.DONEINPROC))
_MESSAGES = frozenset((TokenType.ERROR, TokenType.INFO))
_HARMLESS = frozenset((TokenType.ORDER, TokenType.OFFSET, TokenType.TABNAME, TokenType.COLINFO, TokenType.RETURNSTATUS))
#: What may stand between the columns of a result and its rows.
_DESCRIBING = frozenset(
    (TokenType.ORDER, TokenType.OFFSET, TokenType.TABNAME, TokenType.COLINFO, TokenType.DATACLASSIFICATION)
)
_UNSAID = frozenset((EnvType.PACKET_SIZE, EnvType.MIRRORING_PARTNER))  # between the broker and the upstream
_INTEGERS = frozenset((TypeId.INTN, TypeId.INT4))


@dataclass(frozen=True, slots=True)
class Classification:
    """The versions of DATACLASSIFICATION that are heard from the upstream and told to the client; 0 for none."""

    heard: int = 0
    told: int = 0


UNCLASSIFIED = Classification()


@dataclass(slots=True)
class _Heading:
    """The columns of a result whose rows have not begun, with what the server says of them, and what follows them."""

    columns: tuple[Column, ...]
    labels: tuple[Labels, ...] | None = None
    rest: Out = field(default_factory=list)


class ResponseFilter:
    """Masks, limits and watches the response to one request, as it streams.

    ``masked`` counts masked cells by the id of the mask; ``errors`` are the first delivered error texts, ``done`` the
    last DONE as delivered, ``database`` the one that the session now uses, if the response changed it, ``handles`` the
    first output values in their order, as sp_prepare returns them: None for what is NULL, masked or no integer.

    With a ``classification`` to be heard, a result's columns wait for what follows them: the sensitivity of the columns
    decides their masks, and comes after them.

    What it cannot decode ends it. The error is raised by the ``feed`` that has nothing sound before it to deliver, by
    every call after, and at the latest by ``finish``; so all counts hold for exactly what ``feed`` returned.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        row_limit: int | None = None,
        server_name: str = "hoop",
        hide_counts: bool = False,
        max_token: int = 1 << 20,
        classification: Classification = UNCLASSIFIED,
    ) -> None:
        self.masked: dict[str, int] = {}
        self.errors: list[str] = []
        self.done: Done | None = None
        self.database = ""
        self.handles: list[int | None] = []
        self.attention_acknowledged = False
        self._plan = plan
        self._server_name = server_name
        self._hide_counts = hide_counts
        self._max_token = max_token
        self._rows = RowFilter(plan, row_limit, self.masked)
        self._row_limit = row_limit
        self._tail = b""
        self._failure: HoopError | None = None
        self._columns = ColumnsReader()
        self._classification = classification
        self._heading: _Heading | None = None
        self._said_cut = False
        self._dropped_before = 0  # rows dropped before the current result

    @property
    def rows(self) -> int:
        """Rows delivered."""
        return self._rows.delivered

    @property
    def dropped(self) -> int:
        """Rows left out because of the limit."""
        return self._rows.dropped

    @property
    def between_tokens(self) -> bool:
        """Whether what was delivered ends with a whole token."""
        return not self._rows.busy

    def feed(self, payload: bytes | memoryview) -> Out:
        """Take more of the upstream's payload, cut anywhere; return what to deliver, in order.

        Raises ProtocolError, or BlockedError of the plan; then nothing of this payload is to be delivered.
        """
        if self._failure is not None:
            raise self._failure
        data = self._tail + bytes(payload) if self._tail else bytes(payload)
        out: Out = []
        try:
            self._tail = data[self._consume(data, out) :]
            if len(self._tail) > self._max_token:
                raise ProtocolError(f"a token of more than {self._max_token} bytes")
        except HoopError as error:
            self._failure = error
            if not out:
                raise
        return out

    def finish(self) -> None:
        """The upstream's message has ended. Raises what ``feed`` held back, or ProtocolError inside a token."""
        if self._failure is None and (self._tail or self._rows.busy or self._heading is not None):
            self._failure = ProtocolError("the response ends inside a token")
        if self._failure is not None:
            raise self._failure

    def _consume(self, data: bytes, out: Out) -> int:
        """Handle what is complete; return where the rest begins."""
        position, rows = 0, self._rows
        while position < len(data) or rows.busy:
            start = position
            if rows.busy:
                position = rows.resume(data, position, out)
                if rows.busy:
                    break
            else:
                if self._heading is not None and data[position] not in _DESCRIBING:
                    self._begin_rows(self._heading, out)
                take = rows.take if data[position] in _ROWS else self._take_token
                position = take(data, position, out)
                if position == start:
                    break
        return position

    def _take_token(self, data: bytes, position: int, out: Out) -> int:
        """Handle one token that is not a row; return its end, or its start if it is cut off."""
        token, reader = data[position], Reader(data, position + 1)
        try:
            if token in _DONES:
                self._done(Done.decode(reader, TokenType(token)), out)
            elif token in _MESSAGES:
                self._message(ServerMessage.decode(reader, TokenType(token)), out)
            elif token == TokenType.COLMETADATA:
                self._begin_result(reader, out)
            elif token == TokenType.ENVCHANGE:
                self._environment(EnvChange.decode(reader), out)
            elif token == TokenType.RETURNVALUE:
                self._return_value(reader, out)
            elif token == TokenType.ALTMETADATA:
                out.append(self._rows.totals(AltMetadata.decode(reader)).encode())
            elif token in _HARMLESS:
                PLAIN[token](reader)
                rest = out if self._heading is None else self._heading.rest
                rest.append(memoryview(data)[position : reader.position])
            elif token == TokenType.DATACLASSIFICATION and self._classification.heard:
                self._classify(DataClassification.decode(reader, self._classification.heard))
            else:
                raise ProtocolError(f"the upstream sent a token that no response has: 0x{token:02X}")
        except TruncatedError:
            return position
        return reader.position

    def _begin_result(self, reader: Reader, out: Out) -> None:
        columns = self._columns.read(reader)
        self._columns = ColumnsReader()
        self._end_result()
        if columns is None:
            out.append(write_columns(None))
        elif self._classification.heard:
            self._heading = _Heading(columns)
        else:
            out.append(write_columns(self._rows.begin(columns)))

    def _classify(self, said: DataClassification) -> None:
        """The sensitivity of the columns just told. Raises ProtocolError where there are none, or others."""
        heading = self._heading
        if heading is None or heading.labels is not None or len(said.columns) != len(heading.columns):
            raise ProtocolError("DATACLASSIFICATION is not about the columns before it")
        heading.labels = tuple(map(said.said_of, range(len(said.columns))))
        if self._classification.told:
            heading.rest.append((said if self._classification.told > 1 else said.unranked()).encode())

    def _begin_rows(self, heading: _Heading, out: Out) -> None:
        """All is known of the columns, so they can be told."""
        self._heading = None
        out.append(write_columns(self._rows.begin(heading.columns, heading.labels or ())))
        out += heading.rest

    def _end_result(self) -> None:
        self._rows.end()
        self._dropped_before = self._rows.dropped

    def _done(self, done: Done, out: Out) -> None:
        dropped = self._rows.dropped - self._dropped_before
        if dropped and done.rows == self._rows.received:
            done = replace(done, rows=done.rows - dropped)
        if self._hide_counts:
            done = replace(done, status=done.status & ~DoneStatus.COUNT, rows=0)
        if dropped and not self._said_cut:
            self._said_cut = True
            out.append(self._cut_off().encode())
        self._end_result()
        self.done = done
        self.attention_acknowledged |= bool(done.status & DoneStatus.ATTENTION)
        out.append(done.encode())

    def _cut_off(self) -> ServerMessage:
        text = f"hoop: the result was cut off after {self._row_limit} rows, as the policy says."
        return ServerMessage(CUT_OFF, text, severity=10, server=self._server_name, token=TokenType.INFO)

    def _message(self, message: ServerMessage, out: Out) -> None:
        text, counts = self._plan.message(message.text)
        add(self.masked, counts)
        procedure = message.procedure if text == message.text else ""
        message = replace(message, text=text[:_LONGEST_TEXT], server=self._server_name, procedure=procedure)
        if message.token is TokenType.ERROR and len(self.errors) < _MOST_ERRORS:
            self.errors.append(message.text)
        out.append(message.encode())

    def _environment(self, change: EnvChange, out: Out) -> None:
        if change.type is EnvType.ROUTING:
            raise ProtocolError("the upstream sent the client elsewhere in the middle of a session")
        if change.type is EnvType.DATABASE:
            self.database = str(change.new)
        if change.type not in _UNSAID:
            out.append(change.encode())

    def _return_value(self, reader: Reader, out: Out) -> None:
        """The value itself is walked like a row of one cell; a small one is waited for with its header."""
        header = ReturnValue.decode(reader)
        start = reader.position
        raw = None if header.type.layout in (Layout.PLP, Layout.TEXT) else read_cell(reader, header.type)
        reader.position = start
        mask = self._rows.begin_value(header, out)
        known = raw and mask is None and header.type.id in _INTEGERS
        if len(self.handles) < _MOST_HANDLES:
            self.handles.append(decode_int(header.type, raw) if raw and known else None)
