from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.blob.listing import ListingRules, XmlListing
from connectors.blob.listing_json import JsonListing, listing_of
from connectors.blob.reference import Answer
from hoopcli.errors import ProtocolError

HEAD = '\ufeff<?xml version="1.0" encoding="utf-8"?>'
ENDPOINT = "http://127.0.0.1:9/acme/"
BLOB = """<Blob><Name>{name}</Name><VersionId>v</VersionId><Properties><Etag>0x8D</Etag>
<Content-Length>5</Content-Length><Content-Type>text/csv</Content-Type><Content-Encoding />
<Content-MD5>Q2hl</Content-MD5><Content-Disposition/>
</Properties><Metadata><owner>ada@example.com</owner></Metadata><Tags><TagSet><Tag><Key>team</Key><Value>ada@x</Value>
</Tag></TagSet></Tags><OrMetadata/></Blob>"""


def page(entries: str, tail: str = "<NextMarker>2!8!bmV4dA--</NextMarker>", around: str = "Blobs") -> str:
    root = '<EnumerationResults ServiceEndpoint="https://acme.blob.core.windows.net/" ContainerName="docs">'
    head = f"{HEAD}{root}<Prefix>a/</Prefix><MaxResults>9</MaxResults>"
    return f"{head}<{around}>{entries}</{around}>{tail}</EnumerationResults>"


def seen(name: str) -> bool:
    return "secret" not in name


MASKED = ListingRules(
    visible=lambda container, name: seen(container + name),
    visible_below=lambda _container, prefix: seen(prefix),
    mask=lambda _entry, what, value: f"<{what}>" if "ada" in value else value,
    rewrite=lambda name, prop, value: None if prop == "Content-MD5" else f"{value}+{len(name)}",
    rewritten=frozenset({"Etag", "Content-MD5"}),
)
PLAIN = ListingRules(lambda container, name: seen(container + name), lambda _container, prefix: seen(prefix))


def filtered(text: str | bytes, rules: ListingRules = PLAIN, cuts: Sequence[int] = (), endpoint: str = "") -> str:
    data = text if isinstance(text, bytes) else text.encode()
    listing = XmlListing(rules, "docs", endpoint)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    out = b"".join(listing.feed(data[start:end]) for start, end in pairwise(edges))
    return (out + listing.finish()).decode()


def names(text: str) -> list[str | None]:
    return [found.text for found in ET.fromstring(text.removeprefix("\ufeff")).iter("Name")]


def test_what_stays_is_byte_for_byte_the_upstream_s() -> None:
    text = page("".join(BLOB.format(name=f"a/{n}") for n in range(3)))
    assert filtered(text) == text


def test_hidden_entries_leave_no_trace() -> None:
    shown, hidden = BLOB.format(name="a/1"), BLOB.format(name="a/secret.txt")
    assert filtered(page(shown + hidden + shown)) == page(shown + shown)
    assert filtered(page(hidden)) == page("")
    listing = XmlListing(PLAIN, "docs")
    listing.feed(page(shown + hidden + hidden).encode())
    listing.finish()
    assert (listing.shown, listing.hidden) == (1, 2)


def test_prefixes_are_there_where_something_under_them_may_be() -> None:
    prefixes = "<BlobPrefix><Name>old/</Name></BlobPrefix>"
    text = page(f"<BlobPrefix><Name>secret/</Name><Properties><Etag>1</Etag></Properties></BlobPrefix>{prefixes}")
    assert filtered(text) == page(prefixes)


def test_containers() -> None:
    text = page(
        "<Container><Name>docs</Name><Properties/></Container><Container><Name>secrets</Name></Container>",
        around="Containers",
    )
    assert names(filtered(text)) == ["docs"]


def test_found_blobs_are_decided_in_their_container() -> None:
    rules = ListingRules(lambda container, name: f"{container}/{name}" == "docs/a", lambda *_: False)
    entry = "<Blob><Name>a</Name><ContainerName>{}</ContainerName><Tags><TagSet/></Tags></Blob>"
    text = page(entry.format("docs") + entry.format("other"), "<NextMarker/>")
    assert filtered(text, rules) == page(entry.format("docs"), "<NextMarker/>")


def test_values_of_users_are_masked_and_properties_rewritten() -> None:
    root = ET.fromstring(filtered(page(BLOB.format(name="a/1")), MASKED).removeprefix("\ufeff"))
    assert root.findtext(".//owner") == "<owner>"
    assert root.findtext(".//Key") == "team"
    assert root.findtext(".//Value") == "<team>"
    assert root.findtext(".//Etag") == "0x8D+3"
    assert root.find(".//Content-MD5") is None
    assert root.findtext(".//Content-Length") == "5"
    masked = filtered(page(BLOB.format(name="ada &amp; co")), MASKED)
    assert names(masked) == ["<name>"]
    assert "ada " not in masked


