"""Masking of many regular records at once, column by column. What it gives is what ``Cells`` gives one by one.

Records are regular if all have as many cells as the header, the same line break and nothing malformed: the delimiters,
line breaks and quotes of the whole block say so at once. Then the block is split into cells, a list for each column.
Delimiters and line breaks within quotes are exchanged for control characters meanwhile.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from connectors.blob.content.cells import Cells, said
from connectors.blob.content.forms import ColumnForm, column_form
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask

_MARKS = (b"\x01", b"\x02", b"\x03")
_STAND_INS = b"".join(_MARKS)


class _Gap:
    """What is between the cells of one column: of regular records, without quotes."""

    def __init__(self, delimiter: bytes, line_break: bytes, number: int, width: int) -> None:
        mark, end = re.escape(delimiter), line_break[-1:]
        before = b"[^%b]*+%b" % (mark, mark) * number
        after = b"%b[^%b]*+%b" % (mark, end, end) if number < width - 1 else line_break
        self._before = re.compile(before)
        self._gap = re.compile(b"(" + after + before + b")")
        self._end = delimiter if number < width - 1 else line_break

    def split(self, flat: bytes) -> list[bytes]:
        """What is before the first cell, the cell, what is between, the next cell and so on; what is after the last."""
        first = self._before.match(flat)
        begin = first.end() if first else 0
        pieces = [flat[:begin], *self._gap.split(flat[begin:])]
        if len(pieces[-1]):
            last = pieces.pop()
            end = last.index(self._end)
            pieces += (last[:end], last[end:])
        else:
            pieces.pop()
        return pieces


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
        self._gaps = {n: _Gap(delimiter, line_break, n, width) for n in masks} if len(masks) == 1 else {}
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
            mask = self._one_column if len(self._masks) == 1 else self._all_columns
            flat = mask(flat, quoted=quoted)
        if self._suspect(flat, quoted=quoted):
            flat = self._looked_at(flat, quoted=quoted)
        return flat.translate(self._show) if quoted else flat

    def _suspect(self, flat: bytes, *, quoted: bool) -> bool:
        return self._masking.suspect_text(flat.translate(self._show).replace(b'""', b'"') if quoted else flat)

    def _is_regular(self, flat: bytes) -> bool:
        skeleton = flat.translate(None, self._other)
        rows = len(skeleton) // len(self._unit)
        if skeleton != self._unit * rows or not flat.endswith(self._break):
            return False
        return len(self._break) == 1 or flat.count(self._break) == rows

    def _flat(self, data: bytes) -> bytes | None:
        """The block with what is within quotes made harmless; None if quotes are where they do not belong."""
        if any(mark in data for mark in _MARKS):
            return None
        parts = data.split(b'"')
        outside = parts[::2]
        edges = self._edges
        middle = all(not part or (part[0] in edges and part[-1] in edges) for part in set(outside[1:-1]))
        if len(parts) % 2 == 0 or not middle:
            return None
        if (outside[0] and outside[0][-1] not in edges) or (outside[-1] and outside[-1][0] not in edges):
            return None
        if not b"".join(parts[1::2]).translate(None, self._other):
            return data
        parts[1::2] = [part.translate(self._hide) for part in parts[1::2]]
        return b'"'.join(parts)

    def _one_column(self, flat: bytes, *, quoted: bool) -> bytes:
        """The block with its one masked column masked, cut only around its cells."""
        ((number, mask),) = self._masks.items()
        pieces = self._gaps[number].split(flat)
        pieces[1::2] = self._column(number, mask, pieces[1::2], quoted=quoted)
        return b"".join(pieces)

    def _all_columns(self, flat: bytes, *, quoted: bool) -> bytes:
        cells = self._split(flat)
        for number, mask in self._masks.items():
            step = slice(number, None, self._width + 1)
            cells[step] = self._column(number, mask, cells[step], quoted=quoted)
        return self._joined(cells)

    def _column(self, number: int, mask: Mask, values: list[bytes], *, quoted: bool) -> list[bytes]:
        """The cells of a masked column. Quotes come off and on again where they hold no quote, delimiter or break."""
        bare = values
        if quoted:
            together = b"".join(values)
            in_quotes = sum(value.startswith(b'"') for value in values)
            if together.count(b'"') != 2 * in_quotes or any(mark in together for mark in _MARKS):
                return [self._cells.masked(mask, value.translate(self._show)) for value in values]
            bare = [value.strip(b'"') for value in values]
        self._masked[mask.id] += len(bare) - bare.count(b"")
        shown = self._forms[number](bare)
        if not quoted:
            return shown
        return [b'"%b"' % new if old.startswith(b'"') else new for old, new in zip(values, shown, strict=True)]

    def _looked_at(self, flat: bytes, *, quoted: bool) -> bytes:
        """The block with what detectors find in it masked. Columns in which they find nothing are left alone."""
        cells = self._split(flat)
        for number in set(range(self._width)) - set(self._masks):
            step = slice(number, None, self._width + 1)
            values = cells[step]
            if self._suspect(b"\n".join(values), quoted=quoted):
                cells[step] = self._looked_into(values, quoted=quoted)
        return self._joined(cells)

    def _looked_into(self, values: list[bytes], *, quoted: bool) -> list[bytes]:
        raws = [value.translate(self._show) for value in values] if quoted else values
        texts = [said(raw) for raw in raws]
        for place, edits, counts in self._masking.edits_all(texts):
            shown = self._cells.edited(raws[place], texts[place], edits, counts)
            values[place] = shown.translate(self._hide) if quoted else shown
        return values

    def _split(self, flat: bytes) -> list[bytes]:
        """All cells of the block, and after those of each record its line break."""
        delimiter = self._delimiter
        return flat.replace(self._break, delimiter + self._break + delimiter).split(delimiter)

    def _joined(self, cells: list[bytes]) -> bytes:
        delimiter = self._delimiter
        return delimiter.join(cells).replace(delimiter + self._break + delimiter, self._break)
