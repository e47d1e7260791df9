"""Encoding many rows at once, for the server's role: one specialised encoder a column, all loops in C."""

from __future__ import annotations

from codecs import utf_16_le_encode
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from itertools import chain, repeat
from operator import itemgetter
from struct import Struct, error
from typing import Any, TypeAlias

from connectors.sql.tds.colmetadata import Column
from connectors.sql.tds.temporal import TICKS_PER_SECOND, UNITS
from connectors.sql.tds.types import Layout, TypeId, TypeInfo
from connectors.sql.tds.values import encode_text, encode_value, unscaled
from hoopcli.errors import ProtocolError

Encoder: TypeAlias = Callable[[Any], bytes]

_LENGTH = Struct("<H").pack
_ROW = b"\xd1"
_INTEGERS = {1: "B", 2: "h", 4: "i", 8: "q"}
_DAY_ZERO = 1  # the ordinal of 0001-01-01, which is day 0 on the wire


def encode_rows(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> bytes:
    """Encode rows of Python values (see ``values``) as ROW tokens. Raises ProtocolError if a value does not fit."""
    cells = [map(encoder(column.type), map(itemgetter(i), rows)) for i, column in enumerate(columns)]
    try:
        return b"".join(chain.from_iterable(zip(repeat(_ROW, len(rows)), *cells, strict=True)))
    except (error, ArithmeticError, AttributeError, TypeError, ValueError, IndexError) as reason:
        raise ProtocolError(f"a value does not fit its column: {reason}") from None


def encoder(info: TypeInfo) -> Encoder:
    """A function that encodes values of one type as they lie in a row."""
    if info.id is TypeId.INTN:
        return _integer(info)
    if info.id is TypeId.BITN:
        return lambda value: b"\x00" if value is None else b"\x01\x01" if value else b"\x01\x00"
    if info.layout is Layout.SHORT and info.codec and not info.padded:
        return _text(info, info.codec)
    if info.id is TypeId.DECIMALN:
        return _decimal(info)
    if info.id is TypeId.DATETIME2N:
        return _datetime2(info)
    return partial(encode_value, info)


def _integer(info: TypeInfo) -> Encoder:
    size = info.size
    pack = Struct("<B" + _INTEGERS[size]).pack
    return lambda value: b"\x00" if value is None else pack(size, value)


def _text(info: TypeInfo, codec: str) -> Encoder:
    size, wide = info.size, codec == "utf-16-le"

    def encode(value: str | None) -> bytes:
        if value is None:
            return b"\xff\xff"
        raw = utf_16_le_encode(value, "surrogatepass")[0] if wide else encode_text(value, codec)
        count = len(raw)
        if count > size:
            raise ProtocolError(f"a text of {count} bytes does not fit {info.name}")
        return _LENGTH(count) + raw

    return encode


def _decimal(info: TypeInfo) -> Encoder:
    scale, size, limit = info.scale, info.size - 1, 10**info.precision
    positive, negative = bytes((info.size, 1)), bytes((info.size, 0))

    def encode(value: Any) -> bytes:
        if value is None:
            return b"\x00"
        number = unscaled(value, scale)
        if not -limit < number < limit:
            raise ProtocolError(f"{value} does not fit {info.name}")
        return (positive if number >= 0 else negative) + abs(number).to_bytes(size, "little")

    return encode


def _datetime2(info: TypeInfo) -> Encoder:
    unit, size, prefix = UNITS[info.scale], info.size - 3, bytes((info.size,))

    def encode(value: Any) -> bytes:
        if not isinstance(value, datetime):
            return encode_value(info, value)
        seconds = (value.hour * 60 + value.minute) * 60 + value.second
        ticks = seconds * TICKS_PER_SECOND + value.microsecond * 10
        return prefix + (ticks // unit).to_bytes(size, "little") + (value.toordinal() - _DAY_ZERO).to_bytes(3, "little")

    return encode
