"""Continuation markers that tell nobody what comes next."""

from __future__ import annotations

import pytest

from connectors.blob.address import Address
from connectors.blob.errors import StorageError
from connectors.blob.listing import ListingRules, XmlListing
from connectors.blob.markers import Markers
from hoopcli.spi import SessionSecret

MARKERS = Markers(SessionSecret("one"))


def listing(marker: str, container: str = "docs") -> Address:
    return Address("acme", container, "", (("comp", "list"), ("marker", marker)))


def test_a_marker_opens_where_it_was_given() -> None:
    sealed = MARKERS.seal("secret/key.txt ünï", "acme/docs")
    assert "secret" not in sealed
    assert MARKERS.opened(listing(sealed)).value("marker") == "secret/key.txt ünï"
    assert sealed != MARKERS.seal("secret/key.txt ünï", "acme/docs")
    assert MARKERS.seal("", "acme/docs") == ""
    assert MARKERS.opened(listing("")) == listing("")


@pytest.mark.parametrize("marker", ["secret/key.txt", "!", "A" * 40, "é"])
def test_what_is_no_marker_is_refused(marker: str) -> None:
    with pytest.raises(StorageError, match="not one of this session"):
        MARKERS.opened(listing(marker))


def test_a_marker_of_another_session_or_container_is_refused() -> None:
    for sealed, container in [
        (Markers(SessionSecret("two")).seal("a", "acme/docs"), "docs"),
        (MARKERS.seal("a", "acme/docs"), "other"),
    ]:
        with pytest.raises(StorageError):
            MARKERS.opened(listing(sealed, container))


@pytest.mark.parametrize("cut", range(0, 260, 7))
def test_the_markers_of_a_page_are_sealed_at_any_cut(cut: int) -> None:
    page = (
        b'<?xml version="1.0"?><EnumerationResults><Marker>hidden&amp;1</Marker><MaxResults>1</MaxResults><Blobs>'
        b"<Blob><Name>a</Name></Blob></Blobs><NextMarker>hidden/2</NextMarker></EnumerationResults>"
    )
    rules = ListingRules(lambda *_: True, lambda *_: True, seal=lambda marker: f"[{len(marker)}]")
    xml = XmlListing(rules, "docs")
    shown = xml.feed(page[:cut]) + xml.feed(page[cut:]) + xml.finish()
    assert shown == page.replace(b"hidden&amp;1", b"[8]").replace(b"hidden/2", b"[8]")
