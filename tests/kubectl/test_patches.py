from __future__ import annotations

from typing import Any

import pytest

from connectors.kubectl.patches import Operation, effects, operations, removals, tests, unknown_effects
from hoopcli.errors import ProtocolError
from tests.kubectl.bodies import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, body

tests.__test__ = False  # type: ignore[attr-defined]


def patch(*each: dict[str, Any]) -> Any:
    return body(list(each), JSON_PATCH)


def test_operations_are_parts_of_objects() -> None:
    found = patch(
        {"op": "add", "path": "/spec/replicas", "value": 0},
        {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "a"},
        {"op": "add", "path": "/metadata/annotations/a~1b~0c", "value": "x"},
        {"op": "add", "path": "/rules/-", "value": {"verbs": ["*"]}},
        {"op": "replace", "path": "", "value": {"kind": "Pod"}},
        {"op": "test", "path": "/a", "value": 1},
        {"op": "remove", "path": "/b"},
    )
    assert list(effects(found)) == [
        {"spec": {"replicas": 0}},
        {"spec": {"template": {"spec": {"containers": [{"image": "a"}]}}}},
        {"metadata": {"annotations": {"a/b~c": "x"}}},
        {"rules": [{"verbs": ["*"]}]},
        {"kind": "Pod"},
    ]
    assert tests(found) == [("a",)]
    assert removals(found) == ["b"]
    assert not unknown_effects(found)


def test_what_is_copied_is_not_known() -> None:
    move = {"op": "move", "from": "/metadata/annotations/x", "path": "/spec/template/spec/hostNetwork"}
    assert unknown_effects(patch(move))
    assert removals(patch(move)) == ["metadata.annotations.x"]
    assert operations(patch(move)) == [
        Operation("move", ("spec", "template", "spec", "hostNetwork"), ("metadata", "annotations", "x"))
    ]
    assert not unknown_effects(patch({"op": "copy", "from": "/spec/replicas", "path": "/metadata/labels/n"}))


def test_other_patches_are_objects() -> None:
    document = {"spec": {"replicas": 1, "template": None, "$retainKeys": ["a"], "c": [{"$patch": "delete", "x": None}]}}
    for content_type in (MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH):
        found = body(document, content_type)
        assert list(effects(found)) == [document]
        assert (unknown_effects(found), tests(found)) == (False, [])
    assert removals(body(document, MERGE_PATCH)) == ["spec.template", "spec.c.x"]
    assert removals(body(document, STRATEGIC_PATCH)) == [
        "spec.template",
        "spec.$retainKeys",
        "spec.c.$patch",
        "spec.c.x",
    ]
    assert removals(body(document, APPLY_PATCH)) == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        None,
        ["x"],
        [{}],
        [{"op": "Add", "path": "/a", "value": 1}],
        [{"op": "merge", "path": "/a", "value": 1}],
        [{"op": ["add"], "path": "/a", "value": 1}],
        [{"op": "add", "path": "/a"}],
        [{"op": "add", "value": 1}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "copy", "path": "/a"}],
        [{"op": "remove", "path": "/a"}] * 10_001,
    ],
)
def test_what_is_no_patch_is_refused(document: Any) -> None:
    with pytest.raises(ProtocolError):
        list(effects(body(document, JSON_PATCH)))
