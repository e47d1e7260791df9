"""What a client asks first: versions, groups, resources and schemas."""

from __future__ import annotations

from typing import Any

from tests.kubectl.cluster.resources import GROUPS, RESOURCES, VERBS, Resource

VERSION = {
    "major": "1", "minor": "33", "gitVersion": "v1.33.0-test", "gitCommit": "0" * 40, "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z", "goVersion": "go1.24", "compiler": "gc", "platform": "linux/amd64",
}  # fmt: skip
_IN_ALL = {"pods", "services", "deployments", "replicasets"}
_SCALE = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
_AGGREGATED = "APIGroupDiscoveryList"


def document(path: str, accept: str, host: str) -> Any | None:
    """The document at a path, None if there is none."""
    if path in {"/api", "/apis"} and f"as={_AGGREGATED}" in accept:
        return _aggregated(core=path == "/api", version="v2" if ";v=v2;" in accept else "v2beta1")
    if path.startswith("/openapi/"):
        return _openapi(path)
    by_client = [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}]
    roots = {
        "/version": VERSION,
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": by_client},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*group) for group in _all_groups()]},
    }
    return roots.get(path) or _resource_list(path)


def media_type(document: Any) -> str:
    """The Content-Type of a document."""
    if document.get("kind") == _AGGREGATED:
        version = document["apiVersion"].rpartition("/")[2]
        return f"application/json;g=apidiscovery.k8s.io;v={version};as={_AGGREGATED}"
    return "application/json"


_REVIEWS = ("authorization.k8s.io", "v1")


def _all_groups() -> list[tuple[str, str]]:
    return [*(group for group in GROUPS if group[0]), _REVIEWS]


def _root(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _group(name: str, version: str) -> Any:
    one = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [one], "preferredVersion": one}


def _resource_list(path: str) -> Any | None:
    for group, version in (*GROUPS, _REVIEWS):
        if path == "/" + _root(group, version):
            mine = [resource for resource in RESOURCES if (resource.group, resource.version) == (group, version)]
            listed = [entry for resource in mine for entry in _listed(resource)]
            if (group, version) == _REVIEWS:
                kinds = ("SelfSubjectAccessReview", "SelfSubjectRulesReview")
                listed = [
                    {**_entry(f"{kind.lower()}s", kind), "verbs": ["create"], "namespaced": False} for kind in kinds
                ]
            name = f"{group}/{version}" if group else version
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": listed}
    return None


def _entry(name: str, kind: str) -> dict[str, Any]:
    return {"name": name, "singularName": "", "namespaced": True, "kind": kind, "verbs": ["create", "get"]}


def _listed(resource: Resource) -> list[dict[str, Any]]:
    main = {
        **_entry(resource.plural, resource.kind), "singularName": resource.singular, "verbs": list(VERBS),
        "namespaced": resource.namespaced,
    }  # fmt: skip
    if resource.short:
        main["shortNames"] = [resource.short]
    if resource.plural in _IN_ALL:
        main["categories"] = ["all"]
    return [main, *(_subresource(resource, name) for name in resource.subresources)]


def _subresource(resource: Resource, name: str) -> dict[str, Any]:
    entry = _entry(f"{resource.plural}/{name}", resource.kind)
    return {**entry, **_SCALE} if name == "scale" else entry


def _aggregated(*, core: bool, version: str) -> Any:
    items = []
    for group, of_group in GROUPS:
        if bool(group) is core:
            continue
        resources = [r for r in RESOURCES if (r.group, r.version) == (group, of_group)]
        shown = [{"version": of_group, "freshness": "Current", "resources": [_discovered(r) for r in resources]}]
        items.append({"metadata": {"name": group} if group else {}, "versions": shown})
    return {"kind": _AGGREGATED, "apiVersion": f"apidiscovery.k8s.io/{version}", "metadata": {}, "items": items}


def _discovered(resource: Resource) -> Any:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    found: dict[str, Any] = {
        "resource": resource.plural, "responseKind": kind, "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular, "verbs": list(VERBS),
        "subresources": [
            {"subresource": name, "responseKind": _SCALE if name == "scale" else kind, "verbs": ["create", "get"]}
            for name in resource.subresources
        ],
    }  # fmt: skip
    if resource.short:
        found["shortNames"] = [resource.short]
    if resource.plural in _IN_ALL:
        found["categories"] = ["all"]
    return found


def openapi_protobuf() -> bytes:
    """The schema of version 2 in the only form that old clients read, without any definition in it."""

    def field(number: int, value: bytes) -> bytes:
        return bytes((number << 3 | 2, len(value))) + value

    return field(1, b"2.0") + field(2, field(1, b"Kubernetes") + field(2, b"v1")) + field(8, b"")


def _openapi(path: str) -> Any:
    """Schemas that allow anything, but name their kinds, so that clients validate on the server."""
    if path == "/openapi/v3":
        return {"paths": {_root(*group): {"serverRelativeURL": f"/openapi/v3/{_root(*group)}"} for group in GROUPS}}
    schemas, paths = {}, {}
    for resource in RESOURCES:
        kind = [{"group": resource.group, "version": resource.version, "kind": resource.kind}]
        name = f"io.k8s.api.{resource.group or 'core'}.{resource.version}.{resource.kind}"
        schemas[name] = {
            "type": "object", "description": f"{resource.kind} of a test.",
            "properties": {"metadata": {"type": "object", "description": "Its name and such."}},
            "x-kubernetes-group-version-kind": kind,
        }  # fmt: skip
        parameter = {"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}
        namespaced = "/namespaces/{namespace}" if resource.namespaced else ""
        paths[f"/{_root(resource.group, resource.version)}{namespaced}/{resource.plural}/{{name}}"] = {
            "patch": {"parameters": [parameter], "x-kubernetes-group-version-kind": kind[0], "responses": {}}
        }
    info = {"title": "Kubernetes", "version": VERSION["gitVersion"]}
    if path == "/openapi/v2":
        return {"swagger": "2.0", "info": info, "paths": paths, "definitions": schemas}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}
