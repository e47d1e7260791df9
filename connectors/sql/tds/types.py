"""Data types and TYPE_INFO ([MS-TDS] 2.2.5.4 to 2.2.5.6): how columns and parameters are described."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, IntEnum

from connectors.sql.tds.buffer import Reader, b_varchar, us_varchar
from connectors.sql.tds.collation import LATIN1, Collation
from hoopcli.errors import ProtocolError

MAX = 0xFFFF  # the declared size of varchar(max), nvarchar(max) and varbinary(max)


class TypeId(IntEnum):
    """The type tokens of TDS 7.4."""

    NULL = 0x1F
    INT1 = 0x30
    BIT = 0x32
    INT2 = 0x34
    INT4 = 0x38
    DATETIM4 = 0x3A
    FLT4 = 0x3B
    MONEY = 0x3C
    DATETIME = 0x3D
    FLT8 = 0x3E
    MONEY4 = 0x7A
    INT8 = 0x7F
    GUID = 0x24
    INTN = 0x26
    DECIMAL = 0x37
    NUMERIC = 0x3F
    BITN = 0x68
    DECIMALN = 0x6A
    NUMERICN = 0x6C
    FLTN = 0x6D
    MONEYN = 0x6E
    DATETIMN = 0x6F
    DATEN = 0x28
    TIMEN = 0x29
    DATETIME2N = 0x2A
    DATETIMEOFFSETN = 0x2B
    CHAR = 0x2F
    VARCHAR = 0x27
    BINARY = 0x2D
    VARBINARY = 0x25
    BIGVARBINARY = 0xA5
    BIGVARCHAR = 0xA7
    BIGBINARY = 0xAD
    BIGCHAR = 0xAF
    NVARCHAR = 0xE7
    NCHAR = 0xEF
    TEXT = 0x23
    IMAGE = 0x22
    NTEXT = 0x63
    SSVARIANT = 0x62
    UDT = 0xF0
    XML = 0xF1
    JSON = 0xF4
    VECTOR = 0xF5


class Layout(Enum):
    """How a value of a type lies in a row."""

    FIXED = "fixed"  # no length
    BYTE = "byte"  # a length byte, 0 is NULL
    SHORT = "short"  # two length bytes, 0xFFFF is NULL
    TEXT = "text"  # text pointer, timestamp, four length bytes; an empty pointer is NULL
    VARIANT = "variant"  # four length bytes, 0 is NULL
    PLP = "plp"  # partially length-prefixed chunks


_T = TypeId
_FIXED = {
    _T.NULL: ("void", 0),
    _T.INT1: ("tinyint", 1),
    _T.BIT: ("bit", 1),
    _T.INT2: ("smallint", 2),
    _T.INT4: ("int", 4),
    _T.DATETIM4: ("smalldatetime", 4),
    _T.FLT4: ("real", 4),
    _T.MONEY: ("money", 8),
    _T.DATETIME: ("datetime", 8),
    _T.FLT8: ("float", 8),
    _T.MONEY4: ("smallmoney", 4),
    _T.INT8: ("bigint", 8),
}
#: The names of the nullable types by their declared size, which is the only one a value may have.
_NULLABLE = {
    _T.GUID: {16: "uniqueidentifier", 0: "uniqueidentifier"},
    _T.INTN: {1: "tinyint", 2: "smallint", 4: "int", 8: "bigint"},
    _T.BITN: {1: "bit"},
    _T.FLTN: {4: "real", 8: "float"},
    _T.MONEYN: {4: "smallmoney", 8: "money"},
    _T.DATETIMN: {4: "smalldatetime", 8: "datetime"},
}
_DECIMAL = {_T.DECIMAL: "decimal", _T.DECIMALN: "decimal", _T.NUMERIC: "numeric", _T.NUMERICN: "numeric"}
_DECIMAL_SIZES = (5, 9, 13, 17)
_SCALED = {_T.TIMEN: ("time", 0), _T.DATETIME2N: ("datetime2", 3), _T.DATETIMEOFFSETN: ("datetimeoffset", 5)}
_TIME_SIZES = (3, 3, 3, 4, 4, 5, 5, 5)
_LEGACY = {_T.CHAR: "char", _T.VARCHAR: "varchar", _T.BINARY: "binary", _T.VARBINARY: "varbinary"}
_SHORT = {
    _T.BIGVARBINARY: "varbinary",
    _T.BIGVARCHAR: "varchar",
    _T.BIGBINARY: "binary",
    _T.BIGCHAR: "char",
    _T.NVARCHAR: "nvarchar",
    _T.NCHAR: "nchar",
    _T.VECTOR: "vector",
}
_CAN_BE_MAX = (_T.BIGVARBINARY, _T.BIGVARCHAR, _T.NVARCHAR)
_TEXT = {_T.TEXT: "text", _T.IMAGE: "image", _T.NTEXT: "ntext"}
_COLLATED = frozenset((_T.BIGCHAR, _T.BIGVARCHAR, _T.TEXT, _T.NTEXT, _T.NCHAR, _T.NVARCHAR))
_UTF16 = frozenset((_T.NVARCHAR, _T.NCHAR, _T.NTEXT, _T.XML))
_EIGHT_BIT = frozenset((_T.BIGCHAR, _T.BIGVARCHAR, _T.TEXT, _T.CHAR, _T.VARCHAR))
_PADDED = frozenset((_T.BIGCHAR, _T.NCHAR, _T.CHAR))
_BINARY = frozenset((_T.BINARY, _T.VARBINARY, _T.BIGBINARY, _T.BIGVARBINARY, _T.IMAGE))
_NULLABLE_FORM = {
    _T.INT1: _T.INTN,
    _T.INT2: _T.INTN,
    _T.INT4: _T.INTN,
    _T.INT8: _T.INTN,
    _T.BIT: _T.BITN,
    _T.FLT4: _T.FLTN,
    _T.FLT8: _T.FLTN,
    _T.MONEY: _T.MONEYN,
    _T.MONEY4: _T.MONEYN,
    _T.DATETIME: _T.DATETIMN,
    _T.DATETIM4: _T.DATETIMN,
}


@dataclass(frozen=True, slots=True)
class UdtInfo:
    """What names a CLR type. A parameter's has no assembly."""

    database: str
    schema: str
    name: str
    assembly: str = ""


