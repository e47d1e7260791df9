"""Listings without what the principal may not see: entries dropped, names and metadata masked, page by page.

The XML of List Containers, List Blobs and Find Blobs by Tags streams through: entries that stay are the upstream's own
bytes but for the values that change, and no more than one entry is held. Continuation markers are sealed. What is
not in the reference's form (a document type, a comment, an unknown element around the entries) is refused whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, unquote
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import escape, quoteattr

from hoopcli.errors import ProtocolError

_LONGEST_ENTRY = 1 << 20
_ROOT = "EnumerationResults"
_ENTRIES = {"Blobs": frozenset({"Blob", "BlobPrefix"}), "Containers": frozenset({"Container"})}
_AROUND = frozenset({"Prefix", "Marker", "MaxResults", "Delimiter", "StartFrom", "EndBefore", "Where", "NextMarker"})
_NEXT = "NextMarker"
_MARKERS = frozenset({"Marker", _NEXT})
_TAG = re.compile(rb"""<[\w:.-]+(?:\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*\s*>""")
_LIST_DEPTH, _ENTRY_DEPTH, _FIELD_DEPTH, _VALUE_DEPTH = range(1, 5)
_NO_LEAF = -1

#: Fields whose values are the users' own; a tag is a key and a value below two elements more.
_FREE_FIELDS = frozenset({"Metadata", "Tags", "OrMetadata"})
_BETWEEN = frozenset({"TagSet", "Tag"})
#: Fields that the service makes, or that only hold others. Any other is masked like a value of the users.
_PLAIN_FIELDS = frozenset(
    {"Properties", "Snapshot", "VersionId", "Version", "IsCurrentVersion", "HasVersionsOnly", "Deleted", "DeletionId"}
)
#: Properties whose values are the users' own, or name other blobs. The other properties are the service's.
_FREE_PROPERTIES = frozenset(
    {"Content-Disposition", "Content-Language", "Content-Encoding", "Content-Type", "Cache-Control", "CopySource"}
)


@dataclass(frozen=True, slots=True)
class ListingRules:
    """What a listing may say.

    ``visible`` takes a container and a name (empty for the container itself), ``visible_below`` a container and a
    prefix: whether anything under it may be visible. ``mask`` takes an entry (``container`` or ``container/name``),
    what a value of it is (``name``, a metadata key, a tag's key, a property) and the value. ``rewrite`` is asked for
    the ``rewritten`` properties of an entry, by its name, the property and its value; None leaves the property out.
    ``seal`` writes a continuation marker as clients may have it.
    """

    visible: Callable[[str, str], bool]
    visible_below: Callable[[str, str], bool]
    mask: Callable[[str, str, str], str] = lambda _entry, _what, value: value
    rewrite: Callable[[str, str, str], str | None] = lambda _name, _property, value: value
    rewritten: frozenset[str] = frozenset()
    seal: Callable[[str], str] = lambda marker: marker


class Listing(Protocol):
    """A filter of one page: bytes in, bytes out, cut anywhere.

    ``shown`` and ``hidden`` count entries; ``ended`` says that it was finished, ``next_marker`` what the page itself
    names as the service's own marker of the next one.
    """

    shown: int
    hidden: int
    ended: bool
    next_marker: str

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the upstream's answer; return what may go on. Raises ProtocolError."""

    def finish(self) -> bytes:
        """The rest. Raises ProtocolError for a page that does not end."""


@dataclass(slots=True)
class _Value:
    """A value inside an entry that may change: what it is, its element, and where that stands in the answer."""

    what: str
    tag: str
    text: str
    start: int
    end: int
    encoded: bool
    rewritten: bool


@dataclass(slots=True)
class _Entry:
    tag: str
    name: str | None = None
    container: str = ""
    values: list[_Value] = field(default_factory=list)


class XmlListing:
    """Filters one page of XML. ``container`` is that of List Blobs; ``endpoint`` is the URL that clients know."""

    def __init__(self, rules: ListingRules, container: str = "", endpoint: str = "") -> None:
        self.shown = 0
        self.hidden = 0
        self.ended = False
        self.next_marker = ""
        self._rules = rules
        self._container = container
        self._endpoint = endpoint
        self._pending = bytearray()  # what is not passed on yet, from offset self._base of the answer
        self._base = 0
        self._out: list[bytes] = []
        self._depth = 0
        self._list: frozenset[str] = frozenset()
        self._entry: _Entry | None = None
        self._watched = rules.rewritten | _FREE_PROPERTIES
        self._free = False  # inside a field of the users' own
        self._leaf = _NO_LEAF  # where the element starts whose text is read
        self._encoded = False
        self._key = ""
        self._text: list[str] = []
        self._parser = ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append
        for odd in ("StartDoctypeDeclHandler", "CommentHandler", "ProcessingInstructionHandler"):
            setattr(self._parser, odd, _refuse)

    def feed(self, data: bytes) -> bytes:
        """Take a piece of the page; return what may go on."""
        self._pending += data
        self._parse(data, last=False)
        if len(self._pending) > _LONGEST_ENTRY + len(data):
            raise ProtocolError("an entry of the upstream's listing is longer than 1 MiB")
        return self._taken()

    def finish(self) -> bytes:
        """The rest of the page."""
        self.ended = True
        self._parse(b"", last=True)
        self._pass_until(self._base + len(self._pending))
        return self._taken()

    def _parse(self, data: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(data, last)
        except (ExpatError, UnicodeDecodeError) as error:
            raise ProtocolError("the upstream's listing is no XML that can be read") from error

    def _taken(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        depth = self._depth
        self._depth = depth + 1
        if depth > _ENTRY_DEPTH:
            self._start_inside(depth, tag, attributes)
        elif depth == _ENTRY_DEPTH:
            self._start_entry(tag, attributes)
        elif depth == _LIST_DEPTH:
            if tag not in _AROUND and tag not in _ENTRIES:
                raise ProtocolError(f"the upstream's listing has an element {tag} that is not in the reference")
            self._list = _ENTRIES.get(tag, frozenset())
            self._pass_until(self._parser.CurrentByteIndex)
            self._text.clear()
        else:
            self._start_root(tag, self._parser.CurrentByteIndex, attributes)

    def _start_inside(self, depth: int, tag: str, attributes: dict[str, str]) -> None:
        """Note where a value begins that may change; it has no elements in it."""
        if self._leaf != _NO_LEAF:
            raise ProtocolError("a value of the upstream's listing has elements in it")
        if depth == _FIELD_DEPTH:
            self._free = tag in _FREE_FIELDS
            if self._free or tag in _PLAIN_FIELDS:
                return
        elif not (tag not in _BETWEEN if self._free else tag in self._watched):
            return
        self._leaf = self._parser.CurrentByteIndex
        self._encoded = attributes.pop("Encoded", "") == "true"
        if attributes:
            raise ProtocolError("a value of the upstream's listing has attributes that are not in the reference")
        self._text.clear()

    def _start_root(self, tag: str, at: int, attributes: dict[str, str]) -> None:
        match = _TAG.match(self._pending, at - self._base)
        if tag != _ROOT or not match:
            raise ProtocolError("the upstream's answer is no listing")
        end = self._base + match.end()
        self._pass_until(at)
        if self._endpoint and "ServiceEndpoint" in attributes:
            attributes = {**attributes, "ServiceEndpoint": self._endpoint}
        shown = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
        self._out.append(f"<{tag}{shown}>".encode())
        self._skip_until(end)

    def _start_entry(self, tag: str, attributes: dict[str, str]) -> None:
        if tag not in self._list or attributes:
            raise ProtocolError(f"the upstream's listing has an entry {tag} that is not in the reference")
        self._pass_until(self._parser.CurrentByteIndex)
        self._entry = _Entry(tag)
        self._text.clear()

    def _end(self, tag: str) -> None:
        depth = self._depth = self._depth - 1
        if depth > _ENTRY_DEPTH:
            if self._leaf != _NO_LEAF:
                assert self._entry is not None
                self._end_leaf(self._entry, depth, tag)
                self._leaf = _NO_LEAF
        elif depth == _ENTRY_DEPTH:
            self._end_entry()
        elif depth == _LIST_DEPTH and tag in _MARKERS:
            self._end_marker(tag)
        else:
            self._list = frozenset()
            self._pass_until(self._parser.CurrentByteIndex)

    def _end_marker(self, tag: str) -> None:
        """Seal a marker; all before it has been passed on."""
        if marker := "".join(self._text):
            if tag == _NEXT:
                self.next_marker = marker
            end = self._end_of_tag()
            self._out.append(f"<{tag}>{escape(self._rules.seal(marker))}</{tag}>".encode())
            self._skip_until(end)

    def _end_leaf(self, entry: _Entry, depth: int, tag: str) -> None:
        raw = "".join(self._text)
        text = unquote(raw) if self._encoded else raw
        what = tag
        if depth == _FIELD_DEPTH and tag == "Name":
            if entry.name is not None:
                raise ProtocolError("an entry of the upstream's listing has two names")
            entry.name, what = text, "name"
        elif depth == _FIELD_DEPTH and tag == "ContainerName":
            entry.container = text
            return
        elif depth > _VALUE_DEPTH:
            self._key, what = (text, tag) if tag == "Key" else ("", self._key)
        rewritten = not self._free and tag in self._rules.rewritten
        if text or rewritten:
            end = self._end_of_tag(empty=not raw)
            entry.values.append(_Value(what, tag, text, self._leaf, end, self._encoded, rewritten))

    def _end_of_tag(self, *, empty: bool = False) -> int:
        """Where the element that ends has its end. The parser is at its end tag, or behind an ``<element/>``."""
        at = self._parser.CurrentByteIndex - self._base
        if empty and self._pending[at - 2 : at] == b"/>":
            return at + self._base
        return self._pending.index(b">", at) + 1 + self._base

    def _end_entry(self) -> None:
        entry, self._entry = self._entry, None
        assert entry is not None
        if entry.name is None:
            raise ProtocolError("an entry of the upstream's listing has no name")
        end = self._end_of_tag()
        if self._is_visible(entry, entry.name):
            self.shown += 1
            container = "" if entry.tag == "Container" else f"{entry.container or self._container}/"
            for value in entry.values:
                self._pass_value(value, entry.name, container)
            self._pass_until(end)
        else:
            self.hidden += 1
            self._skip_until(end)

    def _is_visible(self, entry: _Entry, name: str) -> bool:
        match entry.tag:
            case "Container":
                return self._rules.visible(name, "")
            case "BlobPrefix":
                return name.endswith("/") and self._rules.visible_below(self._container, name)
        return self._rules.visible(entry.container or self._container, name)

    def _pass_value(self, value: _Value, name: str, container: str) -> None:
        """Write a value's element anew where it changes."""
        shown: str | None = value.text
        if value.rewritten:
            shown = self._rules.rewrite(name, value.tag, value.text)
        if shown:
            shown = self._rules.mask(container + name, value.what, shown)
        if shown == value.text:
            return
        self._pass_until(value.start)
        if shown is not None:
            attribute, text = (' Encoded="true"', quote(shown)) if value.encoded else ("", escape(shown))
            self._out.append(f"<{value.tag}{attribute}>{text}</{value.tag}>".encode())
        self._skip_until(value.end)

    def _pass_until(self, offset: int) -> None:
        self._out.append(bytes(self._pending[: offset - self._base]))
        self._skip_until(offset)

    def _skip_until(self, offset: int) -> None:
        del self._pending[: offset - self._base]
        self._base = offset


def _refuse(*_: object) -> None:
    raise ProtocolError("the upstream's listing has a document type, a comment or an instruction")
