"""Bodies in the API's protobuf as the JSON that they stand for, for the kinds that kubectl sends in no other form.

Read strictly: a field that the schema does not have is refused, for it may be what matters. Fields that are there and
empty are kept, as a pointer to something empty is not nothing. What goes upstream is the JSON that was read, so that
the server cannot read the bytes in another way.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from connectors.kubectl.protobuf_schema import OPTIONS, VERSIONS, messages
from hoopcli.errors import ProtocolError

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
#: What a body begins with ([Kubernetes] runtime.Unknown).
MAGIC = b"k8s\0"
_VARINT, _LENGTH = 0, 2
_MOST_FIELDS = 100_000
_FEW = 4
#: How many more fields may be read.
Budget: TypeAlias = Iterator[int]


class UnknownMessageError(ProtocolError):
    """A message, or a field of one, that is not in the schema."""


def decode(data: bytes) -> dict[str, Any]:
    """The object in a body. Raises UnknownMessageError for what is not in the schema, ProtocolError for garbage."""
    if not data.startswith(MAGIC):
        raise ProtocolError("the body is no protobuf of the API")
    outer = _few(data[len(MAGIC) :])
    types, raw = _few(_bytes(outer.pop(1, b""))), _bytes(outer.pop(2, b""))
    if any(outer.values()):
        raise ProtocolError("the body is encoded in another way")
    version, kind = _text(types.get(1, b"")), _text(types.get(2, b""))
    if kind not in OPTIONS and VERSIONS.get(kind) != version:
        raise UnknownMessageError(f"hoop does not read {version[:80]} {kind[:80]!r} in protobuf")
    return {"apiVersion": version, "kind": kind, **_message(raw, kind, iter(range(_MOST_FIELDS)))}


def _message(data: bytes, name: str, budget: Budget) -> dict[str, Any]:
    schema = messages()[name]
    found: dict[str, Any] = {}
    for number, value in _fields(data, budget):
        if number not in schema:
            raise UnknownMessageError(f"hoop does not know the field {number} of {name} in protobuf")
        field, kind = schema[number]
        match kind[:1]:
            case "-":
                continue
            case "*":
                found.setdefault(field, []).append(_value(value, kind[1:], budget))
            case "%":
                _set(found.setdefault(field, {}), *_entry(value, kind[1:], budget))
            case "@":
                for inner in _message(_bytes(value), kind[1:], budget).items():
                    _set(found, *inner)
            case _:
                _set(found, field, _value(value, kind, budget))
    return found


def _set(found: dict[str, Any], name: str, value: Any) -> None:
    if name in found:
        raise ProtocolError("the body has a field in protobuf twice")
    found[name] = value


def _value(value: int | bytes, kind: str, budget: Budget) -> Any:
    if kind in {"i", "b"}:
        number = _signed(_number(value))
        return bool(number) if kind == "b" else number
    if kind == "L":
        return [_text(item) for _, item in _fields(_bytes(value), budget)]
    reader = _READERS.get(kind)
    return reader(_bytes(value)) if reader else _message(_bytes(value), kind, budget)


def _entry(value: int | bytes, kind: str, budget: Budget) -> tuple[str, Any]:
    """A key and its value, either of which is left out where it is empty."""
    pair = _few(_bytes(value))
    return _text(pair.get(1, b"")), _value(pair.get(2, b""), kind, budget)


def _time(data: bytes) -> str | None:
    """[Kubernetes] metav1.Time: seconds since 1970, None where it is not set."""
    seconds = _signed(_number(_few(data).get(1, 0)))
    if not data or not -62_135_596_800 <= seconds <= 253_402_300_799:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number_or_text(data: bytes) -> int | str:
    """[Kubernetes] intstr.IntOrString."""
    parts = _few(data)
    return _text(parts.get(3, b"")) if parts.get(1) else _signed(_number(parts.get(2, 0)))


def _quantity(data: bytes) -> str:
    """[Kubernetes] resource.Quantity."""
    return _text(_few(data).get(1, b""))


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("a text in protobuf is not UTF-8") from None


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProtocolError("a field in protobuf is of another type")
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ProtocolError("a field in protobuf is of another type")
    return value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_READERS: Mapping[str, Callable[[bytes], Any]] = {
    "s": _text,
    "y": lambda data: base64.b64encode(data).decode(),
    "T": _time,
    "Q": _quantity,
    "I": _number_or_text,
}


def _few(data: bytes) -> dict[int, int | bytes]:
    """The fields of a message that has no lists."""
    fields = list(_fields(data, iter(range(_FEW))))
    if len(found := dict(fields)) < len(fields):
        raise ProtocolError("the body has a field in protobuf twice")
    return found


def _fields(data: bytes, budget: Budget) -> Iterator[tuple[int, int | bytes]]:
    """The numbers of fields and what they hold ([Protocol Buffers] Encoding)."""
    at = 0
    while at < len(data):
        if next(budget, None) is None:
            raise ProtocolError("the body has too many fields in protobuf")
        tag, at = _varint(data, at)
        value, at = _varint(data, at)
        if tag & 7 == _VARINT:
            yield tag >> 3, value
        elif tag & 7 == _LENGTH and value <= len(data) - at:
            yield tag >> 3, data[at : at + value]
            at += value
        else:
            raise ProtocolError("the body has a field in protobuf that is cut off or of another type")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            break
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
    raise ProtocolError("the body has a number in protobuf that does not end")
