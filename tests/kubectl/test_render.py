"""Recorded answers as tables, whatever they are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.render import render
from hoopcli.spi import Table

JSON = "application/json"
POD = {"kind": "Pod", "metadata": {"name": "web-1", "namespace": "prod"}, "status": {"phase": "Running"}}


def table(document: Any, media_type: str = JSON) -> Table:
    [found] = render(media_type, document.encode() if isinstance(document, str) else json.dumps(document).encode())
    return found


def test_lists_tables_objects_and_errors() -> None:
    found = table({"kind": "PodList", "items": [{**POD, "kind": None}, POD]})
    assert found.rows == [["Pod", "prod", "web-1", "Running"]] * 2
    assert found.note == "2 objects"
    found = table({
        "kind": "Table", "columnDefinitions": [{"name": "Name"}, {"name": "Ports"}],
        "rows": [{"cells": ["web-1", [80]]}, {"cells": ["web-2", None]}],
    })  # fmt: skip
    assert (found.columns, found.rows) == (["Name", "Ports"], [["web-1", "[80]"], ["web-2", None]])
    found = table({"kind": "Status", "status": "Failure", "reason": "Forbidden", "message": "no"})
    assert found.rows == [["Failure", "Forbidden", "no"]]
    found = table(POD)
    assert (found.columns, found.rows[0]) == (["Pod"], ["{"])


def test_events_logs_and_what_was_cut() -> None:
    lines = [json.dumps({"type": "ADDED", "object": POD}), json.dumps({"type": "DELETED", "object": POD})]
    found = table("\n".join([*lines, '{"type": "ADD']))
    assert found.rows == [["ADDED", "Pod", "prod", "web-1", "Running"], ["DELETED", "Pod", "prod", "web-1", "Running"]]
    assert table('{"kind": "Pod", "meta').rows == [['{"kind": "Pod", "meta']]
    found = table("a\nb\n", "text/plain; charset=utf-8")
    assert (found.columns, found.rows, found.note) == (["text/plain"], [["a"], ["b"]], "2 lines")
    assert table("x\n" * 300, "text/plain").note == "300 lines, of which 200 are shown"


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "Table", "rows": {"a": 1}},
        {"kind": "Table", "rows": [{"cells": None}, 7]},
        {"kind": "Table", "rows": [], "columnDefinitions": 7},
        {"kind": ["Table"], "items": [None, {"metadata": 7, "status": "x"}]},
        {"kind": {}, "metadata": []},
        7,
    ],
)
def test_what_makes_no_sense_is_shown_all_the_same(document: Any) -> None:
    assert isinstance(table(document), Table)


KEYS = ["kind", "items", "rows", "cells", "columnDefinitions", "metadata", "type", "object", "name"]
NONSENSE = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["kind", "items", "rows", "cells", "columnDefinitions", "metadata", "type", "object", "name"]
            ),
            inner | st.sampled_from(["Table", "Status", "PodList"]),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(NONSENSE)
def test_any_answer_is_shown(document: Any) -> None:
    table(document)


@given(st.binary(max_size=60), st.sampled_from([JSON, "text/plain", "application/x-asciicast", ""]))
def test_any_bytes_are_shown(payload: bytes, media_type: str) -> None:
    assert list(render(media_type, payload))
