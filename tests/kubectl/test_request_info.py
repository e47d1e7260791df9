from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http.message import Headers
from connectors.kubectl.request_info import request_info
from connectors.kubectl.verbs import UNCLASSIFIED, VERBS, actions_of
from hoopcli.errors import ProtocolError

LINES = [
    line
    for line in (Path(__file__).parent / "requests.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("line", LINES)
def test_what_requests_are(line: str) -> None:
    request, _, expected = line.partition(" | ")
    verb, *actions = (part.strip() for part in expected.split(" ; "))
    method, target = request.split(" ")
    info = request_info(method, target)
    found = [f"{action.verb} {action.resources[0]}" for action in actions_of(info, Headers(), None)]
    assert (info.verb, found) == (verb, actions)
    assert {action.split()[0] for action in actions} <= VERBS


@pytest.mark.parametrize(
    "target",
    [
        "api/v1/pods",
        "//api/v1/pods",
        "/api//v1/pods",
        "/api/v1/./pods",
        "/api/v1/namespaces/dev/../prod/secrets",
        "/api/v1/namespaces/dev/%2e%2e/prod/secrets",
        "/api/v1/namespaces/dev%2F..%2Fprod/secrets",
        "/api/v1/namespaces/dev%5c..%5cprod/secrets",
        "/api/v1/namespaces/dev\\prod/secrets",
        "/api/v1/namespaces/prod/secrets;x=y",
        "/api/v1/namespaces/prod/secrets%3Bx",
        "/api/v1/namespaces/prod/%73ecrets",
        "/api/v1/namespaces/prod/secrets%00",
        "/api/v1/namespaces/prod/secrets%3Fx",
        "/api/v1/namespaces/prod/secrets%23",
        "/api/v1/namespaces/prod/secrets%2",
        "/api/v1/namespaces/prod/secrets%25",
        "/api/v1/namespaces/prod/secrets%C3%BC",
        "/api/v1/namespaces/prod/secrets%7F",
        "/api/v1/namespaces/prod/secrets/",
        "/api/v1/namespaces/prod/secrets//",
        "/api/v1/namespaces/prod/secrets/ü",
        "/api/v1/watch/",
        "/api/v1/watch",
        "/api/v1/proxy",
        "/api/v1/pods?watch=true;x=y",
        "/api/v1/pods?watch=false&watch=true",
        "/api/v1/pods?fieldSelector=a&fieldSelector=b",
        "/api/v1/pods?dryRun=All&dryRun=None",
        "/api/v1/pods?watch=%zz",
        "/api/v1/pods?watch=%ff",
        "/api/v1/pods?watch=%00",
        "/api/v1/pods?x=y#z",
        "/" + "a" * 9000,
    ],
)
def test_what_is_read_in_two_ways_is_refused(target: str) -> None:
    with pytest.raises(ProtocolError):
        request_info("GET", target)


def test_a_verb_in_the_path_only_reads() -> None:
    with pytest.raises(ProtocolError):
        request_info("DELETE", "/api/v1/watch/pods")


def test_the_query_is_decoded() -> None:
    info = request_info("GET", "/api/v1/pods?labelSelector=app+in+%28web%29&limit=500&&x")
    assert info.query == (("labelSelector", "app in (web)"), ("limit", "500"), ("x", ""))
    assert (info.value("limit"), info.value("none"), info.values("x")) == ("500", None, ("",))
    assert (info.flag("x"), info.flag("none")) == (True, False)
    assert request_info("GET", "/api/v1/pods?").query == ()


def test_whether_events_come() -> None:
    assert request_info("GET", "/api/v1/pods?watch=true").streams_events
    assert not request_info("GET", "/api/v1/pods").streams_events


def test_a_proxied_path_keeps_its_slash() -> None:
    info = request_info("GET", "/api/v1/namespaces/prod/services/web/proxy/")
    assert info.path == "/api/v1/namespaces/prod/services/web/proxy/"
    assert info.parts == ("services", "web", "proxy")


@given(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "BREW"]), st.text(max_size=60))
def test_any_target_is_read_or_refused(method: str, text: str) -> None:
    for target in (text, "/api/v1/namespaces/" + text, "/apis/" + text, "/api/v1/pods?" + text):
        try:
            info = request_info(method, target)
        except ProtocolError:
            continue
        actions = actions_of(info, Headers(), None)
        assert all(action.verb in VERBS and action.resources for action in actions)
        assert method != "BREW" or actions[0].verb in {UNCLASSIFIED, "k8s:exec", "k8s:proxy", "k8s:logs"}


SEGMENT = st.text("abcdefghijklmnopqrstuvwxyz0123456789-.:", min_size=1, max_size=12).filter(
    lambda text: text not in {".", ".."}
)


@given(SEGMENT, SEGMENT)
def test_names_come_through(namespace: str, name: str) -> None:
    info = request_info("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
    assert (info.namespace, info.resource, info.name) == (namespace, "secrets", name)
