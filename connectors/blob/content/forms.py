"""Masked forms of bytes: of a cell or a string, exactly as long as what they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from hoopcli.masking.keeping import Edit
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask

#: Takes the values of a column, none of them quoted, and gives their masked forms.
ColumnForm = Callable[[Sequence[bytes]], list[bytes]]

_SHORT = 64
_STARS = b"*" * _SHORT
_REDACTED = [(b"[redacted]" if size >= 10 else b"").ljust(size, b"*") for size in range(_SHORT)]
# What a form may keep of a value, but for what has a meaning of its own in CSV or JSON.
_SPECIAL = re.compile(r'["\\,;|\t\r\n]')
# What it keeps as it is.
_PLAIN = bytes(each for each in range(0x20, 0x7F) if not _SPECIAL.match(chr(each)))


def form(masking: Masking, mask: Mask, value: str, room: int) -> str:
    """The masked form of a value in exactly so many bytes of ASCII, safe within quotes and without."""
    return _SPECIAL.sub("*", masking.exact(mask, value, room))


def edited(masking: Masking, text: str, edits: Sequence[Edit], raw: Callable[[int, int], str]) -> str:
    """A text with its edits made, as it is written: ``raw`` gives the written form of a part of it."""
    pieces: list[str] = []
    at = 0
    for edit in edits:
        room = len(raw(edit.begin, edit.end).encode("utf-8", "surrogatepass"))
        value = text[edit.begin : edit.end]
        pieces += (raw(at, edit.begin), "*" * room if edit.plain else form(masking, edit.mask, value, room))
        at = edit.end
    pieces.append(raw(at, len(text)))
    return "".join(pieces)


def column_form(masking: Masking, mask: Mask) -> ColumnForm:
    """The masked forms of many values at once, as ``form`` makes them one by one."""
    method = mask.method
    if method.name in {"redact", "null"}:
        return _redacted
    if method.name == "keep_last":
        return partial(_keep_last, method.count, masking, mask)
    return partial(_one_by_one, masking, mask)


def _one_by_one(masking: Masking, mask: Mask, values: Sequence[bytes]) -> list[bytes]:
    return [form(masking, mask, value.decode(), len(value)).encode() for value in values]


def _redacted(values: Sequence[bytes]) -> list[bytes]:
    return [_REDACTED[size] if (size := len(value)) < _SHORT else b"[redacted]".ljust(size, b"*") for value in values]


def _keep_last(count: int, masking: Masking, mask: Mask, values: Sequence[bytes]) -> list[bytes]:
    if b"".join(values).translate(None, _PLAIN):
        return _one_by_one(masking, mask, values)
    sizes = set(map(len, values))
    if len(sizes) == 1 and 2 * count <= (size := sizes.pop()) < _SHORT:
        hidden = _STARS[: size - count]
        return [hidden + value[-count:] for value in values]
    twice = 2 * count
    return [
        _STARS[: size - count] + value[-count:]
        if twice <= (size := len(value)) < _SHORT
        else form(masking, mask, value.decode(), size).encode()
        for value in values
    ]
