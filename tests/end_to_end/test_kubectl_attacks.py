"""Requests by hand against the whole broker: Secrets by every road, paths of two readings, proofs, upgrades.

What is refused is refused with a Status, and the cluster hears nothing of it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connectors.kubectl.protobuf import MEDIA_TYPE
from tests.http.smuggling import HEADS
from tests.kubectl.apiserver import ApiServer, cluster
from tests.kubectl.cluster.connection import TOKEN
from tests.kubectl.proto import encode
from tests.support.cluster import Session, Upstream, session
from tests.support.rawhttp import Answer, Fields, written

POLICY = """
version: 1
rules:
  - {id: look, effect: allow, verbs: ["k8s:get", "k8s:list", "k8s:watch", "k8s:logs"]}
  - {id: change, effect: allow, verbs: ["k8s:create", "k8s:update", "k8s:patch", "k8s:delete", "k8s:scale"]}
  - {id: kube-system-is-nobodys, effect: deny, resources: ["kube-system/*"]}
  - {id: no-privileges, effect: deny, when: "statement.privileged || statement.host_path"}
  - {id: something-runs, effect: deny, when: "statement.scaled_to_zero"}
"""
PASSWORD = "correct horse battery"
ENCODED = base64.b64encode(PASSWORD.encode()).decode()
SECRETS = "/api/v1/namespaces/default/secrets"
HIDDEN = "/api/v1/namespaces/kube-system/secrets"
PODS = "/api/v1/namespaces/default/pods"
CONFIGS = "/api/v1/namespaces/default/configmaps"
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
JSON = ("Content-Type", "application/json")
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


POD: Any = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "evil"}}
SPEC: Any = {"containers": [{"name": "a", "image": "x", "securityContext": {"privileged": True}}]}
MOUNT: Any = {
    "containers": [{"name": "a", "image": "x"}],
    "volumes": [{"name": "r", "hostPath": {"path": "/", "type": ""}}],
}
APPLIED_DEPLOYMENT: Any = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": SPEC}}}


@dataclass
class Stage:
    """A session, and the cluster behind it."""

    server: ApiServer
    session: Session
    heard: list[str] = field(default_factory=list)

    def ask(self, method: str, target: str, fields: Fields = (), document: Any = None) -> Answer:
        """Send an object, or nothing."""
        body = json.dumps(document).encode() if document is not None else None
        return self.session.ask(method, target, [JSON, *fields] if document is not None else fields, body)

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What happens in this block must not reach the cluster."""
        before = len(self.server.seen)
        yield
        assert [f"{request.method} {request.target}" for request in self.server.seen[before:]] == []


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with cluster() as server:
        secret = {"metadata": {"name": "hidden"}, "stringData": {"password": PASSWORD}}
        server.put("secrets", secret, namespace="kube-system")
        to = Upstream(server.kubeconfig(), server)
        with session(tmp_path_factory.mktemp("broker"), to, POLICY) as opened:
            yield Stage(server, opened)


def assert_secret(answer: Answer) -> None:
    for text in (PASSWORD, ENCODED):
        assert text.encode() not in answer.body + answer.more
        assert not any(text in value for _, value in answer.headers)


def assert_status(answer: Answer, *codes: int) -> dict[str, Any]:
    """An answer that is a Status of the API, as clients understand it."""
    assert answer.status in codes, answer.body
    status: dict[str, Any] = json.loads(answer.body)
    assert (status["kind"], status["apiVersion"], status["status"]) == ("Status", "v1", "Failure")
    assert status["code"] == answer.status
    return status


