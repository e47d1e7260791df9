"""The ways a Secret gets out of a cluster, each of which must not get it past the masker."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Mask, Method
from tests.kubectl.objects.answers import ENCODED, PASSWORD, SHOWN, config, events, listed, masked, masker, secret

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
WIDGETS = "GET /apis/example.com/v1/namespaces/prod/widgets"
YAML = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: {ENCODED}\n"


def release() -> str:
    """A release as Helm stores it: gzip in base64, twice."""
    packed = base64.b64encode(gzip.compress(YAML.encode(), mtime=0))
    return base64.b64encode(packed).decode()


def bare(obj: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in obj.items() if key not in {"kind", "apiVersion"}}


def partial(annotation: str) -> dict[str, Any]:
    return {"kind": "PartialObjectMetadata", "metadata": {"name": "db", "annotations": {APPLIED: annotation}}}


def table(obj: Any, *cells: Any, columns: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    names = columns or [{"name": "Name", "type": "string", "format": "name"}]
    return {"kind": "Table", "columnDefinitions": names, "rows": [{"cells": list(cells), "object": obj}]}


ROADS: list[tuple[str, Any]] = [
    ("GET secrets/db", secret()),
    ("GET secrets/db", bare(secret())),
    ("PUT secrets/db", secret()),
    ("PATCH secrets/db", secret()),
    ("POST secrets?dryRun=All", secret()),
    ("GET secrets", listed("SecretList", bare(secret()), bare(secret("b")))),
    ("GET secrets", {"items": [bare(secret())], "kind": "SecretList"}),
    ("GET secrets?fieldSelector=metadata.name%3Ddb", listed("SecretList", bare(secret()))),
    ("GET /api/v1/secrets", listed("SecretList", bare(secret()))),
    ("GET /api/v1/secrets", listed("List", secret())),
    ("DELETE secrets", listed("SecretList", bare(secret()))),
    ("GET secrets", table(secret(), "db", "Opaque", 1, "5m")),
    ("GET secrets", table(partial(json.dumps(secret())), "db")),
    ("GET secrets/db", partial(json.dumps(secret(stringData={"password": PASSWORD})) + "\n")),
    ("GET secrets/db", partial(json.dumps(bare(secret())))),
    ("GET secrets/db", secret(metadata={"annotations": {APPLIED: json.dumps(secret())}})),
    ("GET configmaps", listed("ConfigMapList", config("a", manifest=json.dumps(secret())))),
    ("GET configmaps/a", config("a", manifest=json.dumps(listed("List", secret())))),
    ("GET configmaps/a", config("a", manifest=json.dumps(json.dumps(secret())))),
    ("GET configmaps/a", config("a", manifest=json.dumps(secret()).replace("Secret", "\\u0053ecret"))),
    ("GET configmaps/a", config("a", manifest=json.dumps({"x": json.dumps(secret())}))),
    ("GET configmaps/a", config("a", manifest=YAML)),
    ("GET configmaps/a", config("a", manifest=YAML.replace("kind: Secret", "kind:   'Secret' # x"))),
    ("GET configmaps/a", config("a", manifest="{" + YAML.replace("\n", ","))),
    ("GET configmaps/a", config("a", release=release())),
    ("GET configmaps/a", config("a", release=base64.b64encode(gzip.compress(YAML.encode())).decode())),
    ("GET secrets/sh.helm.release.v1.a.v1", secret(type="helm.sh/release.v1", data={"release": release()})),
    (WIDGETS, listed("WidgetList", {"kind": "Widget", "spec": {"template": secret()}})),
    (WIDGETS, listed("WidgetList", {"kind": "Widget", "spec": {"list": listed("SecretList", bare(secret()))}})),
    (WIDGETS + "/a", {"kind": "Widget", "spec": {"objects": [[secret()]]}}),
    (WIDGETS + "/a", secret()),
    (WIDGETS, listed("SecretList", bare(secret()))),
    ("GET /apis/apps/v1/controllerrevisions", listed("ControllerRevisionList", {"data": {"spec": secret()}})),
]


@pytest.mark.parametrize(("line", "answer"), ROADS)
@pytest.mark.parametrize("masks", [(), (Mask("c", columns=("ssn",), resources=("dev/*",)),)])
def test_no_road_leads_past_the_mask(line: str, answer: Any, masks: tuple[Mask, ...]) -> None:
    for cut in (0, 7):
        shown = json.dumps(masked(line, answer, masks, cut=cut))
        for told in (PASSWORD, ENCODED, release(), "H4sI"):
            assert told not in shown
    event = events(answer, answer)
    using = masker(line, masks, events=True)
    watched = (using.feed(event) + using.finish()).decode()
    assert PASSWORD not in watched
    assert ENCODED not in watched


def test_what_is_seen_of_a_secret() -> None:
    using = masker("GET secrets/db")
    shown = json.loads(using.feed(json.dumps(secret()).encode()) + using.finish())
    assert shown == secret(data={"password": SHOWN, "empty": ""})
    assert using.masked == {"kubernetes-secrets": 1}


def test_an_applied_configuration_stays_json() -> None:
    answer = secret(metadata={"annotations": {APPLIED: json.dumps(secret(stringData={"x": PASSWORD})) + "\n"}})
    applied = masked("GET secrets/db", answer)["metadata"]["annotations"][APPLIED]
    assert json.loads(applied) == secret(data={"password": SHOWN, "empty": ""}, stringData={"x": "[hoop:redacted]"})
    assert applied.endswith("}\n")


def test_a_policy_may_say_how_secrets_are_masked() -> None:
    last = Mask("s", columns=("$.data.*",), resources=("prod/secrets/*",), method=Method("keep_last", 4))
    shown = masked("GET secrets/db", secret(stringData={"x": "secret"}), [last])
    assert base64.b64decode(shown["data"]["password"]) == b"[hoop:************tery]"
    assert shown["stringData"] == {"x": "[hoop:redacted]"}
    hashed = Mask("s", columns=("$.data.*", "$.stringData.*"), method=Method("hash"))
    one, other = (masked("GET secrets/db", secret(name), [hashed])["data"]["password"] for name in "ab")
    assert one == other
    assert base64.b64decode(one).startswith(b"[hoop:h:")
    elsewhere = Mask("s", columns=("$.data.*",), resources=("dev/secrets/*",), method=Method("keep_last", 4))
    assert masked("GET secrets/db", secret(), [elsewhere])["data"]["password"] == SHOWN


def test_secrets_are_shown_only_where_that_was_chosen() -> None:
    assert masked("GET secrets/db", secret(), shown=["*"]) == secret()
    assert masked("GET configmaps/a", config("a", x=YAML), shown=["*"])["data"]["x"] == YAML
    content = base64.b64encode(b"user ann@example.com end").decode()
    found = Mask("found", detectors=("email",))
    shown = masked("GET secrets/db", secret(data={"a": content, "b": "no base64!", "c": 7}), [found], shown=["*"])
    assert base64.b64decode(shown["data"]["a"]) == b"user [hoop:redacted] end"
    assert (shown["data"]["b"], shown["data"]["c"]) == ("no base64!", 7)


def test_secrets_that_are_none_by_their_form() -> None:
    shown = masked("GET secrets/db", secret(data={"a": "no base64!", "b": 17, "c": [PASSWORD], "d": {"e": PASSWORD}}))
    assert PASSWORD not in json.dumps(shown)
    assert base64.b64decode(shown["data"]["a"]) == b"[hoop:redacted]"
    assert shown["data"]["b"] == 0
    assert shown["metadata"]["annotations"] == {"hoop/masked": "[hoop:numbers]"}
    assert masked("GET secrets/db", secret(data=PASSWORD))["kind"] == "Secret"
    assert masked("GET secrets/db", secret(data=None))["data"] is None


def test_errors_are_no_secrets() -> None:
    status = {"kind": "Status", "status": "Failure", "message": "no", "details": {"name": "db"}, "code": 404}
    assert masked("GET secrets/db", status) == status


def test_a_key_twice_does_not_hide_another_value() -> None:
    twice = b'{"kind":"Secret","data":{"a":"' + ENCODED.encode() + b'","a":"' + ENCODED.encode() + b'"}}'
    assert masked("GET secrets/db", twice)["data"] == {"a": SHOWN}
    for data in (b'{"kind":"Secret","kind":"Foo"}', b'{"kind":"L","items":[],"items":[{}]}'):
        with pytest.raises(ProtocolError):
            masked("GET secrets/db", data)