@dataclass(frozen=True, slots=True)
class XmlSchema:
    """The schema collection of a typed xml column."""

    database: str
    owner: str
    collection: str


@dataclass(frozen=True, slots=True)
class TypeInfo:
    """A type as TYPE_INFO describes it; ``size`` is the largest length of a value in bytes, ``MAX`` for (max).

    For a vector, ``scale`` is its element type.
    """

    id: TypeId
    size: int = 0
    precision: int = 0
    scale: int = 0
    collation: Collation | None = None
    udt: UdtInfo | None = None
    schema: XmlSchema | None = None

    @property
    def layout(self) -> Layout:
        """How its values lie in a row."""
        if self.id in _FIXED:
            return Layout.FIXED
        if self.id in _SHORT:
            return Layout.PLP if self.size == MAX else Layout.SHORT
        if self.id in _TEXT:
            return Layout.TEXT
        if self.id is _T.SSVARIANT:
            return Layout.VARIANT
        return Layout.PLP if self.id in (_T.UDT, _T.XML, _T.JSON) else Layout.BYTE

    @property
    def codec(self) -> str | None:
        """The Python codec of a character type's values; ``None`` for all other types."""
        if self.id in _UTF16:
            return "utf-16-le"
        if self.id in _EIGHT_BIT:
            return (self.collation or LATIN1).codec
        return "utf-8" if self.id is _T.JSON else None

    @property
    def padded(self) -> bool:
        """Whether values are padded with blanks to the declared size."""
        return self.id in _PADDED

    @property
    def binary(self) -> bool:
        """Whether values are plain bytes, such as a text cast to varbinary."""
        return self.id in _BINARY

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths that a value of a BYTE type may have, NULL's 0 first."""
        if self.id in _DECIMAL:
            return (0, *(n for n in _DECIMAL_SIZES if n <= self.size))
        return tuple(range(self.size + 1)) if self.id in _LEGACY else (0, self.size)

    @property
    def nullable(self) -> TypeInfo:
        """The same type in the form that has a NULL."""
        return replace(self, id=_NULLABLE_FORM.get(self.id, self.id))

    @property
    def name(self) -> str:
        """As SQL spells it, e.g. ``nvarchar(50)``, ``decimal(10,2)``, ``varchar(max)``."""
        if self.id in _FIXED:
            return _FIXED[self.id][0]
        if self.id in _NULLABLE:
            return _NULLABLE[self.id][self.size]
        if self.id in _DECIMAL:
            return f"{_DECIMAL[self.id]}({self.precision},{self.scale})"
        if self.id in _SCALED:
            return f"{_SCALED[self.id][0]}({self.scale})"
        return self._name_of_sized()

    def _name_of_sized(self) -> str:
        if self.id is _T.VECTOR:
            return f"vector({max(0, self.size - 8) // (2 if self.scale else 4)})"
        if base := _SHORT.get(self.id) or _LEGACY.get(self.id):
            size = self.size // 2 if self.id in _UTF16 else self.size
            return f"{base}(max)" if self.size == MAX else f"{base}({size})"
        if self.id is _T.UDT and self.udt:
            return f"{self.udt.schema}.{self.udt.name}"
        return _TEXT.get(self.id) or {_T.SSVARIANT: "sql_variant", _T.DATEN: "date"}.get(self.id, self.id.name.lower())


