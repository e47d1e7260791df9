"""Walking rows at the speed of a scan: for each shape of a result, Python source made once for exactly its columns.

``row_scanner(types)`` gives ``scan(data, position, limit) -> (end, rows)``: how far whole, well-formed rows reach. It
stops without an error at whatever else it meets - another token, a row that is cut off, a wrong length, a value of
more than ``WHOLE`` bytes - which the careful path (``rowwalk``) then takes.

``row_gatherer(types, gathered)`` gives ``gather(data, position, limit, between, *cells) -> (end, rows)``: the same
walk, which adds the cells of some columns to a list each, one a row, and to ``between`` the bytes before each of these
cells, then those after the last. A cell that an NBCROW leaves out is added as no bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from struct import Struct, error
from typing import Any, TypeAlias, cast

from connectors.sql.tds.cells import PLP_NULL, PLP_UNKNOWN_LENGTH
from connectors.sql.tds.types import Layout, TypeInfo

Scan: TypeAlias = Callable[[bytes, int, int], tuple[int, int]]
Gather: TypeAlias = Callable[..., tuple[int, int]]
Shape: TypeAlias = tuple[tuple[Layout, tuple[int, ...]], ...]

WHOLE = 65_536  # a value of more bytes is never held as a whole
WIDEST = 128  # columns of the widest result for which source is made
_VARIANT_LIMIT = 8016
_BAD = 1 << 40  # far past any buffer
_U32 = Struct("<I").unpack_from
_U64 = Struct("<Q").unpack_from


def shape_of(types: Iterable[TypeInfo]) -> Shape:
    """What the layout of a row depends on."""
    return tuple((info.layout, _sizes(info)) for info in types)


def _sizes(info: TypeInfo) -> tuple[int, ...]:
    if info.layout is Layout.BYTE:
        return info.lengths
    return (info.size,) if info.layout in (Layout.FIXED, Layout.SHORT) else ()


def row_scanner(types: Sequence[TypeInfo]) -> Scan:
    """The scanner of rows of these types, of which there should be no more than ``WIDEST``."""
    return _scanner(shape_of(types))


def row_gatherer(types: Sequence[TypeInfo], gathered: frozenset[int]) -> Gather:
    """The gatherer of the cells of these columns, at least one, from rows of these types."""
    return _gatherer(shape_of(types), gathered)


@lru_cache(maxsize=256)
def _scanner(shape: Shape) -> Scan:
    code = _Code()
    code.add("def made(b, p, limit):", " end = len(b)", " rows = 0", " try:", "  while rows < limit:", "   t = b[p]")
    _branches(code, shape, frozenset(), "   ")
    code.add("   if q > end: break", "   p = q", "   rows += 1", " except stops: pass", " return p, rows")
    return cast(Scan, code.make())


@lru_cache(maxsize=256)
def _gatherer(shape: Shape, gathered: frozenset[int]) -> Gather:
    """``s`` is where the bytes between begin, ``k`` the same at the last row's end; a row cut off is taken back."""
    code = _Code()
    columns = sorted(gathered)
    code.add(f"def made(b, p, limit, between, {', '.join(f'c{i}' for i in columns)}):", " end = len(b)", " rows = 0")
    code.add(" s = k = p", " o = between.append", *(f" a{i} = c{i}.append" for i in columns))
    code.add(" try:", "  while rows < limit:", "   t = b[p]")
    _branches(code, shape, gathered, "   ")
    code.add("   if q > end: break", "   p = q", "   k = s", "   rows += 1", " except stops: pass")
    code.add(f" del between[rows * {len(columns)}:]", *(f" del c{i}[rows:]" for i in columns))
    code.add(" o(b[k:p])", " return p, rows")
    return cast(Gather, code.make())


def _branches(code: _Code, shape: Shape, gathered: frozenset[int], indent: str) -> None:
    code.add(f"{indent}if t == 0xD1:", f"{indent} q = p")
    _row(code, shape, gathered, indent + " ")
    code.add(f"{indent}elif t == 0xD2:")
    _nbcrow(code, shape, gathered, indent + " ")
    code.add(f"{indent}else: break")


def _row(code: _Code, shape: Shape, gathered: frozenset[int], indent: str) -> None:
    """Lines that move ``q`` over a ROW; ``ahead`` is what is known to be skipped but not yet added to ``q``."""
    ahead = 1
    for index, cell in enumerate(shape):
        if index in gathered:
            code.add(f"{indent}q += {ahead}")
            _gather(code, index, cell, indent)
            ahead = 0
        elif cell[0] is Layout.FIXED:
            ahead += cell[1][0]
        else:
            code.skip(cell, ahead, indent)
            ahead = 0
    code.add(f"{indent}q += {ahead}")


