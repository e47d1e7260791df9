from __future__ import annotations

import gzip

import pytest

from connectors.blob.content.kinds import HEAD
from connectors.blob.content.uploads import UploadInspector
from hoopcli.model.decision import Json
from tests.blob.content.pieces import ALL


def inspected(data: bytes, *, name: str = "a.txt", content_type: str = "", size: int = 70_000) -> dict[str, Json]:
    inspector = UploadInspector(content_type, "", name)
    for at in range(0, len(data), size):
        inspector.feed(data[at : at + size])
    return dict(inspector.finish())


def found(facts: dict[str, Json]) -> set[str]:
    contains = facts["contains"]
    assert isinstance(contains, dict)
    assert set(contains) == set(ALL)
    return {name for name, there in contains.items() if there}


@pytest.mark.parametrize(
    ("name", "data", "kind", "expected"),
    [
        ("a.txt", b"pay by 4111 1111 1111 1111", "text", {"credit_card"}),
        ("a.csv", b"card\n4111111111111111\n", "csv", {"credit_card"}),
        ("a.json", b'{"a":"ann\\u0040example.com","n":4111111111111111}', "json", {"email", "credit_card"}),
        ("a.csv.gz", gzip.compress(b"card\n4111111111111111\n", mtime=0), "gzip", {"credit_card"}),
        ("a.txt", b"nothing", "text", set()),
        ("a.txt", b"", "text", set()),
        ("a.txt", b"secret='pay by 4111 1111 1111 1111'", "text", {"credit_card", "password_assignment"}),
        ("a.json", b"[\"secret='4111111111111111'\"]", "json", {"credit_card", "password_assignment"}),
        ("a.csv", b"a,b\n,secret='4111111111111111'\n", "csv", {"credit_card", "password_assignment"}),
        ("a", b"x" * HEAD * 2 + b" ann@example.com", "text", {"email"}),
    ],
)
def test_what_an_upload_contains(name: str, data: bytes, kind: str, expected: set[str]) -> None:
    for size in (70_000, 7) if len(data) < 1000 else (70_000, 4001):
        facts = inspected(data, name=name, size=size)
        assert found(facts) == expected
        assert (facts["kind"], facts["size"]) == (kind, len(data))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", b"\x89PNG 4111 1111 1111 1111"),
        ("a.json", b"no json"),
        ("a.parquet", b"PAR1"),
        ("a.json", b'["' + b"x" * HEAD + b'", nonsense]'),
        ("a.gz", gzip.compress(b"abc", mtime=0)[:-3]),
        ("a.txt", b"x" * HEAD + b"\0"),
    ],
)
def test_of_what_cannot_be_read_nothing_can_be_said(name: str, data: bytes) -> None:
    assert inspected(data, name=name) == {"contains": {}, "size": len(data), "kind": "opaque"}
