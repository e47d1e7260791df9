"""Request bodies in the API's protobuf, for the few kinds that kubectl sends so ([Kubernetes API] generated.proto)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"

# Messages by field number: a name, and what the field holds.
_STRINGS: Mapping[int, Any] = {1: ("key", "string"), 2: ("value", "string")}
_BYTES: Mapping[int, Any] = {1: ("key", "string"), 2: ("value", "bytes")}
_METADATA = {
    1: ("name", "string"), 2: ("generateName", "string"), 3: ("namespace", "string"),
    11: ("labels", ("map", _STRINGS)), 12: ("annotations", ("map", _STRINGS)),
}  # fmt: skip
_RESOURCE = {
    1: ("namespace", "string"), 2: ("verb", "string"), 3: ("group", "string"), 4: ("version", "string"),
    5: ("resource", "string"), 6: ("subresource", "string"), 7: ("name", "string"),
}  # fmt: skip
_PATH = {1: ("path", "string"), 2: ("verb", "string")}
_KINDS: Mapping[str, Mapping[int, Any]] = {
    "Secret": {2: ("data", ("map", _BYTES)), 3: ("type", "string"), 4: ("stringData", ("map", _STRINGS))},
    "ConfigMap": {2: ("data", ("map", _STRINGS)), 3: ("binaryData", ("map", _BYTES))},
    "Namespace": {},
    "ServiceAccount": {},
    "SelfSubjectAccessReview": {
        2: ("spec", {1: ("resourceAttributes", _RESOURCE), 2: ("nonResourceAttributes", _PATH)})
    },
    "SelfSubjectRulesReview": {2: ("spec", {1: ("namespace", "string")})},
}


def decode(body: bytes) -> dict[str, Any]:
    """The object in a body. Raises ValueError for what is none, or of another kind."""
    if not body.startswith(_MAGIC):
        raise ValueError("no protobuf of the API")
    unknown = dict(_fields(body[len(_MAGIC) :]))
    types = {number: value.decode() for number, value in _fields(unknown[1])}
    kind = types.get(2, "")
    if kind not in _KINDS:
        raise ValueError(f"no schema of {kind}")
    message = _message(unknown[2], {1: ("metadata", _METADATA), **_KINDS[kind]})
    return {"apiVersion": types[1], "kind": kind, **message}


def _message(data: bytes, schema: Mapping[int, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, value in _fields(data):
        if number not in schema:
            continue
        name, kind = schema[number]
        if isinstance(kind, tuple):
            entry = _message(value, kind[1])
            found.setdefault(name, {})[entry["key"]] = entry.get("value", "")
        elif isinstance(kind, Mapping):
            found[name] = _message(value, kind)
        elif value:
            found[name] = value.decode() if kind == "string" else base64.b64encode(value).decode()
    return found


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields that have a length; numbers are read over."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 0:
            _, at = _varint(data, at)
        elif tag & 7 == 2:
            size, at = _varint(data, at)
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError("a field of another type")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
