"""A request to the API server, and what its path names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import yaml

from tests.kubectl.cluster import protobuf
from tests.kubectl.cluster.resources import BY_NAME, Resource
from tests.kubectl.cluster.store import Object, StatusError


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came. ``query`` has every value of every name."""

    method: str
    target: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def single(self) -> dict[str, str]:
        return {name: values[-1] for name, values in self.query.items()}

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")

    def flag(self, name: str) -> bool:
        return self.single.get(name, "") in {"true", "1"}


@dataclass(frozen=True, slots=True)
class Place:
    """What a path of the API names."""

    resource: Resource
    namespace: str
    name: str
    subresource: str


def load(request: Request) -> Object:
    """The object in a request's body, whatever its form."""
    try:
        if request.header("content-type").startswith(protobuf.MEDIA_TYPE):
            return protobuf.decode(request.body)
        if request.header("content-type").startswith("application/json"):
            obj = json.loads(request.body)
        else:
            obj = yaml.safe_load(request.body)
    except (ValueError, KeyError, IndexError, yaml.YAMLError) as error:
        raise StatusError(400, "BadRequest", f"the body cannot be read: {error}") from error
    if not isinstance(obj, dict):
        raise StatusError(400, "BadRequest", "the body is no object")
    return obj


def place_of(path: str) -> Place:
    """What a path names. Raises StatusError where it names nothing."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise StatusError(404, "NotFound", "the server could not find the requested resource")
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    resource = BY_NAME.get((group, version, rest[0]))
    if resource is None:
        raise StatusError(404, "NotFound", "the server could not find the requested resource")
    return Place(resource, namespace, *[*rest, "", ""][1:3])