def _nbcrow(code: _Code, shape: Shape, gathered: frozenset[int], indent: str) -> None:
    """Lines that move ``q`` over an NBCROW, whose bitmap says which cells are not there."""
    code.add(f"{indent}q = p + {1 + (len(shape) + 7) // 8}")
    for index, cell in enumerate(shape):
        if index % 8 == 0:
            code.add(f"{indent}m = b[p + {1 + index // 8}]")
        code.add(f"{indent}if not m & {1 << index % 8}:")
        if index in gathered:
            _gather(code, index, cell, indent + " ")
            code.add(f"{indent}else: o(b[s:q]); a{index}(b''); s = q")
        else:
            code.skip(cell, 0, indent + " ")


def _gather(code: _Code, index: int, cell: tuple[Layout, tuple[int, ...]], indent: str) -> None:
    code.add(f"{indent}x = q")
    code.skip(cell, 0, indent)
    code.add(f"{indent}o(b[s:x])", f"{indent}a{index}(b[x:q])", f"{indent}s = q")


class _Code:
    """Source under construction, and the tables that it refers to."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._tables: dict[tuple[int, ...], str] = {}

    def add(self, *lines: str) -> None:
        self._lines += lines

    def skip(self, cell: tuple[Layout, tuple[int, ...]], ahead: int, indent: str) -> None:
        """Lines that move ``q`` past the cell that begins ``ahead`` bytes after it."""
        layout, sizes = cell
        at = f"q + {ahead}" if ahead else "q"
        if layout is Layout.FIXED:
            self.add(f"{indent}q += {ahead + sizes[0]}")
        elif layout is Layout.BYTE:
            self.add(f"{indent}q += {self._table(sizes, ahead + 1)}[b[{at}]]")
        elif layout is not Layout.SHORT:
            self.add(f"{indent}q = {layout.value}(b, {at})")
        elif sizes[0] < 255:
            self._skip_small(sizes[0], ahead, indent)
        else:
            self._skip_large(sizes[0], ahead, indent)

    def _skip_small(self, size: int, ahead: int, indent: str) -> None:
        """A two-byte length whose high byte is 0, or 0xFF for NULL."""
        table = self._table(range(size + 1), ahead + 2)
        self.add(
            f"{indent}if b[q + {ahead + 1}]:",
            f"{indent} if b[q + {ahead}] != 255 or b[q + {ahead + 1}] != 255: break",
            f"{indent} q += {ahead + 2}",
            f"{indent}else: q += {table}[b[q + {ahead}]]",
        )

    def _skip_large(self, size: int, ahead: int, indent: str) -> None:
        self.add(
            f"{indent}n = b[q + {ahead}] | b[q + {ahead + 1}] << 8",
            f"{indent}if n > {size}:",
            f"{indent} if n != 65535: break",
            f"{indent} q += {ahead + 2}",
            f"{indent}else: q += n + {ahead + 2}",
        )

    def _table(self, lengths: Iterable[int], ahead: int) -> str:
        """The name of a tuple that maps a length byte to the distance of the next cell."""
        steps = [_BAD] * 256
        for length in lengths:
            steps[length] = length + ahead
        return self._tables.setdefault(tuple(steps), f"t{len(self._tables)}")

    def make(self) -> Callable[..., Any]:
        names: dict[str, Any] = {"plp": _plp, "text": _text, "variant": _variant, "stops": (IndexError, error)}
        names |= {name: table for table, name in self._tables.items()}
        exec("\n".join(self._lines), names)  # noqa: S102 - made of numbers and the literals above only
        return cast(Callable[..., Any], names["made"])


def _plp(data: bytes, position: int) -> int:
    """The end of a PLP value. Raises IndexError or struct.error if it is cut off, wrong or longer than WHOLE."""
    declared = _U64(data, position)[0]
    position += 8
    if declared == PLP_NULL:
        return position
    total = 0
    while size := _U32(data, position)[0]:
        total += size
        position += 4 + size
        if total > WHOLE:
            raise IndexError
    if declared not in (total, PLP_UNKNOWN_LENGTH):
        raise IndexError
    return position + 4


def _text(data: bytes, position: int) -> int:
    """The end of a text, ntext or image value; raises as ``_plp``."""
    pointer = data[position]
    if not pointer:
        return position + 1
    position += pointer + 9
    size: int = _U32(data, position)[0]
    if size > WHOLE:
        raise IndexError
    return position + 4 + size


def _variant(data: bytes, position: int) -> int:
    """The end of a sql_variant; raises as ``_plp``."""
    size: int = _U32(data, position)[0]
    if size > _VARIANT_LIMIT:
        raise IndexError
    return position + 4 + size
