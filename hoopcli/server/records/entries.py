"""What the index says of a session and of a statement, taken from records. Pure.

Records come from brokers' machines, signed and not checked further. Whatever is missing or strange in one raises
KeyError, TypeError, ValueError or AttributeError; what is too long is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hoopcli.ledger.record import Record
from hoopcli.server.records.words import request_terms, term, words

SHOWN: Final = 2_048
"""Characters of a statement that the index keeps."""
MOST: Final = 1 << 53
_LISTED: Final = 4_000


@dataclass(slots=True)
class Session:
    """A session as it is in the index, and as it grows. ``key`` and ``scope`` are 0 until they are known."""

    session: str
    connection: str
    connector: str
    principal: str
    kind: str
    on_behalf_of: str
    reason: str
    opened: str
    expires: str
    heard: str
    closed: str = ""
    why: str = ""
    statements: int = 0
    denied: int = 0
    waits: int = 0
    rows: int = 0
    masked: int = 0
    key: int = 0
    scope: int = 0

    @property
    def terms(self) -> list[str]:
        """What each of its statements is found by."""
        found = [term("p", self.principal), term("c", self.connection), term("k", self.connector)]
        return [*found, term("g", str(self.scope)), *([term("o", self.on_behalf_of)] if self.on_behalf_of else [])]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a statement ended; ``tokens`` are what it is found by from then on."""

    exchange: str
    status: str
    rows: int
    masked: int
    tokens: list[str]


@dataclass(slots=True)
class Entry:
    """A statement as it is in the index. ``tokens`` are what it is found by, without those of its session."""

    session: Session
    index: int
    exchange: str
    time: str
    text: str
    verbs: str
    resources: str
    effect: str
    rule: str
    waited: bool
    status: str = ""
    rows: int = 0
    masked: int = 0
    tokens: list[str] = field(default_factory=list)

    def end(self, outcome: Outcome) -> None:
        """Take up how it ended."""
        self.status, self.rows, self.masked = outcome.status, outcome.rows, outcome.masked
        self.tokens += [token for token in outcome.tokens if token not in self.tokens]

    def all_tokens(self) -> list[str]:
        """Everything that it is found by."""
        return [*self.session.terms, *self.tokens]


def session_of(record: Record) -> Session:
    """A session, by the record that opens it."""
    who, what = record.body["principal"], record.body["connection"]
    return Session(
        session=plain(record.session, 200),
        connection=plain(what["name"], 200),
        connector=plain(what["kind"], 50),
        principal=plain(who["subject"], 500),
        kind=plain(who["kind"], 20),
        on_behalf_of=plain(who.get("on_behalf_of") or "", 500),
        reason=plain(record.body["reason"], _LISTED),
        opened=record.body["time"],
        expires=plain(record.body["expires"], 27),
        heard=record.body["time"],
    )


def entry_of(session: Session, record: Record, *, waited: bool) -> Entry:
    """A statement, by the record of its request."""
    body, decision = record.body, record.body["decision"]
    actions = body["actions"]
    waited = waited or any(part["kind"] == "approve" for part in decision["obligations"])
    tokens = [*request_terms(body), *words(body["text"])]
    return Entry(
        session=session,
        index=record.index,
        exchange=plain(body["exchange"], 200),
        time=body["time"],
        text=plain(body["text"], SHOWN),
        verbs=plain(" ".join(dict.fromkeys(action["verb"] for action in actions)), _LISTED),
        resources=plain("\n".join(dict.fromkeys(_resources(actions))), _LISTED),
        effect=plain(decision["effect"], 20),
        rule=plain(decision["rule"], 200),
        waited=waited,
        tokens=[*tokens, term("w", "1")] if waited else tokens,
    )


def outcome_of(body: Mapping[str, Any]) -> Outcome:
    """How a statement ended, by an ``exchange.outcome``."""
    masked = sum([count(value) for value in body["masked"].values()])
    facts = body.get("facts")
    typed = words(" ".join(map(str, facts.get("commands", ())))) if facts else []
    status = plain(body["status"], 40) or "unknown"
    tokens = [term("m", "1"), *typed] if masked else typed
    return Outcome(plain(body["exchange"], 200), status, count(body["rows"]), min(masked, MOST), tokens)


def count(value: object) -> int:
    """A number of a record."""
    return min(max(value, 0), MOST) if isinstance(value, int) else 0


def plain(value: str, longest: int) -> str:
    """Text that every database stores, not longer than that. Raises AttributeError if it is no text."""
    cut = value[:longest]
    if cut.isascii() and "\0" not in cut:
        return cut
    return cut.replace("\0", "\u2400").encode("utf-8", "replace").decode()


def _resources(actions: Any) -> Iterator[str]:
    for action in actions:
        yield from action["resources"]
