from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.diff import diff
from hoopcli.errors import ProtocolError
from tests.kubectl.bodies import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, body
from tests.kubectl.objects.answers import ENCODED, FOUND, PASSWORD, SHOWN, masker, secret

LIVE = {
    "metadata": {"name": "web", "labels": {"app": "web"}, "resourceVersion": "7", "managedFields": [{"a": 1}]},
    "spec": {"replicas": 3, "paused": True, "containers": [{"image": "web:1"}], "volumes": []},
    "status": {"ready": 3},
}


def change(
    document: Any, content_type: str = "application/json", live: Any = LIVE, line: str = "GET pods/web"
) -> list[str]:
    return diff(body(document, content_type), live, masker(line).mask_object).splitlines()


def test_an_object_that_takes_the_place_of_another() -> None:
    new = copy.deepcopy(LIVE)
    new["spec"] = {"replicas": 0, "containers": [{"image": "web:2"}], "volumes": [], "host": {}}
    new["metadata"].pop("managedFields")
    assert change(new) == [
        "~ spec.replicas: 3 -> 0",
        "- spec.paused: true",
        '~ spec.containers[0].image: "web:1" -> "web:2"',
        "+ spec.host: {}",
    ]
    assert change(LIVE) == ["(no change)"]


def test_an_object_that_is_new() -> None:
    assert change({"kind": "Pod", "spec": {"a": [1, None]}}, live=None) == [
        '+ kind: "Pod"', "+ spec.a[0]: 1", "+ spec.a[1]: null",
    ]  # fmt: skip
    assert change({}, live=None) == ["+ : {}"]


def test_patches() -> None:
    assert change({"spec": {"replicas": 0, "paused": None}}, MERGE_PATCH) == [
        "~ spec.replicas: 3 -> 0",
        "- spec.paused: true",
    ]
    assert change({"metadata": {"labels": {"tier": "x"}}}, APPLY_PATCH) == ['+ metadata.labels.tier: "x"']
    assert change({"spec": 7}, MERGE_PATCH)[-1] == "+ spec: 7"
    operations = [
        {"op": "replace", "path": "/spec/replicas", "value": 0},
        {"op": "copy", "from": "/spec/replicas", "path": "/spec/x"},
        {"op": "remove", "path": "/spec/paused"},
    ]
    assert change(operations, JSON_PATCH) == [
        "replace /spec/replicas: 0", "copy /spec/replicas to /spec/x", "remove /spec/paused",
    ]  # fmt: skip


def test_masked_values_stay_masked() -> None:
    new = secret(data={"password": "b3RoZXI=", "more": ENCODED})
    lines = change(new, live=secret(), line="GET secrets/db")
    assert lines == [
        f'~ data.password: "{SHOWN}" -> (another value, masked)',
        '- data.empty: ""',
        f'+ data.more: "{SHOWN}"',
    ]
    for path, value in (
        ("/data/password", ENCODED),
        ("/data", {"x": ENCODED}),
        ("/stringData/x", PASSWORD),
        ("", secret()),
    ):
        for op in ("add", "test"):
            [shown] = change([{"op": op, "path": path, "value": value}], JSON_PATCH, line="GET secrets/db")
            assert ENCODED not in shown
            assert PASSWORD not in shown
    assert ENCODED not in "\n".join(change({"data": {"x": ENCODED}}, MERGE_PATCH, live=secret(), line="GET secrets/db"))


def test_a_patch_below_what_is_masked_as_a_whole() -> None:
    patch = [{"op": "add", "path": "/data/4111111111111111/x", "value": PASSWORD}]
    hide = masker("GET secrets/db", [FOUND]).mask_object
    assert diff(body(patch, JSON_PATCH), None, hide) == 'add /data/4111111111111111/x: "[hoop:redacted]"'
    assert diff(body(patch, JSON_PATCH), None, lambda _: "x") == 'add /data/4111111111111111/x: "(masked)"'


def test_what_would_steer_a_terminal_or_flood_it() -> None:
    lines = change({"a": "\x1b[2J\u202e", "\x1b]0;x\x07": 1, "long": "x" * 5000}, live=None)
    assert all(line.isprintable() and len(line) < 400 for line in lines)
    assert lines[-1].endswith("... (5002 characters)")
    assert change({f"k{n}": n for n in range(999)}, live=None)[-1] == "... and more"


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.just("data"), inner, max_size=3)
    ),
    max_leaves=10,
)


OBJECTS = st.dictionaries(st.text(max_size=4) | st.just("data"), JSON, max_size=4)


@given(st.none() | OBJECTS, OBJECTS, st.sampled_from([JSON_PATCH, MERGE_PATCH, "application/json"]))
def test_any_change_is_shown(live: Any, document: Any, content_type: str) -> None:
    before = copy.deepcopy((live, document))
    try:
        lines = change(document, content_type, live=live, line="GET secrets/db")
    except ProtocolError:
        assert content_type == JSON_PATCH
    else:
        assert lines
    assert (live, document) == before
