"""Canonical JSON (RFC 8785), with a fast path for the shapes that records have.

For strings, booleans, null, lists, ASCII member names and integers within 2**53 - 1, the C encoder of the standard
library writes exactly what RFC 8785 asks; whatever else goes through the ``rfc8785`` package.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import rfc8785

from hoopcli.errors import LedgerError
from hoopcli.model.decision import Json

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer of I-JSON (RFC 7493 2.2); larger ones are recorded as strings."""

MAX_DEPTH: Final = 64

_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode
# Where sorting by code point and by UTF-16 unit can differ, or an integer can be too large.
_RARE = re.compile(rb"[\xf0-\xf4]|[0-9]{16}")


class _HasNumberError(Exception):
    """The text holds a number that is not an integer."""


def _has_number(_: str) -> object:
    raise _HasNumberError


_decode = json.JSONDecoder(parse_float=_has_number, parse_constant=_has_number).decode


def plain(value: Json, depth: int = 0) -> Json:
    """A deep copy that canonical JSON can carry, whatever a client put into it.

    Lone surrogates become U+FFFD; integers beyond 2**53 - 1 and numbers that are not finite become strings.

    Raises:
        LedgerError: a value is none of JSON's types, or nested too deeply.
    """
    if depth > MAX_DEPTH:
        raise LedgerError("this is nested too deeply to be recorded")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return value if -MAX_INTEGER <= value <= MAX_INTEGER else _large(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, Mapping):
        return {text(name): plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    raise LedgerError(f"a {type(value).__name__} cannot be recorded")


def text(value: str) -> str:
    """The same text with lone surrogates replaced by U+FFFD."""
    return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def dumps(value: Json) -> bytes:
    """Encode as RFC 8785.

    Raises:
        LedgerError: the value cannot be represented.
    """
    try:
        return _encode(value).encode() if _is_simple(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, RecursionError) as error:
        raise LedgerError(f"this cannot be recorded as canonical JSON: {error}") from error


def loads(data: bytes) -> Any:
    """Decode, and insist that the bytes are the canonical form of what they say.

    Raises:
        LedgerError: not JSON, or not in canonical form.
    """
    try:
        if _RARE.search(data) is None:
            written = data.decode()
            value = _decode(written)
            canonical = _encode(value) == written
        else:
            canonical, value = _loads_slowly(data)
    except _HasNumberError:
        canonical, value = _loads_slowly(data)
    except (ValueError, RecursionError) as error:
        raise LedgerError(f"not JSON: {error}") from error
    if not canonical:
        raise LedgerError("not in canonical form (RFC 8785)")
    return value


def _loads_slowly(data: bytes) -> tuple[bool, Any]:
    try:
        value = json.loads(data.decode())
        return rfc8785.dumps(value) == data, value
    except (rfc8785.CanonicalizationError, ValueError, RecursionError) as error:
        raise LedgerError(f"not canonical JSON: {error}") from error


def _is_simple(value: Json) -> bool:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -MAX_INTEGER <= value <= MAX_INTEGER  # type: ignore[operator]  # narrowed by type(), for speed
    if isinstance(value, dict):
        return all(name.isascii() and _is_simple(item) for name, item in value.items())
    return isinstance(value, list) and all(map(_is_simple, value))


def _large(value: int) -> str:
    return str(value) if value.bit_length() < 1024 else hex(value)
