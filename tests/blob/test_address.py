from __future__ import annotations

import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.blob.address import Address, parse, parse_target
from hoopcli.errors import ProtocolError
from tests.blob.requests import ACCOUNT, request


def at(target: str) -> Address:
    return parse(request("GET", target), ACCOUNT)


@pytest.mark.parametrize(
    ("target", "resource"),
    [
        ("/acme", "acme"),
        ("/acme/", "acme"),
        ("/acme/docs", "acme/docs"),
        ("/acme/docs/", "acme/docs"),
        ("/acme/%24root/a", "acme/$root/a"),
        ("/acme/$logs/blob/2026/01/01/0000/000000.log", "acme/$logs/blob/2026/01/01/0000/000000.log"),
        ("/acme/docs/a%20b+c.csv", "acme/docs/a b+c.csv"),
        ("/acme/docs/a%2Fb", "acme/docs/a/b"),  # a slash, as the service says and the clients in Go and Java send it
        ("/acme/docs/A", "acme/docs/A"),
        ("/acme/docs/100%25.csv", "acme/docs/100%.csv"),
        ("/acme/docs/.hidden/..b/c", "acme/docs/.hidden/..b/c"),
        ("/acme/docs/%C3%BC.csv", "acme/docs/ü.csv"),
        ("/acme/docs/%E6%97%A5%E6%9C%AC", "acme/docs/日本"),
        ("/acme/docs/a%3Fb%23c", "acme/docs/a?b#c"),
        ("/acme/docs/a;b:c@d,e=f", "acme/docs/a;b:c@d,e=f"),
    ],
)
def test_what_is_exact(target: str, resource: str) -> None:
    assert at(target).resource == resource


@pytest.mark.parametrize(
    "target",
    [
        "/globex/docs/a", "/ACME/docs/a", "/acme%2Fdocs/a", "//acme/docs/a", "/%61cme/docs/a", "/docs/a", "acme/docs/a",
        "*", "http://127.0.0.1/acme/docs/a", "/acme//docs/a", "/acme/docs//a", "/acme/docs/a//b", "/acme/docs/a/",
        "/acme/docs/a%2F", "/acme/docs/%2Fa", "/acme/docs/a%2F%2Fb", "/acme/../globex/docs/a", "/acme/docs/../other/a",
        "/acme/docs/%2e%2e/other/a", "/acme/docs/%2E%2E%2Fother%2Fa", "/acme/docs/a/..", "/acme/docs/./a",
        "/acme/docs/.", "/acme/docs/a.", "/acme/docs/a./b", "/acme/docs/a%2e", "/acme/docs/a...", "/acme/docs/a%5Cb",
        "/acme/docs/a\\b",
        "/acme/docs/..%5C..%5Cother", "/acme/docs/a%00b", "/acme/docs/a%0Ab", "/acme/docs/a%0D%0AHost:%20x",
        "/acme/docs/a%7F", "/acme/docs/a%C2%85b", "/acme/docs/%C0%AE%C0%AE/a", "/acme/docs/%C0%AFa",
        "/acme/docs/%E0%80%AFa", "/acme/docs/%FF", "/acme/docs/%ED%A0%80", "/acme/docs/%F4%90%80%80", "/acme/docs/a%2",
        "/acme/docs/a%zz", "/acme/docs/a%u002e", "/acme/docs/%252e%252e/a", "/acme/docs/a%252Fb", "/acme/docs/a%2541",
        "/acme/docs/a b", "/acme/docs/a#b", "/acme/docs/ü", "/acme/docs/a\tb", "/acme/docs/\"a", "/acme/docs/<a>",
        "/acme/do/a", "/acme/Docs/a", "/acme/-docs/a", "/acme/do--cs/a", "/acme/docs-/a", "/acme/d%2Fo/a",
        "/acme/$other/a",
        "/acme/docs%00/a", "/acme/docs%20/a", "/acme/d.o.c/a", "/acme/" + "d" * 64 + "/a", "/acme/docs/" + "a" * 1025,
    ],
)  # fmt: skip
def test_what_two_servers_might_read_differently(target: str) -> None:
    with pytest.raises(ProtocolError):
        at(target)


@pytest.mark.parametrize(
    "name",
    [
        "cafe\u0301", "\u212bngstrom", "a\u200bb", "a\u202eb", "a\u2066b", "\ufeffa", "a\u00adb", "a\u2028b",
        "a\ue000b",
        "a\uffffb", "\u2025/b", "a\uff0fb", "\uff0e\uff0e/a", "a\u2024", "a\ufe68b", "a\uff05b", "\u2100", "a\u2026",
    ],
)  # fmt: skip
def test_names_that_look_like_others(name: str) -> None:
    with pytest.raises(ProtocolError):
        at(f"/acme/docs/{quote(name)}")


@pytest.mark.parametrize(
    "query",
    [
        "comp=a&comp=b", "comp=a&COMP=b", "snapshot=1&Snapshot=2", "comp=list&", "&", "=a", "a%3Db=c", "co%6Dp=list",
        "co+mp=x", "a.b=c", "prefix=%00", "prefix=%0A", "prefix=%FF", "prefix=%C0%AF", "prefix=%", "a" * 65 + "=1",
        "&".join(f"a{'b' * n}=1" for n in range(40)) + "&" + "&".join(f"c{'d' * n}=1" for n in range(40)),
    ],
)  # fmt: skip
def test_queries_that_cannot_be_read_in_one_way(query: str) -> None:
    with pytest.raises(ProtocolError):
        at(f"/acme/docs?{query}")


def test_a_query() -> None:
    address = at("/acme/docs?restype=container&comp=list&prefix=a+b%2B%2F&marker=")
    assert address.query == (("restype", "container"), ("comp", "list"), ("prefix", "a b+/"), ("marker", ""))
    assert address.value("prefix") == "a b+/"
    assert not address.value("none")
    assert at("/acme/docs?flag").query == (("flag", ""),)


def test_the_target_is_written_anew() -> None:
    address = at("/acme/docs/a%2Fb+c%7E!?snapshot=2026-01-01T00:00:00&prefix=x+y")
    assert address.target("") == "/docs/a/b%2Bc~%21?snapshot=2026-01-01T00%3A00%3A00&prefix=x%20y"
    assert address.target("/acme").startswith("/acme/docs/a/b")
    assert at("/acme/?comp=list").target("") == "/?comp=list"
    assert at("/acme/$root/a").target("/acme") == "/acme/$root/a"


MARKS = "/\\%.?#"
LETTERS = st.characters(
    codec="utf-8", exclude_categories=["Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"], exclude_characters=MARKS
)
SEGMENT = (
    st.text(LETTERS, min_size=1, max_size=20)
    .map(lambda text: unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text)))
    .filter(lambda text: text and not any(mark in text for mark in MARKS))
)
VALUE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]))


@given(st.lists(SEGMENT, min_size=1, max_size=5), VALUE)
def test_every_plain_name_comes_through_and_back(segments: list[str], value: str) -> None:
    path = "/".join(segments)
    address = at(f"/acme/docs/{quote(path, safe='')}?prefix={quote(value, safe='')}")
    assert address == Address("acme", "docs", path, (("prefix", value),))
    assert parse_target(address.target("/acme"), "acme") == address


@given(st.text(st.characters(codec="latin-1"), max_size=60))
def test_garbage_is_refused_or_reads_the_same_again(text: str) -> None:
    try:
        address = parse_target(f"/acme/docs/{text}", "acme")
    except ProtocolError:
        return
    assert parse_target(address.target("/acme"), "acme") == address
