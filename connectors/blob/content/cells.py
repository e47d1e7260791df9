"""Masking of the cells of one record: the way that any record can go, one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from connectors.blob.content.forms import edited, form
from connectors.blob.content.records import Record
from hoopcli.masking.keeping import Edit
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
        room = len(raw) - 2 if quoted else len(raw)
        if not room:
            return raw
        self._masked[mask.id] += 1
        shown = form(self._masking, mask, said(raw), room).encode()
        return b'"' + shown + b'"' if quoted else shown

    def looked_at(self, raw: bytes) -> bytes:
        """A cell of another column: what detectors find in it is masked."""
        text = said(raw)
        edits, counts = self._masking.edits(text)
        return self.edited(raw, text, edits, counts) if edits else raw

    def edited(self, raw: bytes, text: str, edits: Sequence[Edit], counts: Mapping[str, int]) -> bytes:
        """A cell that says ``text`` with edits made."""
        self._masked.update(counts)
        if not raw.startswith(b'"'):
            return edited(self._masking, text, edits, lambda begin, end: text[begin:end]).encode()
        shown = edited(self._masking, text, edits, lambda begin, end: text[begin:end].replace('"', '""'))
        return b'"' + shown.encode() + b'"'


def said(raw: bytes) -> str:
    """What a cell says that is not malformed."""
    return (raw[1:-1].replace(b'""', b'"') if raw.startswith(b'"') else raw).decode()