class TestSecrets:
    """Every road by which a Secret leaves a cluster."""

    @pytest.mark.parametrize(
        ("target", "accept"),
        [
            (f"{SECRETS}/db-password", "application/json"),
            (f"{SECRETS}/db-password", MEDIA_TYPE),
            (f"{SECRETS}/db-password", "application/cbor, application/json;q=0.1"),
            (f"{SECRETS}/db-password", "application/yaml"),
            (f"{SECRETS}/db-password", f"{TABLE},application/json"),
            (f"{SECRETS}?fieldSelector=metadata.name%3Ddb-password", "application/json"),
            (SECRETS, TABLE),
            (f"{SECRETS}?includeObject=Object", TABLE),
            (f"{SECRETS}?limit=1", "application/json"),
            (f"{SECRETS}?watch=true&timeoutSeconds=1", "application/json"),
            (f"{SECRETS}?watch=1&timeoutSeconds=1", f"{TABLE}"),
            (f"{SECRETS}?watch=true&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "*/*"),
            ("/api/v1/secrets", "application/json"),
            (f"{SECRETS}/db-password?pretty=true", "*/*"),
        ],
    )
    def test_no_reading_shows_it(self, stage: Stage, target: str, accept: str) -> None:
        answer = stage.ask("GET", target, [("Accept", accept), ("Accept-Encoding", "gzip")])
        assert_secret(answer)
        assert answer.status in {200, 403}, answer.body

    @pytest.mark.parametrize(
        ("method", "target", "kind", "document"),
        [
            ("PATCH", f"{SECRETS}/db-password", "application/merge-patch+json", {}),
            (
                "PATCH",
                f"{SECRETS}/db-password?dryRun=All",
                "application/merge-patch+json",
                {"metadata": {"labels": {}}},
            ),
            ("PATCH", f"{SECRETS}/db-password", "application/json-patch+json", []),
            (
                "PATCH",
                f"{SECRETS}/db-password?fieldManager=x&dryRun=All&force=true",
                "application/apply-patch+yaml",
                {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db-password"}},
            ),
            (
                "PATCH",
                f"{SECRETS}/db-password?dryRun=All",
                "application/json-patch+json",
                [{"op": "copy", "from": "/data/password", "path": "/metadata/labels"}],
            ),
            (
                "PATCH",
                f"{SECRETS}/db-password?dryRun=All",
                "application/json-patch+json",
                [{"op": "copy", "from": "/data", "path": "/metadata/annotations"}],
            ),
            ("DELETE", f"{SECRETS}/db-password?dryRun=All", "application/json", {"dryRun": ["All"]}),
            ("DELETE", f"{SECRETS}?dryRun=All&labelSelector=nobody%3Dhas", "application/json", {"dryRun": ["All"]}),
        ],
    )
    def test_no_change_shows_it(self, stage: Stage, method: str, target: str, kind: str, document: Any) -> None:
        answer = stage.session.ask(method, target, [("Content-Type", kind)], json.dumps(document).encode())
        assert_secret(answer)

    def test_a_test_of_its_value_is_no_oracle(self, stage: Stage) -> None:
        with stage.unheard():
            for value in (ENCODED, "AAAA"):
                patch = [{"op": "test", "path": "/data/password", "value": value}]
                answer = stage.session.ask(
                    "PATCH", f"{SECRETS}/db-password", [("Content-Type", "application/json-patch+json")],
                    json.dumps(patch).encode(),
                )  # fmt: skip
                assert_status(answer, 403)

    def test_what_was_masked_is_not_written_back(self, stage: Stage) -> None:
        read = stage.ask("GET", f"{SECRETS}/db-password")
        with stage.unheard():
            for method, kind in (("PUT", "application/json"), ("PATCH", "application/merge-patch+json")):
                answer = stage.session.ask(method, f"{SECRETS}/db-password", [("Content-Type", kind)], read.body)
                assert "mask" in assert_status(answer, 403)["message"]

    def test_copies_of_it_are_masked(self, stage: Stage) -> None:
        """A Secret that a client wrote elsewhere: in an annotation, in a ConfigMap, as a manifest."""
        manifest = json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {"k": ENCODED}})
        stage.server.put(
            "configmaps",
            {
                "metadata": {
                    "name": "kept",
                    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": manifest},
                },
                "data": {"manifest": manifest},
            },
        )
        for accept in ("application/json", TABLE, f"{TABLE};x=y"):
            assert_secret(stage.ask("GET", f"{CONFIGS}/kept?includeObject=Object", [("Accept", accept)]))
            assert_secret(stage.ask("GET", CONFIGS, [("Accept", accept)]))

    @pytest.mark.parametrize(
        "target",
        [
            f"{PODS}/web-1/proxy/env",
            "/api/v1/namespaces/default/services/web/proxy/",
            "/api/v1/nodes/node-1/proxy/pods",
            "/api/v1/nodes/node-1/proxy/run/default/web-1/main?cmd=env",
            "/api/v1/proxy/namespaces/default/services/web",
        ],
    )
    def test_the_proxy_is_a_verb_of_its_own(self, stage: Stage, target: str) -> None:
        with stage.unheard():
            assert_status(stage.ask("GET", target), 403)


