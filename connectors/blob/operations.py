"""What a request does: its operation in the REST reference, as verbs on resources, with facts for conditions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from connectors.blob.address import Address
from connectors.blob.copy import Source, copy_source, other_container, rename_source, undelete_source
from connectors.blob.reference import HEADERS, ROWS, SAS_PARAMETERS, SELECTING_HEADERS, Answer, Body, Level, Row
from connectors.http.message import Request
from hoopcli.errors import ProtocolError
from hoopcli.model.decision import Action, Json

UNCLASSIFIED = "blob:unclassified"

#: Headers that make an operation do more than its row says, and the verb that they add on the same resources.
_ADDED = {
    "x-ms-blob-public-access": "blob:set-acl",
    "x-ms-acl": "blob:set-acl",
    "x-ms-permissions": "blob:set-acl",
    "x-ms-owner": "blob:set-acl",
    "x-ms-group": "blob:set-acl",
    "x-ms-immutability-policy-mode": "blob:set-immutability",
    "x-ms-immutability-policy-until-date": "blob:set-immutability",
    "x-ms-legal-hold": "blob:set-immutability",
    "x-ms-lease-action": "blob:lease",
    "x-ms-proposed-lease-id": "blob:lease",
    "x-ms-tags": "blob:set-tags",
}

#: All verbs that a request can have.
VERBS: frozenset[str] = frozenset(
    {UNCLASSIFIED, *_ADDED.values()} | {verb for row in ROWS for verb in (row.verb, *row.more)}
)

_ALWAYS = frozenset({"timeout"})
_PROOFS = frozenset({"x-ms-copy-source-authorization"})
_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "x-ms-if-tags")


@dataclass(frozen=True, slots=True)
class Operation:
    """One classified request. ``row`` is its row of the reference, None for what is not in it.

    ``actions`` are all verbs on all resources, the main one first; ``source`` is where content comes from, if not from
    the request.
    """

    name: str
    actions: tuple[Action, ...]
    facts: Mapping[str, Json] = field(default_factory=dict)
    row: Row | None = None
    source: Source | None = None

    @property
    def verb(self) -> str:
        """The main verb."""
        return self.actions[0].verb

    @property
    def api(self) -> str:
        """The endpoint that takes it: ``blob`` or ``dfs``."""
        return self.row.api if self.row else "blob"

    @property
    def answer(self) -> Answer:
        """What a good answer carries."""
        return self.row.answer if self.row else Answer.PLAIN

    @property
    def body(self) -> Body:
        """What the request carries."""
        return self.row.body if self.row else Body.NONE


def classify(request: Request, address: Address) -> Operation:
    """Find what a request does. What is not in the reference is ``blob:unclassified``, which only its name allows.

    Raises ProtocolError where a source cannot be read, or a header that decides came twice.
    """
    names = [name.lower() for name, _ in request.headers]
    if len(set(names)) < len(names):
        raise ProtocolError("a header came twice")
    unknown = next((name for name in names if not _known_header(name)), None)
    if unknown is not None:
        return _unclassified(request, address, f"hoop does not know the header {unknown}")
    rows = _rows(request, address)
    if len(rows) != 1:
        return _unclassified(request, address, "the request is not in the REST reference, or does more than it says")
    [row] = rows
    source = _source(row, request, address)
    actions = tuple(_actions(row, request, address, source))
    return Operation(row.name, actions, _facts(row.name, row, request, address, source), row, source)


def _known_header(name: str) -> bool:
    """Whether a header is known, or is none of the service's: those do not go upstream."""
    return not name.startswith("x-ms-") or name in HEADERS or name in _PROOFS or name.startswith("x-ms-meta-")


def _unclassified(request: Request, address: Address, reason: str) -> Operation:
    facts = _facts("Unknown", None, request, address, None)
    return Operation("Unknown", (Action(UNCLASSIFIED, (address.resource,)),), {**facts, "reason": reason})


