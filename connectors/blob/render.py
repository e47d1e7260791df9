"""Recorded answers as tables, for replay: listings by entry, texts by line, the rest by its size."""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers.expat import ExpatError, ParserCreate

from hoopcli.model.decision import Json
from hoopcli.spi import Table

_SHOWN_LINES = 200
_COLUMNS = ("Name", "Content-Length", "Content-Type", "Last-Modified")
_ENTRIES = frozenset({"Blob", "BlobPrefix", "Container"})
_TEXTS = ("text/", "application/json", "application/x-ndjson", "application/csv", "application/yaml")


def render(media_type: str, payload: bytes) -> Iterator[Table]:
    """Turn the kept part of an answer into tables. Never raises: what cannot be read is told by its size."""
    kind = media_type.partition(";")[0].strip().lower()
    if kind == "application/xml":
        yield _listing(payload)
    elif kind.startswith(_TEXTS):
        yield _text(kind, payload)
    else:
        yield Table([], [], f"{len(payload):,} bytes of {kind or 'unknown content'}")


def _text(kind: str, payload: bytes) -> Table:
    lines = payload.decode("utf-8", "replace").splitlines()
    rows: list[list[Json]] = [[line] for line in lines[:_SHOWN_LINES]]
    left = len(lines) - len(rows)
    return Table([kind], rows, f"{left:,} more lines are kept" if left else "")


def _listing(payload: bytes) -> Table:
    """The entries of a listing, as far as its XML goes; an error's message otherwise."""
    reader = _Entries()
    reader.read(payload)
    if reader.rows:
        return Table([name.lower() for name in _COLUMNS], reader.rows, f"{len(reader.rows):,} entries")
    return Table([], [], reader.message or f"{len(payload):,} bytes of XML without entries")


class _Entries:
    def __init__(self) -> None:
        self.rows: list[list[Json]] = []
        self.message = ""
        self._entry: dict[str, str] | None = None
        self._text: list[str] = []

    def read(self, payload: bytes) -> None:
        parser = ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        try:
            parser.Parse(payload, True)
        except ExpatError:
            return  # the kept part ends in the middle

    def _start(self, tag: str, _attributes: dict[str, str]) -> None:
        self._text.clear()
        if tag in _ENTRIES:
            self._entry = {}

    def _end(self, tag: str) -> None:
        text = "".join(self._text)
        if tag in _ENTRIES and self._entry is not None:
            self.rows.append([self._entry.get(name, "") for name in _COLUMNS])
            self._entry = None
        elif self._entry is not None:
            self._entry.setdefault(tag, text)
        elif tag == "Message":
            self.message = text
        self._text.clear()