class TestPaths:
    """Paths that two servers might read differently."""

    @pytest.mark.parametrize(
        "target",
        [
            f"/{HIDDEN}/hidden",
            "//api/v1/namespaces/kube-system/secrets/hidden",
            "/api//v1/namespaces/kube-system/secrets/hidden",
            "/api/v1/namespaces/default/pods/../../kube-system/secrets/hidden",
            "/api/v1/namespaces/default/pods/%2e%2e/%2e%2e/kube-system/secrets/hidden",
            "/api/v1/namespaces/default/pods/..%2f..%2fkube-system%2fsecrets%2fhidden",
            "/api/v1/namespaces/default/..;/kube-system/secrets/hidden",
            "/api/v1/namespaces/kube-system;x/secrets/hidden",
            "/api/v1/namespaces/kube%2Dsystem/secrets/hidden",
            "/api/v1/namespaces/%6bube-system/secrets/hidden",
            "/api/v1/namespaces/kube-system/secrets%2Fhidden",
            "/api/v1/namespaces/kube-system%2Fsecrets/hidden",
            "/api/v1/namespaces/kube-system/./secrets/hidden",
            "/api/v1/namespaces/kube-system\\secrets\\hidden",
            "/api/v1/namespaces/kube-system/secrets/hidden%00",
            "/api/v1/namespaces/kube-system/secrets/hidden#x",
            "/api/v1/namespaces/default/pods/web-1%252f..%252f..%252f",
            "http://127.0.0.1/api/v1/namespaces/kube-system/secrets/hidden",
            "*",
            "/api/v1/namespaces/default/pods?watch=true&watch=false",
            "/api/v1/namespaces/default/pods?fieldSelector=a&fieldSelector=b",
            "/api/v1/namespaces/default/pods?watch=%zz",
            "/api/v1/namespaces/default/pods?a;b",
        ],
    )
    def test_what_cannot_be_read_in_one_way_is_refused(self, stage: Stage, target: str) -> None:
        with stage.unheard():
            answer = stage.ask("GET", target)
        assert answer.status in {400, 403}, answer.body
        assert_secret(answer)
        assert answer.more == b""

    @pytest.mark.parametrize(
        "target",
        [
            f"{HIDDEN}/hidden",
            HIDDEN,
            f"{HIDDEN}/",
            f"{HIDDEN}/hidden/",
            f"{HIDDEN}?watch=true",
            f"{HIDDEN}/hidden/status",
            "/api/v1/watch/namespaces/kube-system/secrets",
            "/api/v1/watch/namespaces/kube-system/secrets/hidden",
            "/api/v1/secrets?fieldSelector=metadata.namespace%3Dkube-system",
            "/API/v1/namespaces/kube-system/secrets",
        ],
    )
    def test_what_is_denied_is_denied_by_every_name(self, stage: Stage, target: str) -> None:
        with stage.unheard():
            answer = stage.ask("GET", target)
        assert answer.status in {400, 403}, answer.body
        assert_secret(answer)

    @pytest.mark.parametrize("path", ["Namespaces/kube-system/secrets/hidden", "namespaces/kube-system/Secrets/hidden"])
    def test_another_name_is_another_resource(self, stage: Stage, path: str) -> None:
        answer = stage.ask("GET", f"/api/v1/{path}")
        assert answer.status in {403, 404}
        assert_secret(answer)


