"""Appending: durable, in order, by several processes; and every way in which it must refuse."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from hoopcli.errors import LedgerError, UsageError
from hoopcli.ledger import files, schema, store
from hoopcli.ledger.drafts import ledger_note
from hoopcli.ledger.merkle import consistency_proof, tree_hash, verify_consistency
from hoopcli.ledger.note import Checkpoint, Signer, open_checkpoint
from hoopcli.ledger.reader import LedgerBusyError, Reader, checkpoint_file
from hoopcli.ledger.record import Slot, references
from hoopcli.ledger.store import Ledger
from tests.ledger.stage import filled, key, ledger, signer, tamper, whole_story
from tests.support.clock import Clock

NOTE = ledger_note("hello", {})


def test_records_come_back_as_they_were_appended(tmp_path: Path) -> None:
    story = whole_story()
    with ledger(tmp_path) as opened:
        assert opened.append(story[:3]) == [0, 1, 2]
        assert opened.append(story[3:]) == [3, 4, 5, 6, 7]
        assert opened.append([]) == []
    with Reader.open(tmp_path / "ledger.db") as reader:
        assert [reader.record(i).type for i in range(reader.size)] == [d.type for d in story]
        assert reader.size == 8
        kept = next(r for r in references(reader.record(2).body) if r.slot is Slot.KEPT)
        assert reader.payload(2, kept) == b"Nadia\nOmar\n"
        request = next(references(reader.record(1).body))
        assert reader.payload(1, request) is None
        with pytest.raises(LedgerError, match="no record 99"):
            reader.record(99)


def test_the_file_is_private_and_says_what_it_is(tmp_path: Path) -> None:
    path = filled(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert checkpoint_file(path).stat().st_mode & 0o777 == 0o600
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA application_id").fetchone() == (int.from_bytes(b"hoop"),)
    db.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE records SET record = x'00' WHERE idx = 0",
        "DELETE FROM records WHERE idx = 8",
        "INSERT OR REPLACE INTO records VALUES (0, x'00', x'00')",
        "INSERT INTO records VALUES (99, x'00', x'00')",
        "UPDATE checkpoints SET note = ''",
        "DELETE FROM checkpoints",
        "INSERT OR REPLACE INTO checkpoints VALUES (1, '')",
        "UPDATE payloads SET content = x'00'",
        "UPDATE payloads SET id = 77",
        "INSERT OR REPLACE INTO payloads SELECT id, x'00', x'00' FROM payloads LIMIT 1",
        "DELETE FROM payloads",
        "UPDATE ledger SET origin = 'other'",
    ],
)
def test_the_tables_only_grow(tmp_path: Path, sql: str) -> None:
    db = sqlite3.connect(filled(tmp_path))
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(sql)
    db.close()


def test_a_signed_head_can_be_proved_from_every_earlier_one(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        heads: list[Checkpoint] = []
        for _ in range(9):
            opened.append([NOTE])
            heads.append(opened.sign())
        assert opened.sign() == heads[-1]
    with Reader.open(tmp_path / "ledger.db") as reader:
        stored = [open_checkpoint(note, key(tmp_path)) for _, note in reader.checkpoints()]
        assert stored == heads
        assert reader.kept_checkpoint() == reader.last_checkpoint()
        for head in heads:
            assert tree_hash(head.size, reader.node) == head.root
            proof = consistency_proof(head.size, 9, reader.node)
            assert verify_consistency(head.size, 9, head.root, heads[-1].root, proof)


def test_an_empty_ledger_signs_nothing(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        assert opened.sign().size == 0
    with Reader.open(tmp_path / "ledger.db") as reader:
        assert reader.last_checkpoint() is None
        assert reader.kept_checkpoint() is None


def test_several_may_append_at_once(tmp_path: Path) -> None:
    with ledger(tmp_path) as first, ledger(tmp_path) as second:
        for turn in range(5):
            assert first.append([NOTE, NOTE]) == [turn * 3, turn * 3 + 1]
            assert second.append([NOTE]) == [turn * 3 + 2]
            (second if turn % 2 else first).sign()
    with Reader.open(tmp_path / "ledger.db") as reader:
        assert tree_hash(15, reader.node) == open_checkpoint(reader.last_checkpoint() or "", key(tmp_path)).root


def test_threads_with_a_ledger_each_lose_nothing(tmp_path: Path) -> None:
    vsigner = signer(tmp_path)

    def work() -> None:
        opened = Ledger.open(tmp_path / "ledger.db", vsigner)
        for _ in range(20):
            opened.append([NOTE])
        opened.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Reader.open(tmp_path / "ledger.db") as reader:
        assert reader.size == 80


def test_time_never_goes_back(tmp_path: Path) -> None:
    clock = Clock()
    with ledger(tmp_path, clock) as opened:
        opened.append([NOTE])
        clock.forward(hours=-1)
        assert opened.append([NOTE]) == [2]  # behind the note that the clock stepped back
        assert opened.append([NOTE]) == [3]  # which is said once
        clock.forward(hours=2)
        opened.append([NOTE])
        clock.forward(hours=-2)
        assert opened.append([NOTE]) == [6]
    with Reader.open(tmp_path / "ledger.db") as reader:
        records = [reader.record(i).body for i in range(reader.size)]
    assert [b["note"] for b in records].count("the clock stepped back") == 2
    assert records[1]["facts"] == {"clock": "2026-03-01T08:00:00.000000Z", "last": "2026-03-01T09:00:00.000000Z"}
    times = [b["time"] for b in records]
    assert times == sorted(times)


def test_the_clock_of_another_process_counts(tmp_path: Path) -> None:
    ahead = Clock()
    ahead.forward(minutes=5)
    with ledger(tmp_path, ahead) as first, ledger(tmp_path) as second:
        first.append([NOTE])
        assert second.append([NOTE]) == [2]


def test_a_lock_is_told_from_a_failure_and_can_be_survived(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append([NOTE])
        other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusyError, match="another process"):
            opened.append([NOTE])
        with pytest.raises(LedgerBusyError):
            opened.sign()
        other.execute("ROLLBACK")
        other.close()
        assert opened.append([NOTE]) == [1]


def test_a_full_disk_appends_nothing(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append([NOTE])
        opened._db.execute("PRAGMA max_page_count = 14")
        with pytest.raises(LedgerError, match="cannot grow") as caught:
            opened.append([ledger_note("x" * 100_000, {})])
        assert "free some space" in caught.value.hint
        opened._db.execute("PRAGMA max_page_count = 100000")
        assert opened.append([NOTE]) == [1]
        assert opened.sign().size == 2


def test_a_checkpoint_that_cannot_be_written_is_not_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with ledger(tmp_path) as opened:
        opened.append([NOTE])
        monkeypatch.setattr(files.os, "fsync", full)
        with pytest.raises(LedgerError, match="cannot be written"):
            opened.sign()
        monkeypatch.undo()
        assert opened.sign().size == 1
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    vsigner = signer(tmp_path)
    path = tmp_path / "ledger.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(LedgerError, match="is damaged"):
        Ledger.open(path, vsigner)
    path.unlink()
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(LedgerError, match="not a ledger"):
        Ledger.open(path, vsigner)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Reader.open(tmp_path / "missing.db")


def test_a_ledger_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match="cannot be made"):
        Ledger.open(tmp_path / "file" / "ledger.db", signer(tmp_path))


def test_a_damaged_page_is_an_error_and_not_a_guess(tmp_path: Path) -> None:
    path = filled(tmp_path, stories=30)
    size = path.stat().st_size
    with path.open("r+b") as file:
        for page in range(1, size // 4096):
            file.seek(page * 4096)
            file.write(b"\xff" * 64)
    with pytest.raises(LedgerError, match=r"is damaged|cannot be"):
        Ledger.open(path, signer(tmp_path))


def test_another_key_cannot_go_on(tmp_path: Path) -> None:
    path = filled(tmp_path)
    with pytest.raises(LedgerError, match="another key"):
        Ledger.open(path, Signer.generate("hoop.example/ledger/other"))
    with pytest.raises(LedgerError, match="not signed by"):
        Ledger.open(path, Signer.generate(key(tmp_path).name))


CUT: list[tuple[str, Callable[[sqlite3.Connection], object]]] = [
    ("has lost", lambda db: db.execute("DELETE FROM records WHERE idx > 10")),
    ("is not the one", lambda db: db.execute("UPDATE records SET nodes = zeroblob(length(nodes)) WHERE idx = 15")),
    ("has a hole", lambda db: db.execute("UPDATE records SET nodes = x'00' WHERE idx = 15")),
    ("has no origin", lambda db: db.execute("DELETE FROM ledger")),
]


@pytest.mark.parametrize(("why", "change"), CUT)
def test_a_ledger_that_is_not_the_one_signed_is_not_gone_on_with(
    tmp_path: Path, why: str, change: Callable[[sqlite3.Connection], object]
) -> None:
    path = filled(tmp_path)
    tamper(path, change)
    with pytest.raises(LedgerError, match=why):
        Ledger.open(path, signer(tmp_path))


def test_an_older_copy_put_back_is_not_gone_on_with(tmp_path: Path) -> None:
    path = filled(tmp_path, stories=1)
    older = path.read_bytes()
    filled(tmp_path, stories=1, clock=Clock(Clock().time + timedelta(hours=1)))
    path.write_bytes(older)
    with pytest.raises(LedgerError, match="has lost the last 8"):
        Ledger.open(path, signer(tmp_path))


def test_records_lost_while_it_is_open_are_noticed(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        opened.append([NOTE, NOTE])
        tamper(tmp_path / "ledger.db", lambda db: db.execute("DELETE FROM records WHERE idx = 1"))
        with pytest.raises(LedgerError, match="lost records"):
            opened.append([NOTE])


def test_expiry_forgets_contents_and_salts_and_nothing_else(tmp_path: Path) -> None:
    path = filled(tmp_path)
    clock = Clock()
    clock.forward(hours=1)
    with ledger(tmp_path, clock) as opened:
        with pytest.raises(UsageError, match="yet to come"):
            opened.expire(clock.time + timedelta(seconds=1))
        boundary = Clock().time + timedelta(minutes=1)  # between the two stories
        assert opened.expire(boundary) == 7
        assert opened.expire(boundary) == 0
    with Reader.open(path) as reader:
        rows = list(reader.payload_rows())
        assert [r.salt is None for r in rows] == [True] * 7 + [False] * 7
        assert all(r.content is None for r in rows[:7])
        assert [reader.record(i).type for i in (16, 17)] == ["ledger.expired"] * 2


def test_what_has_expired_is_no_longer_in_the_file(tmp_path: Path) -> None:
    path = filled(tmp_path)
    assert b"Nadia\nOmar" in path.read_bytes()
    clock = Clock()
    clock.forward(hours=1)
    with ledger(tmp_path, clock) as opened:
        opened.expire(clock.time)
        opened.sign()
        for file in tmp_path.iterdir():
            assert b"Nadia\nOmar" not in file.read_bytes()


def test_the_log_is_written_over_from_its_start(tmp_path: Path) -> None:
    with ledger(tmp_path) as opened:
        wal = tmp_path / "ledger.db-wal"
        assert wal.stat().st_size >= store.WAL_SIZE * 0.99
        size = wal.stat().st_size
        for _ in range(3):
            opened.append([ledger_note("x" * 500_000, {})])
            assert opened.untidy > 100
            opened.tidy()
            assert opened.untidy == 0
        assert wal.stat().st_size == size
        with ledger(tmp_path) as second:
            second.append([NOTE])


def test_whoever_creates_second_finds_the_first_ones(tmp_path: Path) -> None:
    path = filled(tmp_path)
    schema.create(path, "hoop.example/ledger/other")
    with Reader.open(path) as reader:
        assert reader.size == 16
        assert reader.origin == key(tmp_path).name


def test_a_checkpoint_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = filled(tmp_path)
    checkpoint_file(path).write_bytes(b"\xff")
    with pytest.raises(LedgerError, match="cannot be read"), Reader.open(path) as reader:
        reader.kept_checkpoint()
