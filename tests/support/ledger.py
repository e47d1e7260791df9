"""Reading a ledger back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hoopcli.ledger.reader import Reader
from hoopcli.ledger.record import Record
from tests.support.waiting import eventually


def records_of(path: Path) -> list[Record]:
    """All records, in order, whoever has it open."""
    with Reader.open(path) as reader:
        return [reader.record(index) for index in range(reader.size)]


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a ledger says, while it grows."""

    path: Path

    def bodies(self, kind: str = "") -> list[Mapping[str, Any]]:
        """The bodies of all durable records, or of those of one type, in order."""
        return [r.body for r in records_of(self.path) if not kind or r.type == kind]

    def request_of(self, text: str) -> Mapping[str, Any]:
        """The last request with this in its text, once it is durable."""
        found: Mapping[str, Any] = eventually(
            lambda: next((r for r in reversed(self.bodies("exchange.request")) if text in r["text"]), None)
        )
        return found

    def outcome_of(self, text: str) -> Mapping[str, Any]:
        """The outcome of the last request with this in its text, once it is durable."""
        exchange = self.request_of(text)["exchange"]
        found: Mapping[str, Any] = eventually(
            lambda: next((r for r in self.bodies("exchange.outcome") if r["exchange"] == exchange), None)
        )
        return found
