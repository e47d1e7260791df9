"""Answers made once and sent as fast as the socket takes them: an upstream that is never the slow part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.sql.demo.shop import nvarchar, varchar
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.rowencode import encode_rows
from connectors.sql.tds.tokens import Done, DoneStatus
from connectors.sql.tds.types import TypeId, TypeInfo, scaled

COLUMNS = [
    Column("id", TypeInfo(TypeId.INTN, 4)),
    Column("name", nvarchar(60)),
    Column("email", nvarchar(80)),
    Column("city", nvarchar(40)),
    Column("code", varchar(24)),
    Column("amount", TypeInfo(TypeId.DECIMALN, 9, 12, 2)),
    Column("created_at", scaled(TypeId.DATETIME2N, 7)),
    Column("active", TypeInfo(TypeId.BITN, 1)),
]
_INT = [Column("", TypeInfo(TypeId.INTN, 4))]
_ONE = write_columns(_INT) + encode_rows(_INT, [(1,)]) + Done(DoneStatus.COUNT, 0xC1, 1).encode()
_PIECE = 4000
_HUGE = 2_000_000_000
_START = datetime(2025, 1, 6)  # noqa: DTZ001 - datetime2 has no zone


class Canned:
    """``SELECT 1``, ``SELECT * FROM dbo.big`` with ``rows`` rows of 8 columns, and ``dbo.huge`` with 2 GB of them."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._big: list[bytes] = []

    def answer(self, text: str) -> Iterator[bytes] | None:
        """The answer, if the text asks for one of them."""
        match text.strip().lower().rstrip(";").split():
            case ["select", "*", "from", "dbo.big"]:
                return self._stream(repeats=1)
            case ["select", "*", "from", "dbo.huge"]:
                return self._stream(repeats=0)
            case ["select", "1"]:
                return iter((_ONE,))
            case _:
                return None

    def _stream(self, repeats: int) -> Iterator[bytes]:
        if not self._big:
            self._big = [self._piece(start) for start in range(0, self._rows, _PIECE)]
        size = sum(map(len, self._big))
        times = repeats or _HUGE // size + 1
        yield write_columns(COLUMNS)
        for _ in range(times):
            yield from self._big
        yield Done(DoneStatus.COUNT, 0xC1, self._rows * times).encode()

    def _piece(self, start: int) -> bytes:
        return encode_rows(COLUMNS, [_row(number) for number in range(start, min(start + _PIECE, self._rows))])


def _row(number: int) -> tuple[object, ...]:
    return (
        number,
        f"Customer number {number:07} of the shop",
        f"person.{number}@mail{number % 97}.example.com",
        f"City of {number % 1000:04}",
        f"REF-{number * 7919 % 1_000_003:07}-{number % 26:02}",
        Decimal(number * 37 % 10_000_000) / 100,
        _START + timedelta(seconds=number),
        number % 2 == 0,
    )
