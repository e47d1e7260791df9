"""Ways to get at masked values, tried by a real client: nothing of one comes through, and what is denied never runs.

The cases are in ``tests/fixtures/tsql/laundering.txt``, ``bypasses.txt``, ``routines.txt`` and, where the server has
functions, ``functions.txt``. Row 1 has a value whose pieces occur nowhere else. Every case is tried where
unresolved lineage is denied; those denied for that also where all is masked.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from tests.support.backend import VARIABLE
from tests.support.clients import change, fetch, odbc
from tests.support.stage import Stage, stage

FIXTURES = Path(__file__).parents[1] / "fixtures" / "tsql"
SECRET = "QXJ-ZV-KWPG"  # the invented national id of customer 1
SHOWN = "KWPG"  # what keep_last: 4 leaves of it
DOCUMENT = f'{{"id":"{SECRET}"}}'  # the email of customer 1, masked whole
VIEW = "SELECT id, name, ssn, email, city FROM dbo.customers WHERE vip = 1"
DENIED = "(50403)"
MASKED = "masked"
UNRESOLVED = "denied by unresolved-lineage"
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
  - {{id: email, fields: ["*.dbo.customers.email"], method: redact, except_principals: {{groups: [dba]}}}}
  - {{id: salary, fields: ["*.dbo.employees.salary"], method: "null", except_principals: {{groups: [dba]}}}}
"""


@dataclass(frozen=True)
class Case:
    """``batches`` are in groups, each of a connection of its own."""

    file: str
    line: int
    batches: tuple[tuple[str, ...], ...]
    expected: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.batches[0][0][:60]!a}"


def load(file: str) -> list[Case]:
    found: list[Case] = []
    line = 1
    for block in re.split(r"(?<=\n)\n", (FIXTURES / file).read_text(encoding="utf-8")):
        lines = [each for each in block.rstrip("\n").split("\n") if not each.startswith("# ")]
        if lines and lines[-1].startswith("-> "):
            text = "\n".join(lines[:-1])
            text = text[1:].encode().decode("unicode_escape") if text.startswith("%") else text
            groups = (tuple(group.split("\nGO\n")) for group in text.split("\nRECONNECT\n"))
            found.append(Case(file, line, tuple(groups), lines[-1][3:]))
        line += block.count("\n") + 1
    return found


ROUTINES = ("routines.sql", "functions.sql") if VARIABLE in os.environ else ("routines.sql",)
FILES = ("laundering.txt", "bypasses.txt", *(name.replace(".sql", ".txt") for name in ROUTINES))
ALL = [case for file in FILES for case in load(file)]
UNRESOLVABLE = [case for case in ALL if case.expected == UNRESOLVED]


@dataclass
class Tried:
    """What a client saw of the batches of a case, up to the first that was refused, and the rule that refused it."""

    seen: list[str] = field(default_factory=list)
    rule: str = ""
    refused: str = ""


@pytest.fixture(scope="module")
def denying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with _shop(tmp_path_factory.mktemp("denying"), "deny") as client:
        yield client
        _unchanged(client.stage)


@pytest.fixture(scope="module")
def masking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with _shop(tmp_path_factory.mktemp("masking"), "mask_all") as client:
        yield client
        _unchanged(client.stage)


@contextmanager
def _shop(folder: Path, on_unresolved: str) -> Iterator[Client]:
    if VARIABLE in os.environ:
        _forget(*os.environ[VARIABLE].split(":"))
    with stage(folder, POLICY.format(on_unresolved=on_unresolved)) as running:
        with _connected(running, running.dba) as dba:
            if VARIABLE in os.environ:
                change(dba, f"CREATE VIEW dbo.vip_customers AS {VIEW}")
            for definition in _definitions():
                change(dba, definition)
            change(dba, f"UPDATE dbo.customers SET ssn = '{SECRET}', email = '{DOCUMENT}', vip = 1 WHERE id = 1")
        client = Client(running)
        with closing(client):
            yield client


def _definitions() -> list[str]:
    return [text for file in ROUTINES for text in (FIXTURES / file).read_text(encoding="utf-8").split("\nGO\n")]


