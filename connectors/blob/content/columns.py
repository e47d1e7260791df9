"""Masking of many regular records at once, column by column. What it gives is what ``Cells`` gives one by one.

Records are regular if all have as many cells as the header, the same line break and nothing malformed: the delimiters,
line breaks and quotes of the whole block say so at once. Then the block is split into cells, a list for each column.
Delimiters and line breaks within quotes are exchanged for control characters meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from connectors.blob.content.cells import Cells
from connectors.blob.content.forms import ColumnForm, column_form
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask

_STAND_INS = b"\x01\x02\x03"


class Columns:
    """Masks blocks of whole records of a table of ``width`` columns, of which some have ``masks``."""

    def __init__(
        self,
        masking: Masking,
        delimiter: bytes,
        line_break: bytes,
        width: int,
        masks: Mapping[int, Mask],
        masked: Counter[str],
    ) -> None:
        self._cells = Cells(masking, width, masks, masked)
        self._masking = masking
        self._masked = masked
        self._masks = masks
        self._width = width
        self._delimiter = delimiter
        self._break = line_break
        self._forms: Mapping[int, ColumnForm] = {n: column_form(masking, mask) for n, mask in masks.items()}
        self._unit = delimiter * (width - 1) + line_break
        self._other = bytes(set(range(256)) - set(delimiter + b"\r\n"))
        self._edges = frozenset(delimiter + b"\r\n")
        self._hide = bytes.maketrans(delimiter + b"\r\n", _STAND_INS)
        self._show = bytes.maketrans(_STAND_INS, delimiter + b"\r\n")

    def block(self, data: bytes) -> bytes | None:
        """A block of whole records masked; None if it is not regular, or not known to be so."""
        quoted = b'"' in data
        flat = self._flat(data) if quoted else data
        if flat is None or not self._is_regular(flat):
            return None
        if self._masks:
            plain = len(self._masks) == 1 and not quoted
            flat = self._one_column(flat) if plain else self._all_columns(flat, quoted=quoted)
        if self._suspect(flat, quoted=quoted):
            flat = self._looked_at(flat, quoted=quoted)
        return flat.translate(self._show) if quoted else flat

    def _suspect(self, flat: bytes, *, quoted: bool) -> bool:
        return self._masking.suspect_text(flat.translate(self._show).replace(b'""', b'"') if quoted else flat)

    def _is_regular(self, flat: bytes) -> bool:
        skeleton = flat.translate(None, self._other)
        return skeleton == self._unit * (len(skeleton) // len(self._unit)) and flat.endswith(self._break)

    def _flat(self, data: bytes) -> bytes | None:
        """The block with what is within quotes made harmless; None if quotes are where they do not belong."""
        if any(mark in data for mark in (b"\x01", b"\x02", b"\x03")):
            return None
        parts = data.split(b'"')
        outside = parts[::2]
        edges = self._edges
        middle = all(not part or (part[0] in edges and part[-1] in edges) for part in set(outside[1:-1]))
        if len(parts) % 2 == 0 or not middle:
            return None
        if (outside[0] and outside[0][-1] not in edges) or (outside[-1] and outside[-1][0] not in edges):
            return None
        parts[1::2] = [part.translate(self._hide) for part in parts[1::2]]
        return b'"'.join(parts)

    def _one_column(self, flat: bytes) -> bytes:
        """The block with its one masked column masked, split no further than to it."""
        ((number, mask),) = self._masks.items()
        delimiter, last = self._delimiter, self._width - 1 - number
        rows = flat.split(self._break)
        rows.pop()
        split = [row.split(delimiter, number + 1) for row in rows] if number <= last else None
        at = number if split is not None else -last - 1
        parts = split if split is not None else [row.rsplit(delimiter, last + 1) for row in rows]
        values = [row[at] for row in parts]
        for row, shown in zip(parts, self._forms[number](values), strict=True):
            row[at] = shown
        self._masked[mask.id] += len(values) - values.count(b"")
        parts.append([b""])
        return self._break.join([delimiter.join(row) for row in parts])

    def _all_columns(self, flat: bytes, *, quoted: bool) -> bytes:
        cells = self._split(flat)
        for number, mask in self._masks.items():
            step = slice(number, None, self._width + 1)
            values = cells[step]
            if quoted:
                cells[step] = [self._cells.masked(mask, value.translate(self._show)) for value in values]
            else:
                self._masked[mask.id] += len(values) - values.count(b"")
                cells[step] = self._forms[number](values)
        return self._joined(cells)

    def _looked_at(self, flat: bytes, *, quoted: bool) -> bytes:
        """The block with what detectors find in it masked. Columns in which they find nothing are left alone."""
        cells = self._split(flat)
        look = self._look_within if quoted else self._cells.looked_at
        for number in set(range(self._width)) - set(self._masks):
            step = slice(number, None, self._width + 1)
            values = cells[step]
            if self._suspect(b"\n".join(values), quoted=quoted):
                cells[step] = [look(value) for value in values]
        return self._joined(cells)

    def _look_within(self, flat: bytes) -> bytes:
        return self._cells.looked_at(flat.translate(self._show)).translate(self._hide)

    def _split(self, flat: bytes) -> list[bytes]:
        """All cells of the block, and after those of each record its line break."""
        delimiter = self._delimiter
        return flat.replace(self._break, delimiter + self._break + delimiter).split(delimiter)

    def _joined(self, cells: list[bytes]) -> bytes:
        delimiter = self._delimiter
        return delimiter.join(cells).replace(delimiter + self._break + delimiter, self._break)
