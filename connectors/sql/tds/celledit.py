"""The treatment of one column: how its cells are masked or looked at before they pass.

An edit takes a whole cell as it lies in the row and returns it as it may be delivered. A value too long to be held
whole goes through a sink (``longcell``) instead. What is masked is added to the tally, by the id of the mask. Whole
columns go through ``many``, which does the same with less work for each cell where the type allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from struct import Struct
from typing import TypeAlias

from connectors.sql.tds.buffer import Reader
from connectors.sql.tds.cells import NULLS, read_cell, write_cell
from connectors.sql.tds.columnedit import Column, Texts, short_texts
from connectors.sql.tds.longcell import DetectingSink, NullSink, Sink
from connectors.sql.tds.masks import CellMask, Plan
from connectors.sql.tds.types import Layout, TypeId, TypeInfo
from connectors.sql.tds.values import decode_text, encode_text, join_variant, split_variant

_LENGTH = Struct("<H").pack

Tally: TypeAlias = dict[str, int]
Edit: TypeAlias = Callable[[bytes], bytes]
#: The new raw value; the very same object if nothing changes; ``None`` for NULL.
Change: TypeAlias = Callable[[bytes], bytes | None]
Note: TypeAlias = Callable[[Mapping[str, int]], None]


@dataclass(frozen=True, slots=True)
class Treatment:
    """What happens to the cells of a column. ``nullable`` says that they may become NULL."""

    info: TypeInfo
    edit: Edit | None = None
    sink: Callable[[], Sink] | None = None
    nullable: bool = False
    column: Column | None = None

    def many(self, cells: list[bytes]) -> list[bytes]:
        """The edit of many cells; those of no bytes, which an NBCROW left out, stay."""
        if self.column is not None:
            return self.column(cells)
        edit = self.edit
        return cells if edit is None else [edit(cell) if cell else cell for cell in cells]


def add(tally: Tally, counts: Mapping[str, int]) -> None:
    """Add counts to a tally."""
    for id_, count in counts.items():
        tally[id_] = tally.get(id_, 0) + count


def mask_cells(info: TypeInfo, mask: CellMask, tally: Tally) -> Treatment:
    """Every value masked: text in its own encoding and width, all else NULL."""
    layout = info.nullable.layout
    if layout is Layout.FIXED:
        return Treatment(info)  # the type that has only NULL
    null = NULLS[layout]

    def sink() -> Sink:
        return NullSink(null, mask.id, tally)

    if info.id is TypeId.SSVARIANT:
        return Treatment(info, _edit(info, _masked_variant(mask, tally)), sink, nullable=True)
    if info.codec is None or info.id is TypeId.JSON:
        return Treatment(info, _nulled(null, mask.id, tally), sink, nullable=True)
    column = _column(info, _all_masked(info, mask, tally), _fitter(info))
    return Treatment(info, _edit(info, _masked_text(info, mask, tally)), sink, nullable=True, column=column)


def detect_in_cells(info: TypeInfo, plan: Plan, tally: Tally, found: Callable[[], object]) -> Treatment:
    """What detectors find in text is masked in place; bytes and variants in which they find something become NULL.

    ``found`` is called for each cell in which there was something. Binary values too long to be held whole are not
    looked at.
    """

    def note(counts: Mapping[str, int]) -> None:
        found()
        add(tally, counts)

    codec = info.codec
    if info.id is TypeId.SSVARIANT:
        return Treatment(info, _edit(info, _detected_variant(plan, note)), nullable=True)
    if codec is not None:
        fitted = _fitter(info)
        column = _column(info, _all_detected(plan, note), lambda raw: fitted(_clipped(info, raw)))
        sink = partial(DetectingSink, info.layout, codec)
        change = _detected_text(info, plan, note)
        return Treatment(info, _edit(info, change), lambda: sink(plan.stream(), tally), column=column)
    if info.binary:
        return Treatment(info, _edit(info, _detected_bytes(plan, note)), nullable=True)
    return Treatment(info)


def _nulled(null: bytes, id_: str, tally: Tally) -> Edit:
    def edit(cell: bytes) -> bytes:
        if cell != null:
            tally[id_] = tally.get(id_, 0) + 1
        return null

    return edit


def _edit(info: TypeInfo, change: Change) -> Edit:
    """Lift a change of raw values to whole cells."""
    if info.layout is Layout.SHORT:
        return _edit_short(change)

    def edit(cell: bytes) -> bytes:
        raw = read_cell(Reader(cell), info)
        new = raw and change(raw)
        if new is raw:
            return cell
        if info.layout is Layout.TEXT and new is not None:
            pointer = cell[: cell[0] + 9]
            return pointer + len(new).to_bytes(4, "little") + new
        return write_cell(info, new)

    return edit


def _edit_short(change: Change) -> Edit:
    def edit(cell: bytes) -> bytes:
        if len(cell) == 2:  # NULL, or empty
            return cell
        raw = cell[2:]
        new = change(raw)
        if new is raw:
            return cell
        return b"\xff\xff" if new is None else _LENGTH(len(new)) + new

    return edit


def _masked_text(info: TypeInfo, mask: CellMask, tally: Tally) -> Change:
    codec, padded, id_ = info.codec or "", info.padded, mask.id
    width, fitted = _width(info), _fitter(info)

    def change(raw: bytes) -> bytes | None:
        value = decode_text(raw, codec)
        if padded and not (value := value.rstrip(" ")):
            return raw
        tally[id_] = tally.get(id_, 0) + 1
        form = mask.apply(value, width)
        return None if form is None else fitted(encode_text(form, codec))

    return change


def _column(info: TypeInfo, change: Texts, fit: Change) -> Column | None:
    """Texts of declared length are changed by the column, but for those that are padded."""
    if info.layout is not Layout.SHORT or info.padded or info.codec is None:
        return None
    return short_texts(info.codec, info.size, change, fit)


def _all_masked(info: TypeInfo, mask: CellMask, tally: Tally) -> Texts:
    width, id_ = _width(info), mask.id

    def change(values: Sequence[str]) -> Sequence[str | None]:
        tally[id_] = tally.get(id_, 0) + len(values)
        return mask.apply_all(values, width)

    return change


def _all_detected(plan: Plan, note: Note) -> Texts:
    def change(values: Sequence[str]) -> Sequence[str | None]:
        texts, counts = plan.texts(values)
        if counts:
            note(counts)
        return texts

    return change


def _width(info: TypeInfo) -> int | None:
    """How many characters a value may have; ``None`` for those without a small limit."""
    if info.layout not in (Layout.SHORT, Layout.BYTE):
        return None
    return info.size // 2 if info.codec == "utf-16-le" else info.size


def _fitter(info: TypeInfo) -> Change:
    """Pads a masked form as its type wants; NULL if it does not fit."""
    if _width(info) is None:
        return lambda raw: raw
    size, padded = info.size, info.padded
    blank = b" \x00" if info.codec == "utf-16-le" else b" "

    def fitted(raw: bytes) -> bytes | None:
        if padded:
            raw += blank * ((size - len(raw)) // len(blank))
        return raw if len(raw) <= size else None

    return fitted


def _detected_text(info: TypeInfo, plan: Plan, note: Note) -> Change:
    codec, fitted = info.codec or "", _fitter(info)

    def change(raw: bytes) -> bytes | None:
        text, counts = plan.text(decode_text(raw, codec))
        if not counts:
            return raw
        note(counts)
        return fitted(_clipped(info, encode_text(text, codec)))

    return change


def _clipped(info: TypeInfo, raw: bytes) -> bytes:
    """As much of a text as fits its type, in whole characters."""
    if _width(info) is None or len(raw) <= info.size:
        return raw
    codec = info.codec or ""
    return raw[: info.size].decode(codec, "ignore").encode(codec, "ignore")


def _detected_bytes(plan: Plan, note: Note) -> Change:
    """Bytes are read as 8-bit text and as UTF-16 from either parity."""

    def change(raw: bytes) -> bytes | None:
        if not plan.suspect(raw):
            return raw
        readings = (raw.decode("latin-1"), raw.decode("utf-16-le", "replace"), raw[1:].decode("utf-16-le", "replace"))
        for reading in readings:
            _, counts = plan.text(reading)
            if counts:
                note(counts)
                return None
        return raw

    return change


def _masked_variant(mask: CellMask, tally: Tally) -> Change:
    def change(raw: bytes) -> bytes | None:
        info, value = split_variant(raw)
        if info.codec is None:
            tally[mask.id] = tally.get(mask.id, 0) + 1
            return None
        return _in_variant(info, value, raw, _masked_text(info, mask, tally))

    return change


def _detected_variant(plan: Plan, note: Note) -> Change:
    def change(raw: bytes) -> bytes | None:
        info, value = split_variant(raw)
        if info.codec is None:
            return _in_variant(info, value, raw, _detected_bytes(plan, note)) if info.binary else raw
        return _in_variant(info, value, raw, _detected_text(info, plan, note))

    return change


def _in_variant(info: TypeInfo, value: bytes, raw: bytes, change: Change) -> bytes | None:
    new = change(value)
    if new is value:
        return raw
    return None if new is None else join_variant(info, new)
