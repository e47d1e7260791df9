"""What patches put into an object, as parts of objects, so that whoever reads objects can read patches too.

A JSON patch (RFC 6902) becomes a part for each of its operations: ``add /spec/replicas 0`` is ``{"spec": {"replicas":
0}}``, and a step into a list is a list of one. Merge patches (RFC 7386), strategic ones and those of server-side apply
have the form of an object already.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.kubectl.body import Body, Form
from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Json

_OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})
_VALUED = frozenset({"add", "replace", "test"})
_MOST_OPERATIONS = 10_000  # as the API server
_HARMLESS = frozenset({("metadata",), ("status",)})


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a JSON patch; ``path`` and ``source`` (of move and copy) are decoded steps."""

    op: str
    path: tuple[str, ...]
    source: tuple[str, ...] = ()
    value: Json = None


def operations(body: Body) -> list[Operation]:
    """The operations of a JSON patch. Raises ProtocolError for what is none."""
    document = body.document
    if not isinstance(document, list) or len(document) > _MOST_OPERATIONS:
        raise ProtocolError("a JSON patch is a list of operations, and not a very long one")
    return [_operation(each) for each in document]


def effects(body: Body) -> Iterator[Json]:
    """The parts of objects that a body writes. Raises ProtocolError for a JSON patch that is none."""
    if body.form is not Form.JSON_PATCH:
        yield body.document
        return
    for each in operations(body):
        if each.op in {"add", "replace"}:
            yield _part(each.path, each.value)


def unknown_effects(body: Body) -> bool:
    """Whether a body puts into an object what only the live one says, and where that may matter."""
    if body.form is not Form.JSON_PATCH:
        return False
    return any(each.op in {"move", "copy"} and each.path[:1] not in _HARMLESS for each in operations(body))


def removals(body: Body) -> list[str]:
    """The paths that a patch removes, with dots: what is set to null, removed, moved away or replaced as a whole."""
    match body.form:
        case Form.JSON_PATCH:
            found = [(each.path if each.op == "remove" else each.source) for each in operations(body)]
            return [".".join(path) for path in found if path]
        case Form.MERGE_PATCH | Form.STRATEGIC_PATCH:
            return [".".join(path) for path in _nulls(body.document, (), body.form is Form.STRATEGIC_PATCH)]
        case _:
            return []


def tests(body: Body) -> list[tuple[str, ...]]:
    """The paths whose live values a JSON patch compares."""
    return [each.path for each in operations(body) if each.op == "test"] if body.form is Form.JSON_PATCH else []


def sources(body: Body) -> list[tuple[str, ...]]:
    """The paths from which a JSON patch takes live values to put them elsewhere."""
    if body.form is not Form.JSON_PATCH:
        return []
    return [each.source for each in operations(body) if each.op in {"move", "copy"}]


def _operation(each: Json) -> Operation:
    op = each.get("op") if isinstance(each, dict) else None
    if not isinstance(each, dict) or not isinstance(op, str) or op not in _OPERATIONS:
        raise ProtocolError("a JSON patch has an operation that is none")
    if op in _VALUED and "value" not in each:
        raise ProtocolError("a JSON patch has an operation without a value")
    source = _steps(each.get("from")) if op in {"move", "copy"} else ()
    return Operation(op, _steps(each.get("path")), source, each.get("value"))


def _steps(pointer: object) -> tuple[str, ...]:
    """The steps of a JSON pointer (RFC 6901)."""
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise ProtocolError("a JSON patch has a path that is none")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def _part(path: tuple[str, ...], value: Json) -> Json:
    part = value
    for step in reversed(path):
        part = [part] if step == "-" or step.isdecimal() else {step: part}
    return part


def _nulls(value: Json, path: tuple[str, ...], strategic: bool) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner is None or (strategic and key.startswith("$") and key != "$setElementOrder"):
                yield (*path, key)
            else:
                yield from _nulls(inner, (*path, key), strategic)
    elif isinstance(value, list):
        for inner in value:
            yield from _nulls(inner, path, strategic)
