"""Bodies of requests as plain values: JSON, YAML and the four kinds of patches, read as everybody reads them.

YAML and protobuf go upstream as the JSON that they were read as. A key that is there twice, an alias, a tag or a number
that is none is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from connectors.kubectl import protobuf
from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Json

#: The API server takes no more than 3 MiB ([Kubernetes] apiserver MaxRequestBodyBytes).
BODY_LIMIT = 3 * 1024 * 1024
JSON_TYPE = "application/json"
_OTHERWISE = "send JSON or YAML, as kubectl create --dry-run=client -o yaml | kubectl apply -f - does"
_DEEPEST = 200
_MOST_NODES = 500_000
_MOST_DIGITS = 400
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null"))
# Dates, and numbers to the base of 60, are text to Kubernetes.
_TEXTS = frozenset({"tag:yaml.org,2002:timestamp"})
_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})


class Form(StrEnum):
    """What a body is, by its media type. ``APPLY`` is an object of server-side apply."""

    OBJECT = "object"
    JSON_PATCH = "json-patch"
    MERGE_PATCH = "merge-patch"
    STRATEGIC_PATCH = "strategic-merge-patch"
    APPLY = "apply-patch"


_FORMS = {
    "": (Form.OBJECT, False),
    "application/json": (Form.OBJECT, False),
    "application/yaml": (Form.OBJECT, True),
    "application/json-patch+json": (Form.JSON_PATCH, False),
    "application/merge-patch+json": (Form.MERGE_PATCH, False),
    "application/strategic-merge-patch+json": (Form.STRATEGIC_PATCH, False),
    "application/apply-patch+yaml": (Form.APPLY, True),
}


class MediaTypeError(ProtocolError):
    """A body is in a form that cannot be read (CBOR, most of protobuf); to be answered with 415."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body that was read: its ``form``, what it says, and what goes upstream in its place."""

    form: Form
    document: Json
    forwarded: bytes
    content_type: str = JSON_TYPE


def form_of(content_type: str) -> tuple[Form, bool]:
    """The form of a media type, and whether it may be YAML. Raises MediaTypeError."""
    essence, _, parameters = content_type.partition(";")
    try:
        found = _FORMS[essence.strip().lower()]
    except KeyError:
        raise MediaTypeError(
            f"a body of type {essence.strip()[:100]!r} cannot be read",
            _OTHERWISE,
        ) from None
    if parameters.strip().lower().replace('"', "") not in {"", "charset=utf-8"}:
        raise MediaTypeError("a body's media type has parameters that hoop does not know", "send it in UTF-8")
    return found


def read_body(content_type: str, data: bytes) -> Body:
    """Read a body. Raises MediaTypeError, and ProtocolError for what is malformed, ambiguous or beyond a limit."""
    if len(data) > BODY_LIMIT:
        raise ProtocolError(f"the body is longer than {BODY_LIMIT // 1024} KiB")
    if content_type.strip().lower() == protobuf.MEDIA_TYPE:
        return _read_protobuf(data)
    form, may_be_yaml = form_of(content_type)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("the body is not UTF-8") from None
    if may_be_yaml and not text.lstrip().startswith("{"):
        document = _read_yaml(text)
        return Body(form, document, _written(document), content_type)
    return Body(form, read_json(text), data, content_type or JSON_TYPE)


def read_json(text: str) -> Json:
    """Read JSON that all parsers read alike. Raises ProtocolError."""
    try:
        document: Json = json.loads(
            text, object_pairs_hook=_once, parse_constant=_no_constant, parse_int=_int, parse_float=_float
        )
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the body is not JSON that is read in one way only: {_brief(error)}") from None
    _check_depth(document)
    return document


def _read_protobuf(data: bytes) -> Body:
    try:
        document = protobuf.decode(data)
    except protobuf.UnknownMessageError as error:
        raise MediaTypeError(error.message, _OTHERWISE) from None
    return Body(Form.OBJECT, document, _written(document))


def _written(document: Json) -> bytes:
    return json.dumps(document, allow_nan=False).encode()


def _read_yaml(text: str) -> Json:
    try:
        loader = yaml.CSafeLoader(text)
        try:
            _check_events(loader)
        finally:
            loader.dispose()
        loader = yaml.CSafeLoader(text)
        try:
            node = loader.get_single_node()
            document = _plain(loader, node) if node is not None else None
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ProtocolError(f"the body is not YAML that is read in one way only: {_brief(error)}") from None
    return document


def _check_events(loader: yaml.CSafeLoader) -> None:
    """Bound what a document may become before it is built. Raises ValueError."""
    depth = nodes = 0
    while loader.check_event():
        event = loader.get_event()
        nodes += 1
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ValueError("it has an anchor or an alias")
        if depth > _DEEPEST or nodes > _MOST_NODES:
            raise ValueError("it is nested too deeply, or has too many parts")


def _plain(loader: yaml.CSafeLoader, node: yaml.Node) -> Json:
    if isinstance(node, yaml.ScalarNode) and (node.tag in _TEXTS or (node.tag in _NUMBERS and ":" in node.value)):
        return str(node.value)
    if node.tag not in _TAGS:
        raise ValueError(f"it has the tag {node.tag!r}")
    if isinstance(node, yaml.MappingNode):
        return _once((_key(key), _plain(loader, value)) for key, value in node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(loader, item) for item in node.value]
    value: Json = loader.construct_object(node)
    if isinstance(value, float) and not -1e308 < value < 1e308:
        raise ValueError("it has a number that is none")
    return value


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
        raise ValueError("it has a key that is no plain text")
    return str(node.value)


def _once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("it has a key twice")
    return found


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is no number")


def _int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError("it has a number that is too long")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not -1e308 < number < 1e308:
        raise ValueError("it has a number that is too large")
    return number


def _check_depth(document: Json) -> None:
    level: list[Any] = [document]
    for _ in range(_DEEPEST + 1):
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _inside(outer)]
        if not level:
            return
    raise ProtocolError(f"the body is nested deeper than {_DEEPEST} levels")


def _inside(container: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _brief(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
