"""Masking of CSV and TSV: columns by their names, and what detectors find in the other cells. Keeps the length.

Blocks of regular records go column by column, others record by record, with the same result. What is not regular is not
trusted: where columns are masked, a record with more or fewer cells than the header, or with quotes where none belong,
is masked whole, since nobody can say which of its cells is which. So is a record longer than ``LONGEST``.
"""

from __future__ import annotations

from collections import Counter

from connectors.blob.content.base import LONGEST, Unreadable, Utf8
from connectors.blob.content.cells import Cells
from connectors.blob.content.columns import Columns
from connectors.blob.content.header import Header, read_header
from connectors.blob.content.names import Names
from connectors.blob.content.records import LINE_BREAK, Overlong, read_record
from hoopcli.masking.masker import Masking

_BLOCK = 131_072
_LINE_BREAKS_TRIED = 8
_MARK = b"\xef\xbb\xbf"


class CsvMasker:
    """Masks a table in CSV under its masks. ``delimiter`` is given where the kind of the content says it."""

    def __init__(self, masking: Masking, delimiter: bytes | None = None) -> None:
        self.masked: Counter[str] = Counter()
        self._masking = masking
        self._delimiter = delimiter
        self._utf8 = Utf8()
        self._waiting: list[bytes] = []
        self._waits = 0
        self._rest = b""
        self._table: _Table | None = None
        self._begun = False

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return what of all so far can be delivered. Raises Unreadable."""
        self._utf8.feed(data)
        self._waiting.append(data)
        self._waits += len(data)
        return self._work() if self._waits >= _BLOCK else b""

    def finish(self) -> bytes:
        """End the content; return the rest of it. Raises Unreadable."""
        self._utf8.feed(b"", final=True)
        return self._work(final=True)

    def _work(self, *, final: bool = False) -> bytes:
        data = b"".join([self._rest, *self._waiting])
        self._waiting, self._waits = [], 0
        begun = b""
        if not self._begun and (final or len(data) >= len(_MARK)):
            self._begun = True
            if data.startswith(_MARK):
                begun, data = data[: len(_MARK)], data[len(_MARK) :]
        if not self._begun or not data:
            self._rest = data
            return begun
        delivered = b""
        if self._table is None:
            delivered, data = self._head(data, final=final)
        if self._table is not None:
            masked, data = self._table.work(data, final=final)
            delivered += masked
        self._rest = data
        return begun + delivered

    def _head(self, data: bytes, *, final: bool) -> tuple[bytes, bytes]:
        """Read the header: it masked, and the data after it."""
        header = read_header(data, Names(self._masking), self._delimiter, final=final)
        if header is None or header.record.end - header.begin > LONGEST:
            if len(data) > LONGEST:
                raise Unreadable("the table has no header")
            return b"", data
        self._table = _Table(self._masking, header, data, self.masked)
        return self._table.header(data), data[header.record.end :]


class _Table:
    """A table whose header is known."""

    def __init__(self, masking: Masking, header: Header, data: bytes, masked: Counter[str]) -> None:
        width = len(header.record.cells)
        line_break = data[header.record.cells[-1][1] : header.record.end] or b"\n"
        self._masking = masking
        self._masked = masked
        self._header = header
        self._delimiter = header.delimiter
        self._cells = Cells(masking, width, header.masks, masked)
        self._columns = Columns(masking, header.delimiter, line_break, width, header.masks, masked)
        self._overlong: Overlong | None = None

    def header(self, data: bytes) -> bytes:
        """The header itself: detectors look at the names too."""
        header = self._header
        cells = Cells(self._masking, len(header.record.cells), {}, self._masked)
        return data[: header.begin] + cells.record(data, header.begin, header.record, hot=True)

    def work(self, data: bytes, *, final: bool) -> tuple[bytes, bytes]:
        """What can be delivered of these bytes, masked, and those that are to come again with more after them."""
        pieces: list[bytes] = []
        at, size = 0, _BLOCK
        while at < len(data):
            window = data[at : at + size]
            last = at + len(window) == len(data)
            taken = self._block(window, pieces) or self._records(window, pieces, final=final and last)
            at += taken
            if taken:
                size = _BLOCK
            elif last:
                break
            else:
                size *= 2
        return b"".join(pieces), data[at:]

    def _block(self, window: bytes, pieces: list[bytes]) -> int:
        """Mask the whole records of a window at once; how many bytes they are, 0 where that cannot be done."""
        end = 0 if self._overlong or len(window) > LONGEST else _whole_records(window)
        block = self._columns.block(window[:end]) if end else None
        if block is None:
            return 0
        pieces.append(block)
        return end

    def _records(self, data: bytes, pieces: list[bytes], *, final: bool) -> int:
        """Mask record by record; how many bytes that were."""
        hot = self._masking.suspect_text(data) or (b'""' in data and self._masking.suspect(data.replace(b'""', b'"')))
        at = 0
        while at < len(data):
            if self._overlong is not None:
                piece, step, ended = self._skip(self._overlong, data[at:], final=final)
                pieces.append(piece)
                at += step
                if not ended:
                    break
                continue
            record = read_record(data, at, self._delimiter, final=final)
            if (record.end if record else len(data)) - at > LONGEST:
                self._overlong = Overlong(self._delimiter)
                self._masked[self._cells.strictest.id] += 1
            elif record is None:
                break
            else:
                pieces.append(self._cells.record(data, at, record, hot=hot))
                at = record.end
        return at

    def _skip(self, overlong: Overlong, data: bytes, *, final: bool) -> tuple[bytes, int, bool]:
        """Stars for a record that is too long and its line break, how many bytes that were, and whether it ended."""
        step, ended = overlong.skip(data, final=final)
        line_break = LINE_BREAK.match(data, step)
        stars = b"*" * step
        if not ended or line_break is None:
            return stars, step, False
        if line_break.end() == len(data) and line_break[0] == b"\r" and not final:
            return stars, step, False
        self._overlong = None
        return stars + line_break[0], line_break.end(), True


def _whole_records(data: bytes) -> int:
    """Where the last whole record ends if nothing here is malformed; 0 where that is not easily told."""
    quotes = data.count(b'"')
    if not quotes:
        return data.rfind(b"\n") + 1
    if quotes % 2:
        data = data[: data.rfind(b'"')]
    at = len(data)
    for _ in range(_LINE_BREAKS_TRIED):
        at = data.rfind(b"\n", 0, at)
        if at < 0 or data.count(b'"', at) % 2 == 0:
            return at + 1
    return 0
