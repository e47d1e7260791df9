"""The kinds of objects that the cluster has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Resource:
    group: str
    version: str
    kind: str
    plural: str
    short: str = ""
    namespaced: bool = True
    subresources: Sequence[str] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def singular(self) -> str:
        return self.kind.lower()


RESOURCES = (
    Resource("", "v1", "Namespace", "namespaces", "ns", namespaced=False),
    Resource("", "v1", "Node", "nodes", "no", namespaced=False),
    Resource(
        "", "v1", "Pod", "pods", "po",
        subresources=("log", "exec", "attach", "portforward", "status", "ephemeralcontainers", "eviction"),
    ),
    Resource("", "v1", "Secret", "secrets"),
    Resource("", "v1", "ConfigMap", "configmaps", "cm"),
    Resource("", "v1", "Service", "services", "svc", subresources=("status", "proxy")),
    Resource("", "v1", "ServiceAccount", "serviceaccounts", "sa", subresources=("token",)),
    Resource("", "v1", "Event", "events", "ev"),
    Resource("apps", "v1", "Deployment", "deployments", "deploy", subresources=("status", "scale")),
    Resource("apps", "v1", "ReplicaSet", "replicasets", "rs"),
    Resource("rbac.authorization.k8s.io", "v1", "Role", "roles"),
    Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings"),
    Resource("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", namespaced=False),
    Resource("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False),
    Resource("metrics.k8s.io", "v1beta1", "PodMetrics", "pods"),
)  # fmt: skip
BY_NAME = {(resource.group, resource.version, resource.plural): resource for resource in RESOURCES}
GROUPS = tuple(dict.fromkeys((resource.group, resource.version) for resource in RESOURCES))