def read_type_info(reader: Reader, *, parameter: bool = False) -> TypeInfo:
    """Read a TYPE_INFO; ``parameter`` for those of RPC requests, where a CLR type is named more briefly.

    Raises ProtocolError for a type or a size that TDS 7.4 does not have.
    """
    token = reader.u8()
    try:
        id_ = TypeId(token)
    except ValueError:
        raise ProtocolError(f"unknown data type 0x{token:02X}") from None
    if id_ in _FIXED:
        return TypeInfo(id_, _FIXED[id_][1])
    if id_ in _SHORT:
        return _read_short(reader, id_)
    if id_ in _TEXT or id_ is _T.SSVARIANT:
        size = reader.u32()
        return TypeInfo(id_, size, collation=_collation(reader) if id_ in _COLLATED else None)
    if id_ is _T.UDT:
        return _read_udt(reader, parameter=parameter)
    if id_ in (_T.XML, _T.JSON):
        return TypeInfo(id_, MAX, schema=_read_schema(reader) if id_ is _T.XML else None)
    return _read_byte(reader, id_)


def _read_byte(reader: Reader, id_: TypeId) -> TypeInfo:
    if id_ is _T.DATEN:
        return TypeInfo(id_, 3)
    if id_ in _SCALED:
        return scaled(id_, reader.u8())
    size = reader.u8()
    if id_ in _DECIMAL:
        return _decimal(id_, size, reader.u8(), reader.u8())
    if id_ in _NULLABLE and size not in _NULLABLE[id_]:
        raise ProtocolError(f"{id_.name} cannot have {size} bytes")
    return TypeInfo(id_, size)


def scaled(id_: TypeId, scale: int) -> TypeInfo:
    """The type of a time, datetime2 or datetimeoffset with ``scale`` digits of the second."""
    if scale > 7:
        raise ProtocolError(f"{id_.name} cannot have {scale} digits of the second")
    return TypeInfo(id_, _TIME_SIZES[scale] + _SCALED[id_][1], scale=scale)


def _decimal(id_: TypeId, size: int, precision: int, scale: int) -> TypeInfo:
    if not (1 <= precision <= 38 and scale <= precision and size <= 17):
        raise ProtocolError(f"decimal({precision},{scale}) of {size} bytes does not exist")
    return TypeInfo(id_, size, precision=precision, scale=scale)


def _read_short(reader: Reader, id_: TypeId) -> TypeInfo:
    size = reader.u16()
    if size > 8000 and not (size == MAX and id_ in _CAN_BE_MAX):
        raise ProtocolError(f"{_SHORT[id_]} cannot have {size} bytes")
    if id_ is _T.VECTOR:
        return TypeInfo(id_, size, scale=reader.u8())
    return TypeInfo(id_, size, collation=_collation(reader) if id_ in _COLLATED else None)


def _collation(reader: Reader) -> Collation:
    return Collation(reader.bytes(5))


def _read_udt(reader: Reader, *, parameter: bool) -> TypeInfo:
    size = MAX if parameter else reader.u16()
    database, schema, name = reader.b_varchar(), reader.b_varchar(), reader.b_varchar()
    return TypeInfo(_T.UDT, size, udt=UdtInfo(database, schema, name, "" if parameter else reader.us_varchar()))


def _read_schema(reader: Reader) -> XmlSchema | None:
    present = reader.u8()
    if present > 1:
        raise ProtocolError(f"xml schema flag is {present}")
    return XmlSchema(reader.b_varchar(), reader.b_varchar(), reader.us_varchar()) if present else None


def write_type_info(info: TypeInfo, *, parameter: bool = False) -> bytes:
    """Encode a TYPE_INFO, byte for byte what ``read_type_info`` read."""
    token = bytes((info.id,))
    if info.id in _FIXED or info.id in (_T.DATEN, _T.JSON):
        return token
    if info.id in _SCALED:
        return token + bytes((info.scale,))
    if info.id in _DECIMAL:
        return token + bytes((info.size, info.precision, info.scale))
    if info.id is _T.UDT:
        return token + _write_udt(info, parameter=parameter)
    if info.id is _T.XML:
        return token + _write_schema(info.schema)
    return token + _write_size(info)


def _write_size(info: TypeInfo) -> bytes:
    if info.id in _SHORT:
        size = info.size.to_bytes(2, "little")
    elif info.id in _TEXT or info.id is _T.SSVARIANT:
        size = info.size.to_bytes(4, "little")
    else:
        return bytes((info.size,))
    if info.id is _T.VECTOR:
        return size + bytes((info.scale,))
    return size + (info.collation or LATIN1).raw if info.id in _COLLATED else size


def _write_udt(info: TypeInfo, *, parameter: bool) -> bytes:
    if info.udt is None:
        raise ProtocolError("a CLR type has no name")
    names = b_varchar(info.udt.database) + b_varchar(info.udt.schema) + b_varchar(info.udt.name)
    return names if parameter else info.size.to_bytes(2, "little") + names + us_varchar(info.udt.assembly)


def _write_schema(schema: XmlSchema | None) -> bytes:
    if schema is None:
        return b"\x00"
    return b"\x01" + b_varchar(schema.database) + b_varchar(schema.owner) + us_varchar(schema.collection)
