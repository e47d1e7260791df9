"""Reading the document: every error has its place, and the published schema is the model's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hoopcli.errors import UsageError
from hoopcli.model.decision import Mask, Method
from hoopcli.policy.document import load
from hoopcli.policy.schema import json_schema

ROOT = Path(__file__).parents[2]
ERRORS: list[dict[str, str]] = yaml.safe_load((ROOT / "tests/fixtures/policy/errors.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", ERRORS, ids=[each["says"] for each in ERRORS])
def test_an_error_has_its_place(case: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        load(case["text"])
    assert caught.value.message.startswith(case["says"])
    assert case.get("hint", "") in caught.value.hint


def test_a_file_that_is_not_there_or_not_text_or_too_large(tmp_path: Path) -> None:
    binary, large = tmp_path / "binary.yaml", tmp_path / "large.yaml"
    binary.write_bytes(b"\xff\xfe\xff")
    large.write_bytes(b"#" * (5 << 20))
    for path in (tmp_path / "none.yaml", binary, large):
        with pytest.raises(UsageError, match=path.name):
            load(path)
    with pytest.raises(UsageError, match="larger"):
        load("#" * (5 << 20))


def test_messages_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("version: 3")
    with pytest.raises(UsageError, match=r"p\.yaml:1:10: version"):
        load(path)


def test_aliases_are_read_but_not_without_end() -> None:
    policy = load("version: 1\nrules:\n - {id: a, effect: deny, verbs: &v [x]}\n - {id: b, effect: deny, verbs: *v}")
    assert policy.rules[1].verbs == ("x",)
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 20)}]\n" for n in range(1, 9))
    with pytest.raises(UsageError, match="aliases"):
        load(bomb)
    with pytest.raises(UsageError):
        load("[" * 5000)


def test_the_methods_of_masks() -> None:
    text = "version: 1\nmasks:\n" + "".join(
        f" - {{id: m{n}, fields: [x], labels: [y], detectors: [email]{method and f', method: {method}'}}}\n"
        for n, method in enumerate(("", "hash", "null", "'null'", "{keep_first: 2}", "{keep_last: 4}"))
    )
    methods = [
        Method(),
        Method("hash"),
        Method("null"),
        Method("null"),
        Method("keep_first", 2),
        Method("keep_last", 4),
    ]
    assert [mask.mask() for mask in load(text).masks] == [
        Mask(f"m{n}", ("x",), ("y",), ("email",), method) for n, method in enumerate(methods)
    ]


def test_the_revision_is_of_the_text() -> None:
    assert load("version: 1").revision != load("version: 1 ").revision


def test_the_published_schema_is_current() -> None:
    published = json.loads((ROOT / "docs/policy.schema.json").read_text("utf-8"))
    assert published == json_schema(), "write it again with json_schema() and two spaces of indent"


@pytest.mark.parametrize(
    "path",
    [
        "examples/policy.yaml",
        "examples/policy_blob.yaml",
        "examples/policy_kubectl.yaml",
        "tests/fixtures/policy/decisions.yaml",
    ],
    ids=["example", "blobs", "clusters", "table"],
)
def test_the_schema_accepts_what_hoop_accepts(path: str) -> None:
    document: Any = yaml.safe_load((ROOT / path).read_text("utf-8"))
    if "policy" in document:
        document = yaml.safe_load(document["policy"])
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(document, json_schema())


def test_every_key_is_documented() -> None:
    text = (ROOT / "docs/policy.md").read_text("utf-8")
    schema = json_schema()
    for model in (schema, *schema["$defs"].values()):
        for key in model.get("properties", ()):
            assert f"`{key}`" in text, key


@settings(max_examples=100)
@given(st.text(max_size=60) | st.text("version: 1\nrules[]{}-,&*!'\"#|>%@`", max_size=40))
def test_garbage_raises_usage_errors_only(text: str) -> None:
    try:
        load(text)
    except UsageError as error:
        assert error.message


def test_the_example_for_blobs_has_nothing_to_remark() -> None:
    from connectors.blob.operations import VERBS
    from hoopcli.policy.lint import check

    assert check(ROOT / "examples/policy_blob.yaml", VERBS) == []


def test_the_example_for_clusters_has_nothing_to_remark() -> None:
    from connectors.kubectl.verbs import VERBS
    from hoopcli.policy.lint import check

    assert check(ROOT / "examples/policy_kubectl.yaml", VERBS) == []
