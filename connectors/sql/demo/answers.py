"""Turning what the engine gives into the tokens of an answer."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from connectors.sql.demo.canned import Canned
from connectors.sql.demo.engine import Session
from connectors.sql.demo.procedures import Procedures
from connectors.sql.demo.results import Affected, Output, Pause, Result, Rows, SqlError
from connectors.sql.tds.colmetadata import write_columns
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
from connectors.sql.tsql.classify import Scope, classify

_SELECT = 0xC1
_ROWS_A_PIECE = 256
_NO_TRANSACTION = b""


class Answers:
    """Answers requests of one connection, a piece of the token stream at a time."""

    def __init__(self, session: Session, procedures: Procedures, canned: Canned | None) -> None:
        self._session = session
        self._procedures = procedures
        self._canned = canned
        self._bulk = ""
        self._descriptor = 0

    def reset(self) -> None:
        """RESETCONNECTION."""
        if self._session.transactions:
            self._session.end(commit=False)
        self._procedures.reset()

    def to(self, request: Request) -> Iterator[bytes | Pause]:
        """The answer to one request."""
        match request:
            case SqlBatch(text=text):
                yield from self._batch(text)
            case RpcRequest(calls=calls):
                for at, call in enumerate(calls):
                    yield from self._call(call, last=at == len(calls) - 1)
            case TransactionRequest():
                yield from self._transaction(request)
            case BulkLoad(tokens=tokens):
                yield self._load(tokens)

    @staticmethod
    def cancelled() -> bytes:
        """What ends an answer that was cancelled."""
        return Done(DoneStatus.ATTENTION).encode()

    def _batch(self, text: str) -> Iterator[bytes | Pause]:
        if self._canned is not None and (pieces := self._canned.answer(text)) is not None:
            yield from pieces
            return
        if text.lstrip().upper().startswith("INSERT BULK"):
            [table] = classify(text, Scope("shop")).actions[0].resources
            self._bulk = table
            yield Done().encode()
            return
        held = Done()
        try:
            for result in self._session.run(text):
                if isinstance(result, Affected | Rows):
                    if held.command or held.status:
                        yield Done(held.status | DoneStatus.MORE, held.command, held.rows).encode()
                    held = Done(
                        DoneStatus.COUNT if isinstance(result, Rows) or result.count is not None else 0, _SELECT
                    )
                done = yield from self._result(result, held)
                held = done or held
        except SqlError as error:
            yield error.message.encode()
            held = Done(DoneStatus.ERROR)
        yield held.encode()

    def _result(self, result: Result, held: Done) -> Generator[bytes | Pause, None, Done | None]:
        """The tokens of one result; returns the DONE that it wants, if any."""
        match result:
            case Rows(columns=columns, batches=batches):
                yield write_columns(columns)
                total = 0
                for batch in batches:
                    total += len(batch)
                    for start in range(0, len(batch), _ROWS_A_PIECE):
                        yield encode_rows(columns, batch[start : start + _ROWS_A_PIECE])
                return Done(held.status, held.command, total)
            case Affected(count=count):
                return Done(held.status, held.command, count or 0)
            case Output(name=name, type=kind, value=value):
                yield ReturnValue(0, name, kind).encode() + encode_value(kind, value)
            case Pause():
                yield result
            case ServerMessage() | EnvChange():
                yield result.encode()
        return None

    def _call(self, call: RpcCall, *, last: bool) -> Iterator[bytes | Pause]:
        more = 0 if last else DoneStatus.MORE
        try:
            for result in self._procedures.call(call):
                done = yield from self._result(result, Done(DoneStatus.COUNT, _SELECT))
                if done is not None:
                    yield Done(done.status | DoneStatus.MORE, _SELECT, done.rows, TokenType.DONEINPROC).encode()
        except SqlError as error:
            yield error.message.encode()
            yield Done(DoneStatus.ERROR | more, token=TokenType.DONEPROC).encode()
            return
        yield ReturnStatus(0).encode() + Done(more, token=TokenType.DONEPROC).encode()

    def _transaction(self, request: TransactionRequest) -> Iterator[bytes]:
        try:
            yield from self._transact(request)
        except SqlError as error:
            yield error.message.encode() + Done(DoneStatus.ERROR).encode()
            return
        yield Done().encode()

    def _transact(self, request: TransactionRequest) -> Iterator[bytes]:
        if request.type is TransactionType.BEGIN:
            yield self._begin()
        elif request.type in {TransactionType.COMMIT, TransactionType.ROLLBACK}:
            commit = request.type is TransactionType.COMMIT
            self._session.end(commit=commit)
            kind = EnvType.COMMIT_TRANSACTION if commit else EnvType.ROLLBACK_TRANSACTION
            yield EnvChange(kind, b"", self._descriptor.to_bytes(8, "little")).encode()
            if request.begin is not None:
                yield self._begin()
        else:
            raise SqlError(50000, f"The demo does not do {request.type.name} requests.")

    def _begin(self) -> bytes:
        self._session.begin()
        self._descriptor += 1
        return EnvChange(EnvType.BEGIN_TRANSACTION, self._descriptor.to_bytes(8, "little"), b"").encode()

    def _load(self, tokens: bytes) -> bytes:
        names: list[str] = []
        rows = []
        for token in read_tokens(tokens):
            if isinstance(token, ColMetadata):
                names = [column.name for column in token.columns or ()]
            elif isinstance(token, Row):
                rows.append(token.values)
        try:
            count = self._session.insert(self._bulk, names, rows) if rows else 0
        except SqlError as error:
            return error.message.encode() + Done(DoneStatus.ERROR).encode()
        return Done(DoneStatus.COUNT, 0xF0, count).encode()
