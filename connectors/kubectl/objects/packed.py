"""What Helm packs its releases into: JSON in gzip in base64, and that in base64 once more where it is in a Secret."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import Any, Self

import yaml

from connectors.kubectl.objects.parts import constant
from connectors.kubectl.objects.sentinel import decoded, encoded

#: How text begins that is gzip in base64, once and twice.
PACKED = ("H4sI", "SDRzS")
_GZIP = b"\x1f\x8b"
_MOST_LAYERS = 3
_LIMIT = 16 << 20
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_ONE_LINE = 1 << 30


class UnreadableError(ValueError):
    """It is no release, or none that is read in one way only."""


class _Loader(yaml.CSafeLoader):
    """Reads dates as text, as Kubernetes does."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the base class has it
        first: [(tag, form) for tag, form in known if tag != _TIMESTAMP]
        for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True, slots=True)
class Release:
    """A release, taken apart to be masked in place.

    ``objects`` are those of its manifests; ``rest`` is the release without them, in which the files of the chart are
    plain text, and ``metadata`` says in which namespace it is.
    """

    rest: dict[str, Any]
    objects: tuple[dict[str, Any], ...]
    namespace: str
    _layers: int
    _manifests: tuple[tuple[dict[str, Any], list[dict[str, Any]]], ...]
    _files: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, value: str, namespace: str) -> Self:
        """Read what is packed in a value of a Secret. Raises UnreadableError for what is no release."""
        opened = unpacked(value)
        if opened is None or not isinstance(opened[0], dict) or "metadata" in opened[0]:
            raise UnreadableError("it is no release")
        release, layers = opened
        release.setdefault("manifest", "")
        held = [(holder, _objects(holder["manifest"])) for holder in (release, *_entries(release, "hooks"))]
        for holder, _ in held:
            holder["manifest"] = ""
        chart = release.get("chart") if isinstance(release.get("chart"), dict) else {}
        files = tuple(each for name in ("templates", "files") for each in _entries(chart, name))
        for each in files:
            each["data"] = _text(each["data"])
        release["metadata"] = {"namespace": str(release.get("namespace") or namespace)}
        objects = tuple(each for _, found in held for each in found)
        return cls(release, objects, release["metadata"]["namespace"], layers, tuple(held), files)

    def written(self) -> str:
        """The release packed again, with what it holds now. ``metadata`` stays where it says what is masked."""
        for holder, objects in self._manifests:
            holder["manifest"] = "".join("---\n" + _dumped(each) for each in objects)
        for each in self._files:
            each["data"] = encoded(each["data"])
        kept = {key: value for key, value in self.rest.items() if key != "metadata" or "annotations" in value}
        return packed(kept, self._layers)


def unpacked(value: str) -> tuple[Any, int] | None:
    """The JSON that is packed, and how often it was in base64; None for what is not packed, or cannot be read."""
    if not value.startswith(PACKED):
        return None
    data: bytes | None = value.strip().encode("utf-8", "replace")
    for layers in range(1, _MOST_LAYERS + 1):
        data = decoded((data or b"").decode("ascii", "replace"))
        if data is not None and data.startswith(_GZIP):
            return _inflated(data, layers)
    return None


def packed(document: Any, layers: int) -> str:
    """A document as ``unpacked`` reads it."""
    text = gzip.compress(json.dumps(document, allow_nan=False).encode(), mtime=0).decode("utf-8", "surrogateescape")
    for _ in range(layers):
        text = encoded(text)
    return text


def _inflated(data: bytes, layers: int) -> tuple[Any, int] | None:
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = reader.decompress(data, _LIMIT)
        if not reader.eof or reader.unused_data:
            return None
        return json.loads(text, parse_constant=constant), layers
    except (zlib.error, ValueError, RecursionError):
        return None


def _entries(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects, each of which has text. Raises UnreadableError."""
    found = holder.get(name) or []
    text = "manifest" if name == "hooks" else "data"
    if not isinstance(found, list):
        raise UnreadableError(f"{name} are no list")
    for each in found:
        if not isinstance(each, dict) or not isinstance(each.setdefault(text, ""), str | None):
            raise UnreadableError(f"{name} hold no text")
        each[text] = each[text] or ""
    return found


def _text(value: str) -> str:
    content = decoded(value)
    if content is None:
        raise UnreadableError("a file of a chart is no base64")
    return content.decode("utf-8", "surrogateescape")


def _objects(text: Any) -> list[dict[str, Any]]:
    """The objects of a manifest. Raises UnreadableError for what is not read in one way only."""
    if not isinstance(text, str):
        raise UnreadableError("a manifest is text")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=_Loader)):
            raise UnreadableError("a manifest has aliases")
        loaded = [each for each in yaml.load_all(text, Loader=_Loader) if each is not None]
        found = json.loads(json.dumps(loaded, allow_nan=False))
    except (yaml.YAMLError, TypeError) as error:
        raise UnreadableError("a manifest is no YAML that could be JSON") from error
    objects = [each for each in found if isinstance(each, dict)]
    if len(objects) < len(found):
        raise UnreadableError("a manifest holds what is no object")
    return objects


def _dumped(document: Any) -> str:
    """An object as YAML. A masked form is never cut in two."""
    return str(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=_ONE_LINE))
