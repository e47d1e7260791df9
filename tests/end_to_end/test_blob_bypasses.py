"""More ways around policy and masks: other operations on the same blob, oracles in listings and conditions, copies.

The policy is that of the attacks: ``secret/`` is nobody's, ``drafts/`` is written, addresses and salaries are masked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.azurite import ACCOUNT
from tests.support.blobs import DOCS, SECRET, BlobStage, attacked

_KIND = ("x-ms-blob-type", "BlockBlob")
_OWN = f"http://127.0.0.1{DOCS}"
_NAMES = re.compile(rb"<Name>([^<]*)</Name>")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobStage]:
    with attacked(tmp_path_factory.mktemp("broker")) as ready:
        for number in range(7):
            ready.put(f"secret/hidden-{number}.txt", b"some words")
        ready.put("tagged.txt", b"some words", tags={"owner": "ada", "kind": "note"})
        ready.put("zeta.txt", b"some words")
        yield ready


@pytest.mark.parametrize(
    ("method", "query"),
    [
        ("HEAD", ""),
        ("GET", "?comp=metadata"),
        ("HEAD", "?comp=metadata"),
        ("GET", "?comp=tags"),
        ("GET", "?comp=blocklist&blocklisttype=all"),
        ("GET", "?comp=pagelist"),
        ("GET", "?snapshot=2026-01-01T00:00:00.0000000Z"),
        ("GET", "?versionid=2026-01-01T00:00:00.0000000Z"),
        ("POST", "?comp=query"),
        ("GET", "?restype=account&comp=properties"),
        ("OPTIONS", ""),
        ("PUT", "?comp=tags"),
        ("PUT", "?comp=tier"),
        ("PUT", "?comp=metadata"),
        ("PUT", "?comp=properties"),
        ("PUT", "?comp=snapshot"),
        ("PUT", "?comp=undelete"),
        ("PUT", "?comp=seal"),
        ("PUT", "?comp=expiry"),
        ("PUT", "?comp=immutabilityPolicies"),
        ("PUT", "?comp=blocklist"),
        ("PUT", "?comp=block&blockid=YQ=="),
        ("PUT", "?comp=appendblock"),
        ("DELETE", ""),
        ("DELETE", "?recursive=true"),
        ("DELETE", "?deletetype=permanent"),
        ("HEAD", "?action=getStatus"),
        ("HEAD", "?action=getAccessControl"),
        ("PATCH", "?action=append&position=0"),
        ("PATCH", "?action=flush&position=0"),
        ("PATCH", "?action=setAccessControl"),
        ("PUT", "?resource=file"),
        ("PUT", "?resource=directory"),
    ],
)
def test_no_operation_on_a_denied_blob(stage: BlobStage, method: str, query: str) -> None:
    with stage.unheard():
        answer = stage.raw.bare(method, f"{DOCS}/{SECRET}{query}")
    assert answer.status in {400, 403}, answer
    assert b"some words" not in answer.body


class TestListings:
    """What a listing tells of names that it hides."""

    def names(self, stage: BlobStage, query: str) -> tuple[list[bytes], bool]:
        """The names of one page, and whether there is another."""
        answer = stage.raw.ask("GET", f"{DOCS}?restype=container&comp=list&{query}")
        assert answer.status == 200, answer.body
        assert not re.search(rb"<Name>[^<]*hidden-", answer.body)
        return _NAMES.findall(answer.body), b"<NextMarker>" in answer.body

    @pytest.mark.parametrize("prefix", ["secret/", "secret/h", "secret/hidden-1", "s", "sec", "secret"])
    @pytest.mark.parametrize("most", ["1", "2", "5000"])
    def test_a_prefix_of_hidden_names_is_as_one_of_none(self, stage: BlobStage, prefix: str, most: str) -> None:
        query = f"maxresults={most}&prefix="
        assert self.names(stage, query + quote(prefix)) == self.names(stage, query + "nothing") == ([], False)

    @pytest.mark.parametrize("delimiter", ["e", "t", ".", "-", "ret", "%2F%2F", "y"])
    def test_a_delimiter_tells_no_part_of_a_name(self, stage: BlobStage, delimiter: str) -> None:
        with stage.unheard():
            answer = stage.raw.ask("GET", f"{DOCS}?restype=container&comp=list&delimiter={delimiter}")
        assert (answer.status, answer.code) == (400, "InvalidQueryParameterValue")

    def test_a_folder_of_hidden_names_is_hidden(self, stage: BlobStage) -> None:
        shown, _ = self.names(stage, "delimiter=%2F")
        assert b"drafts/" in shown
        assert b"secret/" not in shown

    @pytest.mark.parametrize(
        "include", ["snapshots", "versions", "uncommittedblobs", "deleted", "metadata,tags", "copy"]
    )
    def test_no_more_is_shown_for_what_is_included(self, stage: BlobStage, include: str) -> None:
        shown, _ = self.names(stage, f"include={include}")
        assert not [name for name in shown if name.startswith(b"secret")]

    def test_pages_of_one_lead_over_what_is_hidden(self, stage: BlobStage) -> None:
        found: list[bytes] = []
        marker = ""
        while True:
            answer = stage.raw.ask("GET", f"{DOCS}?restype=container&comp=list&maxresults=1{marker}")
            names = _NAMES.findall(answer.body)
            assert len(names) <= 1
            found += names
            following = re.search(rb"<NextMarker>([^<]+)</NextMarker>", answer.body)
            if following is None:
                break
            assert names, "an empty page tells that something is there"
            marker = f"&marker={quote(following[1].decode())}"
        whole, _ = self.names(stage, "maxresults=5000")
        assert found == whole
        assert b"zeta.txt" in found

    def test_a_marker_is_as_long_for_any_name(self, stage: BlobStage) -> None:
        lengths = set()
        for most in (1, 2, 3):
            answer = stage.raw.ask("GET", f"{DOCS}?restype=container&comp=list&maxresults={most}")
            lengths |= {len(marker) for marker in re.findall(rb"<NextMarker>([^<]+)</NextMarker>", answer.body)}
        assert len(lengths) == 1

    @pytest.mark.parametrize("marker", ["secret%2Fhidden-1.txt", "AAAA", "%00", "!"])
    def test_a_marker_of_the_client_s_own_is_none(self, stage: BlobStage, marker: str) -> None:
        with stage.unheard():
            answer = stage.raw.bare("GET", f"{DOCS}?restype=container&comp=list&marker={marker}")
        assert answer.status == 400


@pytest.mark.parametrize(
    "condition",
    [
        "\"owner\" > 'a'",
        "\"owner\" >= 'ada'",
        "\"owner\" < 'b'",
        "\"owner\" <> 'x'",
        "\"kind\" = 'note' AND \"owner\" > 'a'",
        "\"kind\" = 'it''s' AND \"owner\" > 'a'",
        '"kind" = \'a" > \' OR "owner"<\'b\'',
        "owner > 'a'",
        "'",
    ],
)
def test_a_comparison_tells_no_masked_tag(stage: BlobStage, condition: str) -> None:
    with stage.unheard():
        answer = stage.ask("GET", "tagged.txt", [("x-ms-if-tags", condition)])
        found = stage.raw.ask("GET", f"{DOCS}?restype=container&comp=blobs&where={quote(condition)}")
    assert answer.status == 403
    assert found.status in {400, 403}


def test_equality_of_tags_may_be_asked(stage: BlobStage) -> None:
    assert stage.ask("GET", "tagged.txt", [("x-ms-if-tags", "\"kind\" = 'note'")]).status in {200, 206, 412}


@pytest.mark.parametrize(
    "source",
    [
        f"{_OWN}/{SECRET}",
        f"{_OWN}/{SECRET}?snapshot=2026-01-01T00:00:00.0000000Z",
        f"{_OWN}/secret%2Fkey.txt",
        f"{_OWN}/drafts/../{SECRET}",
        f"{_OWN}//{SECRET}",
        f"/{ACCOUNT}/docs/{SECRET}",
        f"http://127.0.0.1:1/{ACCOUNT}/docs/{SECRET}",
        f"http://user@127.0.0.1{DOCS}/{SECRET}",
        "http://2130706433/x",
        "http://0x7f.1/x",
        "http://[::ffff:127.0.0.1]/x",
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "http://localhost./x",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "http://partner.blob.core.windows.net/x",
        "https://partner.blob.core.windows.net@10.0.0.1/x",
        "https://partner.blob.core.windows.net.invalid/x",
        "https://partner.blob.core.windows.net:8443/x",
    ],
)
@pytest.mark.parametrize("more", ["", "?comp=block&blockid=YQ=="])
def test_no_copy_of_what_may_not_be_read(stage: BlobStage, source: str, more: str) -> None:
    fields = [("x-ms-copy-source", source), *([] if more else [_KIND])]
    with stage.unheard():
        answer = stage.raw.bare("PUT", f"{DOCS}/drafts/copied.txt{more}", fields)
    assert answer.status in {400, 403}, answer


@pytest.mark.parametrize(
    "fields",
    [
        [("x-ms-blob-public-access", "container")],
        [("x-ms-lease-action", "acquire"), _KIND],
        [("x-ms-legal-hold", "true"), _KIND],
        [("x-ms-immutability-policy-mode", "Locked"), _KIND],
        [("x-ms-encryption-key-sha256", "x"), _KIND],
        [("x-ms-blob-type", "PageBlob"), ("x-ms-page-write", "update")],
        [("x-ms-requires-sync", "true"), _KIND],
        [("x-ms-rename-source", f"/docs/{SECRET}"), _KIND],
        [("x-ms-undelete-source", f"{SECRET}?deletionid=1"), _KIND],
    ],
)
def test_no_header_makes_more_of_a_write(stage: BlobStage, fields: list[tuple[str, str]]) -> None:
    with stage.unheard():
        answer = stage.raw.bare("PUT", f"{DOCS}/drafts/new.txt", fields, b"x")
    assert answer.status in {400, 403}, answer
