"""Masked forms of a value: always ASCII, always short enough, never the value and never more than half of it."""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable

from hoopcli.model.decision import Method

#: Masking methods, strictest first.
STRICTNESS = ("null", "redact", "hash", "keep_first", "keep_last")
_REDACTED = ("[redacted]", "***", "*", "#")
_MOST_STARS = 12
_STARS = "*" * _MOST_STARS
_HASH_DIGITS = 16
_LEAST_HASH_DIGITS = 8
_MASKED = re.compile(
    rf"(?:{'|'.join(map(re.escape, _REDACTED))}|h:[0-9a-f]{{{_LEAST_HASH_DIGITS},{_HASH_DIGITS}}}|\*.+|.+\*)",
    re.DOTALL,
)


def strictness(method: Method) -> tuple[int, int]:
    """Sort key of a method: the strictest is the least, and of two that keep characters the one that keeps fewer."""
    rank = STRICTNESS.index(method.name)
    return (min(rank, STRICTNESS.index("keep_first")), method.count)


def mask(method: Method, value: str, width: int | None, key: bytes) -> str | None:
    """The masked form of a value in at most ``width`` characters, None where nothing fits. An empty value stays."""
    if not value:
        return value
    if method.name == "null":
        return None
    room = len(value) + len(_REDACTED[0]) + _HASH_DIGITS if width is None else width
    form = None
    if method.name == "hash":
        form = _hash(value, room, key)
    elif method.name in {"keep_first", "keep_last"}:
        form = _keep(method, value, room)
    return form if form is not None and form != value else redact(value, room)


def masked_by(method: Method, width: int | None, key: bytes) -> Callable[[str], str | None]:
    """``mask`` with all but the value given: for many values, with what can be known of them all worked out once."""
    if method.name == "redact" and (width is None or width >= len(_REDACTED[0])):
        constant = _REDACTED[0]
        return lambda value: constant if value and value != constant else mask(method, value, width, key)
    if method.name in {"keep_first", "keep_last"} and method.count > 0 and (width is None or width > method.count):
        return _keeper(method, width, key)
    return lambda value: mask(method, value, width, key)


def _keeper(method: Method, width: int | None, key: bytes) -> Callable[[str], str | None]:
    """The usual case of ``_keep`` in few steps; all others are left to ``mask``."""
    count, last = method.count, method.name == "keep_last"
    stars = _STARS if width is None else _STARS[: width - count]

    def form(value: str) -> str | None:
        hidden = len(value) - count
        kept = value[hidden:] if last else value[:count]
        if hidden >= count and kept.isascii() and kept.isprintable():
            masked = stars[:hidden] + kept if last else kept + stars[:hidden]
            if masked != value:
                return masked
        return mask(method, value, width, key)

    return form


def looks_masked(value: str) -> bool:
    """Whether a value has a form that masks give."""
    return _MASKED.fullmatch(value) is not None


def redact(value: str, room: int) -> str | None:
    """The longest constant that fits and is not the value itself."""
    return next((form for form in _REDACTED if len(form) <= room and form != value), None)


def _hash(value: str, room: int, key: bytes) -> str | None:
    """A keyed hash, the same for the same value, so that masked values still join: ``h:`` and 8 to 16 hex digits."""
    digits = min(_HASH_DIGITS, room - 2)
    if digits < _LEAST_HASH_DIGITS:
        return None
    return "h:" + hmac.digest(key, value.encode("utf-8", "surrogatepass"), "sha256").hex()[:digits]


def _keep(method: Method, value: str, room: int) -> str | None:
    """Stars, and the first or last characters of a value that is at least twice as long as what is kept."""
    count = method.count
    stars = min(len(value) - count, room - count, _MOST_STARS)
    if not 0 < count <= len(value) // 2 or stars < 1:
        return None
    kept = value[:count] if method.name == "keep_first" else value[-count:]
    if not (kept.isascii() and kept.isprintable()):
        kept = "".join(char if " " <= char <= "~" else "*" for char in kept)
    return kept + _STARS[:stars] if method.name == "keep_first" else _STARS[:stars] + kept
