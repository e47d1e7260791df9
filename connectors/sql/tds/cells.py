"""Values as they lie in a row: lengths, NULL marks and chunks around the raw bytes ([MS-TDS] 2.2.5.2.3)."""

from __future__ import annotations

from connectors.sql.tds.buffer import Reader
from connectors.sql.tds.types import Layout, TypeInfo
from hoopcli.errors import ProtocolError

PLP_NULL = 0xFFFF_FFFF_FFFF_FFFF
PLP_UNKNOWN_LENGTH = 0xFFFF_FFFF_FFFF_FFFE
CHUNK_END = b"\x00\x00\x00\x00"

#: What is written for a NULL; a FIXED type has none.
NULLS = {
    Layout.BYTE: b"\x00",
    Layout.SHORT: b"\xff\xff",
    Layout.TEXT: b"\x00",
    Layout.VARIANT: b"\x00\x00\x00\x00",
    Layout.PLP: b"\xff" * 8,
}
_VARIANT_LIMIT = 8016
_POINTER = b"\x10" + b"\x00" * 24  # a text pointer and timestamp that point nowhere


def read_cell(reader: Reader, info: TypeInfo) -> bytes | None:
    """Read one whole value's raw bytes; ``None`` is NULL. Raises TruncatedError, ProtocolError."""
    match info.layout:
        case Layout.FIXED:
            return reader.bytes(info.size) if info.size else None
        case Layout.BYTE:
            return _read_byte(reader, info)
        case Layout.SHORT:
            return _read_short(reader, info)
        case Layout.TEXT:
            return _read_text(reader)
        case Layout.VARIANT:
            return _read_variant(reader)
        case _:
            return _read_plp(reader)


def _read_byte(reader: Reader, info: TypeInfo) -> bytes | None:
    size = reader.u8()
    if size not in info.lengths:
        raise ProtocolError(f"a value of {size} bytes in {info.name}")
    return reader.bytes(size) if size else None


def _read_short(reader: Reader, info: TypeInfo) -> bytes | None:
    size = reader.u16()
    if size == 0xFFFF:
        return None
    if size > info.size:
        raise ProtocolError(f"a value of {size} bytes in {info.name}")
    return reader.bytes(size)


def _read_text(reader: Reader) -> bytes | None:
    pointer = reader.u8()
    if not pointer:
        return None
    reader.bytes(pointer + 8)
    return reader.l_varbyte()


def _read_variant(reader: Reader) -> bytes | None:
    size = reader.u32()
    if size > _VARIANT_LIMIT:
        raise ProtocolError(f"a sql_variant of {size} bytes")
    return reader.bytes(size) if size else None


def _read_plp(reader: Reader) -> bytes | None:
    declared = reader.u64()
    if declared == PLP_NULL:
        return None
    chunks = []
    while size := reader.u32():
        chunks.append(reader.bytes(size))
    raw = b"".join(chunks)
    if declared not in (PLP_UNKNOWN_LENGTH, len(raw)):
        raise ProtocolError(f"a value declared with {declared} bytes has {len(raw)}")
    return raw


def write_cell(info: TypeInfo, raw: bytes | None) -> bytes:
    """Encode one value from its raw bytes. Raises ProtocolError if it does not fit the type."""
    layout = info.layout
    if layout is Layout.FIXED:
        return _write_fixed(info, raw)
    if raw is None:
        return NULLS[layout]
    if layout is Layout.BYTE:
        if len(raw) not in info.lengths:
            raise ProtocolError(f"a value of {len(raw)} bytes does not fit {info.name}")
        return bytes((len(raw),)) + raw
    if layout is Layout.PLP:
        return write_plp(raw)
    limit = {Layout.SHORT: info.size, Layout.VARIANT: _VARIANT_LIMIT}.get(layout, 0x7FFF_FFFF)
    if len(raw) > limit:
        raise ProtocolError(f"a value of {len(raw)} bytes does not fit {info.name}")
    if layout is Layout.SHORT:
        return len(raw).to_bytes(2, "little") + raw
    return (_POINTER if layout is Layout.TEXT else b"") + len(raw).to_bytes(4, "little") + raw


def _write_fixed(info: TypeInfo, raw: bytes | None) -> bytes:
    if len(raw or b"") != info.size:
        raise ProtocolError(f"{info.name} holds {info.size} bytes and no NULL")
    return raw or b""


def write_plp(raw: bytes) -> bytes:
    """One chunk of known length; an empty value has none."""
    chunk = len(raw).to_bytes(4, "little") + raw if raw else b""
    return len(raw).to_bytes(8, "little") + chunk + CHUNK_END
