from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from connectors.kubectl.body import Body, Form
from connectors.kubectl.objects.packed import Release, packed, unpacked
from connectors.kubectl.writeback import check_written
from hoopcli.errors import DeniedError
from hoopcli.model.decision import Mask
from tests.kubectl.bodies import asked
from tests.kubectl.objects.answers import ENCODED, FOUND, PASSWORD, masked, secret

SECRET = f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: {ENCODED}\n"
CONFIG = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {since: 2026-01-01, off_: 'yes'}\n"
NAMED = "prod/secrets/sh.helm.release.v1.*"
LINE = "GET secrets/sh.helm.release.v1.shop.v1"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def release(**fields: Any) -> dict[str, Any]:
    return {
        "name": "shop", "namespace": "prod", "info": {"status": "deployed"},
        "chart": {"templates": [{"name": "a", "data": b64("level: {{ .Values.level }}")}]},
        "config": {"password": PASSWORD},
        "manifest": f"---\n{SECRET}---\n{CONFIG}",
        **fields,
    }  # fmt: skip


def stored(held: Any, name: str = "sh.helm.release.v1.shop.v1") -> dict[str, Any]:
    value = held if isinstance(held, str) else packed(held, 2)
    return {**secret(name, data={"release": value}), "type": "helm.sh/release.v1"}


def seen(held: Any, *masks: Mask, shown: str = NAMED, line: str = LINE) -> Any:
    answer = masked(line, stored(held), masks, shown=[shown])
    opened = unpacked(answer["data"]["release"])
    return opened[0] if opened else base64.b64decode(answer["data"]["release"]).decode()


def test_a_release_that_is_shown_has_its_secrets_masked() -> None:
    told = seen(release(hooks=[{"name": "h", "manifest": SECRET}, {"name": "none"}]))
    assert ENCODED not in json.dumps(told)
    assert b64("[hoop:redacted]") in told["manifest"]
    assert b64("[hoop:redacted]") in told["hooks"][0]["manifest"]
    assert "since: '2026-01-01'\n  off_: 'yes'" in told["manifest"]
    assert told["config"] == {"password": PASSWORD}, "no mask is about it"
    assert base64.b64decode(told["chart"]["templates"][0]["data"]) == b"level: {{ .Values.level }}"
    assert told.keys() == release(hooks=[]).keys()


def test_masks_hold_within_a_release() -> None:
    told = seen(release(), Mask("passwords", columns=("password",)))
    assert told["config"] == {"password": "[hoop:redacted]"}
    found = release(
        chart={"files": [{"name": "k", "data": b64("mail ann@example.com")}]}, config={"n": 4111111111111111}
    )
    told = seen(found, FOUND)
    assert base64.b64decode(told["chart"]["files"][0]["data"]) == b"mail [hoop:redacted]"
    assert (told["config"], told["metadata"]["annotations"]) == ({"n": 0}, {"hoop/masked": "[hoop:numbers]"})


def test_a_chart_that_has_a_secret_in_itself() -> None:
    told = seen(release(chart={"templates": [{"name": "a", "data": b64(SECRET)}, {"name": "b", "data": None}]}))
    assert ENCODED not in base64.b64decode(told["chart"]["templates"][0]["data"]).decode()


def test_what_is_not_masked_stays_as_it_was_to_the_byte() -> None:
    value = packed(release(), 2)
    assert masked(LINE, stored(value), shown=["prod/secrets/*"])["data"]["release"] == value


@pytest.mark.parametrize("shown", ["prod/secrets/*.v2", "dev/secrets/*", "prod/Secrets/*", "*/pods/*"])
def test_other_secrets_are_masked_as_ever(shown: str) -> None:
    assert seen(release(), shown=shown) == "[hoop:redacted]"


def test_a_secret_within_what_is_shown_is_named_by_itself() -> None:
    assert masked("GET secrets", {"kind": "SecretList", "items": [stored("x"), secret()]}, shown=[NAMED])["items"][1][
        "data"
    ]["password"] == b64("[hoop:redacted]")


BOMB = base64.b64encode(base64.b64encode(gzip.compress(b'{"a":"' + b"x" * (17 << 20) + b'"}'))).decode()


@pytest.mark.parametrize(
    "held",
    [
        BOMB,
        packed([], 2),
        packed({"metadata": {}}, 2),
        packed(release(manifest=7), 2),
        packed(release(manifest="a: &x [1]\nb: *x"), 2),
        packed(release(manifest="kind: Secret: no"), 2),
        packed(release(manifest="just words"), 2),
        packed(release(manifest="a: !!binary AAAA"), 2),
        packed(release(hooks={"a": 1}), 2),
        packed(release(hooks=[1]), 2),
        packed(release(chart={"files": [{"data": "no base64!"}]}), 2),
        packed(release(), 2)[:-40],
        "SDRzSxxxx!",
        b64(base64.b64encode(gzip.compress(b"{}") + b"more").decode()),
    ],
    ids=range(14),
)
def test_what_cannot_be_read_is_hidden(held: str) -> None:
    assert seen(held) == "[hoop:redacted]"


def test_a_release_without_a_namespace_is_in_that_of_its_secret() -> None:
    held = release()
    del held["namespace"], held["manifest"]
    assert Release.read(packed(held, 2), "prod").namespace == "prod"
    assert Release.read(packed(held, 1), "prod").objects == ()


@pytest.mark.parametrize("layers", [1, 2])
def test_a_masked_release_is_not_written_back(layers: int) -> None:
    told = seen(release(), Mask("passwords", columns=("password",)))
    for part in ({"config": told["config"]}, {"manifest": told["manifest"]}):
        body: Any = {"kind": "Secret", "data": {"release": packed({**release(), **part}, layers)}}
        with pytest.raises(DeniedError, match=r"data\.release"):
            check_written(asked("POST secrets"), Body(Form.OBJECT, body, b""))
    check_written(asked("POST secrets"), Body(Form.OBJECT, {"data": {"release": packed(release(), layers)}}, b""))


def test_a_masked_form_in_the_midst_of_base64_is_not_written_back() -> None:
    for before in ("", "a", "ab", "user "):
        body: Any = {"kind": "ConfigMap", "binaryData": {"x": b64(f"{before}[hoop:redacted] end")}}
        with pytest.raises(DeniedError, match=r"binaryData\.x"):
            check_written(asked("POST configmaps"), Body(Form.OBJECT, body, b""))
