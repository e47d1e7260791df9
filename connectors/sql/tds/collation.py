"""Collations and the code page each gives to char, varchar and text ([MS-TDS] 2.2.5.1.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

_UTF8 = 1 << 26

#: Code pages by the first and last sort order of the SQL collations that use it.
_SORT_ORDERS = (
    (30, 35, "cp437"),
    (40, 49, "cp850"),
    (50, 54, "cp1252"),
    (55, 61, "cp850"),
    (71, 75, "cp1252"),
    (80, 98, "cp1250"),
    (104, 108, "cp1251"),
    (112, 124, "cp1253"),
    (128, 130, "cp1254"),
    (136, 138, "cp1255"),
    (144, 146, "cp1256"),
    (152, 160, "cp1257"),
    (183, 186, "cp1252"),
    (192, 193, "cp932"),
    (194, 195, "cp949"),
    (196, 197, "cp950"),
    (198, 199, "gbk"),
    (200, 200, "cp932"),
    (201, 201, "cp949"),
    (202, 202, "cp950"),
    (203, 203, "gbk"),
    (204, 206, "cp874"),
    (210, 217, "cp1252"),
)

#: Locales whose code page is not that of their primary language.
_LOCALES = {
    0x0804: "gbk",
    0x1004: "gbk",
    0x0C1A: "cp1251",
    0x1C1A: "cp1251",
    0x201A: "cp1251",
    0x281A: "cp1251",
    0x301A: "cp1251",
    0x082C: "cp1251",
    0x0843: "cp1251",
}

#: Primary languages (the low ten bits of the locale) by code page; all others are Western, 1252.
_LANGUAGES = {
    language: codec
    for codec, languages in {
        "cp874": (0x1E,),
        "cp932": (0x11,),
        "cp949": (0x12,),
        "cp950": (0x04,),
        "cp1250": (0x05, 0x0E, 0x15, 0x18, 0x1A, 0x1B, 0x1C, 0x24, 0x42),
        "cp1251": (0x02, 0x19, 0x22, 0x23, 0x28, 0x2F, 0x3F, 0x40, 0x44, 0x50, 0x6D, 0x85),
        "cp1253": (0x08,),
        "cp1254": (0x1F, 0x2C, 0x43),
        "cp1255": (0x0D,),
        "cp1256": (0x01, 0x20, 0x29, 0x80, 0x8C),
        "cp1257": (0x25, 0x26, 0x27),
        "cp1258": (0x2A,),
    }.items()
    for language in languages
}


#: Code pages in which the second byte of a character may be that of an ASCII one.
DOUBLE_BYTE = frozenset(("cp932", "cp949", "cp950", "gbk"))


@dataclass(frozen=True, slots=True)
class Collation:
    """The five bytes of a collation: locale (20 bits), flags, version, and the sort order of a SQL collation."""

    raw: bytes

    @property
    def codec(self) -> str:
        """The Python codec of its 8-bit character data."""
        return _codec(self.raw)


@lru_cache(maxsize=256)
def _codec(raw: bytes) -> str:
    info = int.from_bytes(raw[:4], "little")
    if info & _UTF8:
        return "utf-8"
    for first, last, codec in _SORT_ORDERS:
        if first <= raw[4] <= last:
            return codec
    locale = info & 0xFFFF
    return _LOCALES.get(locale) or _LANGUAGES.get(locale & 0x3FF, "cp1252")


#: SQL_Latin1_General_CP1_CI_AS, the default of SQL Server and Azure SQL.
LATIN1 = Collation(b"\x09\x04\xd0\x00\x34")
#: Latin1_General_100_CI_AS_SC_UTF8.
UTF8 = Collation(b"\x09\x04\xd0\x24\x00")
