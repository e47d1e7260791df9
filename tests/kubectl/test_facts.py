from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.message import Headers
from connectors.kubectl.facts import CONTENT_FLAGS, CONTENT_LISTS, facts_of
from hoopcli.errors import ProtocolError
from tests.kubectl.bodies import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, NOTHING, STRATEGIC_PATCH, asked, body

RBAC = "/apis/rbac.authorization.k8s.io/v1"
DEPLOYMENT = "PATCH /apis/apps/v1/namespaces/prod/deployments/web"
POD = {
    "metadata": {"name": "web"},
    "spec": {
        "containers": [{"name": "web", "image": "nginx", "securityContext": {"runAsNonRoot": True}}],
        "serviceAccountName": "default",
    },
}


def facts(line: str, document: Any = ..., content_type: str = "application/json") -> dict[str, Any]:
    return facts_of(asked(line), NOTHING, None if document is ... else body(document, content_type))


def flags(found: dict[str, Any]) -> set[str]:
    return {name for name in CONTENT_FLAGS if found[name]}


def pod(**spec: Any) -> dict[str, Any]:
    return {**POD, "spec": {**POD["spec"], **spec}}  # type: ignore[dict-item]


def container(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "web", **fields}])


def test_a_harmless_pod() -> None:
    found = facts("POST pods", POD)
    assert flags(found) == set()
    assert found["images"] == ["nginx"]
    assert found["service_accounts"] == ["default"]
    assert (found["unknown"], found["removes"], found["patch"]) == (["removes"], [], "")


