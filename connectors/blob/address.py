"""Where a request leads: account, container and name, read from a path-style target in exactly one way.

A target is decoded once. Whatever two servers might read differently is refused, never repaired:

* ``.`` and ``..`` as segments, segments that end in a dot (the service may drop it), empty segments and a slash at the
  end of a name (``a//b``, ``a/``), backslashes: each may be normalised into another name on its way;
* an escape that is still there after decoding (``%252F``), which a server that decodes twice reads as another name;
* control characters, invisible and reordering characters, and names that are not in Unicode's composed form (NFC) or
  whose compatibility form (NFKC) has separators that the name has not: a rule would not match what a person reads.

What is exact is allowed: ``%2F`` in a name is a slash, as the service says and several clients send it; case, spaces,
``+`` and other letters stand for themselves. The target that goes upstream is written anew from what was read here.

Query: names in the spelling of the reference only, each once in whatever case; ``+`` is a space, as in forms.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from connectors.http.message import Request
from hoopcli.errors import ProtocolError

_CONTAINER = re.compile(r"\$(?:root|web|logs|blobchangefeed)|(?=.{3,63}\Z)[a-z0-9](?:-?[a-z0-9])*")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_TARGET = re.compile(r"/[!$-;=?-Z_a-z~\[\]|^`{}]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_QUERY_NAME = re.compile(r"[A-Za-z][A-Za-z-]{0,63}")
_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_SEPARATORS = frozenset("./\\%?#")
_LONGEST_NAME = 1024
_MOST_PARAMETERS = 64


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request leads. ``container`` and ``path`` are empty above them; all parts are decoded."""

    account: str
    container: str = ""
    path: str = ""
    query: tuple[tuple[str, str], ...] = ()

    @property
    def resource(self) -> str:
        """``account``, ``account/container`` or ``account/container/path``, as policy names it."""
        return "/".join(part for part in (self.account, self.container, self.path) if part)

    def value(self, name: str) -> str:
        """The value of a query parameter, empty where there is none."""
        return next((value for found, value in self.query if found == name), "")

    def target(self, base: str) -> str:
        """The target as it goes upstream, below the path ``base`` of the endpoint (empty or ``/account``)."""
        path = "/".join(quote(part, safe="/~$") for part in (self.container, self.path) if part)
        query = "&".join(f"{name}={quote(value, safe='~')}" for name, value in self.query)
        return f"{base}/{path}" + (f"?{query}" if query else "")


def parse(request: Request, account: str) -> Address:
    """Read the target of a request, ``/account[/container[/path]][?query]``. Raises ProtocolError."""
    return parse_target(request.target, account)


def parse_target(target: str, account: str) -> Address:
    """Read an origin-form target. Raises ProtocolError."""
    if not _TARGET.fullmatch(target) or _BAD_ESCAPE.search(target):
        raise ProtocolError("the target of the request is not a path with a query")
    raw_path, _, raw_query = target.partition("?")
    first, _, rest = raw_path[1:].partition("/")
    if first != account:
        raise ProtocolError(f"the path does not begin with the account of this connection, /{account}")
    container, slash, path = rest.partition("/")
    return Address(
        account,
        container_name(decoded(container)) if container or slash else "",
        blob_name(decoded(path)) if path else "",
        parse_query(raw_query),
    )


def parse_query(raw: str) -> tuple[tuple[str, str], ...]:
    """The parameters of a query in order, decoded. Raises ProtocolError, also for one that comes twice."""
    if not raw:
        return ()
    pieces = raw.split("&")
    if len(pieces) > _MOST_PARAMETERS:
        raise ProtocolError(f"the query has more than {_MOST_PARAMETERS} parameters")
    found: dict[str, tuple[str, str]] = {}
    for piece in pieces:
        name, _, value = piece.partition("=")
        if not _QUERY_NAME.fullmatch(name):
            raise ProtocolError("a query parameter has no name, or one with other characters than letters")
        if name.lower() in found:
            raise ProtocolError(f"the query parameter {name} comes twice")
        text = decoded(value.replace("+", " "))
        if _CONTROL.search(text):
            raise ProtocolError(f"the query parameter {name} has control characters")
        found[name.lower()] = name, text
    return tuple(found.values())


def decoded(text: str) -> str:
    """Undo percent-encoding once. Raises ProtocolError for what is no UTF-8, overlong forms included."""
    if "%" not in text:
        return text
    try:
        return unquote_to_bytes(text).decode("utf-8", "strict")
    except UnicodeDecodeError:
        raise ProtocolError("the target of the request is not UTF-8") from None


def container_name(name: str) -> str:
    """A container's name if it is one, as the service's rules have it. Raises ProtocolError."""
    if not _CONTAINER.fullmatch(name):
        raise ProtocolError("the name of the container is not one that the service allows")
    return name


def blob_name(name: str) -> str:
    """A blob's name if it can be read in one way only. Raises ProtocolError."""
    if not name or len(name) > _LONGEST_NAME:
        raise ProtocolError(f"the name of the blob is empty or longer than {_LONGEST_NAME} characters")
    if "\\" in name or _CONTROL.search(name):
        raise ProtocolError("the name of the blob has a backslash or control characters")
    if any(not segment or segment.endswith(".") for segment in name.split("/")):
        raise ProtocolError("the name of the blob has a segment that is empty or ends in a dot")
    if "%" in name and _ESCAPE.search(name):
        raise ProtocolError("the name of the blob is encoded twice, or holds what looks like an escape")
    if not name.isascii():
        _check_unicode(name)
    return name


def _check_unicode(name: str) -> None:
    if any(unicodedata.category(character) in _UNSEEN for character in name):
        raise ProtocolError("the name of the blob has characters that cannot be seen")
    if not unicodedata.is_normalized("NFC", name):
        raise ProtocolError("the name of the blob is not in Unicode's composed form (NFC)")
    compatible = unicodedata.normalize("NFKC", name)
    if any(compatible.count(mark) > name.count(mark) for mark in _SEPARATORS):
        raise ProtocolError("the name of the blob has characters that look like separators")
