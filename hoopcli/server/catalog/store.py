"""Revisions of the policy and of the connections, each added once by someone who may, and never changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.exc import IntegrityError

from hoopcli.policy.bundle import Bundle, parse
from hoopcli.server.database import Database
from hoopcli.server.problems import Problem, not_found
from hoopcli.server.tables.catalog import revisions

FAR = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision. ``serial`` counts from 1, ``at`` is aware."""

    serial: int
    policy: str
    connections: Mapping[str, Mapping[str, Any]]
    author: str
    comment: str
    at: datetime


class Catalog:
    """The revisions in a database. Its methods block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def current(self) -> Revision:
        """The revision that holds. Raises Problem if there is none yet."""
        with self._database.read() as db:
            row = db.execute(select(revisions).order_by(revisions.c.serial.desc()).limit(1)).first()
        if row is None:
            raise not_found("this server has no policy yet", "run: hoop policy push FILE")
        return _revision(row)

    def revision(self, serial: int) -> Revision:
        """One revision. Raises Problem if there is none of this number."""
        with self._database.read() as db:
            row = db.execute(select(revisions).where(revisions.c.serial == serial)).first()
        if row is None:
            raise not_found(f"the policy has no revision {serial}", "run: hoop policy log")
        return _revision(row)

    def history(self, before: int | None, limit: int) -> list[Revision]:
        """Revisions from the newest, or from the one before a number."""
        query = select(revisions).order_by(revisions.c.serial.desc()).limit(limit)
        if before is not None:
            query = query.where(revisions.c.serial < before)
        with self._database.read() as db:
            return [_revision(row) for row in db.execute(query)]

    def add(self, after: int, draft: Revision) -> None:
        """Add what follows ``after``. Raises UsageError if it is malformed, Problem if another came first."""
        check(draft)
        changed = Problem(
            409, "changed", f"the policy has changed since revision {after}", "run: hoop policy pull, then push again"
        )
        try:
            with self._database.write() as db:
                newest = db.execute(select(revisions.c.serial).order_by(revisions.c.serial.desc()).limit(1)).scalar()
                if (newest or 0) != after:
                    raise changed
                db.execute(insert(revisions).values(_values(draft)))
        except IntegrityError:  # a replica was first
            raise changed from None


def check(draft: Revision) -> None:
    """See that a broker will take a revision. Raises UsageError."""
    parse(Bundle(draft.serial, draft.policy, draft.connections, issued=draft.at, expires=FAR).text())


def _values(revision: Revision) -> dict[str, Any]:
    return {
        "serial": revision.serial,
        "policy": revision.policy,
        "connections": revision.connections,
        "author": revision.author,
        "comment": revision.comment,
        "at": revision.at.timestamp(),
    }


def _revision(row: Row[Any]) -> Revision:
    at = datetime.fromtimestamp(row.at, UTC)
    return Revision(row.serial, row.policy, row.connections, row.author, row.comment, at)
