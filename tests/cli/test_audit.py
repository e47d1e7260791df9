"""hoop audit on a ledger of one agent's morning."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.colmetadata import Column, write_columns
from connectors.sql.tds.tokens import Done, DoneStatus
from connectors.sql.tds.tokenstream import write_row
from connectors.sql.tds.types import TypeId, TypeInfo
from hoopcli.cli.audit_replay import Pace, play
from hoopcli.cli.evidence import find_session
from hoopcli.errors import UsageError
from hoopcli.ledger import drafts
from hoopcli.ledger.reader import Reader, checkpoint_file
from hoopcli.ledger.record import Draft
from hoopcli.ledger.replay import Event, replay
from hoopcli.ledger.search import Index
from hoopcli.model.decision import Approve
from hoopcli.model.outcome import Outcome, Status
from hoopcli.settings import connectors
from tests.cli.conftest import Hoop
from tests.ledger.stage import DENY, Story, key, ledger, tamper
from tests.support.clock import Clock

COLUMNS = (Column("name", TypeInfo(TypeId.NVARCHAR, 80, collation=LATIN1)),)
NAMES = ("Nadia", "Omar \x1b[2J", "Ada")
RESULT = (
    write_columns(COLUMNS)
    + b"".join(write_row(COLUMNS, (name,)) for name in NAMES)
    + Done(DoneStatus.COUNT, 0xC1, 3).encode()
)
HOSTILE = "DROP TABLE dbo.\x1b]0;owned\x07customers"


def outcome(story: Story, exchange: str, **changes: Any) -> Draft:
    told = Outcome(
        exchange, Status.COMPLETED, 3, len(RESULT), "ab" * 32, {"ssn": 2}, (), RESULT, True, "application/vnd.hoop.tds"
    )
    draft = drafts.exchange_outcome(story.session.id, replace(told, **changes))
    story.tally.add(draft.type, draft.body)
    return draft


def morning(name: str) -> list[Draft]:
    """A result, a denial, a wait that ends well, a result kept in part, one not kept, an error."""
    story = Story(name)
    story.open().ask("e1").drafts.append(outcome(story, "e1"))
    story.ask("e2", DENY, HOSTILE)
    until = Clock().time + timedelta(minutes=15)
    said = drafts.Answer("nadia@example.com", approve=True, comment="fine \x1b[1m", at=Clock().time)
    story.drafts += [
        drafts.approval_asked(name, "e3", "req1", "ddl", Approve(groups=("dba",)), until),
        drafts.approval_answered(name, "e3", "req1", [said]),
        drafts.approval_ended("used", name, "e3", "req1"),
    ]
    story.ask("e3", text="SELECT 3").drafts.append(outcome(story, "e3", kept=RESULT[:60], kept_all=False))
    story.ask("e4", text="SELECT 4").drafts.append(outcome(story, "e4", kept=b"", kept_all=False, masked={}))
    failed = outcome(story, "e5", status=Status.FAILED, errors=("Invalid \x1b object",), kept=b"x", media_type="text/x")
    story.ask("e5", text="SELECT 5").drafts.append(failed)
    story.drafts += [
        drafts.approval_asked(name, "e6", "req2", "ddl", Approve(), until),
        drafts.approval_ended("expired", name, "e6", "req2"),
        drafts.approval_answered(name, "e7", "req3", [replace(said, approve=False, comment="")]),
    ]
    return story.close().drafts


@pytest.fixture(autouse=True)
def recorded(home: Path) -> Path:
    """Two mornings, a second between records."""
    folder = home / "state"
    folder.mkdir(mode=0o700)
    clock = Clock()
    with ledger(folder, clock) as opened:
        for name in ("morning-1", "morning-2"):
            for draft in morning(name):
                opened.append([draft])
                clock.forward(seconds=1)
            opened.sign()
    return folder / "ledger.db"


def reads(path: Path) -> list[str]:
    with Reader.open(path) as reader:
        return [record.body["what"] for record in reader.containing("type", "audit.read")]


def test_sessions(hoop: Hoop, recorded: Path) -> None:
    done = hoop("audit", "sessions", "--json")
    assert [line["session"] for line in done.lines] == ["morning-2", "morning-1"]
    assert done.lines[0]["principal"] == "agent:claire"
    out = hoop("audit", "sessions").out
    assert "morning-1" in out
    assert "(1 denied)" in out
    assert "(6 masked)" in out
    assert hoop("audit", "sessions", "--principal", "nobody", "--json").out == ""
    assert len(hoop("audit", "sessions", "--limit", "1", "--json").lines) == 1
    assert reads(recorded)[0] == "sessions"


def test_show(hoop: Hoop) -> None:
    found = hoop("audit", "show", "morning-1", "--json").json
    assert found["session"] == "morning-1"
    assert [e["exchange"] for e in found["exchanges"]] == ["e1", "e2", "e3", "e4", "e5"]
    assert found["exchanges"][0]["verbs"] == ["sql:select"]
    out = hoop("audit", "show", "last").out
    assert "morning-2" in out
    assert "deny by no-drops" in out
    assert "\x1b" not in out


def test_search(hoop: Hoop, recorded: Path) -> None:
    done = hoop("audit", "search", "--text", "drop table", "--denied", "--json")
    assert [(line["session"], line["effect"]) for line in done.lines] == [("morning-1", "deny"), ("morning-2", "deny")]
    assert hoop("audit", "search", "--verb", "sql:drop", "--json").lines == []
    assert len(hoop("audit", "search", "--rule", "no-drops", "--masked", "--json").lines) == 0
    assert len(hoop("audit", "search", "--since", "2026-03-01", "--until", "2026-03-02", "--json").lines) == 10
    assert hoop("audit", "search", "--until", "2026-02-01", "--json").lines == []
    done = hoop("audit", "search", "--limit", "2")
    assert "--limit 20" in done.err
    assert "agent:claire" in done.out
    assert "\x1b" not in hoop("audit", "search").out
    assert reads(recorded)[0].startswith("search text=drop table denied=True")
    assert hoop("audit", "search", "--since", "yesterday").code == 2
    assert hoop("audit", "search", "--since", "24h", "--json").code == 0


def test_sessions_are_found_by_their_beginning(recorded: Path) -> None:
    with Reader.open(recorded) as reader, Index(reader) as index:
        assert find_session(index, "morning-2") == "morning-2"
        assert find_session(index, "last") == "morning-2"
        with pytest.raises(UsageError, match="2 sessions begin with"):
            find_session(index, "morning")
        with pytest.raises(UsageError, match="no session"):
            find_session(index, "evening")


def test_no_ledger_yet(hoop: Hoop, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOP_STATE_DIR", str(home / "elsewhere"))
    done = hoop("audit", "sessions")
    assert (done.code, "no ledger" in done.err) == (2, True)


def test_replay_shows_everything_and_steers_nothing(hoop: Hoop) -> None:
    done = hoop("audit", "replay", "morning-1", "--instant")
    assert done.code == 0
    for expected in (
        "agent:claire for omar@example.com (agent) on azure-sql",
        "ticket 7",
        "SELECT name FROM dbo.customers",
        "Nadia",
        "Omar ␛[2J",
        "(3 rows)",
        "completed, 3 rows",
        "2 masked by ssn",
        "denied by no-drops: not in production",
        "DROP TABLE dbo.␛]0;owned␇customers",
        "⧗ waits for 1 of dba (rule ddl)",
        "⧗ nadia@example.com approved: fine ␛[1m",
        "⧗ the approval was used",
        "only the beginning of the result was kept",
        "the policy keeps no results here",
        "Invalid ␛ object",
        "the result cannot be shown",
        "⧗ waits for 1 of anyone else",
        "⧗ nobody answered in time",
        "⧗ nadia@example.com denied",
        "session ended (closed): 5 statements, 1 denied",
    ):
        assert expected in done.out, expected
    assert "\x1b" not in done.out
    assert max(map(len, done.out.splitlines())) < 100, "nothing is padded to the width of the console"


def test_replay_as_json_lines(hoop: Hoop) -> None:
    lines = hoop("audit", "replay", "last", "--json").lines
    assert lines[0]["event"] == "opened"
    answered = next(line for line in lines if line["event"] == "answered")
    assert answered["results"] == [{"columns": ["name"], "rows": [[name] for name in NAMES], "note": "3 rows"}]
    assert lines[-1]["event"] == "closed"
    assert "payload" not in answered


def test_replay_of_the_first_rows(hoop: Hoop) -> None:
    out = hoop("audit", "replay", "last", "--instant", "--rows", "1").out
    assert "2 more rows; 3 rows" in out
    assert "Ada" not in out


def test_replay_without_the_connector(hoop: Hoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connectors, "entry_points", lambda **_: [])
    assert "connector that could show this result is not installed" in hoop("audit", "replay", "last", "--instant").out


def test_replay_of_what_has_expired(hoop: Hoop) -> None:
    done = hoop("audit", "expire", "--before", "2026-03-02", "--yes")
    assert done.code == 0, done.err
    assert "Removed " in done.out
    out = hoop("audit", "replay", "morning-1", "--instant").out
    assert "the result has expired" in out
    assert "Nadia" not in out
    assert hoop("audit", "verify").code == 0
    assert hoop("audit", "expire", "--before", "2026-03-02", "--yes", "--json").json["expired"] == 0


def test_expire_asks_first(hoop: Hoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    assert "add --yes" in hoop("audit", "expire", "--before", "1h").err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert hoop("audit", "expire", "--before", "2026-03-02").code == 130
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert hoop("audit", "expire", "--before", "2026-03-02").code == 0
    assert hoop("audit", "expire", "--before", "2999-01-01", "--yes").code == 2


def events(path: Path) -> list[Event]:
    with Reader.open(path) as reader:
        return list(replay(reader, "morning-1"))


def quiet() -> Console:
    return Console(file=io.StringIO(), width=100)


def test_statements_are_coloured_on_a_terminal_and_nothing_else_gets_through(recorded: Path) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=100, force_terminal=True, color_system="standard")
    play(events(recorded), Pace(0), console=console)
    colours = re.findall(r"\x1b(\[[\d;]*m)?", stream.getvalue())
    assert colours
    assert all(colours), "only colours begin with ESC"


def test_the_speed(recorded: Path) -> None:
    pauses: list[float] = []
    play(events(recorded), Pace(2.0, sleep=pauses.append), console=quiet())
    assert pauses[:3] == [0.0, 0.5, 0.5]
    pauses.clear()
    play(events(recorded), Pace(1.0, longest=0.25, sleep=pauses.append), console=quiet())
    assert max(pauses) == 0.25
    pauses.clear()
    play(events(recorded), Pace(0, sleep=pauses.append), console=quiet())
    assert pauses == []


def test_step_by_step(recorded: Path) -> None:
    entered: list[int] = []

    def enter() -> str:
        entered.append(1)
        return "\n"

    play(events(recorded), Pace(step=True, sleep=lambda _: pytest.fail("no pauses"), enter=enter), console=quiet())
    assert len(entered) == 5


def test_step_needs_a_terminal(hoop: Hoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert hoop("audit", "replay", "last", "--step").code == 2
    assert hoop("audit", "replay", "last", "--step", "--json").code == 2


def test_long_and_unknown_statements_are_plain(home: Path) -> None:
    folder = home / "state"
    story = Story("long").open().ask("l1", text="SELECT 1 -- " + "x" * 30_000)
    with ledger(folder) as opened:
        opened.append(story.drafts)
    with Reader.open(folder / "ledger.db") as reader:
        stream = io.StringIO()
        play(replay(reader, "long"), Pace(0), console=Console(file=stream, width=100))
        assert "x" * 90 in stream.getvalue()


def test_verify(hoop: Hoop, recorded: Path) -> None:
    done = hoop("audit", "verify")
    assert done.code == 0, done.out
    assert "✓ integrity: nothing was changed" in done.out
    found = hoop("audit", "verify", "--json").json
    assert (found["intact"], found["sessions"], found["exchanges"]) == (True, 2, 10)
    assert hoop("audit", "verify", str(recorded)).code == 0


def test_verify_names_what_was_changed(hoop: Hoop, recorded: Path) -> None:
    sql = "UPDATE records SET record = CAST(replace(CAST(record AS TEXT), 'claire', 'clairf') AS BLOB) WHERE idx = 0"
    tamper(recorded, lambda db: db.execute(sql))
    done = hoop("audit", "verify")
    assert done.code == 7
    assert "✗ integrity" in done.out
    assert "record 0" in done.out
    found = hoop("audit", "verify", "--json").json
    assert not found["intact"]
    assert found["integrity"][0]["index"] == 0


def test_verify_strictly(hoop: Hoop, recorded: Path) -> None:
    with ledger(recorded.parent) as opened:
        opened.append(Story("lost").open().drafts)
        opened.sign()
    done = hoop("audit", "verify")
    assert (done.code, "✗ completeness" in done.out) == (0, True)
    assert hoop("audit", "verify", "--strict").code == 7


def test_export_and_verify_elsewhere(hoop: Hoop, home: Path, recorded: Path) -> None:
    bundle = home / "evidence.tar.zst"
    done = hoop("audit", "export", str(bundle), "--session", "morning-1", "--json")
    assert done.json["bundle"] == str(bundle)
    vkey = done.json["key"]
    assert vkey == str(key(recorded.parent))
    assert hoop("audit", "verify", str(bundle), "--key", vkey).code == 0
    (home / "key").write_text(vkey)
    assert hoop("audit", "verify", str(bundle), "--key", str(home / "key")).code == 0
    assert hoop("audit", "verify", str(bundle)).code == 0
    assert hoop("audit", "export", str(bundle)).code == 2
    out = hoop("audit", "export", str(home / "all"), "--no-payloads").out
    assert "hoop audit verify" in out
    assert hoop("audit", "verify", str(home / "all")).code == 0
    assert any(what.startswith("export of morning-1") for what in reads(recorded))
    other = home / "other"
    other.mkdir()
    assert hoop("audit", "verify", str(bundle), "--key", str(key(other))).code == 7


def test_a_rolled_back_ledger(hoop: Hoop, home: Path, recorded: Path) -> None:
    (home / "kept").write_text(checkpoint_file(recorded).read_text())
    assert hoop("audit", "verify", "--checkpoint", str(home / "kept")).code == 0
    assert hoop("audit", "verify", "--checkpoint", str(home / "none")).code == 2


def test_a_ledger_that_cannot_be_written_says_so(hoop: Hoop, recorded: Path) -> None:
    for path in recorded.parent.glob("*.key"):
        path.unlink()
    done = hoop("audit", "sessions", "--json")
    assert done.code == 0
    assert len(done.lines) == 2
    assert "could not be recorded" in done.err
