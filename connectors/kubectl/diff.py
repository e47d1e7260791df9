"""What a request changes, in a few lines that a person reads before agreeing. Values that a mask covers stay masked."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from connectors.kubectl.body import Body, Form
from connectors.kubectl.patches import operations
from hoopcli.model.decision import Json

_MOST_LINES = 200
_LONGEST = 160
#: What the server keeps in an object, which no request changes.
_OF_SERVER = ("metadata.managedFields", "metadata.resourceVersion", "metadata.generation", "metadata.uid", "status")

Hide = Callable[[Any], Any]


def diff(body: Body, live: Json, hide: Hide) -> str:
    """The change that a body makes to the live object (None where it is not known), a line for each field.

    ``hide`` masks an object in place and returns it. A masked value that changes shows as such.
    """
    if body.form is Form.JSON_PATCH:
        lines = _operations(body, hide)
    elif live is None:
        lines = (f"+ {path}: {shown}" for path, shown in _flat(_hidden(body.document, hide)))
    else:
        lines = _changes(live, _merged(live, body), hide)
    return _cut(lines)


def _operations(body: Body, hide: Hide) -> Iterator[str]:
    for each in operations(body):
        path = "/" + "/".join(each.path)
        if each.op in {"move", "copy"}:
            yield f"{each.op} /{'/'.join(each.source)} to {path}"
        elif each.op == "remove":
            yield f"remove {path}"
        else:
            yield f"{each.op} {path}: {_shown(_at(_hidden(_nested(each.path, each.value), hide), each.path))}"


def _changes(live: Json, proposed: Json, hide: Hide) -> Iterator[str]:
    """Fields that differ, compared as they are and shown as masked."""
    before, after = dict(_flat(live)), dict(_flat(proposed))
    old, new = dict(_flat(_hidden(live, hide))), dict(_flat(_hidden(proposed, hide)))
    for path in dict.fromkeys([*before, *after]):
        if path.startswith(_OF_SERVER) or before.get(path) == after.get(path):
            continue
        if path not in after:
            yield f"- {path}: {old.get(path, '(masked)')}"
        elif path not in before:
            yield f"+ {path}: {new.get(path, '(masked)')}"
        else:
            was, becomes = old.get(path, "(masked)"), new.get(path, "(masked)")
            yield f"~ {path}: {was} -> {becomes if becomes != was else '(another value, masked)'}"


def _merged(live: Json, body: Body) -> Json:
    """The object as it will be, as far as that can be told: lists of strategic patches and of apply replace others."""
    return body.document if body.form is Form.OBJECT else _merge(live, body.document)


def _merge(live: Any, patch: Any) -> Any:
    """[RFC 7386] 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _hidden(document: Json, hide: Hide) -> Any:
    return hide(copy.deepcopy(document))


def _nested(path: tuple[str, ...], value: Json) -> Any:
    """An object with one value, at a path, so that masks know where it stands."""
    for step in reversed(path):
        value = {step: value}
    return value


def _at(document: Any, path: tuple[str, ...]) -> Any:
    """The value at a path, a step at a time; a key that was masked is the only one."""
    for step in path:
        if not isinstance(document, Mapping) or not document:
            return "(masked)"
        document = document.get(step, next(iter(document.values())))
    return document


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The values of a document and their paths. Empty objects and lists are values."""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = [(f"{path}.{key}" if path else str(key), each) for key, each in value.items()]
    elif isinstance(value, list):
        inner = [(f"{path}[{place}]", each) for place, each in enumerate(value)]
    for below, each in inner:
        yield from _flat(each, below)
    if not inner:
        yield path, _shown(value)


def _shown(value: Any) -> str:
    """A value on one line, with nothing in it that steers a terminal."""
    text = json.dumps(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _cut(lines: Iterator[str]) -> str:
    shown: list[str] = []
    for count, line in enumerate(lines):
        if count == _MOST_LINES:
            return "\n".join([*shown, "... and more"])
        shown.append("".join(char if char.isprintable() else "?" for char in line[: 4 * _LONGEST]))
    return "\n".join(shown) or "(no change)"
