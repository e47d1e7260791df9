"""Fuzz what reads of Kubernetes: targets, bodies and patches of requests, objects and events of answers.

    python tests/fuzz/fuzz_kubectl.py --seconds 60 [--seed 1]

Stops at the first exception that is neither a ProtocolError nor a refusal, or at a secret that comes through, and
prints the input that caused it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from connectors.http.message import Headers
from connectors.kubectl.accept import narrowed
from connectors.kubectl.body import read_body
from connectors.kubectl.diff import diff
from connectors.kubectl.facts import facts_of
from connectors.kubectl.objects import ObjectMasker
from connectors.kubectl.request_info import RequestInfo, request_info
from connectors.kubectl.verbs import VERBS, actions_of
from connectors.kubectl.writeback import check_written
from hoopcli.errors import DeniedError
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask
from tests.fuzz import harness

CASES = Path(__file__).parents[1] / "kubectl" / "requests.txt"
ENCODED = "Y29ycmVjdCBob3JzZQ=="
MASKS = (Mask("found", detectors=("credit_card", "email", "password_assignment")), Mask("t", columns=("$.spec.token",)))
SECRET = {"kind": "Secret", "metadata": {"name": "db", "namespace": "prod"}, "data": {"a": ENCODED}, "type": "Opaque"}
TRICKS = (
    b"%2F", b"%2e%2e", b"/../", b"//", b"%00", b"%25", b"\\", b"?", b"&", b"&watch=true", b";", b"watch=", b"*",
    b"/exec", b"/proxy/", b"namespaces/", b"\xff", b'"', b"{", b"}", b"[", b"]", b",", b":", b"\\u0053", b"\\ud800",
    b'"kind":"Secret",', b'"items":[', b'"rows":[', b'"cells":[],', b'"metadata":7,', b"null", b"1e999", b"NaN", b"\n",
    b"H4sI", b'"op":"copy","from":"/a",', b"- &a x", b"? ", b"!!binary ", b"|\n  ",
)  # fmt: skip
OBJECTS = (
    SECRET,
    {"kind": "SecretList", "metadata": {}, "items": [{**SECRET}, {"data": {"b": ENCODED}}]},
    {"kind": "List", "items": [SECRET, {"kind": "ConfigMap", "data": {"x": json.dumps(SECRET), "y": "card 4111"}}]},
    {"kind": "Table", "columnDefinitions": [{"name": "Name", "format": "name"}],
     "rows": [{"cells": ["db", 1], "object": SECRET}]},
    {"kind": "Pod", "spec": {"containers": [{"env": [{"name": "PASSWORD", "value": "x"}], "args": ["--pin", "7"]}]}},
)  # fmt: skip
YAML = b"kind: Pod\nspec:\n  hostNetwork: true\n  containers:\n  - {name: a, image: b}\n"
PATCH = b'[{"op":"add","path":"/spec/replicas","value":0},{"op":"test","path":"/data/a","value":"x"}]'


def read_request(data: bytes) -> None:
    """Read ``METHOD target``, and see that nothing of it is without a verb."""
    method, _, target = data.decode("latin-1").partition(" ")
    info = request_info(method, target)
    headers = Headers([("Accept", "application/cbor"), ("Upgrade", "websocket")][: len(data) % 3])
    assert {action.verb for action in actions_of(info, headers, None)} <= VERBS
    assert ".." not in info.path.split("/")
    narrowed(info, headers)
    facts_of(info, headers, None)


def read_written(content_type: str) -> Callable[[bytes], None]:
    """A reader of the body of a change to any kind of object."""

    def read(data: bytes) -> None:
        body = read_body(content_type, data)
        for resource in ("apps/v1/namespaces/a/deployments/b", "rbac.authorization.k8s.io/v1/clusterrolebindings/b"):
            info = request_info("PATCH", f"/apis/{resource}")
            actions_of(info, Headers(), body)
            facts_of(info, Headers(), body)
            diff(body, {"spec": {"replicas": 1}}, masker(info).mask_object)
            with suppress(DeniedError):
                check_written(info, body)

    return read


def masker(info: RequestInfo, *, events: bool = False) -> ObjectMasker:
    """A masker of an answer."""
    return ObjectMasker(info, MASKS, lambda of: Masking(of, b"key"), events=events)


def read_answer(*, events: bool) -> Callable[[bytes], None]:
    """A reader of an answer about Secrets that comes in two pieces, and must not tell one."""

    def read(data: bytes) -> None:
        using = masker(request_info("GET", "/api/v1/namespaces/prod/secrets"), events=events)
        shown = using.feed(data[: len(data) // 2]) + using.feed(data[len(data) // 2 :]) + using.finish()
        for line in shown.splitlines():
            for obj in secrets_in(json.loads(line)):
                assert ENCODED not in json.dumps(obj["data"]), "a secret came through"

    return read


def secrets_in(value: Any) -> list[dict[str, Any]]:
    """The objects in a document that are whole Secrets still."""
    if isinstance(value, list):
        return [found for inner in value for found in secrets_in(inner)]
    if not isinstance(value, dict):
        return []
    own = [value] if value.get("kind") == "Secret" and isinstance(value.get("data"), dict) else []
    return own + [found for inner in value.values() for found in secrets_in(inner)]


def readers() -> list[tuple[Callable[[bytes], object], list[bytes]]]:
    """Everything that reads, with good input for it."""
    lines = [line.split(" | ")[0].encode() for line in CASES.read_text().splitlines() if line and line[0] != "#"]
    objects = [json.dumps(obj, separators=(",", ":")).encode() for obj in OBJECTS]
    events = [b'{"type":"ADDED","object":' + obj + b"}\n" for obj in objects]
    return [
        (read_request, lines),
        (read_request, lines),
        (read_written("application/json"), objects),
        (read_written("application/json-patch+json"), [PATCH]),
        (read_written("application/apply-patch+yaml"), [YAML, *objects]),
        (read_answer(events=False), objects),
        (read_answer(events=True), events),
    ]


def fuzz(seconds: float, seed: int) -> int:
    """Run until the time is up; the exit code."""
    targets = readers()

    def choose(rng: random.Random) -> tuple[bytes, Callable[[], object]]:
        reader, corpus = rng.choice(targets)
        data = harness.mutated(rng, rng.choice(corpus), TRICKS)
        return data, lambda: reader(data)

    return harness.fuzz(choose, seconds, seed)


if __name__ == "__main__":
    harness.command("Fuzz what reads of Kubernetes.", fuzz)
