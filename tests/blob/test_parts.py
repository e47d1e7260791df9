"""Lists of blocks, and what takes parts of masked blobs."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.blob.asked import Asked
from connectors.blob.errors import StorageError
from connectors.blob.parts import check_parts, lists_blocks, only_new_blocks, with_document
from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Mask
from tests.blob.requests import read, request

XML = b'<?xml version="1.0" encoding="utf-8"?>'
SOURCE = "http://127.0.0.1:9/acme/docs/people.csv"
SALARIES = Mask("salary", columns=("salary",), resources=("acme/docs/*",))
MAILS = Mask("mail", detectors=("email",), resources=("acme/docs/*",))


def asked(target: str, **headers: str) -> Asked:
    sent = request("PUT", target, **headers)
    return Asked(sent, *read(sent))


@pytest.mark.parametrize(
    "document",
    [
        XML + b"<BlockList><Latest>AAAA</Latest><Uncommitted>BB==</Uncommitted></BlockList>",
        b"<BlockList>\n  <Latest>AAAA</Latest>\r\n  <Latest> BB== </Latest>\n</BlockList>\n",
        b"\xef\xbb\xbf<?xml version='1.0' encoding='UTF-8' standalone=\"yes\"?>\n"
        b"<BlockList><Latest>AAAA</Latest><Latest>BB==</Latest></BlockList>",
    ],
)
def test_a_list_takes_new_blocks_only(document: bytes) -> None:
    expected = XML + b"<BlockList><Uncommitted>AAAA</Uncommitted><Uncommitted>BB==</Uncommitted></BlockList>"
    assert only_new_blocks(document) == expected


@pytest.mark.parametrize("document", [b"<BlockList/>", b"<BlockList />", XML + b"<BlockList></BlockList>"])
def test_an_empty_list(document: bytes) -> None:
    assert only_new_blocks(document) == XML + b"<BlockList></BlockList>"


def test_committed_blocks_are_refused() -> None:
    with pytest.raises(StorageError, match="anew"):
        only_new_blocks(b"<BlockList><Latest>AAAA</Latest><Committed>BBBB</Committed></BlockList>")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<BlockList>",
        b"<BlockList><Latest>AAAA</Committed></BlockList>",
        b"<BlockList><latest>AAAA</latest></BlockList>",
        b"<BlockList><!-- x --><Latest>AAAA</Latest></BlockList>",
        b"<BlockList><Latest><![CDATA[AAAA]]></Latest></BlockList>",
        b"<BlockList><Latest>&a;</Latest></BlockList>",
        b'<!DOCTYPE a [<!ENTITY a "AAAA">]><BlockList><Latest>AAAA</Latest></BlockList>',
        b'<?xml version="1.0" encoding="utf-7"?><BlockList><Latest>AAAA</Latest></BlockList>',
        b'<BlockList xmlns="x"><Latest>AAAA</Latest></BlockList>',
        b"<BlockList><Latest>AAAA</Latest></BlockList><BlockList/>",
        "<BlockList><Latest>AAAA</Latest></BlockList>".encode("utf-16"),
    ],
)
def test_what_two_readers_may_read_differently(document: bytes) -> None:
    with pytest.raises(ProtocolError):
        only_new_blocks(document)


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"<BlockList>", b"</BlockList>", b"<Latest>", b"A"])).map(b"".join)
)
def test_garbage_is_refused(document: bytes) -> None:
    with suppress(ProtocolError):
        assert b"Latest" not in only_new_blocks(document)


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/acme/out/a?comp=block&blockid=AAAA", {}),
        ("/acme/out/a?comp=appendblock", {}),
        ("/acme/out/a?comp=page", {"x_ms_page_write": "update", "x_ms_source_range": "bytes=0-511"}),
    ],
)
@pytest.mark.parametrize("mask", [SALARIES, MAILS])
def test_no_part_of_a_masked_blob_goes_elsewhere(target: str, headers: dict[str, str], mask: Mask) -> None:
    copy = asked(target, x_ms_copy_source=SOURCE, **headers)
    with pytest.raises(StorageError, match="a part of a masked blob"):
        check_parts(copy, (mask,))
    check_parts(copy, (Mask("elsewhere", columns=("salary",), resources=("acme/other/*",)),))
    check_parts(asked("/acme/out/a?comp=block&blockid=AAAA"), (mask,))


@pytest.mark.parametrize("how", ["update", "clear"])
def test_pages_are_not_written_over_the_names_of_masked_columns(how: str) -> None:
    write = asked("/acme/docs/table?comp=page", x_ms_page_write=how)
    with pytest.raises(StorageError, match="pages"):
        check_parts(write, (SALARIES,))
    check_parts(write, (MAILS,))


def test_the_request_says_how_long_the_list_is_now() -> None:
    listing = asked(
        "/acme/docs/table?comp=blocklist", content_md5="AAAA", content_length="7", x_ms_version="2021-12-02"
    )
    assert lists_blocks(listing)
    assert not lists_blocks(asked("/acme/docs/table", x_ms_blob_type="BlockBlob"))
    changed = with_document(listing.request, b"12345").headers
    assert changed.get("content-length") == "5"
    assert "content-md5" not in changed
    assert changed.get("x-ms-version") == "2021-12-02"
