"""Messages of the API that hoop reads as protobuf: the kinds that kubectl sends ([Kubernetes API] generated.proto).

``protobuf_messages.txt`` has a message a line (lines that are indented go on with the one before), its fields as
``number:name:type``. A type is ``s`` text, ``i`` a number, ``b`` a truth value, ``y`` bytes, ``T`` a time, ``Q`` a
quantity, ``I`` a number or a text, ``L`` a list of texts, or a message; ``*`` before it is a list, ``%`` an object of
them by name, and the fields of ``@`` stand beside the others. ``-`` is left out: who manages which field is the
server's own to know. Names are those of JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TypeAlias

Schema: TypeAlias = Mapping[int, tuple[str, str]]

_RBAC = "rbac.authorization.k8s.io/v1"
_REVIEWS = "authorization.k8s.io/v1"
_CORE = (
    "Binding", "ConfigMap", "Namespace", "PersistentVolumeClaim", "Pod", "ReplicationController", "ResourceQuota",
    "Secret", "Service", "ServiceAccount",
)  # fmt: skip
#: The kinds that are read, each in one version only.
VERSIONS: Mapping[str, str] = {
    **dict.fromkeys(_CORE, "v1"),
    **dict.fromkeys(("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"), "apps/v1"),
    **dict.fromkeys(("SelfSubjectReview", "TokenRequest"), "authentication.k8s.io/v1"),
    **dict.fromkeys(("LocalSubjectAccessReview", "SelfSubjectAccessReview", "SelfSubjectRulesReview"), _REVIEWS),
    "SubjectAccessReview": _REVIEWS,
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "Scale": "autoscaling/v1",
    **dict.fromkeys(("CronJob", "Job"), "batch/v1"),
    "CertificateSigningRequest": "certificates.k8s.io/v1",
    **dict.fromkeys(("Ingress", "NetworkPolicy"), "networking.k8s.io/v1"),
    **dict.fromkeys(("Eviction", "PodDisruptionBudget"), "policy/v1"),
    **dict.fromkeys(("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"), _RBAC),
    "PriorityClass": "scheduling.k8s.io/v1",
}
#: What goes with a request in whatever version its resource has.
OPTIONS = frozenset({"DeleteOptions"})


@cache
def messages() -> Mapping[str, Schema]:
    """The fields of each message by their numbers: a name and a type."""
    found: dict[str, dict[int, tuple[str, str]]] = {}
    fields: dict[int, tuple[str, str]] = {}
    for word in files(__package__).joinpath("protobuf_messages.txt").read_text("ascii").split():
        number, _, field = word.partition(":")
        if field:
            name, _, kind = field.partition(":")
            fields[int(number)] = (name, kind)
        else:
            fields = found[word] = {}
    return found
