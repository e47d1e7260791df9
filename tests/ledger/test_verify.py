"""Every way of changing a ledger, done with raw SQL by someone who knows the file, is named by verify."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from hoopcli.errors import LedgerError
from hoopcli.ledger.drafts import ledger_note
from hoopcli.ledger.merkle import CompactRange, leaf_hash
from hoopcli.ledger.note import Checkpoint, Signer
from hoopcli.ledger.reader import checkpoint_file
from hoopcli.ledger.record import compress
from hoopcli.ledger.report import MAX_FINDINGS, Finding
from hoopcli.ledger.verify import verify
from tests.ledger.stage import Story, check, filled, key, ledger, signer, tamper, whole_story
from tests.support.clock import Clock

Change = Callable[[sqlite3.Connection], object]


def rehash(db: sqlite3.Connection, *, renumber: bool = True) -> None:
    """Make the tree consistent again after a change, as far as that needs no key."""
    tree = CompactRange()
    rows = db.execute("SELECT idx, record FROM records ORDER BY idx").fetchall()
    db.execute("UPDATE records SET idx = -1 - idx")
    for number, (index, record) in enumerate(rows):
        nodes = b"".join(tree.append(leaf_hash(record)))
        new = number if renumber else index
        db.execute("UPDATE records SET idx = ?, nodes = ? WHERE idx = ?", (new, nodes, -1 - index))


def edit(db: sqlite3.Connection, index: int, old: bytes, new: bytes) -> None:
    (record,) = db.execute("SELECT record FROM records WHERE idx = ?", (index,)).fetchone()
    assert old in record
    db.execute("UPDATE records SET record = ? WHERE idx = ?", (record.replace(old, new), index))


def swap(db: sqlite3.Connection, a: int, b: int) -> None:
    db.execute("UPDATE records SET idx = -9 WHERE idx = ?", (a,))
    db.execute("UPDATE records SET idx = ? WHERE idx = ?", (a, b))
    db.execute("UPDATE records SET idx = ? WHERE idx = -9", (b,))


def insert_after(db: sqlite3.Connection, index: int) -> None:
    db.execute("UPDATE records SET idx = -1 - idx WHERE idx > ?", (index,))
    db.execute("UPDATE records SET idx = -idx WHERE idx < 0")
    db.execute("INSERT INTO records SELECT ?, nodes, record FROM records WHERE idx = ?", (index + 1, index))


def named(path: Path, index: int | None, why: str) -> Finding:
    report = check(path)
    assert not report.intact
    first = report.integrity[0]
    assert (first.index, why in first.why) == (index, True), str(first)
    return first


def test_an_untouched_ledger_is_intact_and_complete(tmp_path: Path) -> None:
    path = filled(tmp_path, stories=3)
    seen: list[tuple[int, int]] = []
    report = verify(path, key(tmp_path), now=Clock().time, progress=lambda done, total: seen.append((done, total)))
    assert (report.intact, report.complete, report.unsigned) == (True, True, 0)
    assert (report.records, report.signed, report.checkpoints) == (24, 24, 3)
    assert (report.sessions, report.exchanges, report.payloads, report.expired) == (3, 9, 21, 0)
    assert (report.open_sessions, report.unsigned_since) == ((), "")
    assert report.origin == key(tmp_path).name
    assert seen == [(24, 24)]


def test_an_empty_ledger_is_intact(tmp_path: Path) -> None:
    with ledger(tmp_path):
        pass
    report = check(tmp_path / "ledger.db")
    assert (report.intact, report.complete, report.records, report.root) == (True, True, 0, "")


def test_an_edited_record_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    tamper(path, lambda db: edit(db, 3, b"no-drops", b"all-okay"))
    first = named(path, 3, "was changed")
    assert (first.type, first.time[:10]) == ("exchange.request", "2026-03-01")
    assert check(path).integrity_total == 1
    assert str(first).startswith("record 3 exchange.request 2026-03-01T09:00:03.000000Z: was changed")


def test_an_edited_record_is_named_though_the_tree_was_made_to_fit(tmp_path: Path) -> None:
    path = filled(tmp_path, stories=3)
    tamper(path, lambda db: (edit(db, 11, b"no-drops", b"all-okay"), rehash(db)))
    named(path, 8, "one of records 8 to 15 is not the one that was signed")
    assert check(path).integrity_total == 1


@pytest.mark.parametrize(("index", "rehashed", "at"), [(3, False, 3), (3, True, 0), (15, False, 15), (15, True, 15)])
def test_a_deleted_record_is_named(tmp_path: Path, index: int, rehashed: bool, at: int) -> None:
    path = filled(tmp_path)

    def delete(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM records WHERE idx = ?", (index,))
        if rehashed:
            rehash(db)

    tamper(path, delete)
    report = check(path)
    assert not report.intact
    assert report.integrity[0].index in {at, index}
    whys = " ".join(f.why for f in report.integrity)
    assert "missing" in whys or "not the one that was signed" in whys


def test_reordered_records_are_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    tamper(path, lambda db: swap(db, 2, 3))
    named(path, 2, "nodes of the tree")
    tamper(path, rehash)
    whys = [(f.index, f.why) for f in check(path).integrity]
    assert (3, "is dated before the record ahead of it (2026-03-01T09:00:03.000000Z)") in whys
    assert (0, "one of records 0 to 7 is not the one that was signed, or the ledger forked") in whys


def test_a_record_put_in_between_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    tamper(path, lambda db: insert_after(db, 4))
    named(path, 5, "nodes of the tree")
    tamper(path, rehash)
    report = check(path)
    assert any("not the one that was signed" in f.why for f in report.integrity)


def test_a_duplicate_at_the_end_of_what_is_signed_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    tamper(path, lambda db: (insert_after(db, 15), rehash(db)))
    report = check(path)
    assert report.unsigned == 1
    assert any("under no signature" in f.why for f in report.completeness)
    assert not report.complete


def test_a_backdated_record_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    tamper(path, lambda db: (edit(db, 11, b"T09:01:11", b"T08:01:11"), rehash(db)))
    report = check(path)
    assert report.integrity[0].index == 11
    assert "is dated before the record ahead of it" in report.integrity[0].why


def test_a_tail_cut_off_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    tamper(path, lambda db: db.execute("DELETE FROM records WHERE idx >= 12"))
    assert any("records 12 to 15 were signed and are missing" in f.why for f in check(path).integrity)


def test_a_tail_cut_off_with_its_checkpoint_is_named_by_the_second_copy(tmp_path: Path) -> None:
    path = filled(tmp_path)

    def cut(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM records WHERE idx >= 8")
        db.execute("DELETE FROM payloads WHERE id >= 32")
        db.execute("DELETE FROM checkpoints WHERE size > 8")

    tamper(path, cut)
    named(path, 8, "an older ledger put back")
    checkpoint_file(path).unlink()
    named(path, None, "the copy of the last checkpoint beside the ledger is missing")


def test_a_rollback_of_both_copies_is_named_by_a_checkpoint_kept_elsewhere(tmp_path: Path) -> None:
    path = filled(tmp_path, stories=1)
    backup = tmp_path / "backup"
    backup.mkdir()
    for file in (path, checkpoint_file(path)):
        shutil.copy(file, backup / file.name)
    filled(tmp_path, 1, Clock(Clock().time + timedelta(hours=1)))
    elsewhere = checkpoint_file(path).read_text()
    for file in (path, checkpoint_file(path)):
        shutil.copy(backup / file.name, file)
    assert check(path).intact
    report = verify(path, key(tmp_path), known=[elsewhere], now=Clock().time)
    assert [f.index for f in report.integrity] == [8]
    assert "records 8 to 15" in report.integrity[0].why


def test_a_fork_signed_by_the_key_itself_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "fork")
    with ledger(tmp_path, Clock(Clock().time + timedelta(hours=1))) as one:
        one.append([ledger_note("one", {})])
        one.sign()
    with ledger(tmp_path / "fork", Clock(Clock().time + timedelta(hours=1))) as other:
        other.append([ledger_note("other", {})])
        other.sign()
    report = verify(path, key(tmp_path), known=[checkpoint_file(tmp_path / "fork" / "ledger.db").read_text()])
    assert "the ledger forked" in report.integrity[0].why


def test_a_swapped_or_edited_payload_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)

    def swap_contents(db: sqlite3.Connection) -> None:
        db.execute("UPDATE payloads SET content = ? WHERE id = 10", (compress(b"Nadia\nEmil\n"),))

    tamper(path, swap_contents)
    assert named(path, 2, "its payload kept was changed").type == "exchange.outcome"


@pytest.mark.parametrize(
    ("sql", "index", "why"),
    [
        ("UPDATE payloads SET content = x'00' WHERE id = 10", 2, "kept was changed"),
        ("DELETE FROM payloads WHERE id = 10", 2, "kept was removed"),
        ("UPDATE payloads SET content = NULL, salt = NULL WHERE id = 10", 2, "no recorded expiry"),
        ("UPDATE payloads SET content = NULL WHERE id = 10", 2, "removed in part"),
        ("UPDATE payloads SET salt = NULL WHERE id = 10", 2, "removed in part"),
        ("UPDATE payloads SET salt = NULL WHERE id = 4", 1, "no recorded expiry"),
        ("UPDATE payloads SET content = x'00' WHERE id = 4", 1, "removed in part"),
        ("INSERT INTO payloads VALUES (9, x'00', NULL)", 2, "named by no record"),
        ("INSERT INTO payloads VALUES (999, x'00', NULL)", 249, "named by no record"),
        ("INSERT INTO payloads VALUES (-1, x'00', NULL)", -1, "named by no record"),
        ("UPDATE records SET nodes = substr(nodes, 1, 32) WHERE idx = 3", 3, "nodes of the tree"),
        ("UPDATE records SET nodes = x'' WHERE idx = 3", 3, "was changed"),
        ("UPDATE records SET record = x'7b' WHERE idx = 3", 3, "was changed"),
        ("UPDATE records SET idx = 99 WHERE idx = 3", 3, "missing"),
        ("UPDATE checkpoints SET note = 'x' WHERE size = 8", None, "malformed"),
        ("UPDATE checkpoints SET size = 9 WHERE size = 8", 9, "is stored as of 9 records, but says 8"),
        (
            "UPDATE checkpoints SET note = replace(note, char(10) || '8' || char(10), char(10) || '9' || char(10))",
            None,
            "wrong",
        ),
    ],
)
def test_lesser_changes_are_named_too(tmp_path: Path, sql: str, index: int | None, why: str) -> None:
    path = filled(tmp_path)
    tamper(path, lambda db: db.execute(sql))
    named(path, index, why)


def test_a_checkpoint_replaced_by_one_of_another_key_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    impostor = Signer.generate(key(tmp_path).name)
    forged = str(impostor.sign(str(Checkpoint(impostor.name, 16, bytes(32)))))
    tamper(path, lambda db: db.execute("UPDATE checkpoints SET note = ? WHERE size = 16", (forged,)))
    named(path, None, "is not signed by")


def test_a_ledger_signed_anew_with_a_replaced_key_is_named(tmp_path: Path) -> None:
    path = filled(tmp_path)
    honest = key(tmp_path)
    impostor = Signer.generate(honest.name)
    tree = CompactRange()

    def sign_anew(db: sqlite3.Connection) -> None:
        edit(db, 3, b"no-drops", b"all-okay")
        rehash(db)
        db.execute("DELETE FROM checkpoints")
        for (record,) in db.execute("SELECT record FROM records ORDER BY idx").fetchall():
            tree.append(leaf_hash(record))
        note = str(impostor.sign(str(Checkpoint(impostor.name, tree.size, tree.root()))))
        db.execute("INSERT INTO checkpoints VALUES (?, ?)", (tree.size, note))
        checkpoint_file(path).write_text(note)

    tamper(path, sign_anew)
    assert check(path, impostor.verifier).intact  # the key is what counts: it must come from elsewhere
    report = check(path, honest)
    assert "is not signed by" in report.integrity[0].why
    assert "nothing in this ledger is under a signature" in report.integrity[-1].why


def test_a_record_that_is_no_record_is_named_though_it_is_signed(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append([ledger_note("a", {})])
        opened.append([ledger_note("a", {})])
        tamper(tmp_path / "ledger.db", lambda db: (edit(db, 0, b'"v":1', b'"v":2'), rehash(db)))
        opened._head = None
        opened.append([ledger_note("b", {})])
        opened.sign()
    named(tmp_path / "ledger.db", 0, "not a record of version 1")


def test_findings_are_counted_beyond_those_spelt_out(tmp_path: Path) -> None:
    path = filled(tmp_path, stories=20)
    tamper(path, lambda db: db.execute("UPDATE payloads SET salt = x'00'"))  # all of 20 * 7
    report = check(path)
    assert len(report.integrity) == MAX_FINDINGS
    assert report.integrity_total == 140


def test_a_damaged_file_is_a_finding(tmp_path: Path) -> None:
    path = filled(tmp_path, stories=40)
    db = sqlite3.connect(path)
    root, page = db.execute("SELECT rootpage, 4096 FROM sqlite_master WHERE name = 'payloads'").fetchone()
    db.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * 100)
    report = check(path)
    assert any("cannot be read any further" in f.why for f in report.integrity)


def test_what_has_expired_is_not_what_was_taken_away(tmp_path: Path) -> None:
    path = filled(tmp_path)
    clock = Clock(Clock().time + timedelta(hours=1))
    with ledger(tmp_path, clock) as opened:
        opened.expire(Clock().time + timedelta(minutes=1))
        opened.sign()
    report = check(path)
    assert (report.intact, report.complete, report.expired) == (True, True, 7)
    tamper(path, lambda db: db.execute("UPDATE payloads SET salt = NULL, content = NULL"))
    assert {f.index for f in check(path).integrity} == {9, 10, 11, 14, 15} - {15} | {
        f.index for f in check(path).integrity
    }
    assert all("no recorded expiry" in f.why for f in check(path).integrity)
    assert check(path).integrity[0].index == 9


def test_a_faked_expiry_is_a_changed_record(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with ledger(tmp_path, Clock(Clock().time + timedelta(hours=1))) as opened:
        opened.append([ledger_note("x", {})])
        opened.sign()

    def fake(db: sqlite3.Connection) -> None:
        record = b'{"before":"2027-01-01T00:00:00.000000Z","time":"2026-03-01T10:00:00.000000Z",'
        record += b'"type":"ledger.expired","v":1}'
        db.execute("UPDATE records SET record = ? WHERE idx = 16", (record,))
        db.execute("UPDATE payloads SET salt = NULL, content = NULL")

    tamper(path, fake)
    named(path, 16, "was changed")
    spoilt = b'{"type":"ledger.expired"}'
    tamper(path, lambda db: db.execute("UPDATE records SET record = ? WHERE idx = 16", (spoilt,)))
    assert check(path).integrity[0].why.endswith("no recorded expiry covers it")


# Completeness


def gaps(tmp_path: Path, story: Story, seconds: float = 86_400) -> list[str]:
    with ledger(tmp_path) as opened:
        opened.append(story.drafts)
        opened.sign()
    report = check(tmp_path / "ledger.db", now=Clock().time + timedelta(seconds=seconds))
    assert report.intact
    return [f.why for f in report.completeness]


def test_a_session_that_goes_on_is_open(tmp_path: Path) -> None:
    story = Story().open().ask("e1").beat()
    assert gaps(tmp_path, story, seconds=60) == []
    (live,) = check(tmp_path / "ledger.db", now=Clock().time).open_sessions
    assert (live.id, live.statements, live.last_seen) == ("s1", 1, "2026-03-01T09:00:00.000000Z")


def test_an_abandoned_session_is_a_gap(tmp_path: Path) -> None:
    first, second = gaps(tmp_path, Story().open().ask("e1").beat())
    assert "session s1 was never closed; its last sign of life is of 2026-03-01T09:00:00" in first
    assert second == "exchange e1 was permitted and has no outcome"


def test_a_permitted_request_without_an_outcome_is_a_gap(tmp_path: Path) -> None:
    assert gaps(tmp_path, Story().open().ask("e1").close()) == ["exchange e1 was permitted and has no outcome"]


def test_counts_that_do_not_match_are_a_gap(tmp_path: Path) -> None:
    story = Story().open().ask("e1").answer("e1").ask("e2").answer("e2").close()
    del story.drafts[3:5]
    assert [why.split()[1] for why in gaps(tmp_path, story)] == ["statements", "rows", "masked", "last_exchange"]


@pytest.mark.parametrize(
    ("story", "why"),
    [
        (Story().ask("e1"), "which was never opened"),
        (Story().open().close().beat(), "which was closed before"),
        (Story().open().close().open(), "a second time"),
        (Story().open().ask("e1").ask("e1").answer("e1").close(), "is a second request of exchange e1"),
        (Story().open().answer("e1").close(), "which was not permitted or has ended before"),
        (Story().open().ask("e1").answer("e1").answer("e1").close(), "which was not permitted or has ended before"),
    ],
)
def test_stories_that_make_no_sense(tmp_path: Path, story: Story, why: str) -> None:
    assert why in gaps(tmp_path, story)[0]


def test_a_record_without_its_members_is_a_gap(tmp_path: Path) -> None:
    story = Story().open()
    story.drafts += [type(story.drafts[0])("exchange.request", {}, "s1")]
    assert "lacks a member" in gaps(tmp_path, story)[0]


def test_an_unsigned_tail_is_told(tmp_path: Path) -> None:
    path = filled(tmp_path)
    clock = Clock(Clock().time + timedelta(hours=1))
    with ledger(tmp_path, clock) as opened:
        opened.append([ledger_note("x", {}), ledger_note("y", {})])
    report = check(path, now=clock.time)
    assert (report.unsigned, report.unsigned_since, report.complete) == (2, "2026-03-01T10:00:00.000000Z", True)
    (gap,) = check(path, now=clock.time + timedelta(hours=1)).completeness
    assert (gap.index, "records 16 to 17 are under no signature" in gap.why) == (16, True)


def test_a_ledger_without_any_signature_is_not_vouched_for(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append(whole_story())
    assert "nothing in this ledger" in check(tmp_path / "ledger.db").integrity[0].why
    assert check(tmp_path / "ledger.db", now=Clock().time).intact


def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        check(tmp_path / "missing.db", Signer.generate("a").verifier)


def test_verification_while_others_append(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with ledger(tmp_path, Clock(Clock().time + timedelta(hours=1))) as opened:

        def append(_done: int, _total: int) -> None:
            opened.append([ledger_note("meanwhile", {})])
            opened.sign()

        assert verify(path, signer(tmp_path).verifier, progress=append, now=Clock().time).records == 16
        assert check(path).records == 17


@pytest.mark.parametrize(
    ("story", "found"),
    [
        (Story().open().ask("e1").piece("e1", 0).piece("e1", 1).answer("e1").close(), []),
        (Story().open().ask("e1").piece("e1", 0).piece("e1", 2).answer("e1").close(), ["piece 2", "piece 1 was due"]),
        (Story().open().ask("e1").piece("e1", 1).answer("e1").close(), ["piece 1", "piece 0 was due"]),
        (Story().open().ask("e1").answer("e1").piece("e1", 0).close(), ["has ended before"]),
        (Story().open().piece("e1", 0).close(), ["not permitted"]),
    ],
    ids=["in order", "one is missing", "the first is missing", "after the end", "of nothing"],
)
def test_pieces_are_of_what_goes_on_and_none_is_missing(tmp_path: Path, story: Story, found: list[str]) -> None:
    told = gaps(tmp_path, story)
    assert len(told) == bool(found)
    assert all(part in told[0] for part in found)
