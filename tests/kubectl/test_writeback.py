from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.body import Body
from connectors.kubectl.objects.sentinel import MASKED
from connectors.kubectl.writeback import check_written, masked_paths
from hoopcli.errors import DeniedError
from hoopcli.model.decision import Mask, Method
from tests.kubectl.bodies import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, asked, body
from tests.kubectl.objects.answers import FOUND, config, masked, secret

SEEN = masked("GET secrets/db", secret())


def check(line: str, written: Body, **options: bool) -> None:
    check_written(asked(line), written, **options)


@pytest.mark.parametrize(
    "written",
    [
        body(SEEN),
        body({"stringData": {"a": "[hoop:redacted]"}}, MERGE_PATCH),
        body({"data": SEEN["data"]}, STRATEGIC_PATCH),
        body(SEEN, APPLY_PATCH),
        body([{"op": "replace", "path": "/data/password", "value": SEEN["data"]["password"]}], JSON_PATCH),
        body({"metadata": {"annotations": {"last": json.dumps(SEEN)}}}, MERGE_PATCH),
        body({"metadata": {"annotations": {"hoop/masked": "x"}}}),
        body({"data": {"url": "postgres://ann:[hoop:redacted]@db/shop"}}),
        body({"data": {"[hoop:redacted]": ""}}),
        body([[{"x": ["[hoop:****1234]"]}]]),
    ],
)
def test_what_was_masked_is_not_written(written: Body) -> None:
    with pytest.raises(DeniedError, match="masked form"):
        check("PATCH secrets/db", written)


@pytest.mark.parametrize(
    "written",
    [
        body(secret()),
        body({"data": {"note": "[hoop] is a ring [hoop:", "x": "[redacted] h:0123456789abcdef"}}),
        body([{"op": "test", "path": "/metadata/resourceVersion", "value": "7"}], JSON_PATCH),
        body([{"op": "remove", "path": "/data/password"}], JSON_PATCH),
        body(None),
    ],
)
def test_other_values_are_written(written: Body) -> None:
    check("PATCH secrets/db", written)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/data",
        "/data/password",
        "/stringData/x",
        "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration",
    ],
)
def test_a_hidden_value_is_not_guessed(path: str) -> None:
    guess = body([{"op": "test", "path": path, "value": "guess"}], JSON_PATCH)
    with pytest.raises(DeniedError, match="compares"):
        check("PATCH secrets/db?dryRun=All", guess)
    check("PATCH secrets/db", guess, secrets_masked=False)
    check("PATCH configmaps/a", guess)


@pytest.mark.parametrize("op", ["copy", "move"])
@pytest.mark.parametrize("source", ["/data/password", "/data", "/stringData/x", "/metadata/annotations"])
def test_a_hidden_value_is_not_put_where_no_mask_looks(op: str, source: str) -> None:
    patch = body([{"op": op, "from": source, "path": "/metadata/labels/x"}], JSON_PATCH)
    with pytest.raises(DeniedError, match="copies"):
        check("PATCH secrets/db", patch)
    check("PATCH secrets/db", patch, secrets_masked=False)
    check("PATCH configmaps/a", patch)
    check(
        "PATCH secrets/db", body([{"op": op, "from": "/metadata/labels/a", "path": "/metadata/labels/b"}], JSON_PATCH)
    )


def test_the_refusal_names_some_of_the_places() -> None:
    written = body({"data": {f"key{n}": "[hoop:redacted]" for n in range(9)}})
    with pytest.raises(DeniedError) as refused:
        check("PUT configmaps/a", written)
    assert refused.value.message.count("data.key") == 5
    assert "kubectl patch" in refused.value.hint


METHODS = [Method(), Method("hash"), Method("null"), Method("keep_first", 2), Method("keep_last", 3)]


@given(st.text(min_size=1, max_size=30), st.sampled_from(METHODS))
def test_every_masked_form_is_found_again(value: str, method: Method) -> None:
    for answer in (secret(stringData={"x": value}), config("a", x=value)):
        masks = [Mask("m", columns=("$.data.*", "$.stringData.*"), method=method)]
        shown: Any = masked(f"GET {answer['kind'].lower()}s/a", answer, masks)
        assert set(masked_paths(shown)) >= {"data.password", "stringData.x"} & {f"data.{k}" for k in answer["data"]}
        assert list(masked_paths(shown))
        assert masked(f"GET {answer['kind'].lower()}s/a", shown, masks) == shown or answer["kind"] == "Secret"


def test_what_detectors_found_is_found_again() -> None:
    shown = masked("GET configmaps/a", config("a", x="mail ann@example.com now"), [FOUND])
    assert MASKED.search(shown["data"]["x"])
    assert list(masked_paths(shown)) == ["data.x"]
