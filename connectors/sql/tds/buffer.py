"""Bounds-checked little-endian reading and the length-prefixed strings of TDS ([MS-TDS] 2.2.5.1)."""

from __future__ import annotations

import struct
from typing import TypeAlias

from hoopcli.errors import ProtocolError

_Bytes: TypeAlias = bytes  # the Reader has a method of that name

_U16 = struct.Struct("<H").unpack_from
_U32 = struct.Struct("<I").unpack_from
_U64 = struct.Struct("<Q").unpack_from
_I32 = struct.Struct("<i").unpack_from


class TruncatedError(ProtocolError):
    """The bytes end inside a field: more may be coming."""


class Reader:
    """A cursor over bytes. Every method raises TruncatedError instead of reading past the end."""

    __slots__ = ("_data", "_end", "position")

    def __init__(self, data: bytes, position: int = 0) -> None:
        self._data = data
        self._end = len(data)
        self.position = position

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return self._end - self.position

    def _advance(self, count: int) -> int:
        start = self.position
        if count > self._end - start:
            raise TruncatedError(f"a field of {count} bytes is cut off after {self._end - start}")
        self.position = start + count
        return start

    def u8(self) -> int:
        """An unsigned byte."""
        return self._data[self._advance(1)]

    def u16(self) -> int:
        """An unsigned 16-bit integer."""
        value: int = _U16(self._data, self._advance(2))[0]
        return value

    def u32(self) -> int:
        """An unsigned 32-bit integer."""
        value: int = _U32(self._data, self._advance(4))[0]
        return value

    def u64(self) -> int:
        """An unsigned 64-bit integer."""
        value: int = _U64(self._data, self._advance(8))[0]
        return value

    def i32(self) -> int:
        """A signed 32-bit integer."""
        value: int = _I32(self._data, self._advance(4))[0]
        return value

    def bytes(self, count: int) -> _Bytes:
        """Exactly ``count`` bytes."""
        start = self._advance(count)
        return self._data[start : start + count]

    def chars(self, count: int) -> str:
        """``count`` UTF-16 code units."""
        return decode_ucs2(self.bytes(count * 2))

    def b_varchar(self) -> str:
        """B_VARCHAR: a byte counts the UTF-16 code units."""
        return self.chars(self.u8())

    def us_varchar(self) -> str:
        """US_VARCHAR: two bytes count the UTF-16 code units."""
        return self.chars(self.u16())

    def b_varbyte(self) -> _Bytes:
        """B_VARBYTE: a byte counts the bytes."""
        return self.bytes(self.u8())

    def us_varbyte(self) -> _Bytes:
        """US_VARBYTE: two bytes count the bytes."""
        return self.bytes(self.u16())

    def l_varbyte(self) -> _Bytes:
        """L_VARBYTE: four bytes count the bytes."""
        return self.bytes(self.u32())

    def rest(self) -> _Bytes:
        """All that is left."""
        return self.bytes(self.remaining)

    def expect_end(self, what: str) -> None:
        """Raise ProtocolError if anything is left after ``what``."""
        if self.remaining:
            raise ProtocolError(f"{self.remaining} bytes are left over after {what}")


def decode_ucs2(data: bytes) -> str:
    """Decode UTF-16LE as SQL Server keeps it: lone surrogates are legal, an odd length is not."""
    if len(data) & 1:
        raise ProtocolError("UTF-16 text has an odd number of bytes")
    return data.decode("utf-16-le", "surrogatepass")


def encode_ucs2(text: str) -> bytes:
    """The opposite of ``decode_ucs2``."""
    return text.encode("utf-16-le", "surrogatepass")


def prefixed(data: bytes, width: int, units: int = 1) -> bytes:
    """Put the length of ``data``, in units of so many bytes, before it. Raises ProtocolError if it does not fit."""
    try:
        return (len(data) // units).to_bytes(width, "little") + data
    except OverflowError:
        raise ProtocolError(f"a field of {len(data)} bytes is too long for its {width}-byte length") from None


def b_varchar(text: str) -> bytes:
    """Encode B_VARCHAR."""
    return prefixed(encode_ucs2(text), 1, 2)


def us_varchar(text: str) -> bytes:
    """Encode US_VARCHAR."""
    return prefixed(encode_ucs2(text), 2, 2)


def b_varbyte(data: bytes) -> bytes:
    """Encode B_VARBYTE."""
    return prefixed(data, 1)


def us_varbyte(data: bytes) -> bytes:
    """Encode US_VARBYTE."""
    return prefixed(data, 2)


def l_varbyte(data: bytes) -> bytes:
    """Encode L_VARBYTE."""
    return prefixed(data, 4)
