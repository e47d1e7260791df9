"""Dry runs, step by step: each step works for a second at most and is stored, so that any replica takes the next.

A run advances only while somebody looks at it, and costs nothing once they have left.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final

from sqlalchemy import delete, insert, select, update

from hoopcli.errors import HoopError
from hoopcli.model.access import Connection
from hoopcli.server.catalog.store import Catalog, Revision
from hoopcli.server.database import Database
from hoopcli.server.dryrun.changes import Changes
from hoopcli.server.dryrun.engines import engine_of
from hoopcli.server.dryrun.recorded import MayRead, Span, Statements, spans
from hoopcli.server.problems import not_found
from hoopcli.server.tables.dryruns import runs
from hoopcli.settings.files import check_connection

BACK: Final = timedelta(days=7)
STEP_SECONDS: Final = 1.0
CHUNK: Final = 500
MOST_RECORDS: Final = 500_000
KEPT: Final = timedelta(hours=1)
_ROW = runs.c


@dataclass(frozen=True, slots=True)
class Run:
    """A dry run. ``total`` and ``done`` count records; ``cut`` if older ones are left out."""

    id: str
    serial: int
    total: int
    done: int
    turn: int
    policy: str
    spans: tuple[Span, ...]
    changes: Changes

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return not self.spans or self.done >= MOST_RECORDS

    @property
    def cut(self) -> bool:
        """Whether it ended before it had read all."""
        return self.over and bool(self.spans)


class Runs:
    """The dry runs of one person, of what they may read. Its methods block."""

    def __init__(self, database: Database, subject: str, may_read: MayRead) -> None:
        self._database = database
        self._subject = subject
        self._may_read = may_read

    def begin(self, policy: str, now: datetime) -> Run:
        """Begin one, of the statements of the last week. Raises UsageError if the draft is not valid, Problem."""
        engine_of(policy)
        serial = Catalog(self._database).current().serial
        with self._database.read() as db:
            found = spans(db, now - BACK)
        total = min(sum(span.end - span.start for span in found), MOST_RECORDS)
        run = Run(secrets.token_hex(8), serial, total, 0, 0, policy, tuple(found), Changes())
        with self._database.write() as db:
            db.execute(delete(runs).where(_ROW.begun < (now - KEPT).timestamp()))
            told = {"id": run.id, "subject": self._subject, "begun": now.timestamp(), "serial": serial}
            db.execute(insert(runs).values(**told, policy=policy, total=total, **_progress(run)))
        return run

    def get(self, identity: str) -> Run:
        """One of theirs. Raises Problem (404)."""
        query = select(runs).where(_ROW.id == identity, _ROW.subject == self._subject)
        with self._database.read() as db:
            row = db.execute(query).mappings().first()
        if row is None:
            raise not_found("this dry run is no longer kept", "begin another")
        left = tuple(Span(**each) for each in row["spans"])
        changes = Changes.of(row["found"])
        return Run(row["id"], row["serial"], row["total"], row["done"], row["turn"], row["policy"], left, changes)

    def step(self, run: Run, seconds: float = STEP_SECONDS) -> Run:
        """Go on for so long. If another step was taken meanwhile, that one counts. Raises Problem."""
        base = Catalog(self._database).revision(run.serial)
        old, new = engine_of(base.policy), engine_of(run.policy)
        until = monotonic() + seconds
        left, done = list(run.spans), run.done
        with self._database.read() as db:
            statements = Statements(db, _connections(base), self._may_read)
            while left and done < MOST_RECORDS:
                chunk = replace(left[0], start=max(left[0].start, left[0].end - CHUNK))
                for asked in statements.of(chunk):
                    run.changes.add(asked, old, new)
                done += chunk.end - chunk.start
                left[:1] = [replace(left[0], end=chunk.start)] if chunk.start > left[0].start else []
                if monotonic() > until:
                    break
        run.changes.unreadable += statements.unreadable
        run.changes.hidden += statements.hidden
        further = replace(run, spans=tuple(left), done=done, turn=run.turn + 1)
        with self._database.write() as db:
            mine = (_ROW.id == run.id, _ROW.turn == run.turn)
            stored = db.execute(update(runs).where(*mine).values(_progress(further))).rowcount == 1
        return further if stored else self.get(run.id)


def _progress(run: Run) -> dict[str, Any]:
    return {
        "turn": run.turn,
        "done": run.done,
        "spans": [asdict(span) for span in run.spans],
        "found": run.changes.document(),
    }


def _connections(revision: Revision) -> dict[str, Connection]:
    found = {}
    for name, settings in revision.connections.items():
        try:
            found[name] = check_connection(name, settings)
        except HoopError:  # conditions then see no options of it
            continue
    return found
