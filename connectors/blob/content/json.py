"""Masking of JSON and of its lines: keys by name, values by path, and what detectors find anywhere. Keeps the length.

The text is read token by token and never held as a whole; what is no JSON (RFC 8259) is refused where it is seen. One
object or array may follow another, as in NDJSON; strings in a row may be a table in quotes. ``NaN`` and ``Infinity``
count as numbers, as many writers have them.

A masked string keeps its quotes. A masked number, or what a mask ``null`` covers, becomes ``null`` and spaces; a number
too short for that becomes ``0`` and spaces. Under a masked key everything is masked, keys included. A string longer
than ``LONGEST`` is masked whole.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto

from connectors.blob.content.base import LONGEST, Unreadable, Utf8, stars
from connectors.blob.content.names import Names
from connectors.blob.content.strings import WORDS, Strings
from hoopcli.masking.masker import Masking
from hoopcli.masking.paths import Place
from hoopcli.model.decision import Mask

_BLOCK = 65_536
_DEEPEST = 512
_LONGEST_NUMBER = 4096
_TOKEN = re.compile(
    r'[ \t\n\r]*+(?:(?P<string>"(?:[^"\\\x00-\x1f]++|\\.)*+")|(?P<mark>[{}\[\],:])|(?P<word>[-+.\w]++)|(?P<end>\Z))'
)
_DIGITS = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_NUMBER = re.compile(rf"{_DIGITS}|NaN|-?Infinity", re.ASCII)
# What most of a document is: keys without escapes and plain values, and the commas after them.
_SPACE = r"[ \t\n\r]*+"
_VALUE = rf'(?P<value>"[^"\\\x00-\x1f]*+"|{_DIGITS}|true|false|null)(?P<after>{_SPACE}(?:,|(?=[}}\]])))'
_PAIR = re.compile(rf'{_SPACE}(?P<key>"[^"\\\x00-\x1f]*+")(?P<colon>{_SPACE}:{_SPACE}){_VALUE}', re.ASCII)
_ITEM = re.compile(_SPACE + _VALUE, re.ASCII)
_WITHIN = re.compile(r'(?:[^"\\\x00-\x1f]++|\\.)*+')
_BEGIN = re.compile(r'[ \t\n\r]*+"')


class _Wants(Enum):
    """What may come next."""

    VALUE = auto()
    FIRST_VALUE = auto()  # or the end of an array
    KEY = auto()
    FIRST_KEY = auto()  # or the end of an object
    COLON = auto()
    MORE = auto()  # a comma or the end of what it is in


_KEYS = (_Wants.KEY, _Wants.FIRST_KEY)  # tuples: members are compared by identity, and an enum hashes slowly
_VALUES = (_Wants.VALUE, _Wants.FIRST_VALUE)


@dataclass(slots=True)
class _Level:
    """An object or array that is open. ``mask`` covers all of it; ``place`` and ``under`` are of its current value."""

    is_object: bool
    place: Place
    mask: Mask | None
    inside: Place
    under: Mask | None


class JsonMasker:
    """Masks JSON or NDJSON under its masks."""

    def __init__(self, masking: Masking) -> None:
        self.masked: Counter[str] = Counter()
        self._masking = masking
        self._names = Names(masking)
        self._strings = Strings(masking, self.masked)
        self._utf8 = Utf8()
        self._text = ""
        self._begun = False
        self._levels: list[_Level] = []
        self._wants = _Wants.VALUE
        self._overlong = False
        self._values = 0
        self._plain = False

    def feed(self, data: bytes) -> bytes:
        """Take a piece; return what of all so far can be delivered. Raises Unreadable."""
        self._text += self._utf8.feed(data)
        return self._work(final=False) if len(self._text) >= _BLOCK else b""

    def finish(self) -> bytes:
        """End the content; return the rest of it. Raises Unreadable."""
        self._text += self._utf8.feed(b"", final=True)
        delivered = self._work(final=True)
        if self._levels or self._overlong or (self._wants is not _Wants.VALUE) or not self._values:
            raise Unreadable("the JSON ends before it is complete")
        return delivered

    def look(self, head: bytes, *, whole: bool) -> None:
        """Take the beginning of a content only to see whether it is JSON. Raises Unreadable."""
        self.feed(head)
        if whole:
            self.finish()
        else:
            self._work(final=False)

    def _work(self, *, final: bool) -> bytes:
        text = self._text
        at = 0
        if not self._begun and text:
            self._begun = True
            at = int(text.startswith("\ufeff"))
        pieces = [text[:at]]
        going_on = True
        while going_on and at < len(text):
            at = self._easy(text, at, pieces)
            if at < len(text):
                at, going_on = self._step(text, at, pieces, final=final)
        self._text = text[at:]
        self._strings.look(pieces)
        return "".join(pieces).encode("utf-8")

    def _easy(self, text: str, at: int, pieces: list[str]) -> int:
        """Read and deliver as many plain pairs or items as follow one another; where they end."""
        level = self._levels[-1] if self._levels else None
        if level is None or self._overlong:
            return at
        ready, pattern = (_KEYS, _PAIR) if level.is_object else (_VALUES, _ITEM)
        more = _Wants.KEY if level.is_object else _Wants.VALUE
        while self._wants in ready and (match := pattern.match(text, at)) and match.end() - at <= LONGEST:
            if level.is_object:
                pieces.append(text[at : match.start("key")])
                self._strings.key(pieces, level.mask, match["key"])
                pieces.append(match["colon"])
                self._enter(level, match["key"][1:-1])
            else:
                pieces.append(text[at : match.start("value")])
            self._strings.value(pieces, level.under, match["value"])
            pieces.append(match["after"])
            at = match.end()
            self._wants = more if match["after"].endswith(",") else _Wants.MORE
        return at

    def _step(self, text: str, at: int, pieces: list[str], *, final: bool) -> tuple[int, bool]:
        """Read one token and deliver it; where the next begins, and whether there may be one."""
        if self._overlong:
            return self._skip(text, at, pieces, final=final)
        match = _TOKEN.match(text, at)
        if match is None:
            return self._incomplete(text, at, pieces, final=final)
        kind = match.lastgroup or ""
        start, end = match.span(kind)
        if kind == "end" or (kind == "word" and end == len(text) and not final):
            if end - start > _LONGEST_NUMBER:
                raise Unreadable("the JSON has a number that is too long")
            pieces.append(text[at:start])
            return start, False
        if end - start > LONGEST:
            return self._incomplete(text, at, pieces, final=final)
        pieces.append(text[at:start])
        self._token(kind, text[start:end], pieces)
        return end, True

    def _token(self, kind: str, token: str, pieces: list[str]) -> None:
        """Deliver a token, having taken note of where it leads."""
        if kind == "mark":
            self._mark(token)
            pieces.append(token)
        elif kind == "string" and self._wants in _KEYS:
            level = self._levels[-1]
            self._enter(level, self._strings.said(token))
            self._strings.key(pieces, level.mask, token)
            self._wants = _Wants.COLON
        else:
            if kind == "word" and token not in WORDS and (len(token) > _LONGEST_NUMBER or not _NUMBER.fullmatch(token)):
                raise Unreadable("the content is not JSON: it has a word that is none of its own")
            self._strings.value(pieces, self._value(), token)

    def _enter(self, level: _Level, key: str) -> None:
        level.inside, found = self._names.enter(level.place, key)
        level.under = level.mask or found

    def _value(self, *, plain: bool = True) -> Mask | None:
        """A value is here, a ``plain`` one if it is no container: its mask."""
        if self._wants not in _VALUES:
            raise Unreadable("the content is not JSON: a value is where none belongs")
        if not self._levels:
            self._values += 1
            self._plain = self._plain or plain
            if self._values > 1 and self._plain:
                raise Unreadable("the content is not JSON: one value follows another")
            return self._names.whole
        self._wants = _Wants.MORE
        return self._levels[-1].under

    def _mark(self, mark: str) -> None:
        match mark:
            case "{" | "[":
                self._open(is_object=mark == "{")
            case "}" | "]":
                self._close(is_object=mark == "}")
            case ":" if self._wants is _Wants.COLON:
                self._wants = _Wants.VALUE
            case "," if self._wants is _Wants.MORE:
                self._wants = _Wants.KEY if self._levels[-1].is_object else _Wants.VALUE
            case _:
                raise Unreadable(f"the content is not JSON: there is a {mark} where none belongs")

    def _open(self, *, is_object: bool) -> None:
        if len(self._levels) >= _DEEPEST:
            raise Unreadable(f"the JSON is nested deeper than {_DEEPEST} levels")
        place = self._levels[-1].inside if self._levels else self._names.root
        mask = self._value(plain=False)
        self._levels.append(_Level(is_object, place, mask, place, mask))
        self._wants = _Wants.FIRST_KEY if is_object else _Wants.FIRST_VALUE

    def _close(self, *, is_object: bool) -> None:
        empty = _Wants.FIRST_KEY if is_object else _Wants.FIRST_VALUE
        if not self._levels or self._levels[-1].is_object is not is_object or self._wants not in (empty, _Wants.MORE):
            raise Unreadable("the content is not JSON: something ends that has not begun")
        self._levels.pop()
        self._wants = _Wants.MORE if self._levels else _Wants.VALUE

    def _incomplete(self, text: str, at: int, pieces: list[str], *, final: bool) -> tuple[int, bool]:
        """A string that is not complete, or too long, or no token at all."""
        begin = _BEGIN.match(text, at)
        if begin is None:
            raise Unreadable("the content is not JSON: it has a character that begins nothing")
        within = _WITHIN.match(text, begin.end())
        end = within.end() if within else begin.end()
        if end < len(text) and text[end] not in '"\\':
            raise Unreadable("the content is not JSON: a string has a control character")
        if end - begin.end() + 2 <= LONGEST:
            if final:
                raise Unreadable("the JSON ends within a string")
            return at, False
        if self._wants in _KEYS:
            raise Unreadable("the JSON has a key that is too long")
        mask = self._value()
        self.masked[mask.id if mask else self._strings.unread] += 1
        pieces.append(begin[0])
        self._overlong = True
        return begin.end(), True

    def _skip(self, text: str, at: int, pieces: list[str], *, final: bool) -> tuple[int, bool]:
        """Stars for a string that is too long."""
        within = _WITHIN.match(text, at)
        end = within.end() if within else at
        pieces.append(stars(text[at:end]).decode())
        if end == len(text):
            return end, False
        if text[end] == '"':
            self._overlong = False
            pieces.append('"')
            return end + 1, True
        if text[end] == "\\" and end + 1 == len(text) and not final:
            return end, False
        raise Unreadable("the content is not JSON: a string has a control character")
