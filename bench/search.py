"""Searches of a server's index over five million records, on SQLite and on PostgreSQL.

Run ``python -m bench.search``. Sessions of invented people over ninety days go through the code that takes records in;
then each kind of search is asked many times with other values, as somebody who may read all and as others who may not.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import text

from hoopcli.ledger.record import format_time
from hoopcli.model.access import Principal
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.server import migrations
from hoopcli.server.database import Database, sqlite_url
from hoopcli.server.records import indexing, search
from hoopcli.server.records.search import Query
from hoopcli.server.records.sight import Sight, sight_of
from hoopcli.server.services import Services
from tests.support.postgres import postgres

RECORDS = 5_000_000
STATEMENTS = 24
SESSION = 2 * STATEMENTS + 2
LEDGERS, PEOPLE, CONNECTIONS, TABLES, NAMES = 20, 200, 20, 300, 40_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=90)
POLICY = """
version: 1
rules:
  - {id: all, effect: allow, principals: {groups: [all]}, verbs: ["audit:read"], resources: ["*"]}
  - {id: one, effect: allow, principals: {groups: [one]}, verbs: ["audit:read"], resources: ["*/connection-7/*"]}
  - {id: most, effect: allow, principals: {groups: [most]}, verbs: ["audit:read"], resources: ["*"]}
  - {id: not-7, effect: deny, principals: {groups: [most]}, verbs: ["audit:read"], resources: ["*/connection-7/*"]}
