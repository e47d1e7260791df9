"""Masking of single JSON tokens: of strings as they are written, escapes and all, and of numbers.

Tokens under no mask are delivered as they are at first. ``look`` then looks at all of them at once, and exchanges those
in which detectors find something.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal, InvalidOperation

from connectors.blob.content.base import Unreadable
from connectors.blob.content.forms import edited, form
from hoopcli.masking.keeping import Edit
from hoopcli.masking.masker import Masking
from hoopcli.model.decision import Mask

_NULL = "null"
#: The values that are words.
WORDS = frozenset({"true", "false", _NULL})
_UNIT = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]", re.DOTALL)
_MOST_DIGITS = 40
_MOST_KEYS = 4096
_LONGEST_KEY = 128


class Strings:
    """Masks tokens, and counts into ``masked``. ``unread`` is what a string counts as that was too long to look at."""

    unread = "unreadable"

    def __init__(self, masking: Masking, masked: Counter[str]) -> None:
        self._masking = masking
        self._masked = masked
        self._seen: list[tuple[int, str]] = []
        self._keys: set[str] = set()

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

    def key(self, pieces: list[str], mask: Mask | None, token: str) -> None:
        """Deliver a key."""
        if mask:
            token = self._hidden(mask, token)
        elif token not in self._keys:
            self._seen.append((len(pieces), token))
            if len(token) <= _LONGEST_KEY and not self._masking.edits(self.said(token))[0]:
                if len(self._keys) >= _MOST_KEYS:
                    self._keys.clear()
                self._keys.add(token)
        pieces.append(token)

    def value(self, pieces: list[str], mask: Mask | None, token: str) -> None:
        """Deliver a value that is no container. Raises Unreadable."""
        if mask is None:
            if token not in WORDS:
                self._seen.append((len(pieces), token))
        elif token != _NULL:
            shown = token.startswith('"') and mask.method.name != "null"
            token = self._hidden(mask, token) if shown else self._nothing(mask, token)
        pieces.append(token)

    def look(self, pieces: list[str]) -> None:
        """Look at what was delivered since the last time, and exchange what detectors find something in."""
        seen, self._seen = self._seen, []
        texts = [self.said(token) if token.startswith('"') else _digits(token) for _, token in seen]
        if not self._masking.detects or not self._masking.suspect_text(
            "\n".join(texts).encode("utf-8", "surrogatepass")
        ):
            return
        for place, edits, counts in self._masking.edits_all(texts):
            at, token = seen[place]
            if token.startswith('"'):
                self._masked.update(counts)
                pieces[at] = self._edited(token, texts[place], edits)
            else:
                pieces[at] = self._nothing(edits[0].mask, token)

    def _edited(self, token: str, text: str, edits: list[Edit]) -> str:
        """A string with edits made in what it says."""
        units = _UNIT.findall(token[1:-1]) if "\\" in token else text
        return f'"{edited(self._masking, text, edits, lambda begin, end: "".join(units[begin:end]))}"'

    def _hidden(self, mask: Mask, token: str) -> str:
        """A string masked that stays a string. An empty one stays empty."""
        text = self.said(token)
        if not text:
            return token
        self._masked[mask.id] += 1
        return f'"{form(self._masking, mask, text, len(token.encode("utf-8")) - 2)}"'

    def _nothing(self, mask: Mask, token: str) -> str:
        """What stands for a value that cannot be shown in part: ``null``, or what is shorter. Empty stays empty."""
        if token.startswith('"') and not self.said(token):
            return token
        self._masked[mask.id] += 1
        room = len(token.encode("utf-8"))
        return (_NULL if room >= len(_NULL) else '""' if token.startswith('"') else "0").ljust(room)


def _digits(token: str) -> str:
    """A number as detectors look at it: as it is, and where it has an exponent and is not too long, written out."""
    if not ("e" in token or "E" in token) or len(token) > 2 * _MOST_DIGITS:
        return token
    try:
        number = Decimal(token)
    except InvalidOperation:
        return token
    return f"{token}\n{number:f}" if -_MOST_DIGITS < number.adjusted() < _MOST_DIGITS else token
