"""Verbs on resources: what a request does, as rules of the policy name it.

A resource is ``namespace/resource/name``, with its group where it has one (``prod/deployments.apps/web``) and its
subresource at the end (``prod/pods/web-1/exec``). ``-`` stands for no namespace, ``*`` for what is not known: any name,
or all namespaces. What is not a resource has the path: ``k8s:metrics`` on ``/metrics``.

Most requests have the API's own verb. Some subresources have one of their own, whatever the HTTP method:

======================== ===============================================================================================
``k8s:exec``             exec of pods; ``k8s:attach``, ``k8s:portforward``, ``k8s:proxy``, ``k8s:logs`` likewise
``k8s:scale``            a change of scale; its reading is ``k8s:get``
``k8s:evict``            eviction of a pod
``k8s:ephemeral``        ephemeral (debug) containers of a running pod
``k8s:token``            tokens of service accounts, also by a Secret that asks for one
``k8s:approve-csr``      approval or issue of certificates
======================== ===============================================================================================

And some requests do more than one thing:

======================== ===============================================================================================
``k8s:impersonate``      on who is impersonated: ``-/users/alice``, ``-/groups/admins``, ``ns/serviceaccounts/name``
``k8s:escalate``         a change of a role, besides the change itself
``k8s:bind``             on the role that a binding grants, besides the change of the binding
======================== ===============================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import unquote

from connectors.http.message import Headers
from connectors.kubectl.body import Body, Form
from connectors.kubectl.patches import effects
from connectors.kubectl.request_info import RequestInfo
from connectors.kubectl.scopes import CLUSTER_SCOPED
from hoopcli.model.decision import Action, Json

UNCLASSIFIED = "k8s:unclassified"
_ANY, _NONE = "*", "-"
_API_VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_WRITES = frozenset({"create", "update", "patch"})
_SUBRESOURCES = {
    "exec": "k8s:exec",
    "attach": "k8s:attach",
    "portforward": "k8s:portforward",
    "proxy": "k8s:proxy",
    "log": "k8s:logs",
}
#: Subresources whose reading is harmless and has the API's verb.
_WRITTEN_SUBRESOURCES = {
    "scale": "k8s:scale",
    "eviction": "k8s:evict",
    "ephemeralcontainers": "k8s:ephemeral",
    "token": "k8s:token",
}
_OUTSIDE = (
    (re.compile(r"/(?:api|apis)(?:/[^/]+){0,2}/?|/\.well-known/openid-configuration|/openid/v1/jwks"), "k8s:discovery"),
    (re.compile(r"/openapi/v[23](?:/.*)?|/swagger\.json|/swagger-2\.0\.0\.pb-v1"), "k8s:openapi"),
    (re.compile(r"/(?:healthz|livez|readyz)(?:/.*)?"), "k8s:health"),
    (re.compile(r"/metrics(?:/.*)?"), "k8s:metrics"),
    (re.compile(r"/version/?|/"), "k8s:version"),
)
_READS = frozenset({"GET", "HEAD"})
#: Verbs of requests that may leave HTTP.
STREAMS = frozenset({"k8s:exec", "k8s:attach", "k8s:portforward", "k8s:proxy"})
VERBS: frozenset[str] = frozenset(
    {
        *(f"k8s:{verb}" for verb in _API_VERBS),
        *_SUBRESOURCES.values(),
        *_WRITTEN_SUBRESOURCES.values(),
        *(verb for _, verb in _OUTSIDE),
        *("k8s:approve-csr", "k8s:impersonate", "k8s:escalate", "k8s:bind", UNCLASSIFIED),
    }
)
_RBAC = "rbac.authorization.k8s.io"
_ROLES = frozenset({"roles", "clusterroles"})
_BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})
_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:([^:/]+):([^:/]+)")
_PROXIED_NAME = re.compile(r"(?:https?:)?([^:]+)(?::[^:]*)?")


def actions_of(info: RequestInfo, headers: Headers, body: Body | None) -> tuple[Action, ...]:
    """Every verb on every resource of a request, the main one first. ``body`` is None where there is none."""
    return (*_main(info, headers, body), *_impersonation(headers))


def verb_of(info: RequestInfo, headers: Headers) -> str:
    """The main verb of a request."""
    return _stream_checked(_verb(info), headers)


def resource_of(info: RequestInfo, name: str = "") -> str:
    """The resource that a request is about; ``name`` is the one that its body gives, where the path has none."""
    if not info.is_resource:
        return info.path
    place = [_namespace(info), info.kind_name, _bare(info) or name or _ANY]
    return "/".join([*place, info.subresource] if info.subresource else place)


def _verb(info: RequestInfo) -> str:
    if not info.is_resource:
        found = (verb for path, verb in _OUTSIDE if path.fullmatch(info.path))
        return next(found, UNCLASSIFIED) if info.method in _READS else UNCLASSIFIED
    if info.subresource in _SUBRESOURCES:
        return _SUBRESOURCES[info.subresource]
    if info.verb in _WRITES:
        if info.resource == "certificatesigningrequests" and info.subresource:
            return "k8s:approve-csr"
        return _WRITTEN_SUBRESOURCES.get(info.subresource, f"k8s:{info.verb}")
    return f"k8s:{info.verb}" if info.verb in _API_VERBS else UNCLASSIFIED


def _stream_checked(verb: str, headers: Headers) -> str:
    """A request that leaves HTTP where no verb says so is one that nobody can read."""
    return UNCLASSIFIED if "upgrade" in headers and verb not in STREAMS else verb


def _main(info: RequestInfo, headers: Headers, body: Body | None) -> Iterator[Action]:
    written = list(effects(body)) if body else []
    resource = resource_of(info, _body_name(body) if info.verb == "create" else "")
    yield Action(verb_of(info, headers), (resource,))
    if not info.is_resource or info.verb not in _WRITES:
        return
    if info.group == _RBAC and info.resource in _ROLES:
        yield Action("k8s:escalate", (resource,))
    if info.group == _RBAC and info.resource in _BINDINGS:
        yield Action("k8s:bind", (_role(info, written),))
    if info.resource == "secrets" and not info.group:
        yield from _token_secret(info, written)


def _role(info: RequestInfo, written: Sequence[Json]) -> str:
    """The role that a binding grants, ``*`` for what the request does not say."""
    references = [document["roleRef"] for document in written if isinstance(document, dict) and "roleRef" in document]
    reference = references[0] if len(references) == 1 and isinstance(references[0], dict) else {}
    name, kind = reference.get("name"), reference.get("kind")
    known = name if isinstance(name, str) and name else _ANY
    match kind:
        case "ClusterRole":
            return f"{_NONE}/clusterroles.{_RBAC}/{known}"
        case "Role":
            return f"{_namespace(info)}/roles.{_RBAC}/{known}"
        case _:
            return f"{_ANY}/{_ANY}.{_RBAC}/{known}"


def _token_secret(info: RequestInfo, written: Sequence[Json]) -> Iterator[Action]:
    """A Secret of this type is filled with a token by the cluster."""
    for document in written:
        if isinstance(document, dict) and document.get("type") == "kubernetes.io/service-account-token":
            metadata = document.get("metadata")
            annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
            account = annotations.get("kubernetes.io/service-account.name") if isinstance(annotations, dict) else None
            name = account if isinstance(account, str) and account else _ANY
            yield Action("k8s:token", (f"{_namespace(info)}/serviceaccounts/{name}/token",))


def _impersonation(headers: Headers) -> Iterator[Action]:
    for name, value in headers:
        match name.lower().split("-", 1):
            case ["impersonate", "user"] if account := _SERVICE_ACCOUNT.fullmatch(value):
                yield Action("k8s:impersonate", (f"{account[1]}/serviceaccounts/{account[2]}",))
            case ["impersonate", "user" | "group" | "uid" as kind]:
                yield Action("k8s:impersonate", (f"{_NONE}/{kind}s/{value or _ANY}",))
            case ["impersonate", other]:
                yield Action("k8s:impersonate", (f"{_NONE}/{unquote(other).lower()}/{value or _ANY}",))


def _namespace(info: RequestInfo) -> str:
    if info.namespace:
        return info.namespace
    all_of_them = info.verb in {"list", "watch", "deletecollection"} and info.kind_name not in CLUSTER_SCOPED
    return _ANY if all_of_them else _NONE


def _bare(info: RequestInfo) -> str:
    """The name without the scheme and the port that a proxied one may have (``https:web:443``)."""
    match = _PROXIED_NAME.fullmatch(info.name) if info.subresource == "proxy" else None
    return match[1] if match else info.name


def _body_name(body: Body | None) -> str:
    """The name of an object that is created, "" where the server makes one up."""
    document = body.document if body and body.form is Form.OBJECT else None
    metadata = document.get("metadata") if isinstance(document, dict) else None
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) and "/" not in name else ""
