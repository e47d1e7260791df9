"""Changing the texts of a whole column at once: decoded, changed and encoded by few calls, each a loop in C.

Texts are joined by line feeds for that. It gives what the same steps give for each cell alone: where a line feed within
a text or bytes outside ASCII could make a difference, the cells are taken one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add
from struct import Struct
from typing import TypeAlias

from connectors.sql.tds.values import decode_text, encode_text

#: New texts for some, in their order, the very same object where nothing changes; ``None`` is NULL.
Texts: TypeAlias = Callable[[Sequence[str]], Sequence[str | None]]
#: New cells for some, in their order.
Column: TypeAlias = Callable[[list[bytes]], list[bytes]]
#: A raw value cut or filled to what its type holds; ``None`` where it cannot be.
Fit: TypeAlias = Callable[[bytes], bytes | None]

_LENGTH = Struct("<H").pack
_NULL = b"\xff\xff"
_END = "\n"


def short_texts(codec: str, size: int, change: Texts, fit: Fit) -> Column:
    """A change of cells that are texts behind a two-byte length, of at most ``size`` bytes. ``fit`` is for the longer.

    What is NULL or empty stays. Raises ProtocolError for UTF-16 of an odd number of bytes.
    """

    def encode_one(text: str | None) -> bytes:
        raw = None if text is None else fit(encode_text(text, codec))
        return _NULL if raw is None else _LENGTH(len(raw)) + raw

    def encode_all(texts: Sequence[str | None]) -> list[bytes]:
        raws = encoded(texts, codec)
        if raws is None or max(map(len, raws)) > size:
            return list(map(encode_one, texts))
        return list(map(add, map(_LENGTH, map(len, raws)), raws))

    def column(cells: list[bytes]) -> list[bytes]:
        held = [cell for cell in cells if len(cell) > 2]
        texts = decoded([cell[2:] for cell in held], codec)
        new = change(texts) if texts else texts
        changed = [after for before, after in zip(texts, new, strict=True) if after is not before]
        if not changed:
            return cells
        cells_again = iter(encode_all(changed))
        if len(changed) == len(cells):
            return list(cells_again)
        fresh = iter([after is not before for before, after in zip(texts, new, strict=True)])
        return [next(cells_again) if len(cell) > 2 and next(fresh) else cell for cell in cells]

    return column


def decoded(raws: Sequence[bytes], codec: str) -> list[str]:
    """``decode_text`` of each."""
    joined = encode_text(_END, codec).join(raws)
    apart = not any(len(raw) & 1 for raw in raws) if codec == "utf-16-le" else joined.isascii()
    texts = decode_text(joined, codec).split(_END) if apart else []
    return texts if len(texts) == len(raws) else [decode_text(raw, codec) for raw in raws]


def encoded(texts: Sequence[str | None], codec: str) -> list[bytes] | None:
    """``encode_text`` of each, if all are lines of ASCII; else None."""
    if None in texts:
        return None
    joined = _END.join(text for text in texts if text is not None)
    if not joined.isascii() or joined.count(_END) != len(texts) - 1:
        return None
    # Every second byte of ASCII in UTF-16 is 0, so a line feed is found at its own place only.
    return encode_text(joined, codec).split(encode_text(_END, codec))
