"""How a content is to be read: decided by what it is called and by its first bytes, which have the last word.

What begins as JSON is read as JSON whatever it is called, and a text in whose first line a masked column is named is
read as a table: a copy under another name or type is masked as well. What is called JSON, CSV or text and is not, is
opaque; so is everything in a form that is not read here (archives, documents, images, UTF-16).
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from itertools import pairwise

from connectors.blob.content.base import Unreadable
from connectors.blob.content.header import DELIMITERS, read_header
from connectors.blob.content.json import JsonMasker
from connectors.blob.content.names import Names
from hoopcli.masking.masker import Masking

#: So many first bytes are enough to decide.
HEAD = 65_536


class Kind(StrEnum):
    """How a content is read."""

    TEXT = "text"
    CSV = "csv"
    TSV = "tsv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    GZIP = "gzip"
    OPAQUE = "opaque"


@dataclass(frozen=True, slots=True)
class Content:
    """How a content is read; ``inner`` is the kind of what is compressed in it."""

    kind: Kind
    inner: Kind = Kind.OPAQUE

    @property
    def opaque(self) -> bool:
        """Whether it cannot be masked."""
        return Kind.OPAQUE in {self.kind, self.inner if self.kind is Kind.GZIP else self.kind}

    @property
    def keeps_length(self) -> bool:
        """Whether it is as long masked as it was, so that it can be served without being held."""
        return self.kind not in {Kind.GZIP, Kind.PARQUET}


_BY_TYPE = {
    "text/csv": Kind.CSV,
    "application/csv": Kind.CSV,
    "application/vnd.ms-excel": Kind.CSV,  # what Windows says of .csv; a real workbook is known by its first bytes
    "text/tab-separated-values": Kind.TSV,
    "application/json": Kind.JSON,
    "text/json": Kind.JSON,
    "application/x-ndjson": Kind.NDJSON,
    "application/jsonl": Kind.NDJSON,
    "application/jsonlines": Kind.NDJSON,
    "application/x-jsonlines": Kind.NDJSON,
    "application/vnd.apache.parquet": Kind.PARQUET,
    "application/x-parquet": Kind.PARQUET,
    "application/gzip": Kind.GZIP,
    "application/x-gzip": Kind.GZIP,
}
_BY_SUFFIX = {
    "csv": Kind.CSV,
    "tsv": Kind.TSV,
    "tab": Kind.TSV,
    "json": Kind.JSON,
    "geojson": Kind.JSON,
    "ndjson": Kind.NDJSON,
    "jsonl": Kind.NDJSON,
    "parquet": Kind.PARQUET,
    "gz": Kind.GZIP,
}
_JSON_TYPE = re.compile(r"application/[\w.-]+\+json", re.ASCII)
_BINARY_TYPE = re.compile(r"(?:image|audio|video|font)/(?!svg).*|application/(?:pdf|zip|vnd\.openxmlformats.*)")
_LINES_BEFORE = 30
_COLUMNS_TRIED = 500
_GZIP = b"\x1f\x8b"
_PARQUET = b"PAR1"
_JSON_BEGIN = re.compile(r"\ufeff?[ \t\r\n]*[\[{]")
# Beginnings of forms that could pass for text, or are better known at once.
_MAGIC = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%!PS",
    b"{\\rtf",
    b"Obj\x01",
    b"ORC",
)


def called(content_type: str, name: str) -> Kind | None:
    """The kind that a content's type, or else the suffix of its name, says; None if neither says one."""
    essence = content_type.partition(";")[0].strip().lower()
    suffix = name.rpartition("/")[2].rpartition(".")[2].lower()
    by_type = Kind.JSON if _JSON_TYPE.fullmatch(essence) else _BY_TYPE.get(essence)
    if _BINARY_TYPE.fullmatch(essence):
        by_type = Kind.OPAQUE
    return by_type or (_BY_SUFFIX.get(suffix) if "." in name else None)


