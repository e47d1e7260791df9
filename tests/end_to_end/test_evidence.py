"""Invariant 7: the ledger of real sessions, changed in every way, does not verify for someone with the key alone."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.conftest import POLICY, SECRET
from tests.ledger.stage import tamper
from tests.ledger.test_verify import edit, rehash, swap
from tests.support.machine import Machine
from tests.support.upstream import RunningUpstream

CUSTOMERS = "SELECT id, ssn, email FROM dbo.customers ORDER BY id"

Change = Callable[[sqlite3.Connection], object]


def cut_tail(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM records WHERE idx >= (SELECT max(idx) - 2 FROM records)")


def forget_half(db: sqlite3.Connection) -> None:
    (half,) = db.execute(
        "SELECT max(size) FROM checkpoints WHERE size < (SELECT max(size) FROM checkpoints)"
    ).fetchone()
    db.execute("DELETE FROM records WHERE idx >= ?", (half,))
    db.execute("DELETE FROM checkpoints WHERE size > ?", (half,))


def said(old: bytes, new: bytes) -> Change:
    """Put something else into the first record that says this."""

    def change(db: sqlite3.Connection) -> None:
        records = db.execute("SELECT idx, record FROM records ORDER BY idx").fetchall()
        edit(db, next(index for index, record in records if old in record), old, new)

    return change


def mended(change: Change) -> Change:
    """The same, and the tree made to fit."""

    def both(db: sqlite3.Connection) -> None:
        change(db)
        rehash(db)

    return both


def delete(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM records WHERE idx = 1")


CHANGES: dict[str, Change] = {
    "edit": said(b"never-drop", b"always-let"),
    "edit and mend the tree": mended(said(b"never-drop", b"always-let")),
    "delete": delete,
    "delete and mend the tree": mended(delete),
    "reorder": lambda db: swap(db, 1, 2),
    "reorder and mend the tree": mended(lambda db: swap(db, 1, 2)),
    "cut the tail off": cut_tail,
    "cut the tail off with its checkpoint": forget_half,
    "backdate": mended(said(b'"time":"20', b'"time":"19')),
    "lose a result": lambda db: db.execute("UPDATE payloads SET salt = NULL, content = NULL"),
}


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory, server: RunningUpstream) -> Path:
    """A state folder after two sessions, and a bundle beside it."""
    made = Machine(tmp_path_factory.mktemp("evidence"), {"SHOP_SECRET": SECRET})
    made.configure(POLICY, {"shop": {**server.target(), "user": "sa", "secret": "env:SHOP_SECRET"}})
    assert made.run("exec", "shop", CUSTOMERS).returncode == 0
    assert made.run("exec", "shop", "DROP TABLE dbo.orders").returncode == 4
    assert made.run("audit", "export", str(made.folder / "bundle")).returncode == 0
    assert made.run("audit", "verify", "--strict").returncode == 0
    return made.folder


def verify(folder: Path, path: Path, key: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Verify somewhere else: with the evidence and the public key alone."""
    auditor = Machine(folder / "auditor")
    auditor.folder.mkdir(exist_ok=True)
    auditor.configure(POLICY, {})
    return auditor.run("audit", "verify", str(path), "--key", str(key), *more)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_ledger_does_not_verify(evidence: Path, tmp_path: Path, change: str) -> None:
    shutil.copytree(evidence / "state", tmp_path / "state")
    path, [key] = tmp_path / "state" / "ledger.db", list((evidence / "state").glob("*.vkey"))
    assert verify(tmp_path, path, key).returncode == 0
    tamper(path, CHANGES[change])
    assert verify(tmp_path, path, key).returncode == 7


def test_a_fork_shows_against_a_checkpoint_kept_elsewhere(evidence: Path, tmp_path: Path, machine: Machine) -> None:
    [key] = (evidence / "state").glob("*.vkey")
    for branch in ("one", "other"):
        shutil.copytree(evidence / "state", machine.state)
        assert machine.run("exec", "shop", f"SELECT 1 AS {branch}").returncode == 0
        machine.state.rename(tmp_path / branch)
    [checkpoint] = (tmp_path / "other").glob("*.checkpoint")
    assert verify(tmp_path, tmp_path / "one" / "ledger.db", key).returncode == 0
    assert verify(tmp_path, tmp_path / "one" / "ledger.db", key, "--checkpoint", str(checkpoint)).returncode == 7


@pytest.mark.parametrize("old", [b"never-drop", b"dbo.customers", b"omar@example.com"])
def test_a_changed_bundle_does_not_verify(evidence: Path, tmp_path: Path, old: bytes) -> None:
    shutil.copytree(evidence / "bundle", tmp_path / "bundle")
    [key] = (evidence / "state").glob("*.vkey")
    assert verify(tmp_path, tmp_path / "bundle", key).returncode == 0
    records = tmp_path / "bundle" / "records.jsonl"
    assert old in records.read_bytes()
    records.write_bytes(records.read_bytes().replace(old, b"x" * len(old), 1))
    assert verify(tmp_path, tmp_path / "bundle", key).returncode == 7
