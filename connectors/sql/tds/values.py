"""Values of every type as Python objects, both ways ([MS-TDS] 2.2.5.5).

bit is bool; the integers int; real and float float; decimal, numeric and money Decimal; uniqueidentifier UUID; the
character types, xml and json str; date date; datetime and smalldatetime datetime; time, datetime2 and datetimeoffset
the types of ``temporal``; sql_variant ``Variant``; all others bytes; NULL None.
"""

from __future__ import annotations

import struct
from codecs import utf_16_le_decode, utf_16_le_encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any, TypeAlias
from uuid import UUID

from connectors.sql.tds import temporal
from connectors.sql.tds.buffer import Reader
from connectors.sql.tds.cells import read_cell, write_cell
from connectors.sql.tds.collation import LATIN1, Collation
from connectors.sql.tds.temporal import DateTime2, DateTimeOffset, Time
from connectors.sql.tds.types import TypeId, TypeInfo, read_type_info, scaled
from hoopcli.errors import ProtocolError

_T = TypeId
_EXACT = Context(prec=120, rounding=ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Variant:
    """A value inside a sql_variant, with its own type."""

    info: TypeInfo
    value: Value


Value: TypeAlias = (
    "bool | int | float | Decimal | UUID | str | bytes | date | datetime | Time | DateTime2 | DateTimeOffset"
    " | Variant | None"
)


def read_value(reader: Reader, info: TypeInfo) -> Value:
    """Read one whole value. Raises TruncatedError, ProtocolError."""
    raw = read_cell(reader, info)
    return None if raw is None else decode(info, raw)


def encode_value(info: TypeInfo, value: Value | time) -> bytes:
    """Encode one value as it lies in a row. Raises ProtocolError if the type cannot hold it."""
    return write_cell(info, None if value is None else encode(info, value))


def decode(info: TypeInfo, raw: bytes) -> Value:
    """Turn the raw bytes of a value that is not NULL into a Python object. Raises ProtocolError."""
    if codec := info.codec:
        return decode_text(raw, codec)
    decoder = _DECODERS.get(info.id)
    return raw if decoder is None else decoder(info, raw)


def encode(info: TypeInfo, value: Value | time) -> bytes:
    """Turn a Python object into the raw bytes of a value. Raises ProtocolError if the type cannot hold it."""
    try:
        if codec := info.codec:
            return _pad(info, encode_text(str(value), codec))
        return _ENCODERS.get(info.id, _encode_bytes)(info, value)
    except (OverflowError, struct.error, InvalidOperation, ValueError, TypeError, AttributeError) as error:
        raise ProtocolError(f"{type(value).__name__} {error} does not fit {info.name}") from None


def decode_text(raw: bytes, codec: str) -> str:
    """Decode character data; bytes that the code page lacks become lone surrogates, so that nothing is lost."""
    if codec != "utf-16-le":
        return raw.decode(codec, "surrogateescape")
    if len(raw) & 1:
        raise ProtocolError("UTF-16 text has an odd number of bytes")
    return utf_16_le_decode(raw, "surrogatepass", True)[0]


def encode_text(text: str, codec: str) -> bytes:
    """The opposite of ``decode_text``; characters that the code page lacks become ``?``."""
    if codec == "utf-16-le":
        return utf_16_le_encode(text, "surrogatepass")[0]
    try:
        return text.encode(codec, "surrogateescape")
    except UnicodeEncodeError:
        return text.encode(codec, "replace")


def _pad(info: TypeInfo, raw: bytes) -> bytes:
    if not info.padded:
        return raw
    return raw + (b" \x00" if info.id is _T.NCHAR else b" ") * ((info.size - len(raw)) // (1 + (info.id is _T.NCHAR)))


def decode_int(info: TypeInfo, raw: bytes) -> int:
    """An integer of any size; only tinyint is unsigned."""
    return int.from_bytes(raw, "little", signed=len(raw) > 1)


def _encode_int(info: TypeInfo, value: Any) -> bytes:
    return int(value).to_bytes(info.size, "little", signed=info.size > 1)


def _decode_decimal(info: TypeInfo, raw: bytes) -> Decimal:
    if raw[0] > 1:
        raise ProtocolError(f"the sign of a decimal is {raw[0]}")
    magnitude = int.from_bytes(raw[1:], "little")
    return _EXACT.scaleb(Decimal(magnitude if raw[0] else -magnitude), -info.scale)


def _encode_decimal(info: TypeInfo, value: Any) -> bytes:
    number = unscaled(value, info.scale)
    if abs(number) >= 10**info.precision:
        raise OverflowError("too many digits")
    return bytes((number >= 0,)) + abs(number).to_bytes(info.size - 1, "little")


def unscaled(value: Any, scale: int) -> int:
    """The integer that stands for a number with so many decimal places, rounded half up."""
    return int(_EXACT.to_integral_value(_EXACT.scaleb(Decimal(value), scale)))


def _decode_money(info: TypeInfo, raw: bytes) -> Decimal:
    ordered = raw if len(raw) == 4 else raw[4:] + raw[:4]  # of eight bytes the upper four come first
    return _EXACT.scaleb(Decimal(int.from_bytes(ordered, "little", signed=True)), -4)


def _encode_money(info: TypeInfo, value: Any) -> bytes:
    raw = unscaled(value, 4).to_bytes(info.size, "little", signed=True)
    return raw if info.size == 4 else raw[4:] + raw[:4]


def _float_format(info: TypeInfo) -> str:
    return "<f" if info.size == 4 else "<d"


def _decode_float(info: TypeInfo, raw: bytes) -> float:
    value: float = struct.unpack(_float_format(info), raw)[0]
    return value


def _encode_bytes(info: TypeInfo, value: Any) -> bytes:
    raw = value if isinstance(value, bytes) else memoryview(value).tobytes()
    return raw.ljust(info.size, b"\x00") if info.id in (_T.BINARY, _T.BIGBINARY) else raw


def _time(value: Any) -> Time:
    return Time.of(value) if isinstance(value, time) else value


def _datetime2(value: Any) -> DateTime2:
    return DateTime2.of(value) if isinstance(value, datetime) else value


def _offset(value: Any) -> DateTimeOffset:
    return DateTimeOffset.of(value) if isinstance(value, datetime) else value


_INTS = (_T.INT1, _T.INT2, _T.INT4, _T.INT8, _T.INTN)
_DECIMALS = (_T.DECIMAL, _T.NUMERIC, _T.DECIMALN, _T.NUMERICN)
_MONEYS = (_T.MONEY, _T.MONEY4, _T.MONEYN)
_FLOATS = (_T.FLT4, _T.FLT8, _T.FLTN)
_DATETIMES = (_T.DATETIME, _T.DATETIM4, _T.DATETIMN)

_FAMILIES: tuple[
    tuple[tuple[TypeId, ...], Callable[[TypeInfo, bytes], Value], Callable[[TypeInfo, Any], bytes]], ...
] = (
    (_INTS, decode_int, _encode_int),
    (_DECIMALS, _decode_decimal, _encode_decimal),
    (_MONEYS, _decode_money, _encode_money),
    (_FLOATS, _decode_float, lambda info, value: struct.pack(_float_format(info), value)),
    ((_T.BIT, _T.BITN), lambda info, raw: raw != b"\x00", lambda info, value: bytes((bool(value),))),
    ((_T.GUID,), lambda info, raw: UUID(bytes_le=raw), lambda info, value: UUID(str(value)).bytes_le),
    (
        _DATETIMES,
        lambda info, raw: temporal.decode_datetime(raw),
        lambda info, value: temporal.encode_datetime(value, info.size),
    ),
    ((_T.DATEN,), lambda info, raw: temporal.decode_date(raw), lambda info, value: temporal.encode_date(value)),
    (
        (_T.TIMEN,),
        lambda info, raw: temporal.decode_time(raw, info.scale),
        lambda info, value: temporal.encode_time(_time(value), info.scale, info.size),
    ),
    (
        (_T.DATETIME2N,),
        lambda info, raw: temporal.decode_datetime2(raw, info.scale),
        lambda info, value: temporal.encode_datetime2(_datetime2(value), info.scale, info.size),
    ),
    (
        (_T.DATETIMEOFFSETN,),
        lambda info, raw: temporal.decode_datetimeoffset(raw, info.scale),
        lambda info, value: temporal.encode_datetimeoffset(_offset(value), info.scale, info.size),
    ),
    ((_T.SSVARIANT,), lambda info, raw: decode_variant(raw), lambda info, value: encode_variant(value)),
)
_DECODERS = {id_: decoder for ids, decoder, _ in _FAMILIES for id_ in ids}
_ENCODERS = {id_: encoder for ids, _, encoder in _FAMILIES for id_ in ids}

#: The sizes of the types that a sql_variant holds without properties ([MS-TDS] 2.2.5.5.4).
_PLAIN = frozenset(
    (
        _T.GUID,
        _T.BIT,
        _T.INT1,
        _T.INT2,
        _T.INT4,
        _T.INT8,
        _T.DATETIME,
        _T.DATETIM4,
        _T.FLT4,
        _T.FLT8,
        _T.MONEY,
        _T.MONEY4,
        _T.DATEN,
    )
)
_TIMES = (_T.TIMEN, _T.DATETIME2N, _T.DATETIMEOFFSETN)
_CHARACTERS = (_T.BIGVARCHAR, _T.BIGCHAR, _T.NVARCHAR, _T.NCHAR)
_BINARIES = (_T.BIGVARBINARY, _T.BIGBINARY)


def split_variant(raw: bytes) -> tuple[TypeInfo, bytes]:
    """Part a sql_variant's bytes into its base type and the raw value. Raises ProtocolError."""
    reader = Reader(raw)
    token, properties = reader.u8(), Reader(reader.b_varbyte())
    value = reader.rest()
    info = _base_type(token, properties, len(value))
    properties.expect_end("the properties of a sql_variant")
    if info.layout.value in ("fixed", "byte") and len(value) != info.size:
        raise ProtocolError(f"a sql_variant holds {len(value)} bytes of {info.name}")
    return info, value


def _base_type(token: int, properties: Reader, size: int) -> TypeInfo:
    if token in _PLAIN:
        return read_type_info(Reader(bytes((token, 16))))
    if token in _TIMES:
        return scaled(TypeId(token), properties.u8())
    if token in (_T.DECIMALN, _T.NUMERICN):
        return read_type_info(Reader(bytes((token, min(size, 255))) + properties.bytes(2)))
    if token in _CHARACTERS:
        collation = Collation(properties.bytes(5))
        return TypeInfo(TypeId(token), properties.u16(), collation=collation)
    if token in _BINARIES:
        return TypeInfo(TypeId(token), properties.u16())
    raise ProtocolError(f"a sql_variant cannot hold type 0x{token:02X}")


def join_variant(info: TypeInfo, raw: bytes) -> bytes:
    """The opposite of ``split_variant``."""
    if info.id in _PLAIN:
        properties = b""
    elif info.id in _TIMES:
        properties = bytes((info.scale,))
    elif info.id in (_T.DECIMALN, _T.NUMERICN):
        properties = bytes((info.precision, info.scale))
    elif info.id in _CHARACTERS:
        properties = (info.collation or LATIN1).raw + info.size.to_bytes(2, "little")
    elif info.id in _BINARIES:
        properties = info.size.to_bytes(2, "little")
    else:
        raise ProtocolError(f"a sql_variant cannot hold {info.name}")
    return bytes((info.id, len(properties))) + properties + raw


def decode_variant(raw: bytes) -> Variant:
    """Decode a sql_variant's bytes."""
    info, value = split_variant(raw)
    return Variant(info, decode(info, value))


def encode_variant(value: Any) -> bytes:
    """Encode a ``Variant``."""
    return join_variant(value.info, encode(value.info, value.value))
