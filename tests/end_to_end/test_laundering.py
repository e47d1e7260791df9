"""Ways to get at masked values, tried by a real client: nothing of one comes through, and what is denied never runs.

The cases are in ``tests/fixtures/tsql/laundering.txt``. Row 1 has a value whose pieces occur nowhere else.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymssql
import pytest

from tests.support.backend import VARIABLE
from tests.support.clients import change, freetds
from tests.support.stage import Stage, stage

CASES = Path(__file__).parents[1] / "fixtures" / "tsql" / "laundering.txt"
SECRET = "QXJ-ZV-KWPG"  # the invented national id of customer 1
SHOWN = "KWPG"  # what keep_last: 4 leaves of it
VIEW = "SELECT id, name, ssn, email, city FROM dbo.customers WHERE vip = 1"
DENIED = 50403
MASKED = "masked"
POLICY = """
version: 1
on_unresolved: {on_unresolved}
rules:
  - {{id: everything, effect: allow, verbs: ["*", "sql:dynamic", "sql:unclassified"]}}
  - {{id: never-drop, effect: deny, verbs: ["sql:drop"], resources: ["shop.*"]}}
masks:
  - id: national-id
    fields: ["*.dbo.customers.ssn", "*.dbo.employees.national_id"]
    method: {{keep_last: 4}}
    except_principals: {{groups: [dba]}}
  - {{id: salary, fields: ["*.dbo.employees.salary"], method: "null", except_principals: {{groups: [dba]}}}}
"""


@dataclass(frozen=True)
class Case:
    line: int
    batches: tuple[str, ...]
    expected: str

    def __str__(self) -> str:
        return f"{self.line} {self.batches[0][:60]!a}"


def load() -> list[Case]:
    found: list[Case] = []
    line = 1
    for block in re.split(r"(?<=\n)\n", CASES.read_text(encoding="utf-8")):
        lines = [each for each in block.rstrip("\n").split("\n") if not each.startswith("# ")]
        if lines and lines[-1].startswith("-> "):
            batches = tuple(batch.strip() for batch in "\n".join(lines[:-1]).split("\nGO\n"))
            found.append(Case(line, batches, lines[-1][3:]))
        line += block.count("\n") + 1
    return found


ALL = load()


@dataclass
class Tried:
    """What a client saw of the batches of a case, up to the first that was refused, and the rule that refused it."""

    seen: list[str]
    rule: str = ""


@pytest.fixture(scope="module", params=["deny", "mask_all"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, str]]:
    policy = POLICY.format(on_unresolved=request.param)
    with stage(tmp_path_factory.mktemp("laundering"), policy) as running:
        with freetds(running.dba.port, running.dba.user, running.dba.secret, database=running.database) as dba:
            if VARIABLE in os.environ:
                change(dba, f"CREATE OR ALTER VIEW dbo.vip_customers AS {VIEW}")
            change(dba, f"UPDATE dbo.customers SET ssn = '{SECRET}', vip = 1 WHERE id = 1")
        yield running, request.param


def attempt(stage: Stage, case: Case, mark: str) -> Tried:
    """Run the batches of a case in a connection of their own; each is marked, to be known at the server."""
    tried = Tried([])
    with freetds(stage.agent.port, stage.agent.user, stage.agent.secret, database=stage.database) as connection:
        connection._conn.set_msghandler(lambda _state, _severity, _server, _line, _level, text, *_: _note(tried, text))
        for batch in case.batches:
            try:
                _fetch(connection, f"{batch} -- {mark}", tried.seen)
            except pymssql.Error as error:
                number, text = error.args[0] if isinstance(error.args[0], tuple) else error.args
                _note(tried, text)
                if number == DENIED:
                    tried.rule = re.search(r"denied by rule '([^']+)'|rule '([^']+)' denies", tried.seen[-1])[1] or ""  # type: ignore[index]
                    tried.rule = tried.rule or "never-drop"
                    return tried
    return tried


def _note(tried: Tried, text: Any) -> None:
    tried.seen.append(text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text))


def _fetch(connection: Any, text: str, seen: list[str]) -> None:
    cursor = connection.cursor()
    cursor.execute(text)
    while True:
        if cursor.description:
            seen += [str(column[0]) for column in cursor.description]
            rows = cursor.fetchall()
            for column in zip(*rows, strict=True):
                cells = [_text(cell) for cell in column]
                seen += [*cells, "".join(cells), "".join(reversed(cells))]
        if not cursor.nextset():
            return


def _text(cell: Any) -> str:
    return cell.hex() if isinstance(cell, bytes) else str(cell)


def leaks(seen: list[str]) -> list[str]:
    """The pieces of three characters of the secret that were seen, in any guise, but for those that its mask shows."""
    pieces = {SECRET[at : at + 3] for at in range(len(SECRET) - 2)} - {SHOWN[at : at + 3] for at in range(2)}
    hidden = SECRET.removesuffix(SHOWN)
    guises = pieces | {piece[::-1] for piece in pieces}
    guises |= {piece.encode().hex().upper() for piece in pieces} | {p.encode("utf-16-le").hex().upper() for p in pieces}
    guises |= {"".join(str(ord(character)) for character in hidden[:3])}
    guises |= {base64.b64encode(hidden[:6].encode()).decode().upper()}
    return [text for text in seen for guise in guises if guise in text.upper()]


def test_a_leak_would_be_noticed() -> None:
    for seen in ("x QXJ y", SECRET.lower(), SECRET[::-1], SECRET.encode().hex(), "818874"):
        assert leaks([seen])
    assert not leaks(["*******KWPG", "[redacted]"])


@pytest.mark.parametrize("case", ALL, ids=str)
def test_nothing_masked_comes_through(shop: tuple[Stage, str], case: Case) -> None:
    stage, unresolved = shop
    mark = f"case {case.line} {unresolved}"
    tried = attempt(stage, case, mark)
    assert not leaks(tried.seen)
    if unresolved == "deny":
        assert (f"denied by {tried.rule}" if tried.rule else MASKED) == case.expected
        if tried.rule and len(case.batches) == 1:
            assert stage.never_saw(mark)


def test_nothing_was_changed_by_what_was_tried(shop: tuple[Stage, str]) -> None:
    stage, _ = shop
    with freetds(stage.dba.port, stage.dba.user, stage.dba.secret, database=stage.database) as dba:
        cursor = dba.cursor()
        cursor.execute("SELECT ssn FROM dbo.customers WHERE id = 1")
        assert cursor.fetchall() == [(SECRET,)]
        cursor.execute("SELECT COUNT(*) FROM dbo.orders WHERE notes LIKE '%Q%J%'")
        assert cursor.fetchall() == [(0,)]


def test_there_are_enough_cases() -> None:
    assert len(ALL) >= 150
