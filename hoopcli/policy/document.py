"""Reading a policy: from a file or a text to a checked document with its revision."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hoopcli.policy.marked import Marked, parse, read, unique, validate
from hoopcli.policy.schema import Document, MaskRule, Rule


@dataclass(frozen=True, slots=True)
class Policy:
    """A checked policy. ``revision`` is the SHA-256 (hex) of its text, ``source`` the text with its places."""

    document: Document
    revision: str
    source: Marked

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order of the document."""
        return self.document.rules

    @property
    def masks(self) -> tuple[MaskRule, ...]:
        """The masks, in the order of the document."""
        return self.document.masks


def load(source: str | Path) -> Policy:
    """Read a policy from a file (a ``Path``) or from its text. Raises UsageError with line, column and nearest key."""
    text, name = read(source)
    marked = parse(text, name)
    document = validate(marked, Document)
    rules = ((("rules", index, "id"), rule.id) for index, rule in enumerate(document.rules))
    masks = ((("masks", index, "id"), mask.id) for index, mask in enumerate(document.masks))
    unique(marked, [*rules, *masks])
    return Policy(document, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), marked)
