"""Refusal of what must not go upstream because of masks: masked values written back, and hidden values compared.

A client that read an object through a mask and writes it as a whole would put ``[hoop:redacted]`` where a password was.
A JSON patch with ``test`` would find out by trying what a hidden value is; one with ``copy`` would put it where no mask
looks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.kubectl.body import Body
from connectors.kubectl.objects.packed import unpacked
from connectors.kubectl.objects.sentinel import ENCODED, MARK, MASKED, decoded
from connectors.kubectl.patches import effects, sources, tests
from connectors.kubectl.request_info import RequestInfo
from hoopcli.errors import DeniedError

_MOST_NAMED = 5
_LONGEST_NAMED = 200
_HIDDEN_FIELDS = frozenset({"data", "stringData"})
_ABOVE = frozenset({(), ("metadata",), ("metadata", "annotations")})
_HINT = "change only what you mean to change: kubectl patch, edit or set leave out what is masked"


def check_written(info: RequestInfo, body: Body, *, secrets_masked: bool = True) -> None:
    """Raise DeniedError for a body that writes a masked value, or compares one. ``secrets_masked``: Secrets are."""
    found = list(dict.fromkeys(path for part in effects(body) for path in masked_paths(part)))
    if found:
        named = ", ".join(found[:_MOST_NAMED])
        raise DeniedError(f"the request writes the masked form of a value into {named}", _HINT)
    if not secrets_masked or info.kind_name != "secrets":
        return
    if any(map(_hidden, tests(body))):
        raise DeniedError("the patch compares a value of a Secret, which is masked", "leave out its test operations")
    if any(map(_hidden, sources(body))):
        raise DeniedError("the patch copies a value of a Secret, which is masked", "leave out its copy operations")


def masked_paths(document: Any) -> Iterator[str]:
    """The paths, with dots, of values and keys that hold a masked form."""
    stack: list[tuple[Any, str]] = [(document, "")]
    while stack:
        value, path = stack.pop()
        if isinstance(value, dict):
            for key, inner in value.items():
                below = f"{path}.{key}"[-_LONGEST_NAMED:].lstrip(".")
                if key == MARK[0] or MASKED.search(key):
                    yield below
                stack.append((inner, below))
        elif isinstance(value, list):
            stack.extend((inner, path) for inner in value)
        elif isinstance(value, str):
            if MASKED.search(value) or ENCODED in value or _masked_within(value):
                yield path
            elif (opened := unpacked(value)) is not None:
                stack.append((opened[0], path))


def _masked_within(value: str) -> bool:
    """Whether a value is base64 of a text that has a masked form anywhere."""
    content = decoded(value)
    return content is not None and MASKED.search(content.decode("utf-8", "replace")) is not None


def _hidden(path: tuple[str, ...]) -> bool:
    """Whether a path leads to values of a Secret, or to what has them in it."""
    return path in _ABOVE or path[0] in _HIDDEN_FIELDS or path[-1].endswith("last-applied-configuration")