def _forget(_host: str, port: str, user: str, password: str, database: str) -> None:
    """Drop what an earlier run left on a real server; the policy of the tests lets nobody drop."""
    names = [text.split()[1:3] for text in _definitions()]
    with odbc(int(port), user, password, database=database) as connection:
        for kind, name in [["VIEW", "dbo.vip_customers"], *reversed(names)]:
            change(connection, f"DROP {kind} IF EXISTS {name}")


def _unchanged(stage: Stage) -> None:
    """What was tried has changed and copied nothing."""
    with _connected(stage, stage.dba) as dba:
        assert fetch(dba, "SELECT ssn, email FROM dbo.customers WHERE id = 1") == [(SECRET, DOCUMENT)]
        assert fetch(dba, "SELECT COUNT(*) FROM dbo.orders WHERE notes LIKE '%Q%J%'") == [(0,)]


def _connected(stage: Stage, listen: Any) -> Any:
    return odbc(listen.port, listen.user, listen.secret, database=stage.database)


class Client:
    """Connects as the agent; a connection that nothing has changed is used again, as each reads the catalog anew."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._open = ExitStack()
        self._connection: Any = None

    def attempt(self, case: Case, mark: str) -> Tried:
        """Run the batches of a case; each is marked with its place, to be known at the server."""
        tried = Tried()
        place = 0
        for group in case.batches:
            if place:
                self.close()
            for batch in group:
                place += 1
                if not _ran(self._connected(), f"{batch} -- {mark}.{place}.", tried):
                    tried.refused = f"{mark}.{place}."
                    self._done(case, place, tried)
                    return tried
        self._done(case, place, tried)
        return tried

    def _done(self, case: Case, place: int, tried: Tried) -> None:
        if place > 1 or not (tried.rule or _changes_nothing(case.batches[0][0])):
            self.close()

    def close(self) -> None:
        self._open.close()
        self._connection = None

    def _connected(self) -> Any:
        if self._connection is None:
            self._connection = self._open.enter_context(_connected(self.stage, self.stage.agent))
        return self._connection


def _changes_nothing(batch: str) -> bool:
    return batch.startswith("SELECT ") and " INTO " not in batch


def _ran(connection: Any, text: str, tried: Tried) -> bool:
    """Whether no rule denied the batch; an error of the server is none."""
    try:
        _fetch(connection, text, tried.seen)
    except pyodbc.Error as error:
        tried.seen += [str(argument) for argument in error.args]
        if DENIED in tried.seen[-1]:
            found = re.search(r"denied by rule '([^']+)'|rule '([^']+)' denies", tried.seen[-1])
            tried.rule = (found and (found[1] or found[2])) or "never-drop"
    return not tried.rule


def _fetch(connection: Any, text: str, seen: list[str]) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(text)
        while True:
            seen += [message for _, message in cursor.messages or ()]
            if cursor.description:
                seen += [str(column[0]) for column in cursor.description]
                for column in zip(*cursor.fetchall(), strict=True):
                    cells = [_text(cell) for cell in column]
                    seen += [*cells, "".join(cells), "".join(reversed(cells))]
            if not cursor.nextset():
                return
    finally:
        with suppress(pyodbc.Error):
            cursor.close()


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
def test_nothing_masked_comes_through(denying: Client, case: Case) -> None:
    tried = denying.attempt(case, f"case {case.file} {case.line}")
    assert not leaks(tried.seen)
    assert (f"denied by {tried.rule}" if tried.rule else MASKED) == case.expected
    assert not tried.rule or denying.stage.never_saw(tried.refused)


@pytest.mark.parametrize("case", UNRESOLVABLE, ids=str)
def test_nothing_comes_through_where_all_is_masked(masking: Client, case: Case) -> None:
    tried = masking.attempt(case, f"case {case.file} {case.line}")
    assert not leaks(tried.seen)
    assert not tried.rule or masking.stage.never_saw(tried.refused)


def test_there_are_enough_cases() -> None:
    assert len(ALL) >= 600