class TestProofs:
    """Who may ask."""

    @pytest.mark.parametrize(
        "fields",
        [
            [],
            [("Authorization", "Bearer ")],
            [("Authorization", "Bearer wrong")],
            [("Authorization", f"Bearer {TOKEN}")],
            [("Authorization", "Basic aG9vcDpzZWNyZXQ=")],
            [("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters")],
            [("Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io.SECRET"), ("Upgrade", "websocket")],
            [("Cookie", "token=SECRET")],
        ],
    )
    def test_nobody_without_the_sessions_secret(self, stage: Stage, fields: Fields) -> None:
        listen = stage.session.broker.listen
        host = ("Host", f"{listen.host}:{listen.port}")
        known = base64.urlsafe_b64encode(listen.secret.encode()).decode().rstrip("=")
        sent = [(name, value.replace("SECRET", known)) for name, value in fields]
        with stage.unheard():
            answer = stage.session.send(written("GET", PODS, [host, *sent]))
            assert_status(answer, 401, 400)
            assert_status(stage.session.send(written("GET", f"{PODS}?access_token={listen.secret}", [host])), 401, 400)

    def test_two_proofs_are_none(self, stage: Stage) -> None:
        with stage.unheard():
            assert stage.ask("GET", PODS, [("Authorization", f"Bearer {TOKEN}")]).status in {400, 401}

    @pytest.mark.parametrize(
        "name", ["Impersonate-User", "impersonate-group", "Impersonate-Uid", "Impersonate-Extra-x"]
    )
    def test_acting_as_somebody_is_a_verb_of_its_own(self, stage: Stage, name: str) -> None:
        with stage.unheard():
            assert_status(stage.ask("GET", PODS, [(name, "system:masters")]), 403, 400)

    def test_front_proxy_headers_do_not_reach_the_cluster(self, stage: Stage) -> None:
        before = len(stage.server.seen)
        stage.ask("GET", PODS, [("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters"), ("Cookie", "a=b")])
        names = {name for request in stage.server.seen[before:] for name, _ in request.headers}
        assert names.isdisjoint({"x-remote-user", "x-remote-group", "cookie"})

    def test_the_brokers_own_proof_stays_with_it(self, stage: Stage) -> None:
        assert (
            stage.server.seen[-1].header("authorization") == f"Bearer {TOKEN}" or stage.ask("GET", PODS).status == 200
        )
        recorded = json.dumps(stage.session.broker.ledger.bodies())
        assert TOKEN not in recorded
        assert stage.session.broker.listen.secret not in recorded
        folder = stage.session.kubeconfig.parent
        assert not any(TOKEN.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())


