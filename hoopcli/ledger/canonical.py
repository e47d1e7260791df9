"""Canonical JSON (RFC 8785), with a fast path for the shapes that records have.

``plain`` prepares a value so that the C encoder of the standard library writes exactly what RFC 8785 asks, but for the
order of member names outside the basic multilingual plane; those go through the ``rfc8785`` package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import rfc8785

from hoopcli.errors import LedgerError
from hoopcli.model.decision import Json

MAX_INTEGER: Final = 2**53 - 1
"""The largest integer of I-JSON (RFC 7493 2.2); larger ones are recorded as strings."""

MAX_DEPTH: Final = 64

_encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode
# Where sorting by code point and by UTF-16 unit can differ; where an integer can be too large.
_ASTRAL = re.compile(rb"[\xf0-\xf4]")
_LARGE = re.compile(rb"[:,\[]-?[0-9]{16}")


class _HasNumberError(Exception):
    """The text holds a number that is not an integer."""


def _has_number(_: str) -> object:
    raise _HasNumberError


_decode = json.JSONDecoder(parse_float=_has_number, parse_constant=_has_number).decode


def plain(value: Json, depth: int = 0) -> Json:
    """A deep copy that canonical JSON can carry, whatever a client put into it.

    Lone surrogates become U+FFFD; integers beyond 2**53 - 1, and fractions that are not finite or that Python writes
    with an exponent, become strings.

    Raises:
        LedgerError: a value is none of JSON's types, or nested too deeply.
    """
    kind = type(value)  # exact types first: this runs for every value of every record
    if kind is str:
        return text(cast("str", value))
    if kind is bool or value is None:
        return value
    if kind is int and -MAX_INTEGER <= cast("int", value) <= MAX_INTEGER:
        return value
    if depth == MAX_DEPTH:
        raise LedgerError("this is nested too deeply to be recorded")
    if kind is dict or isinstance(value, Mapping):
        members = cast("Mapping[str, Json]", value).items()
        return {text(name): text(item) if type(item) is str else plain(item, depth + 1) for name, item in members}
    if kind is list or kind is tuple:
        return [plain(item, depth + 1) for item in cast("Sequence[Json]", value)]
    return _scalar(value)


def text(value: str) -> str:
    """The same text with lone surrogates replaced by U+FFFD."""
    return value if value.isascii() else value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def dumps(value: Json) -> bytes:
    """Encode what ``plain`` gave as RFC 8785."""
    written = _encode(value).encode()
    return written if written.isascii() or _ASTRAL.search(written) is None else rfc8785.dumps(value)


def loads(data: bytes) -> Any:
    """Decode, and insist that the bytes are the canonical form of what they say.

    Raises:
        LedgerError: not JSON, or not in canonical form.
    """
    try:
        if _LARGE.search(data) is None and (data.isascii() or _ASTRAL.search(data) is None):
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


def _scalar(value: Json) -> Json:
    if isinstance(value, str):  # an enumeration's
        return text(str(value))
    if isinstance(value, int):
        return int(value) if -MAX_INTEGER <= value <= MAX_INTEGER else _large(value)
    if not isinstance(value, float):
        raise LedgerError(f"a {type(value).__name__} cannot be recorded")
    if value.is_integer():
        return int(value) if abs(value) <= MAX_INTEGER else repr(value)
    return value if 1e-4 <= abs(value) < MAX_INTEGER else repr(value)


def _large(value: int) -> str:
    return str(value) if value.bit_length() < 1024 else hex(value)