"""
VERBS = ["sql:select"] * 80 + ["sql:update"] * 12 + ["sql:insert"] * 6 + ["sql:drop", "sql:alter"]
Ask = Callable[[Any, random.Random, Sight], object]


def records(number: int, start: int, opened: datetime, draw: random.Random) -> Iterator[tuple[int, bytes]]:
    """The records of one session, as a broker writes them."""
    name, person, where = f"s{number:07x}", draw.randrange(PEOPLE), draw.randrange(CONNECTIONS)
    moment = opened

    def one(index: int, kind: str, **members: Any) -> tuple[int, bytes]:
        nonlocal moment
        moment += timedelta(microseconds=draw.randrange(1, 4_000_000))
        body = {"v": 1, "type": kind, "session": name, "time": format_time(moment), **members}
        return index, json.dumps(body, separators=(",", ":")).encode()

    who = {
        "subject": f"person-{person}@example.com",
        "kind": "human",
        "name": f"Person {person}",
        "email": "",
        "groups": [],
    }
    target = {"name": f"connection-{where}", "kind": "sql", "target": "db.example.com"}
    expires = format_time(opened + timedelta(hours=1))
    yield one(start, "session.open", principal=who, connection=target, reason="ticket", expires=expires)
    for n in range(STATEMENTS):
        verb, table = draw.choice(VERBS), f"table_{draw.randrange(TABLES)}"
        said = f"{verb[4:].upper()} name, email FROM dbo.{table}, customer AS word{draw.randrange(NAMES)}"
        effect = "deny" if verb == "sql:drop" else "allow"
        yield one(
            start + 2 * n + 1,
            "exchange.request",
            exchange=f"x{n}",
            text=said,
            media_type="application/sql",
            request={"size": 100, "digest": "ab" * 32},
            actions=[{"verb": verb, "resources": [f"shop.dbo.{table}"]}],
            facts={"filtered": True},
            decision={"effect": effect, "rule": f"rule-{draw.randrange(12)}", "reason": "", "obligations": []},
        )
        masked = {"ssn": 3} if draw.random() < 0.2 else {}
        kept = {"size": 0, "media_type": "", "all": True}
        facts = {"exchange": f"x{n}", "status": "completed", "rows": 3, "masked": masked, "errors": []}
        yield one(start + 2 * n + 2, "exchange.outcome", **facts, delivered={"size": 100}, kept=kept)
    yield one(start + SESSION - 1, "session.close", why="closed")


def fill(database: Database, count: int) -> float:
    """Take in so many records; how many a second."""
    draw = random.Random(7)  # noqa: S311 - the same every time
    sessions, at = count // SESSION, [0] * LEDGERS
    started = time.perf_counter()
    for first in range(0, sessions, 40):
        ledger = draw.randrange(LEDGERS)
        batch: list[tuple[int, bytes]] = []
        for number in range(first, min(first + 40, sessions)):
            opened = BEGIN + SPAN * (number / sessions) + timedelta(seconds=draw.randrange(600))
            batch += records(number, at[ledger] + len(batch), opened, draw)
        with database.write() as connection:
            indexing.extend(connection, ledger, at[ledger], batch)
        at[ledger] += len(batch)
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not database.is_sqlite:
            connection.execute(text("VACUUM ANALYZE"))
    return count / (time.perf_counter() - started)


def _statements(make: Callable[[random.Random], Query], **more: Any) -> Ask:
    return lambda connection, draw, sight: search.statements(connection, make(draw), sight, **more)


def _sessions(make: Callable[[random.Random], Query]) -> Ask:
    return lambda connection, draw, sight: search.sessions(connection, make(draw), sight, format_time(BEGIN + SPAN))


def _person(draw: random.Random) -> str:
    return f"person-{draw.randrange(PEOPLE)}@example.com"


def _connection(draw: random.Random) -> str:
    return f"connection-{draw.randrange(CONNECTIONS)}"


def _month(draw: random.Random) -> dict[str, Any]:
    after = BEGIN + timedelta(days=draw.randrange(60))
    return {"after": after, "before": after + timedelta(days=30)}


KINDS: dict[str, Ask] = {
    "the newest statements": _statements(lambda _: Query()),
    "by person": _statements(lambda d: Query(person=_person(d))),
    "by connection": _statements(lambda d: Query(connection=_connection(d))),
    "by verb": _statements(lambda d: Query(verb=d.choice(VERBS))),
    "by table": _statements(lambda d: Query(resource=f"dbo.table_{d.randrange(TABLES)}")),
    "by decision": _statements(lambda d: Query(effect=d.choice(["allow", "deny"]))),
    "by rule": _statements(lambda d: Query(rule=f"rule-{d.randrange(12)}")),
    "masked": _statements(lambda _: Query(masked=True)),
    "by a word of every statement": _statements(lambda _: Query(text="customer")),
    "by a word of a few": _statements(lambda d: Query(text=f"word{d.randrange(NAMES)}")),
    "by a word that is nowhere": _statements(lambda d: Query(text=f"nowhere{d.randrange(99)}")),
    "by the beginning of a word": _statements(lambda d: Query(text=f"word{d.randrange(10, 99)}*")),
    "by words": _statements(lambda d: Query(text=f"select table_{d.randrange(TABLES)} word{d.randrange(NAMES)}")),
    "by time and a common word": _statements(lambda d: Query(text="update", **_month(d))),
    "by person, table and verb": _statements(
        lambda d: Query(person=_person(d), resource=f"table_{d.randrange(TABLES)}", verb="sql:update")
    ),
    "by two that never meet": _statements(lambda d: Query(verb="sql:drop", effect="allow")),
    "by two common ones that never meet": _statements(lambda d: Query(verb="sql:update", text="select")),
    "a page from the middle": lambda c, d, s: search.statements(
        c, Query(text="select"), s, int((BEGIN + SPAN * d.random()).timestamp() * 1e6) << 11
    ),
    "facets of a word": lambda c, d, s: search.statement_facets(c, Query(text="update"), s),
    "facets of a person": lambda c, d, s: search.statement_facets(c, Query(person=_person(d)), s),
    "the newest sessions": _sessions(lambda _: Query()),
    "sessions by person": _sessions(lambda d: Query(person=_person(d))),
    "sessions by connection and time": _sessions(lambda d: Query(connection=_connection(d), **_month(d))),
    "live sessions": _sessions(lambda _: Query(live=True)),
    "facets of sessions": lambda c, d, s: search.session_facets(c, Query(), s, format_time(BEGIN)),
}


def ask(database: Database, services: Services, group: str, one: Ask, times: int) -> list[float]:
    """How long a kind of search takes for a member of a group, in milliseconds, with all that a request looks up."""
    person, took = Principal("ada@example.com", groups=frozenset({group})), []
    draw = random.Random(11)  # noqa: S311 - the same every time
    for _ in range(times):
        start = time.perf_counter()
        with search.snapshot(database) as connection:
            one(connection, draw, sight_of(connection, services, person))
        took.append((time.perf_counter() - start) * 1_000)
    return took


@contextmanager
def opened(url: str) -> Iterator[Database]:
    """A database, migrated."""
    database = Database.open(url)
    migrations.upgrade(database)
    try:
        yield database
    finally:
        database.close()


def report(database: Database, times: int) -> None:
    """Print the table."""
    made = SimpleNamespace(policy=Engine(load(POLICY)), now=lambda: datetime.now(UTC))
    services = cast(Services, made)
    _say(f"{'p50 / p95 / max in ms':38}{'reads all':>26}{'one connection':>26}{'all but one':>26}")
    for name, one in KINDS.items():
        cells = []
        for group in ("all", "one", "most"):
            took = sorted(ask(database, services, group, one, times))
            p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
            cells.append(f"{statistics.median(took):8.0f} /{p95:6.0f} /{took[-1]:6.0f}")
        _say(f"{name:38}" + "".join(f"{cell:>26}" for cell in cells))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Fill and ask both databases."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--records", type=int, default=RECORDS)
    arguments.add_argument("--times", type=int, default=40)
    arguments.add_argument("--on", choices=["sqlite", "postgresql"], nargs="*", default=["sqlite", "postgresql"])
    arguments.add_argument("--keep", type=Path, help="a folder where SQLite's file stays, and is found again")
    chosen = arguments.parse_args()
    for kind in chosen.on:
        with ExitStack() as stack:
            folder = chosen.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(dir=".")))
            path = folder / "search.db"
            there = kind == "sqlite" and path.exists()
            url = sqlite_url(path) if kind == "sqlite" else stack.enter_context(postgres())
            database = stack.enter_context(opened(url))
            if not there:
                _say(f"{kind}: {chosen.records:,} records, {fill(database, chosen.records):,.0f} a second taken in")
            report(database, chosen.times)


if __name__ == "__main__":
    main()
