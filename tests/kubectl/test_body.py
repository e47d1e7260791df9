from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.body import BODY_LIMIT, Form, MediaTypeError, form_of, read_body
from hoopcli.errors import ProtocolError

YAML = "application/apply-patch+yaml"


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("", Form.OBJECT),
        ("application/json", Form.OBJECT),
        ("Application/JSON; charset=utf-8", Form.OBJECT),
        ('application/json; charset="UTF-8"', Form.OBJECT),
        ("application/yaml", Form.OBJECT),
        ("application/json-patch+json", Form.JSON_PATCH),
        ("application/merge-patch+json", Form.MERGE_PATCH),
        ("application/strategic-merge-patch+json", Form.STRATEGIC_PATCH),
        (YAML, Form.APPLY),
    ],
)
def test_media_types(content_type: str, form: Form) -> None:
    assert form_of(content_type)[0] is form


@pytest.mark.parametrize(
    "content_type",
    [
        "application/vnd.kubernetes.protobuf;stream=watch",
        "application/cbor",
        "application/apply-patch+cbor",
        "text/plain",
        "application/json; charset=utf-16",
        "application/json; type=protobuf",
    ],
)
def test_what_cannot_be_read_is_said_to_be_so(content_type: str) -> None:
    with pytest.raises(MediaTypeError):
        read_body(content_type, b"{}")


def test_json_goes_on_as_it_is() -> None:
    data = b' {"a": [1, 2.5, -3e2, true, null, "\\u00fc"]}\n'
    body = read_body("application/json", data)
    assert body.document == {"a": [1, 2.5, -300.0, True, None, "ü"]}
    assert body.forwarded == data


def test_yaml_goes_on_as_the_json_that_was_read() -> None:
    text = "a: 1\nb: [yes, 'yes', ~, 0x10, 1.5, 2026-01-02, 12:30, 010]\nc: |\n  x: y\n"
    body = read_body(YAML, text.encode())
    assert body.document == {"a": 1, "b": [True, "yes", None, 16, 1.5, "2026-01-02", "12:30", 8], "c": "x: y\n"}
    assert json.loads(body.forwarded) == body.document
    assert read_body(YAML, b'{"a": 1}').forwarded == b'{"a": 1}'
    assert read_body(YAML, b"").document is None


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 2}',
        '{"a": {"b": 1, "b": 1}}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 500 + "}",
        '{"a": 1} {"a": 2}',
        "{'a': 1}",
        "[" * 300 + "]" * 300,
        "[" * 100_000,
        "a: 1",
        "",
    ],
)
def test_json_that_others_may_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        read_body("application/json", text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2",
        "a: &x 1\nb: *x",
        "a: &x 1",
        "<<: {a: 1}",
        "a: !!binary aGk=",
        "a: !!python/object:os.system {}",
        "a: .inf",
        "1: a",
        "yes: a",
        "? [a]\n: b",
        "a: 1\n---\nb: 2",
        "a: [",
        "- " * 300 + "a",
        "a: \x01",
    ],
)
def test_yaml_that_others_may_read_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        read_body(YAML, text.encode())


def test_limits() -> None:
    with pytest.raises(ProtocolError, match="longer"):
        read_body("", b'"' + b"x" * BODY_LIMIT + b'"')
    with pytest.raises(ProtocolError, match="UTF-8"):
        read_body("", b'"\xff"')
    with pytest.raises(ProtocolError, match="too many"):
        read_body(YAML, b"[" + b"0," * 600_000 + b"0]")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=6), JSON, max_size=4))
def test_json_comes_through(document: object) -> None:
    assert read_body("", json.dumps(document).encode()).document == document


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    for content_type in ("application/json", YAML):
        try:
            body = read_body(content_type, text.encode("utf-8", "surrogatepass"))
        except ProtocolError:
            continue
        json.loads(body.forwarded)