def test_properties_without_a_value() -> None:
    """An empty element is one tag, where others have two: nothing behind it may go with it."""
    rules = ListingRules(
        lambda *_: True, lambda *_: True, rewrite=lambda *_: "new", rewritten=frozenset({"Etag", "Content-Encoding"})
    )
    entry = "<Blob><Name>a</Name><Properties><Etag/>{}<Content-Encoding></Content-Encoding></Properties></Blob>"
    middle = "<Content-Length>5</Content-Length>"
    shown = filtered(page(entry.format(middle)), rules)
    new = f"<Etag>new</Etag>{middle}<Content-Encoding>new</Content-Encoding>"
    assert shown == page(f"<Blob><Name>a</Name><Properties>{new}</Properties></Blob>")


def test_metadata_named_like_a_property_is_no_property() -> None:
    entry = "<Blob><Name>a</Name><Metadata><Etag>x</Etag></Metadata><Etag>ada</Etag></Blob>"
    assert filtered(page(entry), MASKED) == page(entry.replace("<Etag>ada<", "<Etag>&lt;Etag&gt;+1<").replace("+1", ""))


def test_encoded_names() -> None:
    entry = '<Blob><Name Encoded="true">{}</Name></Blob>'
    text = page(entry.format("a%EF%BF%BFb") + entry.format("%73ecret"))
    assert filtered(text) == page(entry.format("a%EF%BF%BFb"))
    assert filtered(page(entry.format("a%64a%EF%BF%BF")), MASKED) == page(entry.format("%3Cname%3E"))


def test_the_upstream_s_own_address_is_not_shown() -> None:
    out = filtered(page(""), endpoint=ENDPOINT)
    assert "core.windows.net" not in out
    assert f'ServiceEndpoint="{ENDPOINT}" ContainerName="docs"' in out


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from(["a/1", "ü&amp;<![CDATA[<x>]]>", "secret", "日本&#x1F600;", "ada"]), max_size=5),
    st.lists(st.integers(min_value=0, max_value=10_000), max_size=12),
)
def test_any_cut_gives_the_same(chosen: list[str], cuts: list[int]) -> None:
    text = page("".join(BLOB.format(name=name) for name in chosen))
    assert filtered(text, MASKED, cuts) == filtered(text, MASKED)
    assert len(names(filtered(text, MASKED))) == len([name for name in chosen if name != "secret"])


