"""Recorded answers as tables."""

from __future__ import annotations

from connectors.blob.render import render

LISTING = (
    b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="docs"><Blobs>'
    b"<Blob><Name>a.csv</Name><Properties><Last-Modified>now</Last-Modified><Content-Length>3</Content-Length>"
    b"<Content-Type>text/csv</Content-Type></Properties></Blob><BlobPrefix><Name>old/</Name></BlobPrefix>"
    b"</Blobs><NextMarker /></EnumerationResults>"
)


def test_a_listing_is_a_table_of_its_entries() -> None:
    [table] = render("application/xml", LISTING)
    assert list(table.columns) == ["name", "content-length", "content-type", "last-modified"]
    assert table.rows == [["a.csv", "3", "text/csv", "now"], ["old/", "", "", ""]]
    assert table.note == "2 entries"


def test_a_listing_that_is_cut_off_shows_what_is_there() -> None:
    [table] = render("application/xml", LISTING[: LISTING.index(b"<BlobPrefix>") + 3])
    assert [row[0] for row in table.rows] == ["a.csv"]


def test_an_error_is_its_message() -> None:
    [table] = render("application/xml", b"<Error><Code>X</Code><Message>not there</Message></Error>")
    assert (table.rows, table.note) == ([], "not there")
    [table] = render("application/xml", b"garbage")
    assert table.note == "7 bytes of XML without entries"


def test_a_text_is_shown_by_line() -> None:
    [table] = render("text/csv; charset=utf-8", b"a,b\r\n" * 300)
    assert list(table.columns) == ["text/csv"]
    assert len(table.rows) == 200
    assert table.note == "100 more lines are kept"
    [table] = render("application/json", b'{"a": "\xff"}')
    assert table.rows == [['{"a": "\ufffd"}']]


def test_the_rest_is_told_by_its_size() -> None:
    assert [table.note for table in render("image/png", b"12345")] == ["5 bytes of image/png"]
    assert [table.note for table in render("", b"")] == ["0 bytes of unknown content"]
