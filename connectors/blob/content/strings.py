"""Masking of single JSON tokens: of strings as they are written, escapes and all, and of numbers."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation

from connectors.blob.content.base import Unreadable
from connectors.blob.content.forms import edited, form
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask

_UNIT = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL)
_MOST_DIGITS = 40


class Strings:
    """Masks tokens, and counts into ``masked``. ``unread`` is what a string counts as that was too long to look at."""

    unread = "unreadable"

    def __init__(self, masking: Masking, masked: Counter[str]) -> None:
        self._masking = masking
        self._masked = masked

    @staticmethod
    def said(token: str) -> str:
        """What a string says. Raises Unreadable for an escape that is none."""
        if "\\" not in token:
            return token[1:-1]
        try:
            text: str = json.loads(token)
        except ValueError:
            raise Unreadable("the content is not JSON: a string has an escape that is none") from None
        return text

    def masked(self, mask: Mask, token: str) -> str:
        """A string under a mask."""
        if mask.method.name == "null" and self.said(token):
            return self.nothing(mask, token)
        return self.hidden(mask, token)

    def hidden(self, mask: Mask, token: str) -> str:
        """A string under a mask that stays a string, as a key must. An empty one stays empty."""
        text = self.said(token)
        if not text:
            return token
        self._masked[mask.id] += 1
        room = len(token.encode("utf-8")) - 2
        return f'"{form(self._masking, mask, text, room)}"'

    def nothing(self, mask: Mask, token: str) -> str:
        """What stands for a value that cannot be shown in part: ``null``, or what is shorter."""
        self._masked[mask.id] += 1
        room = len(token.encode("utf-8"))
        return ("null" if room >= len("null") else '""' if token.startswith('"') else "0").ljust(room)

    def looked_at(self, token: str, *, hot: bool) -> str:
        """A string under no mask: what detectors find in it is masked. ``hot`` says whether they may."""
        escaped = "\\" in token
        text = self.said(token)
        edits, counts = self._masking.edits(text) if hot or escaped else ([], {})
        if not edits:
            return token
        self._masked.update(counts)
        if not escaped:
            return f'"{edited(self._masking, text, edits, lambda begin, end: text[begin:end])}"'
        units = _UNIT.findall(token[1:-1])
        return f'"{edited(self._masking, text, edits, lambda begin, end: "".join(units[begin:end]))}"'

    def number(self, token: str, *, hot: bool) -> str:
        """A number under no mask: if detectors find something in it, it is masked whole."""
        found = self._masking.edits(token)[0] if hot else []
        if not found and token[-1].isdigit() and ("e" in token or "E" in token):
            found = self._masking.edits(_written_out(token))[0]
        return self.nothing(found[0].mask, token) if found else token


def _written_out(token: str) -> str:
    """A number with an exponent as digits, where it is a whole one of no more digits than a detector looks at."""
    try:
        number = Decimal(token)
    except InvalidOperation:
        return ""
    return f"{number:f}" if -_MOST_DIGITS < number.adjusted() < _MOST_DIGITS and len(token) < 2 * _MOST_DIGITS else ""