@pytest.mark.parametrize(
    ("document", "flag"),
    [
        (container(securityContext={"privileged": True}), "privileged"),
        (container(securityContext={"procMount": "Unmasked"}), "privileged"),
        (container(securityContext={"windowsOptions": {"hostProcess": True}}), "privileged"),
        (container(securityContext={"allowPrivilegeEscalation": True}), "privilege_escalation"),
        (container(securityContext={"runAsUser": 0}), "run_as_root"),
        (container(securityContext={"runAsUser": 0.0}), "run_as_root"),
        (pod(securityContext={"runAsNonRoot": False}), "run_as_root"),
        (pod(initContainers=[{"securityContext": {"privileged": True}}]), "privileged"),
        (pod(ephemeralContainers=[{"securityContext": {"privileged": True}}]), "privileged"),
        (pod(volumes=[{"name": "x", "hostPath": {"path": "/"}}]), "host_path"),
        (pod(hostNetwork=True), "host_network"),
        (pod(hostPID=True), "host_pid"),
        (pod(hostIPC=True), "host_ipc"),
        (pod(HostNetwork=True), "host_network"),
        (pod(volumes=[{"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]), "service_account_token"),
        ({"spec": {"jobTemplate": {"spec": {"template": pod(hostPID=True)}}}}, "host_pid"),
        ({"spec": {"replicas": 0}}, "scaled_to_zero"),
    ],
)
def test_risky_contents_in_whatever_form(document: Any, flag: str) -> None:
    assert flag in flags(facts("POST pods", document))
    assert flag in flags(facts("POST /apis/example.com/v1/namespaces/a/rollouts", {"metadata": {}, **document}))
    for content_type in (MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH):
        assert flag in flags(facts(DEPLOYMENT, document, content_type))
    replaced = [{"op": "replace", "path": "", "value": document}]
    assert flag in flags(facts(DEPLOYMENT, replaced, JSON_PATCH))


@pytest.mark.parametrize(
    ("path", "value", "flag"),
    [
        ("/spec/template/spec/containers/0/securityContext/privileged", True, "privileged"),
        ("/spec/template/spec/containers/0/securityContext", {"privileged": True}, "privileged"),
        ("/spec/template/spec/containers/-", {"securityContext": {"privileged": True}}, "privileged"),
        ("/spec/template/spec/volumes/0/hostPath/path", "/", "host_path"),
        ("/spec/template/spec/hostNetwork", True, "host_network"),
        ("/spec/replicas", 0, "scaled_to_zero"),
    ],
)
def test_risky_json_patches(path: str, value: Any, flag: str) -> None:
    for op in ("add", "replace"):
        found = facts(DEPLOYMENT, [{"op": op, "path": path, "value": value}], JSON_PATCH)
        assert (flags(found), found["unknown"]) == ({flag}, [])


def test_a_patch_that_copies_may_do_anything() -> None:
    annotate = {"op": "add", "path": "/metadata/annotations/x", "value": "true"}
    copy = {"op": "copy", "from": "/metadata/annotations/x", "path": "/spec/template/spec/hostNetwork"}
    assert flags(facts(DEPLOYMENT, [annotate], JSON_PATCH)) == set()
    found = facts(DEPLOYMENT, [annotate, copy], JSON_PATCH)
    assert flags(found) == set(CONTENT_FLAGS)
    assert {*CONTENT_FLAGS, *CONTENT_LISTS} < set(found["unknown"])


def test_secrets_that_a_pod_reads() -> None:
    document = pod(
        imagePullSecrets=[{"name": "pull"}],
        volumes=[
            {"secret": {"secretName": "mounted"}},
            {"projected": {"sources": [{"secret": {"name": "projected"}}]}},
            {"csi": {"nodePublishSecretRef": {"name": "csi"}}},
        ],
        containers=[
            {
                "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "env", "key": "p"}}}],
                "envFrom": [{"secretRef": {"name": "all"}}],
            }
        ],
    )
    assert set(facts("POST pods", document)["secrets"]) == {"pull", "mounted", "projected", "csi", "env", "all"}
    patch = [{"op": "add", "path": "/spec/volumes/0/secret/secretName", "value": "db"}]
    assert facts("PATCH pods/web", patch, JSON_PATCH)["secrets"] == ["db"]


def test_capabilities_and_replicas() -> None:
    found = facts("POST pods", container(securityContext={"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}))
    assert found["capabilities"] == ["NET_ADMIN"]
    patch = [{"op": "add", "path": "/spec/template/spec/containers/0/securityContext/capabilities/add/-", "value": "X"}]
    assert facts(DEPLOYMENT, patch, JSON_PATCH)["capabilities"] == ["X"]
    assert facts(f"{DEPLOYMENT}/scale", {"spec": {"replicas": 3}}, MERGE_PATCH)["replicas"] == [3]
    assert facts(DEPLOYMENT, {"spec": {"replicas": True}}, MERGE_PATCH)["replicas"] == []


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"rules": [{"verbs": ["get"], "resources": ["pods"]}]}, set()),
        ({"rules": [{"verbs": ["*"], "resources": ["pods"]}]}, {"wildcard_grant", "grants_escalation"}),
        ({"rules": [{"verbs": ["get"], "resources": ["secrets"]}]}, {"grants_escalation"}),
        ({"rules": [{"verbs": ["bind"], "resources": ["roles"]}]}, {"grants_escalation"}),
        ({"rules": [{"verbs": ["get"], "nonResourceURLs": ["*"]}]}, {"wildcard_grant"}),
        ({"rules": [{"verbs": ["*"], "resources": ["*"]}]}, {"wildcard_grant", "grants_escalation", "cluster_admin"}),
        ({"aggregationRule": {}, "rules": []}, {"wildcard_grant", "grants_escalation"}),
        ({"roleRef": {"name": "cluster-admin"}}, {"wildcard_grant", "grants_escalation", "cluster_admin"}),
        ({"roleRef": "x", "rules": {"verbs": ["*"]}}, set()),
    ],
)
def test_grants(document: Any, expected: set[str]) -> None:
    assert flags(facts(f"POST {RBAC}/clusterroles", document)) == expected
    assert flags(facts("POST configmaps", document)) == set()


def test_a_verb_added_to_a_rule_that_is_not_seen() -> None:
    patch = [{"op": "add", "path": "/rules/0/verbs/-", "value": "*"}]
    assert "cluster_admin" in flags(facts(f"PATCH {RBAC}/clusterroles/r", patch, JSON_PATCH))


def test_subjects_of_bindings() -> None:
    document = {"roleRef": {"name": "view"}, "subjects": [{"kind": "User", "name": "ann"}, {"kind": "Group"}, "x"]}
    assert facts(f"POST {RBAC}/clusterrolebindings", document)["subjects"] == ["ann"]


@pytest.mark.parametrize(
    ("line", "document", "dry_run"),
    [
        ("POST pods?dryRun=All", {}, True),
        ("POST pods", {}, False),
        ("POST pods?dryRun=None", {}, False),
        ("DELETE pods/web?dryRun=All", ..., True),
        ("DELETE pods/web?dryRun=All", {}, False),  # options in a body take the place of those in the query
        ("DELETE pods/web", {"dryRun": ["All"]}, True),
        ("DELETE pods?dryRun=All", {"gracePeriodSeconds": 0}, False),
        ("DELETE pods/web?dryRun=All", [], False),
        ("POST pods/web/exec?dryRun=All&command=ls", ..., False),
        ("POST services/web/proxy/x?dryRun=All", ..., False),
        ("POST pods/web/eviction?dryRun=All", {}, True),
        ("GET pods?dryRun=All", ..., False),
    ],
)
def test_a_dry_run_is_one_only_where_the_server_takes_it_for_one(line: str, document: Any, dry_run: bool) -> None:
    assert facts(line, document)["dry_run"] is dry_run


def test_facts_of_the_request() -> None:
    found = facts("GET pods/web/exec?command=sh&command=-c&container=app&stdin=true&tty=1&dryRun=All")
    assert found["command"] == ["sh", "-c"]
    assert (found["container"], found["stdin"], found["tty"], found["dry_run"]) == ("app", True, True, False)
    assert facts("GET pods/web/portforward?ports=80,81&ports=90")["ports"] == ["80", "81", "90"]
    assert facts("GET services/web:80/proxy/admin/x")["proxy_path"] == "admin/x"
    assert facts("GET pods?labelSelector=a%3Db&fieldSelector=x%3Dy")["label_selector"] == "a=b"
    assert facts("PATCH pods/web?fieldManager=kubectl&force=true", {}, APPLY_PATCH)["field_manager"] == "kubectl"
    assert facts("PATCH pods/web?force=true", {}, APPLY_PATCH)["patch"] == "apply-patch"
    headers = Headers([("Impersonate-User", "ann"), ("Accept", "x")])
    assert facts_of(asked("GET pods"), headers, None)["impersonates"] == ["ann"]


def test_the_api_itself_is_extended() -> None:
    hooks = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
    assert facts(f"POST {hooks}", {})["extends_api"]
    assert not facts(f"GET {hooks}")["extends_api"]


def test_facts_are_bounded() -> None:
    document = pod(containers=[{"image": f"{n}" * 1000} for n in range(1000)])
    found = facts("POST pods", document)
    assert len(found["images"]) <= 100
    assert max(map(len, found["images"])) <= 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1) | st.sampled_from(["*", "x", "/a/b", "add", "copy"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["spec", "rules", "verbs", "replicas", "roleRef", "subjects", "capabilities", "secret", "op"]
            )
            | st.sampled_from(["path", "value", "from", "metadata", "imagePullSecrets", "dryRun", "name"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH, "application/json"]))
def test_all_facts_are_always_there(document: Any, content_type: str) -> None:
    names = set(facts("GET pods"))
    for line in (DEPLOYMENT, f"PATCH {RBAC}/roles/r", "DELETE pods/web"):
        try:
            assert set(facts(line, document, content_type)) == names
        except ProtocolError:
            assert content_type == JSON_PATCH


SCALE = "/apis/apps/v1/namespaces/prod/deployments/web/scale"


@pytest.mark.parametrize(
    ("method", "kind", "document", "found"),
    [
        ("PUT", "application/json", {"spec": {"replicas": 3}}, False),
        ("PUT", "application/json", {"spec": {"replicas": 0}}, True),
        ("PUT", "application/json", {"spec": {}}, True),
        ("PUT", "application/json", {"metadata": {}}, True),
        ("PUT", "application/json", {"spec": {"replicas": None}}, True),
        ("PATCH", MERGE_PATCH, {"spec": {"replicas": 3}}, False),
        ("PATCH", MERGE_PATCH, {"metadata": {"labels": {"a": "b"}}}, False),
        ("PATCH", MERGE_PATCH, {"spec": {"replicas": None}}, True),
        ("PATCH", MERGE_PATCH, {"spec": None}, True),
        ("PATCH", MERGE_PATCH, None, True),
        ("PATCH", STRATEGIC_PATCH, {"spec": {"$patch": "replace"}}, True),
        ("PATCH", APPLY_PATCH, {"metadata": {"name": "web"}}, True),
        ("PATCH", JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": 2}], False),
        ("PATCH", JSON_PATCH, [{"op": "remove", "path": "/spec/replicas"}], True),
        ("PATCH", JSON_PATCH, [{"op": "remove", "path": "/spec"}], True),
        ("PATCH", JSON_PATCH, [{"op": "replace", "path": "/spec", "value": {}}], True),
        ("PATCH", JSON_PATCH, [{"op": "replace", "path": "", "value": {}}], True),
        ("PATCH", JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": None}], True),
        ("PATCH", JSON_PATCH, [{"op": "copy", "from": "/status/x", "path": "/spec/replicas"}], True),
        ("PATCH", JSON_PATCH, [], False),
    ],
)
def test_a_scale_without_its_number_is_none(method: str, kind: str, document: Any, found: bool) -> None:
    assert facts(f"{method} {SCALE}", document, kind)["scaled_to_zero"] is found
