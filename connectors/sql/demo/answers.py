"""Turning what the procedures and batches give into the tokens of an answer."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.sql.demo.engine import Session
from connectors.sql.demo.procedures import Procedures
from connectors.sql.demo.results import Affected, Batch, Columns, Output, Pause, Result, SqlError, Status
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.request import (
    BulkLoad,
    Request,
    RpcCall,
    RpcRequest,
    SqlBatch,
    TransactionRequest,
    TransactionType,
)
from connectors.sql.tds.rowencode import encode_rows
from connectors.sql.tds.tokens import Done, DoneStatus, ReturnStatus, ReturnValue, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tds.tokenstream import ColMetadata, Row, read_tokens
from connectors.sql.tds.values import encode_value
from hoopcli.errors import ProtocolError

CANCELLED = Done(DoneStatus.ATTENTION).encode()
_ROWS_A_PIECE = 256
_BULK = 0xF0
_SHORT_DONE = b"\xfd" + bytes(8)  # mssql-python ends a bulk load as TDS before 7.2 did, with four bytes of rows

Piece = bytes | Pause


class Answers:
    """Answers the requests of one connection, a piece of the token stream at a time."""

    def __init__(self, session: Session, procedures: Procedures, classification: int = 0) -> None:
        self._session = session
        self._procedures = procedures
        self._bulk = ""
        self._classification = classification
        self._columns: tuple[Column, ...] = ()

    def to(self, request: Request, *, reset: bool = False) -> Iterator[Piece]:
        """The answer to one request; ``reset`` makes the session new first."""
        self._session.resume()
        if reset:
            self._procedures.reset()
            yield EnvChange(EnvType.RESET_ACK).encode()
        match request:
            case SqlBatch(text=text):
                yield from self._batch(text)
            case RpcRequest(calls=calls):
                for at, call in enumerate(calls, 1):
                    yield from self._call(call, more=DoneStatus.MORE if at < len(calls) else 0)
            case TransactionRequest():
                yield from self._plain(self._transaction(request))
            case BulkLoad(tokens=tokens):
                yield from self._plain(self._load(tokens))

    def _batch(self, text: str) -> Iterator[Piece]:
        if text.lstrip()[:11].upper() == "INSERT BULK":
            self._bulk = text.split(None, 2)[2].split("(", maxsplit=1)[0].strip()
            yield Done().encode()
            return
        yield from self._plain(self._procedures.run(text))

    def _plain(self, results: Iterator[Result]) -> Iterator[Piece]:
        """An answer of DONE tokens, of which all but the last say that more follow."""
        held: Done | None = None
        try:
            for result in results:
                if held is not None:
                    yield self._done(held, DoneStatus.MORE)
                    held = None
                if isinstance(result, Affected):
                    held = _ended(result)
                else:
                    yield from self._tokens(result)
        except SqlError as error:
            if held is not None:
                yield self._done(held, DoneStatus.MORE)
            yield error.message.encode()
            held = Done(DoneStatus.ERROR)
        yield self._done(held or Done())

    def _call(self, call: RpcCall, more: int) -> Iterator[Piece]:
        """A procedure's answer: its statements end in DONEINPROC, then come status, outputs and DONEPROC."""
        status, outputs = 0, b""
        try:
            for result in self._procedures.call(call):
                match result:
                    case Affected():
                        yield self._done(_ended(result, TokenType.DONEINPROC), DoneStatus.MORE)
                    case Output(name, kind, value, ordinal):
                        outputs += ReturnValue(ordinal, name, kind).encode() + encode_value(kind, value)
                    case Status(value):
                        status = value
                    case _:
                        yield from self._tokens(result)
        except SqlError as error:
            yield error.message.encode()
            yield self._done(Done(DoneStatus.ERROR, token=TokenType.DONEPROC), more)
            return
        yield ReturnStatus(status).encode() + outputs + self._done(Done(token=TokenType.DONEPROC), more)

    def _tokens(self, result: Result) -> Iterator[Piece]:
        """The tokens of a result that no DONE stands for. Raises SqlError for a value that its column cannot hold."""
        match result:
            case Columns(columns, said):
                self._columns = tuple(columns)
                yield write_columns(self._columns)
                if said is not None and self._classification:
                    yield (said if self._classification > 1 else said.unranked()).encode()
            case Batch(rows):
                for start in range(0, len(rows), _ROWS_A_PIECE):
                    try:
                        yield encode_rows(self._columns, rows[start : start + _ROWS_A_PIECE])
                    except ProtocolError as error:
                        raise SqlError(8152, f"String or binary data would be truncated: {error.message}.") from None
            case Pause():
                yield result
            case ServerMessage() | EnvChange():
                yield result.encode()

    def _done(self, done: Done, more: int = 0) -> bytes:
        within = DoneStatus.INXACT if self._session.transactions else 0
        return Done(done.status | more | within, done.command, done.rows, done.token).encode()

    def _transaction(self, request: TransactionRequest) -> Iterator[Result]:
        match request.type:
            case TransactionType.BEGIN:
                yield from self._session.begin()
            case TransactionType.COMMIT | TransactionType.ROLLBACK:
                yield from self._session.end(commit=request.type is TransactionType.COMMIT)
                if request.begin is not None:
                    yield from self._session.begin()
            case _:
                raise SqlError(50000, f"The demo does not do {request.type.name} requests.")

    def _load(self, tokens: bytes) -> Iterator[Result]:
        """Bulk rows for the table of the INSERT BULK before."""
        names: list[str] = []
        rows = []
        for token in read_tokens(tokens.removesuffix(_SHORT_DONE)):
            match token:
                case ColMetadata(columns):
                    names = [column.name for column in columns or ()]
                case Row(values):
                    rows.append(values)
        yield Affected(self._session.insert(self._bulk, names, rows), _BULK)


def _ended(result: Affected, token: TokenType = TokenType.DONE) -> Done:
    counts = 0 if result.count is None else DoneStatus.COUNT
    return Done(counts, result.command, result.count or 0, token)
