from __future__ import annotations

from typing import Any

import pytest

from connectors.http.message import Headers
from connectors.kubectl.body import Body
from connectors.kubectl.request_info import RequestInfo
from connectors.kubectl.verbs import STREAMS, UNCLASSIFIED, VERBS, actions_of, resource_of, verb_of
from hoopcli.masking.patterns import resource_matcher
from tests.kubectl.bodies import APPLY_PATCH, JSON_PATCH, NOTHING, asked, body

RBAC = "/apis/rbac.authorization.k8s.io/v1"
BINDINGS = f"POST {RBAC}/namespaces/dev/rolebindings"


def actions(info: RequestInfo, document: Body | None = None, headers: Headers = NOTHING) -> list[str]:
    return [f"{each.verb} {each.resources[0]}" for each in actions_of(info, headers, document)]


def test_a_created_object_has_the_name_in_its_body() -> None:
    info = asked("POST pods")
    assert actions(info, body({"metadata": {"name": "web"}})) == ["k8s:create prod/pods/web"]
    for document in ({"metadata": {"generateName": "web-"}}, {"metadata": {"name": 1}}, {"metadata": []}, [], None):
        assert actions(info, body(document)) == ["k8s:create prod/pods/*"]
    assert actions(info, body({"metadata": {"name": "a/b"}})) == ["k8s:create prod/pods/*"]


@pytest.mark.parametrize(
    ("role", "bound"),
    [
        ({"kind": "ClusterRole", "name": "cluster-admin"}, "-/clusterroles.rbac.authorization.k8s.io/cluster-admin"),
        ({"kind": "Role", "name": "reader"}, "dev/roles.rbac.authorization.k8s.io/reader"),
        ({"kind": "ClusterRole"}, "-/clusterroles.rbac.authorization.k8s.io/*"),
        ({"name": "reader"}, "*/*.rbac.authorization.k8s.io/reader"),
        ("reader", "*/*.rbac.authorization.k8s.io/*"),
    ],
)
def test_a_binding_binds_a_role(role: Any, bound: str) -> None:
    document = body({"metadata": {"name": "b"}, "roleRef": role})
    assert actions(asked(BINDINGS), document) == [
        "k8s:create dev/rolebindings.rbac.authorization.k8s.io/b",
        f"k8s:bind {bound}",
    ]


def test_a_patched_binding_may_bind_any_role() -> None:
    info = asked(f"PATCH {RBAC}/clusterrolebindings/b")
    patch = body([{"op": "add", "path": "/subjects/-", "value": {"kind": "User", "name": "ann"}}], JSON_PATCH)
    assert actions(info, patch)[1] == "k8s:bind */*.rbac.authorization.k8s.io/*"
    applied = body({"roleRef": {"kind": "ClusterRole", "name": "view"}}, APPLY_PATCH)
    assert actions(info, applied)[1] == "k8s:bind -/clusterroles.rbac.authorization.k8s.io/view"


def test_a_secret_that_asks_for_a_token() -> None:
    document = {
        "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "builder"}},
        "type": "kubernetes.io/service-account-token",
    }
    assert actions(asked("POST secrets"), body(document)) == [
        "k8s:create prod/secrets/t",
        "k8s:token prod/serviceaccounts/builder/token",
    ]
    patch = body([{"op": "add", "path": "/type", "value": document["type"]}], JSON_PATCH)
    assert actions(asked("PATCH secrets/t"), patch)[1] == "k8s:token prod/serviceaccounts/*/token"
    assert actions(asked("POST secrets"), body({"type": "Opaque"})) == ["k8s:create prod/secrets/*"]
    assert actions(asked("POST secrets"), body([])) == ["k8s:create prod/secrets/*"]


def test_impersonation_is_an_action_on_each_who_is_impersonated() -> None:
    headers = Headers(
        [
            ("Impersonate-User", "alice@example.com"),
            ("impersonate-group", "system:masters"),
            ("Impersonate-Group", "dev"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Extra-Scopes%2Fx", "all"),
            ("Accept", "*/*"),
        ]
    )
    assert actions(asked("GET pods"), headers=headers) == [
        "k8s:list prod/pods/*",
        "k8s:impersonate -/users/alice@example.com",
        "k8s:impersonate -/groups/system:masters",
        "k8s:impersonate -/groups/dev",
        "k8s:impersonate -/uids/7",
        "k8s:impersonate -/extra-scopes/x/all",
    ]
    account = Headers([("Impersonate-User", "system:serviceaccount:prod:builder")])
    assert actions(asked("GET pods"), headers=account)[1] == "k8s:impersonate prod/serviceaccounts/builder"


def test_an_upgrade_is_only_for_streams() -> None:
    upgrade = Headers([("Upgrade", "websocket")])
    assert verb_of(asked("GET pods/web/exec"), upgrade) == "k8s:exec"
    assert verb_of(asked("GET pods?watch=1"), upgrade) == UNCLASSIFIED
    console = asked("GET /apis/subresources.kubevirt.io/v1/namespaces/a/virtualmachineinstances/vm/console")
    assert verb_of(console, upgrade) == UNCLASSIFIED
    assert STREAMS < VERBS


def test_patterns_of_policies_mean_what_they_say() -> None:
    secrets = resource_matcher("prod/secrets/*", exact_case=True)
    assert secrets(resource_of(asked("GET secrets/db")))
    assert secrets(resource_of(asked("GET secrets")))
    assert not secrets(resource_of(asked("GET configmaps/db")))
    assert not secrets(resource_of(asked("GET /api/v1/secrets")))
    assert not secrets(resource_of(asked("GET /apis/example.com/v1/namespaces/prod/secrets/db")))
