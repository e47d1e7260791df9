from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.kubectl.objects.parts import LIMIT
from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Mask, Method
from tests.kubectl.objects.answers import CARD, FOUND, config, events, listed, masked, masker, secret

WIDGETS = "GET /apis/example.com/v1/namespaces/prod/widgets"
REDACTED = "[hoop:redacted]"
COLUMNS = [
    {"name": "Name", "type": "string", "format": "name"},
    {"name": "Token", "type": "string", "format": ""},
    {"name": "Count", "type": "integer", "format": ""},
    {"name": "Age", "type": "date", "format": ""},
]


def pod(**fields: Any) -> dict[str, Any]:
    return {"kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", **fields}]}}


def container(answer: Any) -> Any:
    return answer["spec"]["containers"][0]


def test_lists_pass_item_by_item() -> None:
    answer = listed("ConfigMapList", *(config(f"c{n}", a="x" * n, card=CARD) for n in range(50)))
    data = json.dumps(answer).encode()
    using = masker("GET configmaps", [FOUND])
    first = using.feed(data[: len(data) // 2])
    assert len(first) > len(data) // 3
    shown = json.loads(first + using.feed(data[len(data) // 2 :]) + using.finish())
    assert [item["data"]["card"] for item in shown["items"]] == [REDACTED] * 50
    assert (using.items, using.masked) == (50, {"found": 50})
    assert list(shown) == list(answer)


def test_what_is_around_the_items() -> None:
    answer = {"note": CARD, **listed("WidgetList"), "after": {"card": CARD}, "last": [int(CARD)]}
    shown = masked(WIDGETS, answer, [FOUND])
    assert (shown["note"], shown["after"], shown["last"]) == (REDACTED, {"card": REDACTED}, [0])
    assert masked("GET pods", b'{"items":[]}') == {"items": []}
    assert masked("GET pods", b' { "items" : [ ] , "a" : 1 } \n') == {"items": [], "a": 1}
    assert masked("GET pods", {"kind": "PodList", "items": None}) == {"kind": "PodList", "items": None}
    assert masked("GET pods/web", b"{}") == {}
    assert masked("GET pods/web", {"kind": "Pod", "items": [CARD]}, [FOUND])["items"] == [REDACTED]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"7",
        b"{",
        b'{"a"',
        b'{"a":1',
        b'{"a":1,}',
        b'{"a":1}}',
        b'{"a":1} {"b":2}',
        b'{"items":[1 2]}',
        b'{"items":[1,]}',
        b'{"items":[1',
        b'{"a":NaN}',
        b'{"a":1e999}',
        b"{1:2}",
        b'{"a":"\xff"}',
        b'{"a":"\xc3',
        b"{'a':1}",
        b'{"a":' + b"[" * 100_000,
        b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"kind":"Table","rows":[1]}',
        b'{"kind":"Table","rows":[{"cells":7}]}',
        b'{"kind":"Table","rows":[],"columnDefinitions":[{"name":"Password"}]}',
    ],
)
def test_what_is_no_object_is_not_delivered(data: bytes) -> None:
    for cut in (0, 1):
        with pytest.raises(ProtocolError):
            masked("GET pods", data, [FOUND], cut=cut if len(data) < 100 else 5000)


def test_an_object_has_a_limit() -> None:
    begin, piece = b'{"kind":"Pod","a":"', b"x" * (LIMIT // 4)
    using = masker("GET pods/web")
    using.feed(begin)
    with pytest.raises(ProtocolError, match="too large"):
        for _ in range(10):
            using.feed(piece)
    several = masker("GET pods/web")
    with pytest.raises(ProtocolError, match="too large"):
        for n in range(6):
            several.feed(b'%c"%d":"%b"' % (b"{,"[min(n, 1)], n, piece))
    item = masker("GET pods")
    item.feed(b'{"items":[')
    with pytest.raises(ProtocolError, match="too large"):
        item.feed(b'"' + b"x" * (LIMIT + 1) + b'",')


def test_single_objects_by_path_by_name_and_by_what_they_look_like() -> None:
    token = Mask("token", columns=("$.spec.token", "$.spec.parts.key"), method=Method("keep_last", 2))
    named = Mask("named", columns=("pin",), method=Method("null"))
    spec = {"token": "abcdef", "parts": [{"key": "xyzw"}], "pin": 7, "on": True, "mail": f"x {CARD} y", "note": "fine"}
    answer = {"kind": "Widget", "metadata": {"name": "w"}, "spec": spec, "pin": None}
    using = masker(f"{WIDGETS}/w", [token, named, FOUND])
    shown = json.loads(using.feed(json.dumps(answer).encode()) + using.finish())
    assert shown["spec"] == {
        "token": "[hoop:****ef]", "parts": [{"key": "[hoop:**zw]"}], "pin": 0, "on": True,
        "mail": f"x {REDACTED} y", "note": "fine",
    }  # fmt: skip
    assert shown["metadata"] == {"name": "w", "annotations": {"hoop/masked": "[hoop:numbers]"}}
    assert using.masked == {"token": 2, "named": 1, "found": 1}


def test_a_mask_is_about_its_resources() -> None:
    prod = Mask("prod", columns=("a",), resources=("prod/configmaps/*",))
    answer = listed("ConfigMapList", config("x", a="1"), {**config("y", a="2"), "metadata": {"namespace": "dev"}})
    shown = masked("GET /api/v1/configmaps", answer, [prod])
    assert [item["data"]["a"] for item in shown["items"]] == [REDACTED, "2"]
    bare = {"metadata": {"name": "x"}, "data": {"a": "1"}}
    assert masked("GET configmaps/x", bare, [prod])["data"]["a"] == REDACTED
    assert masked("GET configmaps", listed("ConfigMapList", bare), [prod])["items"][0]["data"]["a"] == REDACTED
    everything = Mask("all", columns=("$",))
    assert masked("GET configmaps/x", bare, [everything])["data"]["a"] == REDACTED


def test_variables_and_options_of_containers() -> None:
    env = [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "HOST", "value": "db"}, {"name": "N", "value": None}]
    args = ["--password", "hunter2", "--host", "db", "--password=hunter2", "-v", {"a": 1}, "--secret"]
    shown = container(masked("GET pods/web", pod(env=env, args=args), [FOUND]))
    assert [each["value"] for each in shown["env"]] == [REDACTED, "db", None]
    assert shown["args"] == [
        "--password",
        REDACTED,
        "--host",
        "db",
        f"--password={REDACTED}",
        "-v",
        {"a": 1},
        "--secret",
    ]


def test_configuration_by_its_keys() -> None:
    shown = masked(
        "GET configmaps/a", config("a", **{"db.password": "hunter2", "x": "password: hunter2\ny: 1"}), [FOUND]
    )
    assert shown["data"] == {"db.password": REDACTED, "x": f"password: {REDACTED}\ny: 1"}
    content = base64.b64encode(b"\xff" + CARD.encode()).decode()
    answer = {**config("a"), "binaryData": {"a": content, "b": "AAAA", CARD: ""}}
    shown = masked("GET configmaps/a", answer, [FOUND])
    assert base64.b64decode(shown["binaryData"]["a"]) == b"\xff" + REDACTED.encode()
    assert list(shown["binaryData"]) == ["a", "b", REDACTED]


def test_keys_are_masked_and_stay_apart() -> None:
    other = "4012888888881881"
    labels = {CARD: "a", "x": other, other: "b"}
    shown = masked("GET configmaps/a", {**config("a"), "metadata": {"labels": labels}}, [FOUND])
    assert shown["metadata"]["labels"] == {REDACTED: "a", "x": REDACTED, f"{REDACTED}-2": "b"}
    assert list(shown["metadata"]["labels"]) == [REDACTED, "x", f"{REDACTED}-2"]


def test_what_the_server_gives_an_object_stays() -> None:
    metadata = {"uid": "41111111-1111-1111-1111-111111111111", "resourceVersion": CARD, "name": "x"}
    assert masked("GET pods/web", {"metadata": metadata}, [FOUND])["metadata"] == metadata
    told = {"metadata": {"uid": CARD, "resourceVersion": f"{CARD} "}}
    assert masked("GET pods/web", told, [FOUND])["metadata"] == {"uid": REDACTED, "resourceVersion": f"{REDACTED} "}


def test_the_cells_of_tables() -> None:
    rows = [{"cells": ["w", "t0ken", 7, "5m"], "object": {"metadata": {"name": "w"}}}]
    table = {"kind": "Table", "columnDefinitions": COLUMNS, "rows": rows}

    def cells(line: str, *masks: Mask) -> Any:
        return masked(line, table, masks)["rows"][0]["cells"]

    assert cells(WIDGETS) == ["w", "t0ken", 7, "5m"]
    assert cells("GET pods", Mask("t", columns=("Count",))) == ["w", "t0ken", 0, "5m"]
    # a column of a custom resource may show any of its fields, under any name
    assert cells(WIDGETS, Mask("t", columns=("password",))) == ["w", REDACTED, 0, "5m"]
    assert cells(WIDGETS, Mask("t", columns=("$.spec.key",))) == ["w", REDACTED, 0, "5m"]
    assert cells("GET pods", Mask("t", columns=("$.spec.key",))) == ["w", "t0ken", 7, "5m"]
    assert cells(WIDGETS, Mask("t", columns=("$.spec.key",), resources=("dev/*",))) == ["w", "t0ken", 7, "5m"]
    odd = {"kind": "Table", "columnDefinitions": [7], "rows": [{"cells": [CARD, None, [CARD]], "conditions": [CARD]}]}
    assert masked("GET pods", odd, [FOUND])["rows"] == [
        {"cells": [REDACTED, None, [REDACTED]], "conditions": [REDACTED]}
    ]


def test_a_column_is_not_shown_for_being_called_a_name() -> None:
    """Whoever may define a custom resource says what its columns show, and their formats."""
    columns = [{"name": "Name", "type": "string", "format": "name"}, {"name": "P", "type": "string", "format": "name"}]
    rows = [{"cells": ["w", "t0ken"], "object": None}, {"cells": ["w", True], "object": None}]
    table = {"kind": "Table", "columnDefinitions": columns, "rows": rows}
    shown = masked(WIDGETS, table, [Mask("t", columns=("password",))])
    assert [row["cells"] for row in shown["rows"]] == [["w", REDACTED], ["w", True]]


@pytest.mark.parametrize("verb", ["GET", "PATCH"])
def test_the_scale_of_a_custom_resource_may_be_any_field_of_it(verb: str) -> None:
    """Who defines it says which fields its scale is made of, and under which names."""
    scale = {"kind": "Scale", "metadata": {"name": "w"}, "spec": {"replicas": 90210}, "status": {"selector": "t0ken"}}
    shown = masked(f"{verb} {WIDGETS.split()[1]}/w/scale", scale, [Mask("t", columns=("password",))])
    assert (shown["spec"], shown["status"]) == ({"replicas": 0}, {"selector": REDACTED})
    assert shown["metadata"]["annotations"] == {"hoop/masked": "[hoop:numbers]"}
    for line in (f"{WIDGETS}/w/scale", "GET deployments/w/scale"):
        assert masked(line, scale, [Mask("t", columns=("password",))] * (line != f"{WIDGETS}/w/scale")) == scale
    odd = {"kind": "Scale", "spec": 7}
    assert masked(f"{WIDGETS}/w/scale", odd, [Mask("t", columns=("password",))]) == odd


def test_events_come_line_by_line() -> None:
    using = masker("GET configmaps?watch=1", [FOUND], events=True)
    data = events(config("a", x=CARD), config("b", x="fine"))
    first = using.feed(data[:-20])
    assert json.loads(first)["object"]["data"]["x"] == REDACTED
    rest = using.feed(data[-20:])
    assert json.loads(rest)["object"] == config("b", x="fine")
    assert (using.finish(), using.items) == (b"", 2)


def test_events_of_tables_know_the_columns_of_the_first() -> None:
    def event(value: str, definitions: Any) -> dict[str, Any]:
        return {"kind": "Table", "columnDefinitions": definitions, "rows": [{"cells": ["w", value, 1, "5m"]}]}

    using = masker(f"{WIDGETS}?watch=1", [Mask("t", columns=("token",))], events=True)
    shown = using.feed(events(event("one", COLUMNS), event("two", None), event("three", [])))
    assert [json.loads(line)["object"]["rows"][0]["cells"][1] for line in shown.splitlines()] == [REDACTED] * 3


def test_events_that_are_none() -> None:
    status = {"kind": "Status", "message": f"expired {CARD}", "code": 410}
    using = masker("GET pods?watch=1", [FOUND], events=True)
    assert json.loads(using.feed(json.dumps(status).encode() + b"\n\n"))["message"] == f"expired {REDACTED}"
    assert json.loads(using.feed(b'{"type":"%b","object":{}}\n' % CARD.encode())) == {"type": REDACTED, "object": {}}
    for data in (b"7\n", b"x\n", b'{"a":\xff}\n', b'{"a":NaN}\n', b"[" * 100_000 + b"\n"):
        with pytest.raises(ProtocolError):
            masker("GET pods?watch=1", events=True).feed(data)
    with pytest.raises(ProtocolError, match="complete"):
        masked("GET pods?watch=1", b'{"type":"ADDED"', events=True)
    with pytest.raises(ProtocolError, match="too large"):
        masker("GET pods", events=True).feed(b"x" * (LIMIT + 1))


def test_a_bookmark_is_an_event() -> None:
    bookmark = {
        "kind": "Pod",
        "metadata": {"resourceVersion": "12746", "annotations": {"k8s.io/initial-events-end": "true"}},
    }
    using = masker("GET pods?watch=1", [FOUND], events=True)
    assert json.loads(using.feed(events(bookmark)))["object"] == bookmark


def test_embedded_json_keeps_its_form_where_nothing_is_masked() -> None:
    text = '{ "kind": "Widget",\n  "spec": {"a": 1} }'
    answer = config("a", x=text, y='{"kind": NaN}', z='{"kind": "Widget", "spec": {"token": "t"}}\n')
    shown = masked("GET configmaps/a", answer, [Mask("t", columns=("$.spec.token",))])["data"]
    assert (shown["x"], shown["y"]) == (text, answer["data"]["y"])
    assert shown["z"] == '{"kind":"Widget","spec":{"token":"[hoop:redacted]"}}\n'


def test_odd_texts_come_through() -> None:
    answer = config("a", half="\ud83d", other="ü\u2028</script>", empty="")
    assert masked("GET configmaps/a", json.dumps(answer).encode()) == answer


def test_fields_in_base64_stay_so() -> None:
    bundle = base64.b64encode(b"certificate").decode()
    answer = {"kind": "X", "webhooks": [{"clientConfig": {"caBundle": bundle, "service": {"caBundle": "none!"}}}]}
    shown = masked(WIDGETS, answer, [Mask("ca", columns=("caBundle",))])["webhooks"][0]["clientConfig"]
    assert base64.b64decode(shown["caBundle"]) == REDACTED.encode()
    assert shown["service"]["caBundle"] == REDACTED


def test_a_single_object_is_masked_in_place() -> None:
    obj = secret()
    assert masker("GET secrets/db").mask_object(obj) is obj
    assert masker("GET secrets/db").mask_object([CARD, 7]) == [CARD, 7]
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    with pytest.raises(ProtocolError, match="deeply"):
        masker("GET pods/web").mask_object(deep)


def test_thousands_of_names_are_not_all_remembered() -> None:
    answer = listed("ConfigMapList", *(config(f"name-{n}", **{f"key-{n}": f"value-{n}"}) for n in range(5000)))
    using = masker("GET configmaps", [FOUND])
    data = json.dumps(answer).encode()
    shown = b"".join(using.feed(data[at : at + 65536]) for at in range(0, len(data), 65536)) + using.finish()
    assert json.loads(shown) == answer


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.sampled_from([CARD, "a@example.com"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["kind", "items", "rows", "cells", "data", "metadata", "name", "value", "object", "password"]
            )
            | st.text(max_size=4),
            inner | st.sampled_from(["Secret", "SecretList", "Table", "List"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)
MASKS = [FOUND, Mask("t", columns=("$.data.*", "$..token", "name"), resources=("prod/*",))]


@given(
    st.dictionaries(st.sampled_from(["kind", "items", "metadata", "data", "x"]), VALUES),
    st.integers(1, 40),
    st.booleans(),
)
def test_any_cut_gives_the_same(answer: dict[str, Any], cut: int, as_events: bool) -> None:
    data = json.dumps(answer).encode() + b"\n"

    def through(size: int) -> tuple[bytes, Any] | None:
        using = masker("GET secrets", MASKS, events=as_events)
        try:
            shown = b"".join(using.feed(data[at : at + size]) for at in range(0, len(data), size)) + using.finish()
        except ProtocolError:
            return None
        json.loads(shown)
        assert CARD not in shown.decode()
        return shown, using.masked

    assert through(cut) == through(len(data))


@pytest.mark.parametrize("item", [f'"{CARD}"', f'["{CARD}"]', CARD, "null"])
@pytest.mark.parametrize("answer", ['{"items":[%s]}', '{"kind":"PodList","items":[{},%s]}', "%s"])
def test_what_is_no_object_is_refused(answer: str, item: str) -> None:
    using = masker("GET secrets", MASKS)
    with pytest.raises(ProtocolError):
        using.feed((answer % item).encode())
        using.finish()


@given(st.binary(max_size=60))
def test_garbage_is_refused_and_nothing_else(data: bytes) -> None:
    for begin in (b"", b'{"items":[', b'{"kind":"Table","rows":[', b'{"kind":"Secret","data":'):
        for as_events in (False, True):
            using = masker("GET secrets", MASKS, events=as_events)
            try:
                using.feed(begin + data)
                using.finish()
            except ProtocolError:
                continue
