"""Ledgers as people look at them: some at a time, those with something wrong first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, exists, func, select

from hoopcli.errors import LedgerError
from hoopcli.ledger.note import COSIGNATURE_V1, Checkpoint, Note, Verifier
from hoopcli.ledger.statements import HEAD
from hoopcli.server.problems import not_found
from hoopcli.server.sync.store import Held, held_of
from hoopcli.server.tables import ledgers as tables

PAGE = 50
_TIME = 8
_ED25519_SIGNATURE = 64
_ALERT = tables.alerts.c
_LEDGER = tables.ledgers.c
_SESSION = tables.sessions.c


@dataclass(frozen=True, slots=True)
class Seen:
    """A ledger, how many alerts of it are open, and how many of its sessions."""

    held: Held
    alerts: int
    sessions: int


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature under a checkpoint. ``time`` is that of a cosignature (Unix seconds), None for any other kind.

    ``verified`` is None where the server does not know the key.
    """

    name: str
    key_id: str
    time: int | None
    verified: bool | None


@dataclass(frozen=True, slots=True)
class Head:
    """A checkpoint as it can be read: how many records, the root (hex), and who signed it."""

    size: int
    root: str
    signatures: tuple[Signed, ...]
    note: str


def page(connection: Connection, now: str, *, skip: int = 0, limit: int = PAGE) -> tuple[list[Seen], int]:
    """Some ledgers, those with open alerts first and then who was heard last, and how many there are.

    ``now`` is the time as records have it.
    """
    wrong = _open_alerts()
    query = select(tables.ledgers).order_by((wrong > 0).desc(), _LEDGER.heard.desc(), _LEDGER.id)
    found = [held_of(row) for row in connection.execute(query.limit(limit).offset(skip)).mappings()]
    total = connection.execute(select(func.count()).select_from(tables.ledgers)).scalar_one()
    return _seen(connection, found, now), int(total)


def one(connection: Connection, identity: int, now: str) -> Seen:
    """A ledger by its number. Raises Problem (404)."""
    row = connection.execute(select(tables.ledgers).where(_LEDGER.id == identity)).mappings().first()
    if row is None:
        raise not_found(f"there is no ledger {identity}")
    return _seen(connection, [held_of(row)], now)[0]


def lately(connection: Connection, after: float, now: str, *, limit: int = PAGE) -> list[Seen]:
    """The ledgers heard after a time (Unix seconds), the latest first."""
    query = select(tables.ledgers).where(_LEDGER.heard >= after).order_by(_LEDGER.heard.desc(), _LEDGER.id).limit(limit)
    return _seen(connection, [held_of(row) for row in connection.execute(query).mappings()], now)


def quiet(connection: Connection, before: float, now: str) -> int:
    """How many ledgers with an open session were last heard before a time (Unix seconds)."""
    opened = exists().where(_SESSION.ledger == _LEDGER.id, _is_open(now))
    query = select(func.count()).select_from(tables.ledgers).where(_LEDGER.heard < before, opened)
    return int(connection.execute(query).scalar_one())


def sessions_by_connection(connection: Connection, now: str) -> dict[str, int]:
    """How many sessions are open on each connection."""
    query = select(_SESSION.connection, func.count()).where(_is_open(now)).group_by(_SESSION.connection)
    return {row[0]: row[1] for row in connection.execute(query)}


def head_of(note: str | None, *keys: Verifier) -> Head | None:
    """A checkpoint note, or the statement of a head, checked by the keys that are known; None if it cannot be read."""
    try:
        parsed = Note.parse(note or "")
        checkpoint = Checkpoint.parse(parsed.text.removeprefix(f"{HEAD}\n"))
    except LedgerError:
        return None
    known = {(key.name, key.key_id): key for key in keys}
    signatures = []
    for each in parsed.signatures:
        key = known.get((each.name, each.key_id))
        cosigned = key.algorithm == COSIGNATURE_V1 if key else len(each.signature) == _TIME + _ED25519_SIGNATURE
        time = int.from_bytes(each.signature[:_TIME]) if cosigned else None
        signatures.append(Signed(each.name, each.key_id.hex(), time, _verified(parsed, key)))
    return Head(checkpoint.size, checkpoint.root.hex(), tuple(signatures), note or "")


def _verified(note: Note, key: Verifier | None) -> bool | None:
    if key is None:
        return None
    try:
        key.open(note)
    except LedgerError:
        return False
    return True


def _seen(connection: Connection, ledgers: Collection[Held], now: str) -> list[Seen]:
    mine = [held.id for held in ledgers]
    alerts = _counts(connection, _ALERT.ledger, _ALERT.ledger.in_(mine), _ALERT.resolved.is_(None))
    sessions = _counts(connection, _SESSION.ledger, _SESSION.ledger.in_(mine), _is_open(now))
    return [Seen(held, alerts.get(held.id, 0), sessions.get(held.id, 0)) for held in ledgers]


def _counts(connection: Connection, column: ColumnElement[int], *conditions: ColumnElement[bool]) -> dict[int, int]:
    query = select(column, func.count()).where(*conditions).group_by(column)
    return {row[0]: row[1] for row in connection.execute(query)}


def _open_alerts() -> ColumnElement[int]:
    query = select(func.count()).select_from(tables.alerts)
    return query.where(_ALERT.ledger == _LEDGER.id, _ALERT.resolved.is_(None)).scalar_subquery()


def _is_open(now: str) -> ColumnElement[bool]:
    return _SESSION.last.is_(None) & (_SESSION.expires > now)
