"""What running a statement gives, in the terms of TDS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from connectors.sql.demo.shop import TEXT_COLUMNS, nvarchar
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.tokens import ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange
from connectors.sql.tds.types import TypeId, TypeInfo, scaled
from connectors.sql.tds.values import Value

_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_SIZES = {9: 5, 19: 9, 28: 13, 38: 17}
_TYPES = {
    "INTEGER": TypeInfo(TypeId.INTN, 4),
    "BIGINT": TypeInfo(TypeId.INTN, 8),
    "SMALLINT": TypeInfo(TypeId.INTN, 2),
    "UTINYINT": TypeInfo(TypeId.INTN, 1),
    "TINYINT": TypeInfo(TypeId.INTN, 2),
    "BOOLEAN": TypeInfo(TypeId.BITN, 1),
    "DOUBLE": TypeInfo(TypeId.FLTN, 8),
    "FLOAT": TypeInfo(TypeId.FLTN, 4),
    "DATE": TypeInfo(TypeId.DATEN),
    "TIME": scaled(TypeId.TIMEN, 7),
    "TIMESTAMP": scaled(TypeId.DATETIME2N, 7),
    "BLOB": TypeInfo(TypeId.BIGVARBINARY, 8000),
    "UUID": TypeInfo(TypeId.GUID, 16),
}
_HUGE = TypeInfo(TypeId.DECIMALN, 17, 38, 0)


@dataclass(frozen=True, slots=True)
class Rows:
    """A result: its columns and batches of rows, made while they are taken."""

    columns: Sequence[Column]
    batches: Iterator[Sequence[Sequence[Any]]]


@dataclass(frozen=True, slots=True)
class Affected:
    """How many rows a statement changed; None where it counts nothing."""

    count: int | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """An output parameter or handle."""

    name: str
    type: TypeInfo
    value: Value


@dataclass(frozen=True, slots=True)
class Pause:
    """WAITFOR DELAY, in seconds."""

    seconds: float


Result: TypeAlias = "Rows | Affected | Output | Pause | ServerMessage | EnvChange"


class SqlError(Exception):
    """An error of the server, with the number that SQL Server gives it."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.message = ServerMessage(number, text, server="SHOPDB01")


def info(text: str, number: int = 0) -> ServerMessage:
    """A message that is no error."""
    return ServerMessage(number, text, 0, server="SHOPDB01", token=TokenType.INFO)


def column(name: str, duck_type: str) -> Column:
    """The column that a DuckDB result column becomes."""
    if duck_type == "VARCHAR":
        return Column(name, TEXT_COLUMNS.get(name.lower(), nvarchar(4000)))
    if match := _DECIMAL.fullmatch(duck_type):
        precision, scale = int(match[1]), int(match[2])
        size = next(size for limit, size in _SIZES.items() if precision <= limit)
        return Column(name, TypeInfo(TypeId.DECIMALN, size, precision, scale))
    return Column(name, _TYPES.get(duck_type, _HUGE if duck_type == "HUGEINT" else nvarchar(4000)))
