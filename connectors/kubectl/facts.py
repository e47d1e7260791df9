"""Facts of a request for conditions of the policy: ``statement.privileged``, ``statement.scaled_to_zero``.

Facts about contents are found by the names of fields wherever they stand, so that they hold for pods, for whatever
makes pods, for custom resources with pods in them and for patches alike. What a request does not say, because a patch
copies it from the live object, counts as said: such a fact is true, and its name is in ``unknown``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.http.message import Headers
from connectors.kubectl.body import Body, Form
from connectors.kubectl.patches import effects, operations, removals, tests, unknown_effects
from connectors.kubectl.request_info import RequestInfo
from hoopcli.model.decision import Json

_MOST = 100
_LONGEST = 500
_WRITES = frozenset({"create", "update", "patch"})
_DELETIONS = frozenset({"delete", "deletecollection"})
#: Subresources whose server never looks for a dry run.
_STREAMS = frozenset({"exec", "attach", "portforward", "proxy"})
_RBAC = "rbac.authorization.k8s.io"
_EXTENSIONS = frozenset({"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io"})
_RISKY_VERBS = frozenset({"*", "escalate", "bind", "impersonate"})
_RISKY_RESOURCES = frozenset({"*", "secrets", "pods/exec", "pods/attach", "nodes/proxy", "serviceaccounts/token"})
#: Facts about the contents of a body that are yes or no.
CONTENT_FLAGS = (
    "privileged",
    "host_path",
    "host_network",
    "host_pid",
    "host_ipc",
    "run_as_root",
    "privilege_escalation",
    "service_account_token",
    "cluster_admin",
    "wildcard_grant",
    "grants_escalation",
    "scaled_to_zero",
)
#: Facts about the contents of a body that are lists of texts.
CONTENT_LISTS = ("capabilities", "images", "secrets", "service_accounts", "subjects")


@dataclass(slots=True)
class _Found:
    flags: set[str] = field(default_factory=set)
    lists: dict[str, dict[str, None]] = field(default_factory=lambda: {name: {} for name in CONTENT_LISTS})
    replicas: list[int] = field(default_factory=list)

    def add(self, name: str, value: object) -> None:
        """Add a text to a list, within bounds."""
        if isinstance(value, str) and len(self.lists[name]) < _MOST:
            self.lists[name][value[:_LONGEST]] = None


def facts_of(info: RequestInfo, headers: Headers, body: Body | None) -> dict[str, Json]:
    """Every fact of a request; all are always there. Raises ProtocolError for a JSON patch that is none."""
    return {**_of_request(info, headers), **_of_options(info, body), **_of_stream(info), **_of_content(info, body)}


def _of_request(info: RequestInfo, headers: Headers) -> dict[str, Json]:
    return {
        "namespace": info.namespace,
        "resource": info.resource,
        "group": info.group,
        "version": info.version,
        "name": info.name,
        "subresource": info.subresource,
        "label_selector": (info.value("labelSelector") or "")[:_LONGEST],
        "field_selector": (info.value("fieldSelector") or "")[:_LONGEST],
        "impersonates": [value for name, value in headers if name.lower().startswith("impersonate-")][:_MOST],
        "proxy_path": "/".join(info.parts[3:]) if info.subresource == "proxy" and info.verb != "proxy" else "",
        "extends_api": info.group in _EXTENSIONS and info.verb in _WRITES | _DELETIONS,
    }


def _of_options(info: RequestInfo, body: Body | None) -> dict[str, Json]:
    """Options of the request. Those of a deletion are in its body where it has one, and only there."""
    if info.verb in _DELETIONS and body:
        dry_run = isinstance(body.document, dict) and body.document.get("dryRun") == ["All"]
    else:
        dry_run = info.value("dryRun") == "All"
    return {
        "dry_run": dry_run and info.verb in _WRITES | _DELETIONS and info.subresource not in _STREAMS,
        "field_manager": (info.value("fieldManager") or "")[:_LONGEST],
        "force": info.flag("force"),
    }


def _of_stream(info: RequestInfo) -> dict[str, Json]:
    ports = [port for value in info.values("ports") for port in value.split(",")]
    return {
        "command": list(info.values("command"))[:_MOST],
        "container": info.value("container") or "",
        "stdin": info.flag("stdin"),
        "tty": info.flag("tty"),
        "follow": info.flag("follow"),
        "ports": ports[:_MOST],
    }


def _of_content(info: RequestInfo, body: Body | None) -> dict[str, Json]:
    found = _Found()
    unknown = False
    written = body if body and info.is_resource and info.verb in _WRITES else None
    if written:
        unknown = unknown_effects(written)
        for part in effects(written):
            _look(part, found)
            _look_as(info, part, found)
        if info.subresource == "scale" and _scales_unsaid(written):
            found.flags.add("scaled_to_zero")
    return {
        **{name: unknown or name in found.flags for name in CONTENT_FLAGS},
        **{name: list(values) for name, values in found.lists.items()},
        "replicas": [*found.replicas],
        "unknown": _unknown(written, unknown),
        "removes": removals(written)[:_MOST] if written else [],
        "tests": [".".join(path) for path in tests(written)][:_MOST] if written else [],
        "patch": written.form.value if written and written.form is not Form.OBJECT else "",
    }


def _unknown(written: Body | None, unknown: bool) -> list[Json]:
    """The facts that only the live object could settle. What is written as a whole removes what it does not name."""
    names = [*CONTENT_FLAGS, *CONTENT_LISTS, "replicas"] if unknown else []
    return [*names, "removes"] if written and written.form in {Form.OBJECT, Form.APPLY} else [*names]


def _look(document: Json, found: _Found) -> None:
    for key, value in _fields(document):
        name = key.lower()
        if flag := _FLAGS.get(name):
            if _is_set(flag[1], value):
                found.flags.add(flag[0])
        elif name in _LISTS:
            found.add(_LISTS[name], value)
        elif name in _REFERENCES and isinstance(value, dict):
            found.add("secrets", value.get("name", value.get("secretName")))
        elif name == "imagepullsecrets" and isinstance(value, list):
            for each in _dicts(value):
                found.add("secrets", each.get("name"))
        elif name == "capabilities" and isinstance(value, dict):
            for each in _items(value.get("add")):
                found.add("capabilities", each)


#: Fields that say yes to a fact, with the value that does; an object stands for any object.
_FLAGS: Mapping[str, tuple[str, object]] = {
    "privileged": ("privileged", True),
    "hostpath": ("host_path", dict),
    "hostnetwork": ("host_network", True),
    "hostpid": ("host_pid", True),
    "hostipc": ("host_ipc", True),
    "runasuser": ("run_as_root", 0),
    "runasnonroot": ("run_as_root", False),
    "allowprivilegeescalation": ("privilege_escalation", True),
    "hostprocess": ("privileged", True),
    "procmount": ("privileged", "Unmasked"),
    "serviceaccounttoken": ("service_account_token", dict),
}
_LISTS = {
    "image": "images",
    "reference": "images",  # of an image volume
    "secretname": "secrets",
    "serviceaccountname": "service_accounts",
    "serviceaccount": "service_accounts",
}
_REFERENCES = frozenset({"secretkeyref", "secretref", "secret", "nodepublishsecretref", "controllerpublishsecretref"})


def _is_set(wanted: object, value: object) -> bool:
    if wanted is dict:
        return isinstance(value, dict)
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def _look_as(info: RequestInfo, part: Json, found: _Found) -> None:
    """What only counts in some resources: grants, and numbers of replicas."""
    if not isinstance(part, dict):
        return
    spec = part.get("spec")
    if isinstance(spec, dict) and type(spec.get("replicas")) in {int, float}:
        found.replicas.append(int(spec["replicas"]))
        if spec["replicas"] == 0:
            found.flags.add("scaled_to_zero")
    if info.group == _RBAC:
        _grants(part, found)


def _scales_unsaid(written: Body) -> bool:
    """Whether a scale is written without its number, which is 0 then, as far as the body tells."""
    whole = written.form in {Form.OBJECT, Form.APPLY} or (
        written.form is Form.JSON_PATCH and any(not each.path for each in operations(written))
    )
    parts = [part if isinstance(part, dict) else {"spec": None} for part in effects(written)]
    specs = [part.get("spec") for part in parts if whole or "spec" in part]
    said = all(isinstance(spec, dict) and type(spec.get("replicas")) in {int, float} for spec in specs)
    return not said or not {"", "spec", "spec.replicas"}.isdisjoint(removals(written))


def _grants(part: Mapping[str, Any], found: _Found) -> None:
    if part.get("aggregationRule") is not None:
        found.flags |= {"wildcard_grant", "grants_escalation"}
    for rule in _dicts(part.get("rules")):
        partly = not ("verbs" in rule and ("resources" in rule or "nonResourceURLs" in rule))  # of a JSON patch
        verbs, resources = set(_texts(rule.get("verbs"))), set(_texts(rule.get("resources")))
        if "*" in verbs | resources | set(_texts(rule.get("nonResourceURLs"))):
            found.flags.add("wildcard_grant")
        if "*" in verbs & resources or (partly and "*" in verbs | resources):
            found.flags.add("cluster_admin")
        if verbs & _RISKY_VERBS or resources & _RISKY_RESOURCES:
            found.flags.add("grants_escalation")
    role = part.get("roleRef")
    if isinstance(role, dict) and role.get("name") == "cluster-admin":
        found.flags |= {"cluster_admin", "wildcard_grant", "grants_escalation"}
    for subject in _dicts(part.get("subjects")):
        found.add("subjects", subject.get("name"))


def _fields(document: Json) -> Iterator[tuple[str, Any]]:
    """Every field of every object in a document."""
    stack: list[Any] = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield from value.items()
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def _dicts(value: object) -> Iterable[Mapping[str, Any]]:
    return (each for each in _items(value) if isinstance(each, dict))


def _texts(value: object) -> Iterable[str]:
    return (each for each in _items(value) if isinstance(each, str))


def _items(value: object) -> Iterable[Any]:
    return value if isinstance(value, list) else ()
