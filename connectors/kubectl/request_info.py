"""What a request to an API server asks for, as the API server itself reads it: verb, resource, namespace, name.

Follows ``RequestInfoFactory`` of k8s.io/apiserver, and is stricter: a target that another parser might read differently
(empty or dot segments, encoded slashes, parameters that decide and come twice) is no request at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import unquote_to_bytes

from hoopcli.errors import ProtocolError

_LONGEST = 8192
_METHODS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SPECIAL_VERBS = frozenset({"proxy", "watch"})
#: What follows a namespace's name and is a part of it rather than a kind of resource in it.
_OF_NAMESPACE = frozenset({"status", "finalize"})
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,=:@|^-]|%[2-7][0-9A-Fa-f])+")
# What no honest client encodes, and what means something else once it is decoded.
_NEVER_ENCODED = re.compile(r"[A-Za-z0-9._~/\\%;?#\x00-\x1f\x7f-]")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_PAIR = re.compile(r"(?:[A-Za-z0-9._~!$'()*+,:@/?|^{}\[\]`\"<>\\-]|=|%[0-9A-Fa-f]{2})*")
_REPEATABLE = frozenset({"command", "ports"})
_NAME_SELECTOR = re.compile(r"metadata\.name==?([A-Za-z0-9.:_-]+)")
_FALSE = frozenset({"false", "0"})


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """A request as it is authorised. ``verb`` is the API's own (``get``, ``deletecollection``), "" if there is none.

    ``path`` is decoded, ``parts`` its segments from the resource on; ``query`` are the decoded pairs in order.
    ``namespace`` and ``name`` are "" where the path has none. For what is no resource, ``verb`` is the method in lower
    case, and only ``path``, ``parts`` and ``query`` are set.
    """

    method: str
    path: str
    verb: str
    query: tuple[tuple[str, str], ...] = ()
    is_resource: bool = False
    api_prefix: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    parts: tuple[str, ...] = ()

    def value(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for key, value in self.query if key == name), None)

    def values(self, name: str) -> tuple[str, ...]:
        """All values of a query parameter."""
        return tuple(value for key, value in self.query if key == name)

    def flag(self, name: str) -> bool:
        """A boolean parameter, true with any value but ``false`` and ``0``, also with none."""
        value = self.value(name)
        return value is not None and value.lower() not in _FALSE

    @property
    def kind_name(self) -> str:
        """The resource with its group: ``pods``, ``deployments.apps``."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def streams_events(self) -> bool:
        """Whether the answer is a stream of watch events, one a line."""
        return self.verb == "watch"


def request_info(method: str, target: str) -> RequestInfo:
    """Read a request's method and target (in origin form). Raises ProtocolError for what may be read in two ways."""
    if len(target) > _LONGEST:
        raise ProtocolError(f"the target is longer than {_LONGEST} characters")
    raw_path, mark, raw_query = target.partition("?")
    query = _query(raw_query) if mark else ()
    segments = _segments(raw_path)
    path = "/" + "/".join(segments)
    found = _resource(method, path, query, tuple(segments))
    if found is not None:
        return found
    return RequestInfo(method, path, method.lower(), query, parts=tuple(segment for segment in segments if segment))


def _segments(raw: str) -> list[str]:
    """The decoded segments of a path. A single slash at its end leaves an empty one."""
    if not raw.startswith("/"):
        raise ProtocolError("the path does not begin with a slash")
    if raw == "/":
        return [""]
    *inner, last = raw[1:].split("/")
    return [*map(_segment, inner), _segment(last) if last else ""]


def _segment(raw: str) -> str:
    if not _SEGMENT.fullmatch(raw) or raw in {".", ".."}:
        raise ProtocolError("the path has an empty segment, a dot segment or a character that it must not have")
    if "%" not in raw:
        return raw
    if any(_NEVER_ENCODED.match(chr(int(code, 16))) for code in _ESCAPE.findall(raw)):
        raise ProtocolError("the path encodes a character that others may read differently")
    return unquote_to_bytes(raw).decode("ascii")


def _query(raw: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for pair in raw.split("&"):
        if not _PAIR.fullmatch(pair):
            raise ProtocolError("the query has a character or an escape that it must not have")
        if pair:
            name, _, value = pair.partition("=")
            pairs.append((_decoded(name), _decoded(value)))
    names = [name for name, _ in pairs if name not in _REPEATABLE]
    if len(set(names)) < len(names):
        raise ProtocolError("a parameter of the query came twice")
    return tuple(pairs)


def _decoded(raw: str) -> str:
    try:
        text = unquote_to_bytes(raw.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("the query is not UTF-8") from None
    if "\0" in text:
        raise ProtocolError("the query holds a NUL")
    return text


def _resource(
    method: str, path: str, query: tuple[tuple[str, str], ...], segments: tuple[str, ...]
) -> RequestInfo | None:
    """The request if its path names a resource, None otherwise."""
    parts = segments[:-1] if segments[-1] == "" else segments
    needed = {"api": 3, "apis": 4}.get(parts[0] if parts else "", 0)
    if not needed or len(parts) < needed:
        return None
    group = parts[1] if needed == 4 else ""
    version, rest = parts[needed - 2], parts[needed - 1 :]
    verb = _METHODS.get(method, "")
    if rest[0] in _SPECIAL_VERBS:
        if len(rest) < 2 or method not in {"GET", "HEAD"}:
            raise ProtocolError("the path has a verb in it, and nothing that it is about")
        verb, rest = rest[0], rest[1:]
    namespace, rest = _namespaced(rest)
    resource, name, subresource = (*rest[:3], "", "")[:3]
    if segments[-1] == "" and subresource != "proxy" and verb != "proxy":
        raise ProtocolError("the path of a resource ends with a slash")
    if verb == "proxy":
        subresource = "proxy"
    info = RequestInfo(
        method, path, verb, query, True, parts[0], group, version, namespace, resource, name, subresource, rest
    )  # fmt: skip
    return _of_many(info) if not name else info


def _namespaced(rest: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The namespace that a path names, and what is in it."""
    if rest[0] != "namespaces" or len(rest) < 2:
        return "", rest
    return rest[1], rest[2:] if len(rest) > 2 and rest[2] not in _OF_NAMESPACE else rest


def _of_many(info: RequestInfo) -> RequestInfo:
    """What a verb on no single name is: list or watch, deletecollection. A selector may leave one name to be read."""
    if info.verb == "delete":
        return replace(info, verb="deletecollection")
    if info.verb not in {"get", "watch"}:
        return info
    verb = "watch" if info.verb == "watch" or info.flag("watch") else "list"
    return replace(info, verb=verb, name=_selected_name(info.value("fieldSelector") or ""))


def _selected_name(selector: str) -> str:
    """The one name that a field selector leaves, "" where it may leave several."""
    if "\\" in selector:
        return ""
    found = (_NAME_SELECTOR.fullmatch(term) for term in selector.split(","))
    return next((match[1] for match in found if match), "")
