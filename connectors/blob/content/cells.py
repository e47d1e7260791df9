"""Masking of the cells of one record: the way that any record can go, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from connectors.blob.content.forms import edited, form
from connectors.blob.content.records import Record
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask

_ANYTHING = Mask("unreadable")


class Cells:
    """Masks records of a table of ``width`` columns, of which some have ``masks``. Counts into ``masked``."""

    def __init__(self, masking: Masking, width: int, masks: Mapping[int, Mask], masked: Counter[str]) -> None:
        self._masking = masking
        self._width = width
        self._masks = masks
        self._masked = masked
        ranks = {mask: rank for rank, mask in enumerate(masking.by_column)}
        #: The mask of a cell whose column is not known.
        self.strictest = min(masks.values(), key=lambda mask: ranks.get(mask, len(ranks)), default=_ANYTHING)

    def record(self, data: bytes, begin: int, record: Record, *, hot: bool) -> bytes:
        """A record masked. ``hot`` says whether detectors may find something in it."""
        cells = record.cells
        if record.malformed:
            bare = data[begin : record.end]
            safe = not self._masks and not any(map(self._masking.suspect_text, (bare, bare.replace(b'"', b""))))
            return bare if safe else self.whole(data, begin, record)
        blank = len(cells) == 1 and cells[0][0] == cells[0][1]
        if self._masks and len(cells) != self._width and not blank:
            return self.whole(data, begin, record)
        pieces: list[bytes] = []
        at = begin
        for number, (start, end) in enumerate(cells):
            pieces.append(data[at:start])
            mask = self._masks.get(number)
            raw = data[start:end]
            pieces.append(self.masked(mask, raw) if mask else self.looked_at(raw) if hot else raw)
            at = end
        pieces.append(data[at : record.end])
        return b"".join(pieces)

    def whole(self, data: bytes, begin: int, record: Record) -> bytes:
        """A record of which nothing can be told: nothing but its delimiters and its line break is left."""
        pieces: list[bytes] = []
        at = begin
        for start, end in record.cells:
            pieces += (data[at:start], b"*" * (end - start))
            at = end
        pieces.append(data[at : record.end])
        self._masked[self.strictest.id] += 1
        return b"".join(pieces)

    def masked(self, mask: Mask, raw: bytes) -> bytes:
        """A cell of a masked column."""
        quoted = raw.startswith(b'"')
        inner = raw[1:-1] if quoted else raw
        if not inner:
            return raw
        self._masked[mask.id] += 1
        value = (inner.replace(b'""', b'"') if quoted else inner).decode()
        shown = form(self._masking, mask, value, len(inner)).encode()
        return b'"' + shown + b'"' if quoted else shown

    def looked_at(self, raw: bytes) -> bytes:
        """A cell of another column: what detectors find in it is masked."""
        quoted = raw.startswith(b'"')
        text = (raw[1:-1].replace(b'""', b'"') if quoted else raw).decode()
        edits, counts = self._masking.edits(text)
        if not edits:
            return raw
        self._masked.update(counts)
        shown = edited(
            self._masking, text, edits, lambda a, b: text[a:b].replace('"', '""') if quoted else text[a:b]
        ).encode()
        return b'"' + shown + b'"' if quoted else shown
