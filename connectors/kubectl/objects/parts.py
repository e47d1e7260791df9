"""Takes the JSON of an answer apart as it comes: members of its one object, and of a list one item after another.

What is held is the largest item, not the list. An item, or an object that is no list, has a limit: etcd takes no more
than 1.5 MiB, and metadata is added to that.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias

from hoopcli.errors import ProtocolError

#: How many characters one value may have.
LIMIT = 8 * 1024 * 1024
_STREAMED = frozenset({"items", "rows"})
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Member:
    """A key of the object, and its value."""

    key: str
    value: Any


@dataclass(frozen=True, slots=True)
class Opened:
    """A list begins: the value of ``items`` or ``rows``."""

    key: str


@dataclass(frozen=True, slots=True)
class Items:
    """Some items of the list."""

    values: list[Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """The object has ended."""


Part: TypeAlias = Member | Opened | Items | Ended


class _At(Enum):
    """What comes next."""

    OBJECT = auto()
    FIRST_KEY = auto()  # or the end of the object
    KEY = auto()
    MORE = auto()  # a comma or the end of the object
    FIRST_ITEM = auto()  # or the end of the list
    ITEM = auto()
    MORE_ITEMS = auto()  # a comma or the end of the list
    NOTHING = auto()


class _WaitError(Exception):
    """What has come is not enough to go on."""


def constant(name: str) -> Any:
    """Refuse NaN and Infinity, which are no JSON."""
    raise ValueError(f"{name} is no JSON")


class Parts:
    """Reads one object. Raises ProtocolError for what is none, and over the limit."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("strict").decode
        self._scan = json.JSONDecoder(parse_constant=constant).raw_decode
        self._text = ""
        self._position = 0
        self._enough = 0
        self._state = _At.OBJECT
        self._keys: set[str] = set()
        self._streams = True
        self._held = 0

    def feed(self, data: bytes, *, final: bool = False) -> Iterator[Part]:
        """Take a piece of the text; iterate what is complete by it."""
        self._add(data, final)
        if len(self._text) < self._enough and not final:
            return
        self._enough = 0
        try:
            while self._state is not _At.NOTHING:
                yield from self._next()
        except _WaitError:
            self._enough = 2 * (len(self._text) - self._position)
            if final or self._enough > 2 * LIMIT:
                raise ProtocolError("the answer's JSON cannot be read, or one of its objects is too large") from None
        if self._state is _At.NOTHING and self._space() < len(self._text):
            raise ProtocolError("something follows the object of the answer")

    def whole(self) -> None:
        """Say that the object is no list: what would be its items is a member like others."""
        self._streams = False

    def _add(self, data: bytes, final: bool) -> None:
        try:
            self._text = self._text[self._position :] + self._decode(data, final)
        except UnicodeDecodeError:
            raise ProtocolError("the answer is not UTF-8") from None
        self._position = 0

    def _next(self) -> Iterator[Part]:
        match self._state:
            case _At.OBJECT:
                self._mark("{")
                self._state = _At.FIRST_KEY
            case _At.FIRST_KEY | _At.KEY:
                yield from self._member()
            case _At.MORE:
                ended = self._mark(",}") == "}"
                self._state = _At.NOTHING if ended else _At.KEY
                if ended:
                    yield Ended()
            case _:
                yield from self._items()

    def _member(self) -> Iterator[Part]:
        start = self._position
        try:
            if self._state is _At.FIRST_KEY and self._peek() == "}":
                self._mark("}")
                self._state = _At.NOTHING
                yield Ended()
                return
            key = self._value()
            self._mark(":")
            if not isinstance(key, str) or key in self._keys:
                raise ProtocolError("the answer has a key that is none, or one twice")
            streamed = self._streams and key in _STREAMED and self._peek() == "["
            part: Part = Opened(key) if streamed else Member(key, self._value())
        except _WaitError:
            self._position = start
            raise
        self._keys.add(key)
        self._held += self._position - start
        if self._held > LIMIT:
            raise ProtocolError("the object of the answer is too large")
        if streamed:
            self._mark("[")
            self._streams = False
        self._state = _At.FIRST_ITEM if streamed else _At.MORE
        yield part

    def _items(self) -> Iterator[Part]:
        """As many items as there are."""
        values: list[Any] = []
        try:
            while self._state in {_At.FIRST_ITEM, _At.ITEM, _At.MORE_ITEMS}:
                if self._state is _At.FIRST_ITEM and self._peek() == "]":
                    self._state = _At.MORE_ITEMS
                if self._state is _At.MORE_ITEMS:
                    self._state = _At.ITEM if self._mark(",]") == "," else _At.MORE
                else:
                    values.append(self._value())
                    self._state = _At.MORE_ITEMS
        except _WaitError:
            if values:
                yield Items(values)
            raise
        if values:
            yield Items(values)

    def _space(self) -> int:
        """Where the next character is that is no blank."""
        match = _SPACE.match(self._text, self._position)
        return match.end() if match else self._position

    def _peek(self) -> str:
        at = self._space()
        if at == len(self._text):
            raise _WaitError
        return self._text[at]

    def _mark(self, expected: str) -> str:
        """Take one of some characters."""
        mark = self._peek()
        if mark not in expected:
            raise ProtocolError(f"the answer's JSON has {mark!r} where {' or '.join(expected)} belongs")
        self._position = self._space() + 1
        return mark

    def _value(self) -> Any:
        """Take a value that something follows."""
        start = self._space()
        try:
            value, end = self._scan(self._text, start)
        except ValueError:
            raise _WaitError from None
        if end - start > LIMIT:
            raise ProtocolError("one of the objects of the answer is too large")
        self._position = end
        if self._space() == len(self._text):
            self._position = start
            raise _WaitError
        return value
