"""What an upload contains, for conditions such as ``upload.contains.credit_card``.

It is read as a download of it would be, under every detector; nothing of the result is kept but what was found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from connectors.blob.content.base import ContentMasker, Unreadable
from connectors.blob.content.kinds import HEAD, Content, Kind, decide
from connectors.blob.content.masker import open_masker
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.model.decision import Json, Mask

_EACH = Masking([Mask(each.name, detectors=(each.name,)) for each in DETECTORS], b"")


class UploadInspector:
    """Looks into a content that is stored under a type, encoding and name."""

    def __init__(self, content_type: str, content_encoding: str, name: str) -> None:
        self._called = (content_type, content_encoding, name)
        self._head = b""
        self._size = 0
        self._content: Content | None = None
        self._masker: ContentMasker | None = None
        self._found: Counter[str] = Counter()

    def feed(self, data: bytes) -> None:
        """Take a piece of the content."""
        self._size += len(data)
        if self._content is None:
            self._head += data
            if len(self._head) < HEAD:
                return
            data = self._begin()
        self._look(data, final=False)

    def finish(self) -> Mapping[str, Json]:
        """``contains`` (whether each detector found something; empty where the content is opaque), size and kind.

        A condition on what an opaque content contains cannot be evaluated, and so holds in a rule that denies.
        """
        self._look(self._begin() if self._content is None else b"", final=True)
        kind = self._content.kind if self._content else Kind.OPAQUE
        contains = {} if self._masker is None else {each.name: self._found[each.name] > 0 for each in DETECTORS}
        return {"contains": contains, "size": self._size, "kind": (kind if contains else Kind.OPAQUE).value}

    def _begin(self) -> bytes:
        head, self._head = self._head, b""
        self._content = decide(*self._called, head, _EACH)
        if not self._content.opaque and self._content.kind is not Kind.PARQUET:
            self._masker = open_masker(self._content, _EACH)
        return head

    def _look(self, data: bytes, *, final: bool) -> None:
        if self._masker is None:
            return
        try:
            self._masker.feed(data)
            if final:
                self._masker.finish()
        except Unreadable:
            self._masker = None
        else:
            self._found = self._masker.masked