class TestContent:
    """What is written decides."""

    @pytest.mark.parametrize("spec", [SPEC, MOUNT])
    def test_a_privileged_pod_in_any_form(self, stage: Stage, spec: Any) -> None:
        pod = {**POD, "spec": spec}
        yaml = json.dumps(pod, indent=1).replace("{", "{ ", 1).encode()
        with stage.unheard():
            for kind, body in (
                ("application/json", json.dumps(pod).encode()),
                ("application/yaml", b"---\n" + yaml),
                (MEDIA_TYPE, encode(pod)),
            ):
                answer = stage.session.ask("POST", PODS, [("Content-Type", kind)], body)
                assert "no-privileges" in assert_status(answer, 403)["message"], kind

    @pytest.mark.parametrize(
        ("kind", "body"),
        [
            ("application/merge-patch+json", {"spec": {"template": {"spec": SPEC}}}),
            ("application/strategic-merge-patch+json", {"spec": {"template": {"spec": SPEC}}}),
            ("application/json-patch+json", [{"op": "add", "path": "/spec/template", "value": {"spec": SPEC}}]),
            (
                "application/json-patch+json",
                [{"op": "add", "path": "/spec/template/spec/containers/0/securityContext/privileged", "value": True}],
            ),
            ("application/apply-patch+yaml", APPLIED_DEPLOYMENT),
            ("application/merge-patch+json", {"spec": {"replicas": 0}}),
            ("application/json-patch+json", [{"op": "replace", "path": "/spec/replicas", "value": 0}]),
            ("application/json-patch+json", [{"op": "copy", "from": "/status/x", "path": "/spec/replicas"}]),
        ],
    )  # fmt: skip
    def test_patches_are_read(self, stage: Stage, kind: str, body: Any) -> None:
        with stage.unheard():
            answer = stage.session.ask(
                "PATCH",
                f"{DEPLOYMENTS}/web?fieldManager=x&force=true",
                [("Content-Type", kind)],
                json.dumps(body).encode(),
            )
            assert_status(answer, 403)

    @pytest.mark.parametrize("spec", [{}, {"replicas": None}, {"replicas": 0}])
    def test_a_scale_without_its_number_is_to_zero(self, stage: Stage, spec: Any) -> None:
        with stage.unheard():
            scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": spec}
            assert_status(stage.ask("PUT", f"{DEPLOYMENTS}/web/scale", document=scale), 403)
            body = encode({**scale, "spec": {key: value for key, value in spec.items() if value is not None}})
            assert_status(
                stage.session.ask("PUT", f"{DEPLOYMENTS}/web/scale", [("Content-Type", MEDIA_TYPE)], body), 403
            )

    @pytest.mark.parametrize(
        ("kind", "body", "code"),
        [
            ("application/json", b'{"spec": {}, "spec": {"hostPID": true}}', 400),
            ("application/json", b'{"kind": "Pod"}{"kind": "Pod"}', 400),
            ("application/yaml", b"a: &x 1\nb: *x", 400),
            (MEDIA_TYPE, b"k8s\0\x0a\x00\x12\x00", 415),
            ("application/cbor", b"\xa0", 415),
            ("text/plain", b"{}", 415),
            ("multipart/form-data", b"{}", 415),
            ("application/json", b"x" * 4 * 1024 * 1024, 413),
        ],
    )
    def test_what_is_not_read_is_not_forwarded(self, stage: Stage, kind: str, body: bytes, code: int) -> None:
        with stage.unheard():
            assert_status(stage.session.ask("POST", PODS, [("Content-Type", kind)], body), code, 400)

    def test_debug_containers_and_tokens_are_verbs_of_their_own(self, stage: Stage) -> None:
        with stage.unheard():
            container = {
                "spec": {"ephemeralContainers": [{"name": "d", "image": "busybox", "targetContainerName": "main"}]}
            }
            kind = [("Content-Type", "application/strategic-merge-patch+json")]
            target = f"{PODS}/web-1/ephemeralcontainers"
            assert_status(stage.session.ask("PATCH", target, kind, json.dumps(container).encode()), 403)
            asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
            account = "/api/v1/namespaces/default/serviceaccounts/default/token"
            assert_status(stage.ask("POST", account, document=asked), 403)


class TestUpgrades:
    """Connections that would leave HTTP where nobody reads them."""

    @pytest.mark.parametrize("target", [SECRETS, f"{HIDDEN}/hidden", PODS, "/version", f"{PODS}/web-1/log", "/api"])
    @pytest.mark.parametrize("protocol", ["websocket", "SPDY/3.1", "h2c", "websocket, SPDY/3.1"])
    def test_only_streams_are_upgraded(self, stage: Stage, target: str, protocol: str) -> None:
        fields = [
            ("Connection", "Upgrade"), ("Upgrade", protocol), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"), ("X-Stream-Protocol-Version", "v4.channel.k8s.io"),
        ]  # fmt: skip
        with stage.unheard():
            answer = stage.ask("GET", target, fields)
        assert answer.status in {400, 403}, answer.body
        assert_secret(answer)

    @pytest.mark.parametrize("name", ["exec", "attach", "portforward"])
    def test_streams_are_verbs_of_their_own_by_whatever_method(self, stage: Stage, name: str) -> None:
        fields = [
            ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Protocol", "v5.channel.k8s.io"),
        ]  # fmt: skip
        with stage.unheard():
            for method in ("GET", "POST"):
                answer = stage.ask(method, f"{PODS}/web-1/{name}?command=env&stdout=true&ports=80", fields)
                assert answer.status in {400, 403}, answer.body

    def test_every_smuggling_head(self, stage: Stage) -> None:
        with stage.unheard():
            answers = {name: stage.session.send(data) for name, data in HEADS.items()}
        assert {name: (each.status, each.more) for name, each in answers.items() if each.status not in {400, 401}} == {}

    def test_http_2_is_not_spoken(self, stage: Stage) -> None:
        with stage.unheard():
            assert (
                stage.session.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").status
                == 400
            )