class _Form:
    """The form of the requests that a row is about."""

    def __init__(self, row: Row) -> None:
        self.row = row
        self._wanted = dict(pair.split("=") for pair in row.select.split("&") if pair)
        self._parameters = frozenset({*self._wanted, *row.options.split(), *_ALWAYS, *SAS_PARAMETERS})
        needs, may = (dict(item.partition("=")[::2] for item in text.split()) for text in (row.needs, row.may))
        self._needs = frozenset(needs)
        self._headers = {name: value.lower() for name, value in {**needs, **may}.items()}

    def fits(self, query: Mapping[str, str], headers: Mapping[str, str]) -> bool:
        """Whether a request has what selects the row, and nothing that the row has not."""
        return (
            all(query.get(name) == value for name, value in self._wanted.items())
            and query.keys() <= self._parameters
            and self._needs <= headers.keys() <= self._headers.keys()
            and all(self._headers[name] in {"", value} for name, value in headers.items())
        )


_FORMS: dict[tuple[str, Level], list[_Form]] = {}
for _row in ROWS:
    for _method in _row.methods.split():
        _FORMS.setdefault((_method, _row.level), []).append(_Form(_row))


def _rows(request: Request, address: Address) -> list[Row]:
    """The rows that a request fits; one, if it is clear what it does."""
    query = dict(address.query)
    given = SELECTING_HEADERS & {name.lower() for name, _ in request.headers}
    headers = {name: (request.headers.get(name) or "").lower() for name in given}
    return [form.row for form in _FORMS.get((request.method, _level(address)), ()) if form.fits(query, headers)]


def _level(address: Address) -> Level:
    if address.path:
        return Level.BLOB
    return Level.CONTAINER if address.container else Level.ACCOUNT


def _source(row: Row, request: Request, address: Address) -> Source | None:
    if "x-ms-copy-source" in row.needs:
        return copy_source(request, address.account)
    if "x-ms-rename-source" in row.needs:
        return rename_source(request, address.account)
    return None


def _actions(row: Row, request: Request, address: Address, source: Source | None) -> Iterator[Action]:
    resources = _reach(address, row)
    added = [verb for header, verb in _ADDED.items() if header in request.headers]
    for verb in dict.fromkeys((row.verb, *row.more, *added)):
        yield Action(verb, resources)
    if source is not None:
        read = _reach(source.address, row) if source.address else (source.resource,)
        yield Action("blob:read", read)
        if row.name == "Path - Rename":
            yield Action("blob:delete", read)
    yield from _second(row, request, address)


def _second(row: Row, request: Request, address: Address) -> Iterator[Action]:
    """What operations do to a container or path that a header names."""
    match row.name:
        case "Restore Container":
            restored = other_container(request, address.account, "x-ms-deleted-container-name")
            yield Action("blob:undelete", _reach(restored, row))
        case "Rename Container":
            renamed = other_container(request, address.account, "x-ms-source-container-name")
            yield Action("blob:delete-container", _reach(renamed, row))
        case "Path - Undelete":
            yield Action("blob:undelete", _reach(undelete_source(request, address), row))


def _reach(address: Address, row: Row) -> tuple[str, ...]:
    """The resources that an operation acts on; ``*`` stands for all below a path."""
    return (address.resource, f"{address.resource}/*") if row.tree else (address.resource,)


def _facts(name: str, row: Row | None, request: Request, address: Address, source: Source | None) -> dict[str, Json]:
    """What conditions can ask. Every fact is there for every operation, so that no condition fails for want of one."""
    header, value = request.headers.get, address.value
    return {
        "operation": name,
        "method": request.method,
        "api": row.api if row else "",
        "snapshot": value("snapshot"),
        "version": value("versionid"),
        "permanent": value("deletetype").lower() == "permanent",
        "delete_snapshots": (header("x-ms-delete-snapshots") or "").lower(),
        "prefix": value("prefix") or value("directory"),
        "include": [part for part in value("include").split(",") if part],
        "where": value("where"),
        "recursive": row is not None and (row.tree or value("recursive") == "true"),
        "tier": (header("x-ms-access-tier") or "").lower(),
        "public_access": (header("x-ms-blob-public-access") or "").lower(),
        "lease_action": (header("x-ms-lease-action") or "").lower(),
        "conditional": any(condition in request.headers for condition in _CONDITIONS),
        "size": _size(header("x-ms-blob-content-length") or header("content-length")),
        "source": source.resource if source else "",
        "source_external": source is not None and source.address is None,
        "source_internal": source is not None and source.internal,
        "reason": "",
    }


def _size(text: str | None) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ProtocolError("a length is not a number")
    return int(text)
