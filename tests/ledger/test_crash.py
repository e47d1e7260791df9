"""Killed at any moment, a ledger opens, verifies, goes on, and has every record it ever acknowledged."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hoopcli.ledger.note import Verifier
from hoopcli.ledger.reader import Reader
from hoopcli.ledger.verify import verify
from tests.ledger.stage import key

CHILD = """
import sys
from pathlib import Path
from hoopcli.ledger.drafts import ledger_note
from hoopcli.ledger.keys import load_or_create
from hoopcli.ledger.store import Ledger
from hoopcli.ledger.writer import LedgerWriter

folder = Path(sys.argv[1])
writer = LedgerWriter(Ledger.open(folder / "ledger.db", load_or_create(folder).signer), sign_seconds=0.002)
number = 0
while True:
    futures = [writer.submit(ledger_note("x" * 700, {"name": f"{sys.argv[2]}-{number + i}"})) for i in range(3)]
    for i, future in enumerate(futures):
        index = future.result()
        print(index, f"{sys.argv[2]}-{number + i}", flush=True)
    number += 3
"""


def kill_after(folder: Path, names: list[str], lines: int) -> dict[int, str]:
    """Run appending processes, kill them all once one has acknowledged so many records; what was acknowledged."""
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD, str(folder), name], stdout=subprocess.PIPE, text=True)
        for name in names
    ]
    acknowledged: dict[int, str] = {}
    out = [child.stdout for child in children]
    assert out[0] is not None
    said = [out[0].readline() for _ in range(lines)]
    for child in children:
        child.send_signal(signal.SIGKILL)
    for child in children:
        rest, _ = child.communicate()
        said += rest.splitlines(keepends=True)
        assert child.returncode == -signal.SIGKILL
    for line in said:
        if line.endswith("\n"):
            index, name = line.split()
            acknowledged[int(index)] = name
    return acknowledged


@pytest.mark.parametrize("processes", [1, 2])
def test_nothing_acknowledged_is_lost(tmp_path: Path, processes: int) -> None:
    moments = random.Random(processes)
    acknowledged: dict[int, str] = {}
    vkey: Verifier = key(tmp_path)
    for round_number in range(5):
        names = [f"{round_number}{letter}" for letter in "ab"[:processes]]
        acknowledged |= kill_after(tmp_path, names, moments.randrange(3, 200))
        report = verify(tmp_path / "ledger.db", vkey, now=datetime.now(UTC))
        assert report.intact, report.integrity
        assert report.records > max(acknowledged)
    with Reader.open(tmp_path / "ledger.db") as reader:
        for index, name in acknowledged.items():
            assert reader.record(index).body["facts"] == {"name": name}
