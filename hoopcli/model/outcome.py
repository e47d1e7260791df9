"""How an exchange ended: what was delivered, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from hoopcli.model.decision import Json


class Status(StrEnum):
    """How an exchange ended."""

    COMPLETED = "completed"
    FAILED = "failed"  # the upstream answered with an error
    CANCELLED = "cancelled"  # the client gave up
    LOST = "lost"  # a peer went away midway
    BLOCKED = "blocked"  # enforcement cut the result off


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what an outcome will keep, recorded before its exchange has ended; ``number`` counts from 0."""

    exchange: str
    number: int
    kept: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What reached the client in answer to one permitted statement.

    ``digest`` is the SHA-256 (hex) of every byte delivered after masking and ``size`` their number; ``kept`` is the
    part the ledger stores, from the start, of type ``media_type``; ``kept_all`` says whether it is all of it.
    ``masked`` counts masked values by the id of the mask. ``facts`` are what else the connector knows of how it went,
    such as the digest of what was stored.
    """

    exchange: str
    status: Status
    rows: int = 0
    size: int = 0
    digest: str = ""
    masked: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[str, ...] = ()
    kept: bytes = b""
    kept_all: bool = True
    media_type: str = "application/octet-stream"
    facts: Mapping[str, Json] = field(default_factory=dict)
