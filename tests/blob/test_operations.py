from __future__ import annotations

from pathlib import Path

import pytest

from connectors.blob.operations import VERBS
from connectors.blob.reference import ROWS, Answer, Body
from connectors.http.message import Headers, Request
from hoopcli.errors import ProtocolError
from tests.blob.requests import HOST, read, request

CASES = [
    tuple(part.strip() for part in line.split("|"))
    for line in (Path(__file__).parent / "operations.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def as_request(line: str, headers: str) -> Request:
    method, target = line.split()
    pairs = [header.split(": ", 1) for header in headers.split("; ") if header]
    return Request(method, target, Headers([("Host", HOST), *((name, value) for name, value in pairs)]))


@pytest.mark.parametrize(("line", "headers", "name", "actions"), CASES)
def test_an_operation(line: str, headers: str, name: str, actions: str) -> None:
    _, operation = read(as_request(line, headers))
    # a resource with a space in it is one of the last action
    shown = ", ".join(" ".join((action.verb, *action.resources)) for action in operation.actions)
    assert (operation.name, shown) == (name, actions)
    assert bool(operation.facts["reason"]) == (name == "Unknown")


def test_the_cases_show_every_operation_of_the_reference() -> None:
    assert {row.name for row in ROWS} <= {name for _, _, name, _ in CASES}


def test_verbs_are_all_that_an_operation_can_have() -> None:
    found = {a.verb for line, headers, *_ in CASES for a in read(as_request(line, headers))[1].actions}
    assert found == VERBS


def test_every_operation_has_the_same_facts() -> None:
    names = [frozenset(read(as_request(line, headers))[1].facts) for line, headers, *_ in CASES]
    assert len(set(names)) == 1


def test_facts_say_what_conditions_ask() -> None:
    facts = read(request("DELETE", "/acme/docs/a?versionid=v1&deletetype=permanent", if_match='"1"'))[1].facts
    assert (facts["version"], facts["permanent"], facts["conditional"]) == ("v1", True, True)
    facts = read(request("GET", "/acme/docs?restype=container&comp=list&prefix=a+b%2F&include=deleted,tags"))[1].facts
    assert (facts["prefix"], facts["include"]) == ("a b/", ["deleted", "tags"])
    facts = read(request("PUT", "/acme/docs/a", x_ms_blob_type="BlockBlob", Content_Length="12"))[1].facts
    assert facts["size"] == 12
    facts = read(request("PUT", "/acme/docs/a", x_ms_copy_source="http://localhost/x"))[1].facts
    assert facts["source"] == "url:http://localhost/x"
    assert (facts["source_external"], facts["source_internal"]) == (True, True)
    assert read(request("DELETE", "/acme/docs/a?recursive=true"))[1].facts["recursive"]


def test_bodies_and_answers() -> None:
    _, put = read(request("PUT", "/acme/docs/a", x_ms_blob_type="BlockBlob"))
    _, get = read(request("GET", "/acme/docs/a"))
    _, unknown = read(request("GET", "/acme/docs"))
    assert (put.verb, put.api, put.body, put.answer) == ("blob:write", "blob", Body.CONTENT, Answer.PLAIN)
    assert (get.body, get.answer) == (Body.NONE, Answer.CONTENT)
    assert (unknown.verb, unknown.api, unknown.body, unknown.answer) == (
        "blob:unclassified", "blob", Body.NONE, Answer.PLAIN,
    )  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        {"Content_Length": "-1"},
        {"Content_Length": "٣"},
        {"Content_Length": "9" * 30},
        {"X_Ms_Meta_A": "1", "x_ms_meta_a": "2"},
        {"x_ms_lease_id": "1", "X_MS_LEASE_ID": "2"},
    ],
)
def test_what_decides_is_said_once_and_readable(headers: dict[str, str]) -> None:
    with pytest.raises(ProtocolError):
        read(request("PUT", "/acme/docs/a", x_ms_blob_type="BlockBlob", **headers))
