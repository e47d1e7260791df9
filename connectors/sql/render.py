"""Recorded responses as tables, for replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from math import isfinite
from uuid import UUID

from connectors.sql.tds.buffer import TruncatedError
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.features import CLASSIFICATION_VERSION
from connectors.sql.tds.temporal import DateTime2, DateTimeOffset, Time
from connectors.sql.tds.tokens import Done, DoneStatus, ReturnStatus, ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange, EnvType
from connectors.sql.tds.tokenstream import ColMetadata, OutputValue, Row, Token, read_tokens
from connectors.sql.tds.types import TypeId, TypeInfo
from connectors.sql.tds.values import Value, Variant
from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Json
from hoopcli.spi import Table

CUT = "kept part ends here"
_SCALED = (TypeId.TIMEN, TypeId.DATETIME2N, TypeId.DATETIMEOFFSETN)
_MANY_DIGITS = 1 << 53  # integers beyond it lose digits in many readers of JSON


def render(payload: bytes, classification: int = CLASSIFICATION_VERSION) -> Iterator[Table]:
    """Decode a delivered response, perhaps cut off anywhere, into one table a result; all else becomes notes.

    ``classification`` is the version in which the client was told of sensitivity.
    """
    page = _Page()
    try:
        for token in read_tokens(payload, classification):
            yield from page.take(token)
    except TruncatedError:
        yield page.finished(CUT)
        return
    except ProtocolError as error:
        yield page.finished(f"cannot be read further: {error.message}")
        return
    if page.open:
        yield page.finished(CUT)


@dataclass(slots=True)
class _Page:
    """The result being collected; without columns there is none."""

    columns: tuple[Column, ...] | None = None
    rows: list[list[Json]] = field(default_factory=list)
    more: bool = False

    @property
    def open(self) -> bool:
        """Whether something must follow."""
        return self.columns is not None or self.more

    def take(self, token: Token) -> Iterator[Table]:
        match token:
            case ColMetadata(columns=tuple() as columns):
                if self.columns is not None:
                    yield self.finished()
                self.columns = columns
            case Row(values=values, alt=None):
                types = [column.type for column in self.columns or ()]
                self.rows.append([plain(value, info) for value, info in zip(values, types, strict=True)])
            case Row(values=values):
                yield _note("total: " + ", ".join(str(plain(value)) for value in values))
            case Done():
                yield from self._done(token)
            case ServerMessage():
                yield _note(_message(token))
            case OutputValue(header=header, value=value):
                yield _note(f"{header.name or 'result'} = {plain(value, header.type)}")
            case EnvChange(type=EnvType.DATABASE, new=str() as name):
                yield _note(f"database is now {name}")
            case ReturnStatus(value=value) if value:
                yield _note(f"procedure returned {value}")
            case _:
                pass

    def _done(self, done: Done) -> Iterator[Table]:
        self.more = bool(done.status & DoneStatus.MORE)
        if self.columns is not None:
            yield self.finished()
        elif done.status & DoneStatus.COUNT:
            yield _note(f"{_count(done.rows)} affected")
        if done.status & DoneStatus.ATTENTION:
            yield _note("cancelled by the client")

    def finished(self, note: str = "") -> Table:
        """The result so far; the page is empty then."""
        names = [column.name for column in self.columns or ()]
        rows, known = self.rows, self.columns is not None
        self.columns, self.rows = None, []
        count = _count(len(rows)) if known else ""
        return Table(names, rows, ", ".join(part for part in (count, note) if part))


def _count(rows: int) -> str:
    return f"{rows} row" if rows == 1 else f"{rows} rows"


def _note(text: str) -> Table:
    return Table((), (), text)


def _message(message: ServerMessage) -> str:
    if message.token is TokenType.INFO:
        return f"info: {message.text}"
    return f"error {message.number}: {message.text}"


def plain(value: Value, info: TypeInfo | None = None) -> Json:
    """A value as JSON has it: bytes as ``0x`` and hex digits, times and numbers that JSON cannot hold as text."""
    match value:
        case Variant():
            return plain(value.value, value.info)
        case int() if abs(value) < _MANY_DIGITS:
            return value
        case float() if isfinite(value):
            return value
        case None | str():
            return value
        case _:
            return _text(value, info)


def _text(value: Value, info: TypeInfo | None) -> str:
    match value:
        case bytes():
            return f"0x{value.hex().upper()}"
        case Decimal():
            return format(value, "f")
        case UUID():
            return str(value).upper()
        case datetime():
            return value.isoformat(" ", "milliseconds")
        case Time() | DateTime2() | DateTimeOffset():
            return value.isoformat(info.scale if info and info.id in _SCALED else 7)
        case _:
            return str(value)
