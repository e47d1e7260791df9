"""Listings of the Data Lake endpoint: a page of JSON is held whole, under a limit, and written anew."""

from __future__ import annotations

import json
from typing import Any

from connectors.blob.listing import Listing, ListingRules, XmlListing
from connectors.blob.reference import Answer
from hoopcli.errors import ProtocolError

_LONGEST_PAGE = 16 << 20
_KEYS = {Answer.PATHS: "paths", Answer.FILESYSTEMS: "filesystems"}
_TRUE = (True, "true")


class JsonListing:
    """Filters one page of ``Path - List`` or ``Filesystem - List``; ``answer`` says which.

    A directory stays where it or anything in it may be visible. Nothing comes out before ``finish``.
    """

    def __init__(self, rules: ListingRules, answer: Answer, container: str = "") -> None:
        self.shown = 0
        self.hidden = 0
        self.ended = False
        self.next_marker = ""  # it is in a header
        self._rules = rules
        self._key = _KEYS[answer]
        self._container = container
        self._page = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the page. Raises ProtocolError over 16 MiB."""
        self._page += data
        if len(self._page) > _LONGEST_PAGE:
            raise ProtocolError("a page of the upstream's listing is longer than 16 MiB")
        return b""

    def finish(self) -> bytes:
        """The page without what may not be seen. Raises ProtocolError for another form than the reference's."""
        self.ended = True
        try:
            page = json.loads(self._page, object_pairs_hook=_without_doubles)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("the upstream's listing is no JSON that can be read") from error
        if not isinstance(page, dict) or page.keys() != {self._key} or not isinstance(page[self._key], list):
            raise ProtocolError("the upstream's listing is not in the form of the reference")
        kept = [shown for entry in page[self._key] if (shown := self._shown(entry)) is not None]
        self.shown, self.hidden = len(kept), len(page[self._key]) - len(kept)
        return json.dumps({self._key: kept}, ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "backslashreplace"
        )

    def _shown(self, entry: Any) -> dict[str, Any] | None:
        if not isinstance(entry, dict) or not isinstance(name := entry.get("name"), str):
            raise ProtocolError("an entry of the upstream's listing has no name")
        if any(isinstance(value, dict | list) for value in entry.values()):
            raise ProtocolError("an entry of the upstream's listing has entries of its own")
        if not self._is_visible(entry, name):
            return None
        place = name if self._key == "filesystems" else f"{self._container}/{name}"
        shown: dict[str, Any] = {}
        for key, value in entry.items():
            changed = self._rules.rewrite(name, key, str(value)) if key in self._rules.rewritten else value
            if changed is not None:
                shown[key] = self._rules.mask(place, key, changed) if isinstance(changed, str) else changed
        return shown

    def _is_visible(self, entry: dict[str, Any], name: str) -> bool:
        if self._key == "filesystems":
            return self._rules.visible(name, "")
        if self._rules.visible(self._container, name):
            return True
        return entry.get("isDirectory") in _TRUE and self._rules.visible_below(self._container, f"{name}/")


def listing_of(answer: Answer, rules: ListingRules, container: str = "", endpoint: str = "") -> Listing:
    """The filter for an answer that lists: containers, blobs, found blobs, filesystems or paths."""
    if answer in _KEYS:
        return JsonListing(rules, answer, container)
    return XmlListing(rules, container, endpoint)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; two values for one key could be read as either. Raises ProtocolError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ProtocolError("an object of the upstream's listing has a key twice")
    return found