def test_the_cluster_knows_the_person(tmp_path: Path) -> None:
    with cluster() as server:
        to = Upstream(server.kubeconfig(), server)
        with session(tmp_path, to, POLICY, impersonate="user") as opened:
            assert opened.ask("GET", PODS).status == 200
            request = server.seen[-1]
            assert request.header("impersonate-user") == "omar@example.com"
            assert request.header("user-agent").endswith(f" hoop/{opened.broker.live.session.id}")
            seen = len(server.seen)
            assert opened.ask("GET", PODS, [("Impersonate-User", "admin")]).status == 403
            assert len(server.seen) == seen


WIDE = """
version: 1
rules:
  - {id: everything, effect: allow, verbs: ["k8s:*"]}
masks:
  - {id: api-keys, columns: ["$.data.api_key"], resources: ["*/configmaps/*"]}
"""


def test_what_a_wildcard_does_not_reach(tmp_path: Path) -> None:
    with cluster() as server:
        to = Upstream(server.kubeconfig(), server)
        with session(tmp_path, to, WIDE) as opened:
            for target in ("/debug/pprof/heap", "/logs/", "/configz", "/apis/a/b/c/../d", "/x"):
                assert opened.ask("GET", target).status in {400, 403}, target
            assert opened.ask("OPTIONS", PODS).status == 403
            assert opened.ask("POST", "/api/v1", [JSON], b"{}").status == 403
            assert server.seen == []


@pytest.mark.parametrize("op", ["copy", "move"])
@pytest.mark.parametrize("source", ["/data/api_key", "/data", ""])
def test_a_masked_value_is_not_moved_out_from_under_its_mask(tmp_path: Path, op: str, source: str) -> None:
    with cluster() as server:
        to = Upstream(server.kubeconfig(), server)
        with session(tmp_path, to, WIDE) as opened:
            patch = json.dumps([{"op": op, "from": source, "path": "/data/shown"}]).encode()
            kind = [("Content-Type", "application/json-patch+json")]
            for query in ("", "?dryRun=All"):
                answer = opened.ask("PATCH", f"{CONFIGS}/web{query}", kind, patch)
                assert b"k3y-of-the-shop" not in answer.body
            assert b"k3y-of-the-shop" not in opened.ask("GET", f"{CONFIGS}/web").body


def test_a_masked_value_is_not_found_out_by_trying(tmp_path: Path) -> None:
    with cluster() as server:
        to = Upstream(server.kubeconfig(), server)
        with session(tmp_path, to, WIDE) as opened:
            codes = set()
            for value in ("k3y-of-the-shop", "another"):
                patch = json.dumps([{"op": "test", "path": "/data/api_key", "value": value}]).encode()
                kind = [("Content-Type", "application/json-patch+json")]
                codes.add(opened.ask("PATCH", f"{CONFIGS}/web?dryRun=All", kind, patch).status)
            assert len(codes) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("more", ["", "&watch=true&timeoutSeconds=1"])
def test_a_masked_value_is_not_found_out_by_selecting(tmp_path: Path, method: str, more: str) -> None:
    policy = 'version: 1\nrules: [{id: all, effect: allow, verbs: ["k8s:*"]}]\nmasks: [{id: teams, columns: [tenant]}]'
    with cluster() as server, session(tmp_path, Upstream(server.kubeconfig(), server), policy) as opened:
        before = len(server.seen)
        answer = opened.ask(method, f"{CONFIGS}?labelSelector=tenant%3Dguess{more}")
        assert answer.status == 403
        assert b"selects by metadata.labels.tenant" in answer.body
        assert len(server.seen) == before
        assert opened.ask("GET", f"{CONFIGS}?labelSelector=app%3Dguess").status == 200
