"""Objects as protobuf: the reverse of what the connector reads, for tests only."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from connectors.kubectl.protobuf import MAGIC
from connectors.kubectl.protobuf_schema import messages


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes that a client sends for an object."""
    fields = {key: value for key, value in document.items() if key not in {"apiVersion", "kind"}}
    return enclose(document["apiVersion"], document["kind"], _message(fields, document["kind"]))


def enclose(version: str, kind: str, fields: bytes) -> bytes:
    """An object whose fields are these bytes ([Kubernetes] runtime.Unknown)."""
    types = _bytes(1, version.encode()) + _bytes(2, kind.encode())
    return MAGIC + _bytes(1, types) + _bytes(2, fields) + _bytes(3, b"") + _bytes(4, b"")


def _message(found: Mapping[str, Any], name: str) -> bytes:
    data = b""
    for number, (field, kind) in messages()[name].items():
        if kind[:1] == "@":
            data += _bytes(number, _message(found, kind[1:]))
        elif field not in found:
            continue
        elif kind[:1] == "*":
            data += b"".join(_field(number, value, kind[1:]) for value in found[field])
        elif kind[:1] == "%":
            for key, value in found[field].items():
                data += _bytes(number, _bytes(1, key.encode()) + _field(2, value, kind[1:]))
        else:
            data += _field(number, found[field], kind)
    return data


def _field(number: int, value: Any, kind: str) -> bytes:  # noqa: PLR0911 - one for each type
    match kind:
        case "i" | "b":
            return varint(number << 3) + varint(int(value) % (1 << 64))
        case "s":
            return _bytes(number, value.encode())
        case "y":
            return _bytes(number, base64.b64decode(value))
        case "T":
            seconds = None if value is None else int(datetime.fromisoformat(value).timestamp()) % (1 << 64)
            return _bytes(number, b"" if seconds is None else varint(8) + varint(seconds))
        case "Q":
            return _bytes(number, _bytes(1, value.encode()))
        case "I":
            parts = (0, value, "") if isinstance(value, int) else (1, 0, value)
            inner = b"".join(varint(n << 3) + varint(v % (1 << 64)) for n, v in ((1, parts[0]), (2, parts[1])))
            return _bytes(number, inner + _bytes(3, str(parts[2]).encode()))
        case "L":
            return _bytes(number, b"".join(_bytes(1, text.encode()) for text in value))
        case _:
            return _bytes(number, _message(value, kind))


def _bytes(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    """A number of seven bits a byte, the last ones first."""
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])
