"""Reading a ledger back."""

from __future__ import annotations

from pathlib import Path

from hoopcli.ledger.reader import Reader
from hoopcli.ledger.record import Record


def records_of(path: Path) -> list[Record]:
    """All records, in order, whoever has it open."""
    with Reader.open(path) as reader:
        return [reader.record(index) for index in range(reader.size)]
