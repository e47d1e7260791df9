from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.kubectl.body import Form, MediaTypeError, read_body
from connectors.kubectl.protobuf import MAGIC, MEDIA_TYPE, UnknownMessageError, decode
from connectors.kubectl.protobuf_schema import OPTIONS, VERSIONS, messages
from hoopcli.errors import ProtocolError
from tests.kubectl.proto import enclose, encode, varint

SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "db", "creationTimestamp": None, "labels": {"team": "shop", "": ""}},
    "data": {"password": "aHVudGVyMg=="},
    "type": "Opaque",
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "debugger", "creationTimestamp": "2026-11-23T08:00:00Z"},
    "spec": {
        "volumes": [{"name": "host", "hostPath": {"path": "/", "type": ""}}, {"name": "empty", "emptyDir": {}}],
        "containers": [
            {
                "name": "main",
                "command": ["sh", ""],
                "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}],
                "resources": {"limits": {"memory": "64Mi"}},
                "livenessProbe": {"httpGet": {"port": "web", "path": "/"}, "periodSeconds": -1},
                "securityContext": {"privileged": True, "runAsUser": 0, "allowPrivilegeEscalation": False},
            }
        ],
        "hostPID": True,
    },
}
_LEAVES: Mapping[str, st.SearchStrategy[Any]] = {
    "s": st.text(max_size=6),
    "i": st.integers(-(2**63), 2**63 - 1),
    "b": st.booleans(),
    "y": st.sampled_from(["", "AAE=", "aHVudGVyMg=="]),
    "T": st.sampled_from([None, "1969-12-31T23:59:59Z", "2026-11-23T08:00:00Z"]),
    "Q": st.text(max_size=6),
    "I": st.text(max_size=6) | st.integers(-(2**31), 2**31 - 1),
    "L": st.lists(st.text(max_size=6), max_size=3),
}


def _values(draw: st.DrawFn, kind: str, depth: int) -> Any:
    return draw(_LEAVES[kind]) if kind in _LEAVES else _fields(draw, kind, depth + 1)


def _fields(draw: st.DrawFn, name: str, depth: int) -> dict[str, Any]:
    """Some fields of a message, fewer the deeper it is."""
    schema = [(field, kind) for field, kind in messages()[name].values() if kind != "-"]
    chosen = draw(st.lists(st.sampled_from(schema), max_size=max(0, 4 - depth), unique=True)) if schema else []
    found: dict[str, Any] = {}
    for field, kind in chosen:
        if kind[0] == "*":
            found[field] = [_values(draw, kind[1:], depth) for _ in range(draw(st.integers(1, 2)))]
        elif kind[0] == "%":
            keys = draw(st.lists(st.text(max_size=4), min_size=1, max_size=2, unique=True))
            found[field] = {key: _values(draw, kind[1:], depth) for key in keys}
        elif kind[0] == "@":
            found |= {key: value for key, value in _fields(draw, kind[1:], depth).items() if key not in found}
        else:
            found[field] = _values(draw, kind, depth)
    return found


@st.composite
def objects(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(VERSIONS)))
    return {"apiVersion": VERSIONS[kind], "kind": kind, **_fields(draw, kind, 0)}


@settings(max_examples=200)
@given(objects())
def test_objects_are_read_as_they_were_meant(document: dict[str, Any]) -> None:
    assert decode(encode(document)) == document


@pytest.mark.parametrize("document", [SECRET, POD])
def test_a_body_goes_on_as_the_json_that_was_read(document: dict[str, Any]) -> None:
    body = read_body(f" {MEDIA_TYPE.upper()}", encode(document))
    assert body.form is Form.OBJECT
    assert body.content_type == "application/json"
    assert body.document == document == json.loads(body.forwarded)


def test_every_type_of_a_field_is_known() -> None:
    kinds = {kind.lstrip("*%@") for schema in messages().values() for _, kind in schema.values()}
    assert kinds <= messages().keys() | _LEAVES.keys() | {"-"}
    assert messages().keys() >= VERSIONS.keys() | OPTIONS


def test_who_manages_a_field_is_left_to_the_server() -> None:
    metadata = b"\x8a\x01\x02\x0a\x00"
    assert decode(enclose("v1", "Pod", b"\x0a" + varint(len(metadata)) + metadata)) == {
        "apiVersion": "v1", "kind": "Pod", "metadata": {},
    }  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [
        enclose("example.com/v1", "Widget", b""),
        enclose("v9", "Pod", b""),
        enclose("v1", "Pod", b"\xfa\x01\x00"),
        enclose("v1", "Pod", b"\xf8\x01\x00"),
        enclose("v1", "Pod", b"\x12\x03\xfa\x0f\x00"),
    ],
)
def test_what_the_schema_does_not_have_is_refused(data: bytes) -> None:
    with pytest.raises(UnknownMessageError):
        decode(data)
    with pytest.raises(MediaTypeError) as caught:
        read_body(MEDIA_TYPE, data)
    assert "kubectl" in caught.value.hint


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        MAGIC + b"\x0a",
        MAGIC + b"\x08\x01",
        encode(SECRET) + b"\x12\x00",
        encode(SECRET) + b"\x2a\x01x",
        encode(SECRET)[:-4] + b"\x1a\x04gzip",
        encode(SECRET)[:-5],
        enclose("v1", "Pod", b"\x0a\x02\x0a\x01"),
        enclose("v1", "Pod", b"\x08\x01"),
        enclose("v1", "Pod", b"\x0d\x00\x00\x00\x00"),
        enclose("v1", "Pod", b"\x0a\x03\x0a\x01\xff"),
        enclose("v1", "Pod", b"\x0a\x06\x0a\x01a\x0a\x01b"),
        enclose("v1", "Pod", b"\x0a\x02\x38" + b"\xff" * 11),
        enclose("v1", "Pod", b"\x0a\x02\x3a\x00"),
        enclose("v1", "Secret", b"\x12\x00\x12\x00"),
        enclose("v1", "Secret", b"\x12\x0a\x0a\x01a\x12\x00" + b"\x12\x02" * 2),
        enclose("v1", "Pod", b"\x12\x10" + b"\x3a\x00" * 8),
        enclose("v1", "DeleteOptions", b"\x2a\x00" * 100_001),
    ],
)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


def test_options_come_in_the_version_of_their_resource() -> None:
    assert decode(enclose("apps/v1", "DeleteOptions", b"\x08\x1e\x2a\x03All")) == {
        "apiVersion": "apps/v1", "kind": "DeleteOptions", "gracePeriodSeconds": 30, "dryRun": ["All"],
    }  # fmt: skip


@settings(max_examples=200)
@given(st.binary(max_size=60), st.integers(0, 200), st.sampled_from([SECRET, POD]))
def test_any_bytes_are_read_or_refused(noise: bytes, at: int, document: dict[str, Any]) -> None:
    whole = encode(document)
    for data in (MAGIC + noise, whole[:at] + noise + whole[at + len(noise) :], enclose("v1", "Pod", noise), whole[:at]):
        try:
            json.dumps(decode(data), allow_nan=False)
        except ProtocolError:
            continue
