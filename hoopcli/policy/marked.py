"""YAML documents with the place of every key: what an error message needs to point at a line and a column."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from hoopcli.errors import UsageError

_LARGEST = 4 << 20
_DEEPEST = 32
_MOST_NODES = 200_000
_MOST_ERRORS = 10
_KINDS = ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge")
_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Marked:
    """A parsed document: its plain ``value``, its ``root`` node for places, its ``name`` for messages."""

    text: str
    value: Any
    root: yaml.Node
    name: str

    def place(self, loc: Sequence[int | str], *, key: bool = False) -> str:
        """``name:line:column`` of what ``loc`` leads to, or of the nearest above it; of the key itself with ``key``."""
        node = self.root
        mark = node.start_mark
        for step in loc:
            found = _step(node, step)
            if found is None:
                continue
            name, node = found
            mark = name.start_mark if key and name is not None else node.start_mark
        return f"{self.name}:{mark.line + 1}:{mark.column + 1}"


def read(source: str | Path) -> tuple[str, str]:
    """The text of a document and its name for messages. Raises UsageError if a file cannot be read."""
    if isinstance(source, str):
        return source, "policy"
    try:
        if source.stat().st_size > _LARGEST:
            raise UsageError(f"{source} is larger than {_LARGEST >> 20} MiB")
        return source.read_text("utf-8"), str(source)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {source}: {error}", "check the path and that the file is UTF-8 text") from error


def parse(text: str, name: str) -> Marked:
    """Parse a YAML document with plain values only. Raises UsageError with the place of the error."""
    if len(text) > _LARGEST:
        raise UsageError(f"{name} is larger than {_LARGEST >> 20} MiB")
    try:
        with _loader(text) as loader:
            root = loader.get_single_node()
            if root is None:
                raise UsageError(f"{name}:1:1: the document is empty", "a document begins with: version: 1")
            return Marked(text, _Builder(loader, name).value(root, 0), root, name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise UsageError(f"{place}: {error.problem or error.context}", "the document must be valid YAML") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(f"{name}: {first}", "the document must be valid YAML") from None


def validate(marked: Marked, model: type[Model]) -> Model:
    """Check a document against a model. Raises UsageError with the place of each error and the nearest known key."""
    try:
        return model.model_validate_json(json.dumps(marked.value, default=str))
    except ValidationError as error:
        # a list is also called too short when one of its items is wrong
        errors = [each for each in error.errors() if each["type"] != "too_short" or each["input"] in ([], "")]
        found = [_message(marked, model, each) for each in errors[:_MOST_ERRORS]]
        lines = list(dict.fromkeys(line for line, _ in found))
        hint = next((hint for _, hint in found if hint), "what the document may hold is in docs/policy.schema.json")
        raise UsageError("\n".join(lines), hint) from None


def unique(marked: Marked, ids: Iterable[tuple[Sequence[int | str], str]]) -> None:
    """Raise UsageError at the place of an id that an earlier one has."""
    seen: set[str] = set()
    for loc, each in ids:
        if each in seen:
            raise UsageError(f"{marked.place(loc)}: the id {each!r} is used twice", "decisions name rules by their id")
        seen.add(each)


@contextmanager
def _loader(text: str) -> Iterator[yaml.SafeLoader]:
    loader = yaml.SafeLoader(text)
    try:
        yield loader
    finally:
        loader.dispose()


class _Builder:
    """Turns nodes into plain values, within bounds."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self._loader = loader
        self._name = name
        self._nodes = 0

    def value(self, node: yaml.Node, depth: int) -> Any:
        self._nodes += 1
        if depth > _DEEPEST or self._nodes > _MOST_NODES:
            raise self._error(node, "the document nests too deeply, or its aliases make it too large")
        if node.tag not in _TAGS:
            raise self._error(node, f"the tag {node.tag!r} is not for plain values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, depth + 1) for item in node.value]
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.value(key_node, depth + 1)
            if not isinstance(key, str):
                raise self._error(key_node, f"a key must be text, not {key!r}")
            if key in result:
                raise self._error(key_node, f"the key {key!r} is there twice")
            result[key] = self.value(value_node, depth + 1)
        return result

    def _error(self, node: yaml.Node, what: str) -> UsageError:
        mark = node.start_mark
        return UsageError(f"{self._name}:{mark.line + 1}:{mark.column + 1}: {what}")


def _step(node: yaml.Node, step: int | str) -> tuple[yaml.Node | None, yaml.Node] | None:
    """The key and the value that one part of a path leads to, None if it leads nowhere."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return None, node.value[step]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    return None


def _message(marked: Marked, model: type[BaseModel], error: Any) -> tuple[str, str]:
    loc = error["loc"]
    if error["type"] == "extra_forbidden":
        known = _keys_beside(model, loc)
        near = difflib.get_close_matches(str(loc[-1]), known, n=1, cutoff=0.0)
        hint = f"did you mean {near[0]!r}? Known: {', '.join(known)}" if near else ""
        return f"{marked.place(loc, key=True)}: unknown key {loc[-1]!r}", hint
    if error["type"] == "missing":
        return f"{marked.place(loc[:-1])}: the key {loc[-1]!r} is missing", ""
    path = ".".join(str(step) for step in loc if not isinstance(step, int))
    text = error["msg"].removeprefix("Value error, ")
    return f"{marked.place(loc)}: {path + ': ' if path else ''}{text}", ""


def _keys_beside(model: type[BaseModel], loc: Sequence[int | str]) -> list[str]:
    """The keys that may stand where an unknown one does."""
    models = [model]
    for step in loc[:-1]:
        if isinstance(step, str):
            models = [inner for each in models for inner in _models_in(_annotation(each, step))] or models
    return sorted({name for each in models for name in each.model_fields})


def _annotation(model: type[BaseModel], step: str) -> Any:
    field = model.model_fields.get(step)
    return field.annotation if field else None


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(inner for each in getattr(annotation, "__args__", ()) for inner in _models_in(each))
