from __future__ import annotations

import pytest

from connectors.http.message import Headers
from connectors.kubectl.accept import accept, is_json, narrowed
from tests.kubectl.bodies import asked

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("value", "narrow"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/vnd.kubernetes.protobuf", "application/json"),
        ("application/vnd.kubernetes.protobuf,application/json", "application/json"),
        ("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", "application/json"),
        ("application/cbor, application/json;q=0.5", "application/json;q=0.5"),
        (f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
         f"{TABLE},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"),
        ("application/json;stream=watch", "application/json;stream=watch"),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
         "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
        ("application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
         "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"),
        ("application/json; x=protobuf", "application/json"),
        ("application/yaml", "application/json"),
        ("application/*;q=0.1, */*", "application/json"),
    ],
)  # fmt: skip
def test_only_json_is_asked_for(value: str, narrow: str) -> None:
    assert accept(value) == narrow


def test_fields_of_requests() -> None:
    headers = Headers([("Accept", "application/cbor"), ("accept", TABLE), ("Accept-Encoding", "gzip"), ("A", "b")])
    found = narrowed(asked("GET pods"), headers)
    assert (found.all("accept"), found.all("accept-encoding"), found.get("a")) == ([TABLE], ["identity"], "b")
    for line in ("GET pods/web/log", "GET services/web/proxy/", "GET /metrics"):
        found = narrowed(asked(line), headers)
        assert (len(found.all("accept")), found.get("accept-encoding")) == (2, "identity")
    assert narrowed(asked("GET /apis"), Headers()).get("accept") == "application/json"
    assert narrowed(asked("GET /openapi/v2"), headers) == headers


def test_answers_in_json() -> None:
    assert is_json("application/json")
    assert is_json("Application/JSON;charset=UTF-8")
    assert is_json("application/json;stream=watch")
    for other in (None, "", "application/cbor", "text/plain", "application/json;charset=utf-7"):
        assert not is_json(other)
