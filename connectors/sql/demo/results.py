"""What running a statement gives, in the terms of TDS, and the types that DuckDB's become."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from connectors.sql.demo.shop import TEXT_COLUMNS, nvarchar
from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.tokens import ServerMessage, TokenType
from connectors.sql.tds.tokens_env import EnvChange
from connectors.sql.tds.tokens_login import DataClassification
from connectors.sql.tds.types import MAX, TypeId, TypeInfo, scaled
from connectors.sql.tds.values import Value

SERVER = "SHOPDB01"
LONGEST = 4000  # characters of an nvarchar that is not (max)
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_SIZES = {9: 5, 19: 9, 28: 13, 38: 17}
BIGINT = TypeInfo(TypeId.INTN, 8)
_TYPES = {
    "INTEGER": TypeInfo(TypeId.INTN, 4),
    "BIGINT": BIGINT,
    "HUGEINT": BIGINT,  # a sum of integers
    "SMALLINT": TypeInfo(TypeId.INTN, 2),
    "UTINYINT": TypeInfo(TypeId.INTN, 1),
    "TINYINT": TypeInfo(TypeId.INTN, 2),
    "BOOLEAN": TypeInfo(TypeId.BITN, 1),
    "DOUBLE": TypeInfo(TypeId.FLTN, 8),
    "FLOAT": TypeInfo(TypeId.FLTN, 4),
    "DATE": TypeInfo(TypeId.DATEN, 3),
    "TIME": scaled(TypeId.TIMEN, 7),
    "TIMESTAMP": scaled(TypeId.DATETIME2N, 7),
    "BLOB": TypeInfo(TypeId.BIGVARBINARY, MAX),
    "UUID": TypeInfo(TypeId.GUID, 16),
    '"NULL"': TypeInfo(TypeId.INTN, 4),
}


@dataclass(frozen=True, slots=True)
class Columns:
    """A result begins. Its rows follow as ``Batch``, its end as ``Affected``."""

    columns: Sequence[Column]
    classification: DataClassification | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of the result that began last."""

    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Affected:
    """A statement has ended: its rows, None where it counts nothing, and the number of its kind in a DONE."""

    count: int | None = None
    command: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """An output parameter or handle; ``ordinal`` is its place among the parameters."""

    name: str
    type: TypeInfo
    value: Value
    ordinal: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """What a procedure returns."""

    value: int


@dataclass(frozen=True, slots=True)
class Pause:
    """WAITFOR DELAY, in seconds."""

    seconds: float


Result: TypeAlias = "Columns | Batch | Affected | Output | Status | Pause | ServerMessage | EnvChange"


class SqlError(Exception):
    """An error of the server, with the number and severity that SQL Server gives it."""

    def __init__(self, number: int, text: str, severity: int = 16, state: int = 1) -> None:
        super().__init__(text)
        self.message = ServerMessage(number, text, severity, state, SERVER)


def info(text: str, number: int = 0, severity: int = 0) -> ServerMessage:
    """A message that is no error."""
    return ServerMessage(number, text, severity, server=SERVER, token=TokenType.INFO)


def column(name: str, duck_type: str, longest: int = 0) -> Column:
    """The column that a DuckDB result column becomes; ``longest`` is the length of its longest text seen."""
    if duck_type == "VARCHAR":
        declared = TEXT_COLUMNS.get(name.lower(), nvarchar(LONGEST))
        size = declared.size if declared.codec != "utf-16-le" else declared.size // 2
        return Column(name, declared if longest <= size else nvarchar(MAX))
    if match := _DECIMAL.fullmatch(duck_type):
        return Column(name, decimal(int(match[1]), int(match[2])))
    return Column(name, _TYPES.get(duck_type, nvarchar(LONGEST)))


def decimal(precision: int, scale: int) -> TypeInfo:
    """A decimal type of so many digits, ``scale`` of them after the point."""
    size = next(size for limit, size in _SIZES.items() if precision <= limit)
    return TypeInfo(TypeId.DECIMALN, size, precision, scale)


def type_of(value: Any) -> TypeInfo:
    """A type that holds a Python value, for values that come without one."""
    match value:
        case bool():
            return _TYPES["BOOLEAN"]
        case int():
            return _TYPES["INTEGER"] if -(2**31) <= value < 2**31 else BIGINT
        case float():
            return _TYPES["DOUBLE"]
        case bytes():
            return _TYPES["BLOB"]
        case _:
            return nvarchar(LONGEST if len(str(value)) <= LONGEST else MAX)
