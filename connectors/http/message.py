"""Requests and responses without their bodies ([RFC 9110] 5 and 6)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hoopcli.errors import ProtocolError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Headers:
    """Header fields in order, immutable. Names are compared without case and kept as they were sent.

    Values are stripped of surrounding blanks; bytes above ASCII stand as Latin-1. Raises ProtocolError for a name
    that is no token and for a value with control characters. ``repr`` shows names only: values may be credentials.
    """

    __slots__ = ("_names", "_pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple((name, value.strip(" \t")) for name, value in pairs)
        self._names = tuple(name.lower() for name, _ in self._pairs)
        for name, value in self._pairs:
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ProtocolError("a header has a name or a value that HTTP does not allow")

    def get(self, name: str, default: str | None = None) -> str | None:
        """The value of a header that comes at most once. Raises ProtocolError if it came twice."""
        found = self.all(name)
        if len(found) > 1:
            raise ProtocolError(f"the header {name.lower()} came more than once")
        return found[0] if found else default

    def all(self, name: str) -> list[str]:
        """The values of a header, in order."""
        wanted = name.lower()
        if wanted not in self._names:
            return []
        return [pair[1] for lower, pair in zip(self._names, self._pairs, strict=True) if lower == wanted]

    def tokens(self, name: str) -> list[str]:
        """The members of a list of tokens, in lower case, over all headers of that name."""
        members = (member.strip(" \t").lower() for value in self.all(name) for member in value.split(","))
        return [member for member in members if member]

    def without(self, *names: str) -> Headers:
        """The headers but those of these names."""
        dropped = {name.lower() for name in names}
        return self._of([pair for lower, pair in zip(self._names, self._pairs, strict=True) if lower not in dropped])

    def with_(self, name: str, value: str) -> Headers:
        """The headers with this one, at the end, in place of all of its name."""
        return self._of([*self.without(name), *Headers([(name, value)])])

    @classmethod
    def _of(cls, checked: list[tuple[str, str]]) -> Headers:
        """Headers of pairs that come out of others, and are not checked again."""
        made = cls.__new__(cls)
        made._pairs = tuple(checked)  # noqa: SLF001 - its own class
        made._names = tuple([name.lower() for name, _ in checked])  # noqa: SLF001
        return made

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._names

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._pairs == other._pairs

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self._names)})"


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request. ``target`` is in origin-form, exactly as sent: ``/container/b%20x?comp=list``."""

    method: str
    target: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Response:
    """The head of a response."""

    status: int
    reason: str
    headers: Headers