@pytest.mark.parametrize(
    "text",
    [
        "", "<", "plain", "<Error><Code>x</Code></Error>", "<EnumerationResults/>", "<EnumerationResults>",
        '<!DOCTYPE x [<!ENTITY a "b">]><EnumerationResults></EnumerationResults>',
        '<!DOCTYPE x SYSTEM "http://globex.example"><EnumerationResults></EnumerationResults>',
        "<EnumerationResults>&a;</EnumerationResults>", "<EnumerationResults><!-- secret --></EnumerationResults>",
        "<EnumerationResults><?secret?></EnumerationResults>", page("<Blob></Blob>"), page("<Blob/>"),
        page("<Other><Name>a</Name></Other>"), page("<Container><Name>a</Name></Container>"),
        page("<Blob><Name>a</Name><Name>secret</Name></Blob>"), page("<Blob><Name>a<b>secret</b></Name></Blob>"),
        page("<Blob><Properties><Name>a</Name></Properties></Blob>"), page('<Blob secret="x"><Name>a</Name></Blob>'),
        page('<Blob><Name secret="x">a</Name></Blob>'), page("<Blob><New><a>b</a></New><Name>a</Name></Blob>"),
        page("", "<New>secret</New>"), page("<Name>secret</Name>"), page("", "<Prefix><Name>secret</Name></Prefix>"),
        page("<Blob><Name>a</Name></Blob>")[:-5], page("") + "<a/>", page("").replace("Results>", "Results\xff>"),
        b"\xff\xfe" + page("").encode("utf-16-le"), page("").encode()[:-1] + b"\xc0", page("").encode("utf-16"),
    ],
)  # fmt: skip
def test_other_forms_are_refused_whole(text: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        filtered(text)
    with pytest.raises(ProtocolError):
        filtered(text, MASKED, range(0, 2000, 7))


@settings(max_examples=150)
@given(st.integers(min_value=0, max_value=1200), st.binary(min_size=1, max_size=6))
def test_damage_never_shows_what_is_hidden(at: int, damage: bytes) -> None:
    data = page(BLOB.format(name="a/1") + BLOB.format(name="a/secret-name")).encode()
    at %= len(data)
    try:
        out = filtered(data[:at] + damage + data[at + len(damage) :])
    except ProtocolError:
        return
    assert all(seen(name or "") for name in names(out))


def test_an_entry_is_held_but_no_page() -> None:
    listing = XmlListing(PLAIN, "docs")
    start, end = page("|").encode().split(b"|")
    listing.feed(start)
    entry = BLOB.format(name="a/1").encode()
    for _ in range(100):
        out = listing.feed(entry * 20)
        assert len(entry) * 19 <= len(out) <= len(entry) * 21
    listing.feed(end)
    long = XmlListing(PLAIN, "docs")
    long.feed(start + b"<Blob><Name>")
    with pytest.raises(ProtocolError, match="1 MiB"):
        for _ in range(20):
            long.feed(b"a" * 65_536)


def json_filtered(text: str | bytes, answer: Answer = Answer.PATHS, rules: ListingRules = MASKED) -> str:
    listing = JsonListing(rules, answer, "docs")
    data = text if isinstance(text, bytes) else text.encode()
    assert listing.feed(data[:7]) == b""
    assert listing.feed(data[7:]) == b""
    return listing.finish().decode()


def test_paths() -> None:
    rules = ListingRules(
        lambda container, name: (container, name) in {("docs", "d/a"), ("docs", "file")},
        lambda _container, prefix: prefix == "d/",
        lambda _entry, what, value: f"<{what}>" if "ada" in value else value,
        lambda _name, _key, value: None if value == "gone" else f"{value}+",
        frozenset({"etag", "contentLength"}),
    )
    text = """{"paths":[{"name":"d","isDirectory":"true"},{"name":"d/a","owner":"ada","etag":"1","contentLength":5},
    {"name":"secret","isDirectory":"true"},{"name":"secret/a"},{"name":"file","etag":"gone","isDirectory":false}]}"""
    assert json_filtered(text, rules=rules) == (
        '{"paths":[{"name":"d","isDirectory":"true"},{"name":"d/a","owner":"<owner>","etag":"1+","contentLength":"5+"},'
        '{"name":"file","isDirectory":false}]}'
    )


def test_filesystems() -> None:
    text = '{"filesystems":[{"name":"docs","etag":"1"},{"name":"secrets","etag":"2"}]}'
    assert json_filtered(text, Answer.FILESYSTEMS) == '{"filesystems":[{"name":"docs","etag":"1"}]}'


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", '{"paths":{}}', '{"paths":[],"more":["secret"]}', '{"paths":[1]}', '{"paths":[{}]}',
        '{"paths":[{"name":1}]}', '{"paths":[{"name":"a","name":"secret"}]}',
        '{"paths":[],"paths":[{"name":"secret"}]}',
        '{"paths":[{"name":"a","more":["secret"]}]}', '{"paths":[{"name":"a","more":{"b":1}}]}', "[" * 100_000,
        '{"paths":[]} secret', b'{"paths":[{"name":"\xff"}]}', '{"filesystems":[]}',
    ],
)  # fmt: skip
def test_other_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(ProtocolError):
        json_filtered(text)


def test_a_page_of_json_has_a_limit() -> None:
    listing = JsonListing(PLAIN, Answer.PATHS)
    with pytest.raises(ProtocolError, match="16 MiB"):
        for _ in range(17):
            listing.feed(b" " * (1 << 20))


def test_which_filter_is_for_what() -> None:
    for answer in (Answer.CONTAINERS, Answer.BLOBS, Answer.FOUND):
        assert isinstance(listing_of(answer, PLAIN, "docs"), XmlListing)
    for answer in (Answer.PATHS, Answer.FILESYSTEMS):
        assert isinstance(listing_of(answer, PLAIN, "docs"), JsonListing)


def test_what_masks_a_value_depends_on_the_entry_that_it_is_of() -> None:
    entries: list[str] = []

    def mask(entry: str, _what: str, value: str) -> str:
        entries.append(entry)
        return value

    rules = ListingRules(lambda *_: True, lambda *_: True, mask)
    filtered(page(BLOB.format(name="a/1")), rules)
    filtered(page("<Container><Name>docs</Name></Container>", around="Containers"), rules)
    found = "<Blob><Name>b</Name><ContainerName>other</ContainerName></Blob>"
    filtered(page(found), rules)
    listing = JsonListing(rules, Answer.PATHS, "docs")
    listing.feed(b'{"paths":[{"name":"d/a"}]}')
    listing.finish()
    assert set(entries) == {"docs/a/1", "docs", "other/b", "docs/d/a"}
