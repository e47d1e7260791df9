from __future__ import annotations

from typing import Any

import pytest

from connectors.kubectl.compared import check_compared
from hoopcli.errors import DeniedError
from hoopcli.model.decision import Mask
from tests.kubectl.bodies import JSON_PATCH, MERGE_PATCH, body

MASKS = (Mask("keys", columns=("$.data.api_key",)),)
ADD = {"op": "add", "path": "/data/x", "value": "y"}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/data/api_key", "value": "x"},
        {"op": "test", "path": "/data", "value": {}},
        {"op": "test", "path": "", "value": {}},
        {"op": "test", "path": "/data/other", "value": "x"},
        {"op": "copy", "from": "/data/api_key", "path": "/data/x"},
        {"op": "move", "from": "", "path": "/metadata/name"},
        {"op": "copy", "from": "/metadata/annotations/a", "path": "/data/x"},
    ],
)
def test_what_a_mask_may_hide_is_neither_compared_nor_copied(operation: Any) -> None:
    with pytest.raises(DeniedError, match=operation["op"]):
        check_compared(MASKS, body([ADD, operation], JSON_PATCH))
    check_compared((), body([ADD, operation], JSON_PATCH))


@pytest.mark.parametrize("path", ["/metadata/resourceVersion", "/metadata/uid", "/spec/replicas", "/kind"])
def test_what_says_which_object_it_is_may_be_compared(path: str) -> None:
    check_compared(MASKS, body([{"op": "test", "path": path, "value": "1"}, ADD], JSON_PATCH))


def test_other_bodies_compare_nothing() -> None:
    check_compared(MASKS, None)
    check_compared(MASKS, body({"data": {"op": "test"}}, MERGE_PATCH))
