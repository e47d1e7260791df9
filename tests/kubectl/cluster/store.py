"""The objects of the cluster: stored, selected, patched and watched."""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import yaml

from tests.kubectl.cluster.resources import Resource

Object = dict[str, Any]
_KEPT_CHANGES = 20_000


class StatusError(Exception):
    """An answer that is a ``Status`` of failure."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    revision: int
    type: str
    resource: Resource
    object: Object


class Store:
    """Objects by resource, namespace and name, with a revision that grows with each change."""

    def __init__(self) -> None:
        self.revision = 1000
        self.oldest = 1000
        self.changes: list[Change] = []
        self.changed = asyncio.Condition()
        self._objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = {}

    def _of(self, resource: Resource) -> dict[tuple[str, str], Object]:
        return self._objects.setdefault((resource.group, resource.plural), {})

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        try:
            return self._of(resource)[namespace, name]
        except KeyError:
            full = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
            raise StatusError(404, "NotFound", f'{full} "{name}" not found') from None

    def select(self, resource: Resource, namespace: str, query: Mapping[str, str]) -> list[Object]:
        matches = selector(query)
        return [obj for (ns, _), obj in sorted(self._of(resource).items()) if namespace in {"", ns} and matches(obj)]

    def create(self, resource: Resource, namespace: str, obj: Object, *, dry_run: bool = False) -> Object:
        obj = copy.deepcopy(obj)
        metadata = obj.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid4().hex[:5]
        name = metadata.get("name")
        if not isinstance(name, str) or not name:
            raise StatusError(422, "Invalid", f"{resource.kind} is invalid: metadata.name: Required value")
        if (namespace, name) in self._of(resource):
            raise StatusError(409, "AlreadyExists", f'{resource.plural} "{name}" already exists')
        if resource.namespaced:
            metadata["namespace"] = namespace
        metadata["uid"] = str(uuid4())
        metadata["creationTimestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        if resource.plural == "secrets":
            _fold_string_data(obj)
        return self._put(resource, namespace, name, obj, "ADDED", dry_run=dry_run)

    def update(self, resource: Resource, namespace: str, name: str, obj: Object, *, dry_run: bool = False) -> Object:
        old = self.get(resource, namespace, name)
        obj = copy.deepcopy(obj)
        asked = obj.get("metadata", {}).get("resourceVersion")
        if asked not in {None, "", old["metadata"]["resourceVersion"]}:
            raise StatusError(
                409,
                "Conflict",
                f'Operation cannot be fulfilled on {resource.plural} "{name}": the object has been modified',
            )
        kept = ("name", "namespace", "uid", "creationTimestamp")
        metadata = obj.setdefault("metadata", {})
        metadata.update({key: old["metadata"][key] for key in kept if key in old["metadata"]})
        if resource.plural == "secrets":
            _fold_string_data(obj)
        plain = [{**one, "metadata": {**one["metadata"], "resourceVersion": ""}} for one in (old, obj)]
        if plain[0] == plain[1]:
            return old
        return self._put(resource, namespace, name, obj, "MODIFIED", dry_run=dry_run)

    def _put(self, resource: Resource, namespace: str, name: str, obj: Object, change: str, *, dry_run: bool) -> Object:
        obj = {"kind": resource.kind, "apiVersion": resource.api_version, **obj}
        if dry_run:
            obj["metadata"]["resourceVersion"] = str(self.revision)
            return obj
        self.revision += 1
        obj["metadata"]["resourceVersion"] = str(self.revision)
        self._of(resource)[namespace, name] = obj
        self._tell(change, resource, obj)
        return obj

    def delete(self, resource: Resource, namespace: str, name: str, *, dry_run: bool = False) -> Object:
        obj = self.get(resource, namespace, name)
        if not dry_run:
            del self._of(resource)[namespace, name]
            self.revision += 1
            obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
            self._tell("DELETED", resource, obj)
        return obj

    def _tell(self, kind: str, resource: Resource, obj: Object) -> None:
        self.changes.append(Change(self.revision, kind, resource, obj))
        if len(self.changes) > _KEPT_CHANGES:
            del self.changes[: _KEPT_CHANGES // 2]
            self.oldest = self.changes[0].revision - 1

    def since(self, revision: int, resource: Resource, namespace: str, query: Mapping[str, str]) -> Iterator[Change]:
        matches = selector(query)
        low = next((i for i in range(len(self.changes), 0, -1) if self.changes[i - 1].revision <= revision), 0)
        for change in self.changes[low:]:
            where = change.object["metadata"].get("namespace", "")
            if change.resource is resource and namespace in {"", where} and matches(change.object):
                yield change

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


def _fold_string_data(secret: Object) -> None:
    for key, value in (secret.pop("stringData", None) or {}).items():
        secret.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
    secret.setdefault("type", "Opaque")


# --- selectors -------------------------------------------------------------------------------------------------------


def selector(query: Mapping[str, str]) -> Callable[[Object], bool]:
    labels = [_label_rule(rule) for rule in _split(query.get("labelSelector", ""))]
    fields = [_field_rule(rule) for rule in query.get("fieldSelector", "").split(",") if rule]
    return lambda obj: all(rule(obj) for rule in (*labels, *fields))


def _split(text: str) -> list[str]:
    return [rule.strip() for rule in re.split(r",(?![^(]*\))", text) if rule.strip()]


def _label_rule(rule: str) -> Callable[[Object], bool]:
    def labels(obj: Object) -> Mapping[str, str]:
        found: Mapping[str, str] = obj["metadata"].get("labels") or {}
        return found

    if match := re.fullmatch(r"(\S+) (in|notin) \(([^)]*)\)", rule):
        key, values = match[1], {value.strip() for value in match[3].split(",")}
        return lambda obj: (labels(obj).get(key) in values) is (match[2] == "in")
    if "!=" in rule:
        key, _, value = rule.partition("!=")
        return lambda obj: labels(obj).get(key) != value
    if "=" in rule:
        key, _, value = rule.replace("==", "=").partition("=")
        return lambda obj: labels(obj).get(key) == value
    return lambda obj: (rule.lstrip("!") in labels(obj)) is not rule.startswith("!")


def _field_rule(rule: str) -> Callable[[Object], bool]:
    negated = "!=" in rule
    path, _, value = rule.replace("!=", "=").replace("==", "=").partition("=")

    def matches(obj: Object) -> bool:
        found: Any = obj
        for key in path.split("."):
            found = found.get(key, "") if isinstance(found, dict) else ""
        return (str(found) == value) is not negated

    return matches


# --- patches ---------------------------------------------------------------------------------------------------------


def patched(obj: Object, media_type: str, body: bytes) -> Object:
    """The object after a patch; [RFC 6902], [RFC 7386], strategic merge (lists by name) and server-side apply."""
    if media_type == "application/json-patch+json":
        return _json_patch(obj, json.loads(body))
    document = _load(body)
    merges = {"application/strategic-merge-patch+json", "application/apply-patch+yaml"}
    if media_type not in {"application/merge-patch+json", *merges}:
        raise StatusError(415, "UnsupportedMediaType", f"no patch of type {media_type}")
    merged: Object = _merge(obj, document, by_name=media_type in merges)
    return merged


def _load(body: bytes) -> Any:
    return yaml.safe_load(body)


def _merge(old: Any, new: Any, *, by_name: bool) -> Any:
    if by_name and isinstance(old, list) and isinstance(new, list) and _named(old) and _named(new):
        merged = {item["name"]: item for item in old}
        for item in new:
            if item.get("$patch") == "delete":
                merged.pop(item["name"], None)
            else:
                merged[item["name"]] = _merge(merged.get(item["name"], {}), item, by_name=True)
        return list(merged.values())
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    result = dict(old)
    for key, value in new.items():
        if by_name and key.startswith("$"):
            continue
        if value is None:
            result.pop(key, None)
        else:
            result[key] = _merge(result.get(key, {} if isinstance(value, dict) else None), value, by_name=by_name)
    return result


def _named(items: Iterable[Any]) -> bool:
    return all(isinstance(item, dict) and "name" in item for item in items)


def _json_patch(obj: Object, operations: list[Any]) -> Object:
    obj = copy.deepcopy(obj)
    for operation in operations:
        *parents, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].removeprefix("/").split("/")
        ]
        target: Any = obj
        for part in parents:
            target = target[int(part)] if isinstance(target, list) else target[part]
        _apply(target, last, operation)
    return obj


def _apply(target: Any, last: str, operation: Mapping[str, Any]) -> None:
    kind = operation["op"]
    if isinstance(target, list):
        index = len(target) if last == "-" else int(last)
        if kind == "add":
            target.insert(index, operation["value"])
        elif kind == "remove":
            del target[index]
        elif kind == "replace":
            target[index] = operation["value"]
    elif kind == "test":
        if target.get(last) != operation["value"]:
            raise StatusError(422, "Invalid", "the server rejected our request: test failed")
    elif kind == "remove":
        target.pop(last, None)
    else:
        target[last] = operation["value"]
