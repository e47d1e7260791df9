"""What a verification found: integrity and completeness, apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MAX_FINDINGS: Final = 100
"""Findings of each sort that are spelt out; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: at which record (None for the ledger as a whole), of what type and time, and why."""

    index: int | None
    type: str
    time: str
    why: str

    def __str__(self) -> str:
        where = "" if self.index is None else f"record {self.index}"
        what = " ".join(part for part in (where, self.type, self.time) if part)
        return f"{what}: {self.why}" if what else self.why


@dataclass(slots=True)
class Findings:
    """Collects findings in order, in bounded memory."""

    first: list[Finding] = field(default_factory=list)
    total: int = 0

    def add(self, index: int | None, kind: str, time: str, why: str) -> None:
        """Note a finding."""
        self.total += 1
        if len(self.first) < MAX_FINDINGS:
            self.first.append(Finding(index, kind, time, why))


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that has no closing record yet, and gave a sign of life not long ago."""

    id: str
    opened: str
    last_seen: str
    statements: int


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a verification.

    ``signed`` of the ``records`` are under a checkpoint's signature, ``root`` (hex) being the largest one's;
    ``unsigned_since`` is the time of the first that is not. ``integrity`` and ``completeness`` are the first findings,
    in the order of the records, out of ``integrity_total`` and ``completeness_total``.
    """

    origin: str
    records: int
    signed: int
    root: str
    unsigned_since: str
    checkpoints: int
    sessions: int
    exchanges: int
    payloads: int
    expired: int
    open_sessions: tuple[OpenSession, ...]
    integrity: tuple[Finding, ...]
    integrity_total: int
    completeness: tuple[Finding, ...]
    completeness_total: int

    @property
    def intact(self) -> bool:
        """Whether all that is there is as it was recorded and signed."""
        return not self.integrity_total

    @property
    def complete(self) -> bool:
        """Whether all that should be there is."""
        return not self.completeness_total

    @property
    def unsigned(self) -> int:
        """How many records at the end no checkpoint covers."""
        return max(0, self.records - self.signed)
