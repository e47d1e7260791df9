"""A session as it is played back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hoopcli.errors import LedgerError, UsageError
from hoopcli.ledger import drafts
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.record import Draft
from hoopcli.ledger.replay import Answered, Closed, Content, Event, Opened, Requested, Waited, replay
from hoopcli.model.decision import Approve
from tests.ledger.stage import Story, filled, ledger, tamper
from tests.support.clock import Clock


def events(path: Path, session: str) -> list[Event]:
    with Reader.open(path) as reader:
        return list(replay(reader, session))


def test_a_session_plays_from_opening_to_close(tmp_path: Path) -> None:
    played = events(filled(tmp_path), "s2")
    opened, asked, answered, denied, long, cut, closed = played
    assert isinstance(opened, Opened)
    assert (opened.offset, opened.session, opened.principal["subject"]) == (0.0, "s2", "agent:claire")
    assert isinstance(asked, Requested)
    assert (asked.offset, asked.text, asked.effect) == (1.0, "SELECT name FROM dbo.customers", "allow")
    assert isinstance(answered, Answered)
    assert (answered.content, answered.payload, answered.rows) == (Content.WHOLE, b"Nadia\nOmar\n", 2)
    assert (answered.masked, answered.errors, answered.size) == ({"ssn": 2}, ("error 50000",), 4096)
    assert isinstance(denied, Requested)
    assert (denied.effect, denied.rule, denied.reason) == ("deny", "no-drops", "not in production")
    assert isinstance(long, Requested)
    assert (len(long.text), long.whole) == (20_012, True)
    assert isinstance(cut, Answered)
    assert (cut.content, cut.payload) == (Content.NONE, b"")
    assert isinstance(closed, Closed)
    assert (closed.why, closed.counts["statements"]) == ("closed", 3)


def test_what_has_expired_says_so(tmp_path: Path) -> None:
    path = filled(tmp_path)
    clock = Clock(Clock().time + timedelta(hours=1))
    with ledger(tmp_path, clock) as opened:
        opened.expire(clock.time)
    played = events(path, "s1")
    assert [e.content for e in played if isinstance(e, Answered)] == [Content.EXPIRED, Content.NONE]
    long = played[4]
    assert isinstance(long, Requested)
    assert (long.whole, len(long.text)) == (False, drafts.PREVIEW)


def test_waits_and_what_was_kept_in_part(tmp_path: Path) -> None:
    story = Story().open()
    now = Clock().time
    story.drafts += [
        drafts.approval_asked("s1", "e1", "a1", "ddl", Approve(("dba",)), now),
        drafts.approval_answered("s1", "e1", "a1", [drafts.Answer("nadia@example.com", True, "", now)]),
        drafts.approval_ended("used", "s1", "e1", "a1"),
    ]
    story.ask("e1").answer("e1", b"Nad", whole=False).answer("e2", b"")
    with ledger(tmp_path) as opened:
        opened.append(story.drafts)
    played = events(tmp_path / "ledger.db", "s1")
    assert [e.what for e in played if isinstance(e, Waited)] == ["asked", "answered", "used"]
    assert [e.content for e in played if isinstance(e, Answered)] == [Content.BEGINNING, Content.WHOLE]
    assert not any(isinstance(e, Closed) for e in played)


def test_no_such_session(tmp_path: Path) -> None:
    path = filled(tmp_path)
    for name in ("s9", '1","type":"', ""):
        with pytest.raises(UsageError, match="no session"):
            events(path, name)


def test_a_session_named_in_a_fact_is_not_that_session(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with ledger(tmp_path, Clock(Clock().time + timedelta(hours=1))) as opened:
        opened.append([drafts.ledger_note("a connection broke", {"session": "s9"})])
    with pytest.raises(UsageError):
        events(path, "s9")


def test_a_payload_that_was_swapped_is_not_shown(tmp_path: Path) -> None:
    path = filled(tmp_path)
    tamper(path, lambda db: db.execute("UPDATE payloads SET salt = zeroblob(32) WHERE id = 10"))
    with pytest.raises(LedgerError, match="not the one that was recorded"):
        events(path, "s1")


def test_a_record_without_its_members_is_an_error(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append([Draft("session.open", {}, "s1")])
    with pytest.raises(LedgerError, match="lacks a member"):
        events(tmp_path / "ledger.db", "s1")


@pytest.mark.parametrize("closed", [True, False])
def test_pieces_stand_for_an_end_that_was_never_recorded(tmp_path: Path, *, closed: bool) -> None:
    story = Story().open().ask("e1").ask("e2").piece("e1", 0, b"Nad").piece("e2", 0, b"x").piece("e1", 1, b"ia")
    story.answer("e2")
    with ledger(tmp_path) as opened:
        opened.append((story.close() if closed else story).drafts)
    ended, cut = [e for e in events(tmp_path / "ledger.db", "s1") if isinstance(e, Answered)]
    assert (ended.exchange, ended.content) == ("e2", Content.WHOLE)
    assert (cut.exchange, cut.status, cut.content, cut.payload) == ("e1", "unfinished", Content.CUT, b"Nadia")
    assert (cut.media_type, cut.size) == ("text/csv", 5)


def test_pieces_that_have_expired(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append(Story().open().ask("e1").piece("e1", 0).drafts)
    clock = Clock(Clock().time + timedelta(hours=1))
    with ledger(tmp_path, clock) as opened:
        opened.expire(clock.time)
    (cut,) = [e for e in events(tmp_path / "ledger.db", "s1") if isinstance(e, Answered)]
    assert (cut.status, cut.content, cut.payload) == ("unfinished", Content.EXPIRED, b"")