def decide(
    content_type: str, content_encoding: str, name: str, head: bytes, masking: Masking, *, whole: bool = False
) -> Content:
    """How to read a content of this type, encoding and name that begins with ``head``, which is all of it if ``whole``.

    ``head`` has ``HEAD`` bytes if there are so many.
    """
    whole = whole or len(head) < HEAD
    if whole and not head:
        return Content(Kind.TEXT)
    if content_encoding.strip().lower() not in {"", "identity", "gzip", "x-gzip"}:
        return Content(Kind.OPAQUE)
    said = called(content_type, name)
    if head.startswith(_GZIP):
        return Content(Kind.GZIP, _within(content_type, name, head, masking))
    if head.startswith(_PARQUET):
        return Content(Kind.PARQUET if find_spec("pyarrow") else Kind.OPAQUE)
    if said in {Kind.GZIP, Kind.PARQUET}:
        return Content(Kind.OPAQUE)
    return Content(_plain(said, head, masking, whole=whole))


def _within(content_type: str, name: str, head: bytes, masking: Masking) -> Kind:
    """The kind of what is compressed."""
    member = zlib.decompressobj(wbits=31)
    try:
        inner = member.decompress(head, HEAD)
    except zlib.error:
        return Kind.OPAQUE
    bare = name[:-3] if name.lower().endswith(".gz") else name
    said = called(content_type, bare)
    if said is Kind.GZIP:
        said = called("", bare)
    if inner.startswith((_GZIP, _PARQUET)) or said in {Kind.GZIP, Kind.PARQUET}:
        return Kind.OPAQUE
    return _plain(said, inner, masking, whole=member.eof and not member.unused_data)


def _plain(said: Kind | None, head: bytes, masking: Masking, *, whole: bool) -> Kind:
    text = _text(head, whole=whole)
    if text is None or said is Kind.OPAQUE:
        return Kind.OPAQUE
    if said in {Kind.JSON, Kind.NDJSON}:
        return said if _is_json(head, masking, whole=whole) else Kind.OPAQUE
    if _JSON_BEGIN.match(text) and _is_json(head, masking, whole=whole):
        return Kind.JSON
    return _table(said, head, masking, whole=whole)


def _table(said: Kind | None, head: bytes, masking: Masking, *, whole: bool) -> Kind:
    """A table if it is called one and has a header, or if it has a header that names a masked column; else text."""
    called_so = said if said in {Kind.CSV, Kind.TSV} else None
    names = Names(masking)
    try:
        header = read_header(head.removeprefix(b"\xef\xbb\xbf"), names, None, final=whole)
    except Unreadable:
        return Kind.OPAQUE if called_so else Kind.TEXT
    if header is None:
        return called_so or (Kind.OPAQUE if names.any else Kind.TEXT)
    if names.any and not header.masks and _has_late_header(head, names):
        return Kind.OPAQUE
    return called_so or (Kind.CSV if header.masks else Kind.TEXT)


def _has_late_header(head: bytes, names: Names) -> bool:
    """Whether something stands before a table that names a masked column: it would be read with another header."""
    lines = head.decode("utf-8", "ignore").splitlines()[:_LINES_BEFORE]
    for line, after in pairwise([*lines, ""]):
        for delimiter in (each.decode() for each in DELIMITERS):
            columns = line.count(delimiter)
            alike = columns > 0 and (not after or after.count(delimiter) == columns)
            if alike and any(names.column(cell.strip(' "')) for cell in line.split(delimiter)[:_COLUMNS_TRIED]):
                return True
    return False


def _text(head: bytes, *, whole: bool) -> str | None:
    """The beginning as text, None if it is none. A character may be cut off at the end."""
    if head.startswith(_MAGIC) or b"\0" in head:
        return None
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError as error:
        cut_off = not whole and error.reason == "unexpected end of data" and len(head) - error.start < 4
        return head[: error.start].decode("utf-8") if cut_off else None


def _is_json(head: bytes, masking: Masking, *, whole: bool) -> bool:
    """Whether it is JSON as far as it goes."""
    masker = JsonMasker(masking)
    try:
        masker.look(head, whole=whole)
    except Unreadable:
        return False
    return True
