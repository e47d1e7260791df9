"""Records of invented sessions, as brokers write them, in any order of batches."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert

from hoopcli.ledger.note import Signer
from hoopcli.ledger.record import seal
from hoopcli.server.database import Database
from hoopcli.server.records import indexing, search
from hoopcli.server.records.search import Page, Query
from hoopcli.server.records.sight import Sight, sight_of
from hoopcli.server.services import Services
from hoopcli.server.tables import ledgers as tables
from tests.ledger.stage import Story, whole_story
from tests.support.server import ADA

EVERYTHING = Sight(frozenset(), everything=True)


def told(drafts: Sequence[Any], minute: int = 0) -> list[bytes]:
    """The records of drafts, a second apart."""
    return [seal(draft).encode(f"2026-03-01T09:{minute:02}:{second:02}.000000Z") for second, draft in enumerate(drafts)]


def story(name: str = "s1", subject: str = "agent:claire", minute: int = 0) -> list[bytes]:
    return told(whole_story(name, subject), minute)


def odd(**members: Any) -> bytes:
    """A record that says something else."""
    return json.dumps({"v": 1, "time": "2026-03-01T09:00:00.000000Z", "session": "s1", **members}).encode()


def store(database: Database, ledger: int, records: Sequence[bytes]) -> None:
    """Keep records as a server has them, for what is looked up in them later."""
    rows = [{"ledger": ledger, "idx": n, "nodes": b"", "record": data} for n, data in enumerate(records)]
    key = Signer.generate(f"ledger.example/{ledger}").verifier
    about = {"vkey": str(key), "enrolled_by": "", "enrolled": 0, "witnessed_size": 0, "witnessed_root": b"", "heard": 0}
    with database.write() as connection:
        values = {"id": ledger, "origin": key.name, "size": len(records), **about}
        connection.execute(insert(tables.ledgers).values(values))
        connection.execute(insert(tables.records), rows)


def take(database: Database, ledger: int, records: Sequence[bytes], *cuts: int) -> None:
    """Take records into the index in batches that end at the cuts."""
    ends = [*cuts, len(records)]
    for start, end in zip([0, *cuts], ends, strict=True):
        with database.write() as connection:
            indexing.extend(connection, ledger, start, list(enumerate(records))[start:end])


def find(services: Services, *, sight: Sight | None = None, below: int | None = None, **asked: Any) -> Page:
    """Statements that ADA finds."""
    with search.snapshot(services.database) as connection:
        seen = sight or sight_of(connection, services, ADA)
        return search.statements(connection, Query(**asked), seen, below)


def texts(page: Page) -> list[str]:
    return [row["text"][:30] for row in page.rows]


__all__ = ["EVERYTHING", "Story", "find", "odd", "store", "story", "take", "texts", "told"]
