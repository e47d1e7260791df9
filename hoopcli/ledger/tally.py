"""The counts of one session, taken from its records: by whoever writes them, and again by whoever verifies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hoopcli.model.decision import Effect, Json


@dataclass(slots=True)
class Tally:
    """Statements, how many of them were denied, rows delivered, values masked, and the exchange recorded last."""

    statements: int = 0
    denied: int = 0
    rows: int = 0
    masked: int = 0
    last_exchange: str = ""

    def add(self, kind: str, body: Mapping[str, Any]) -> None:
        """Count a record of this session; ``body`` is a draft's or a record's."""
        if kind == "exchange.request":
            self.statements += 1
            self.denied += body["decision"]["effect"] != Effect.ALLOW
            self.last_exchange = body["exchange"]
        elif kind == "exchange.outcome":
            self.rows += body["rows"]
            self.masked += sum(body["masked"].values())

    def counts(self) -> dict[str, Json]:
        """As ``session.close`` records them."""
        return {
            "statements": self.statements,
            "denied": self.denied,
            "rows": self.rows,
            "masked": self.masked,
            "last_exchange": self.last_exchange,
        }
