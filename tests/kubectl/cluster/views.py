"""How objects are shown: as they are, as a Table, or as their metadata alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.kubectl.cluster.resources import Resource
from tests.kubectl.cluster.store import Object

_COLUMNS: Mapping[str, Sequence[str]] = {
    "pods": ("Name", "Ready", "Status", "Restarts", "Age"),
    "secrets": ("Name", "Type", "Data", "Age"),
    "configmaps": ("Name", "Data", "Age"),
    "deployments": ("Name", "Ready", "Up-to-date", "Available", "Age"),
    "nodes": ("Name", "Status", "Roles", "Age", "Version"),
}
_DEFAULT = ("Name", "Age")


def wants(accept: str) -> str:
    """``Table``, ``PartialObjectMetadataList`` or the empty word for plain JSON, by the Accept header."""
    for choice in accept.split(","):
        parameters = dict(part.strip().partition("=")[::2] for part in choice.split(";")[1:])
        if "as" in parameters:
            return str(parameters["as"])
        if choice.split(";")[0].strip() in {"application/json", "*/*"}:
            return ""
    return ""


def shown_list(resource: Resource, items: list[Object], revision: str, form: str, query: Mapping[str, str]) -> Object:
    metadata = {"resourceVersion": revision}
    if form == "Table":
        return table(resource, items, metadata, query)
    if form.startswith("PartialObjectMetadata"):
        return {
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "items": [partial(item) for item in items],
        }  # fmt: skip
    plain = [{key: value for key, value in item.items() if key not in {"kind", "apiVersion"}} for item in items]
    return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata, "items": plain}


def shown(resource: Resource, item: Object, form: str, query: Mapping[str, str], *, first: bool = True) -> Object:
    if form == "Table":
        return table(resource, [item], {"resourceVersion": item["metadata"]["resourceVersion"]}, query, named=first)
    return partial(item) if form.startswith("PartialObjectMetadata") else item


def partial(item: Object) -> Object:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}


def table(
    resource: Resource, items: list[Object], metadata: Object, query: Mapping[str, str], *, named: bool = True
) -> Object:
    include = query.get("includeObject", "Metadata")
    names = _COLUMNS.get(resource.plural, _DEFAULT)
    columns = [{"name": name, "type": "string", "format": "", "description": name, "priority": 0} for name in names]
    columns[0]["format"] = "name"
    rows = []
    for item in items:
        row: dict[str, Any] = {"cells": [_cell(resource, item, name) for name in names]}
        if include != "None":
            row["object"] = item if include == "Object" else partial(item)
        rows.append(row)
    return {
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": columns if named else [], "rows": rows,
    }  # fmt: skip


def _cell(resource: Resource, item: Object, column: str) -> str | int:
    status, spec = item.get("status", {}), item.get("spec", {})
    containers = len(spec.get("containers", []))
    ready = int(status.get("readyReplicas", 0))
    of_pod = resource.plural == "pods"
    cells: dict[str, str | int] = {
        "Name": item["metadata"]["name"],
        "Age": _age(item),
        "Ready": f"{containers}/{containers}" if of_pod else f"{ready}/{spec.get('replicas', 0)}",
        "Status": status.get("phase", "Ready"),
        "Data": len(item.get("data") or {}),
        "Type": item.get("type", ""),
        **dict.fromkeys(("Restarts", "Up-to-date", "Available"), ready),
    }
    return cells.get(column, "<none>")


def _age(item: Object) -> str:
    made = datetime.strptime(item["metadata"]["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    return f"{int((datetime.now(UTC) - made).total_seconds())}s"
