"""Short statements that a ledger's key signs: that it may be enrolled, and how far it has come. They age quickly.

A signed note (C2SP signed-note) of these lines: the purpose, the origin, what is stated, and the time in POSIX seconds.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Final

from hoopcli.errors import LedgerError
from hoopcli.ledger.note import Checkpoint, Note, Signer, Verifier

ENROLMENT: Final = "hoop.example/ledger-enrolment/v1"
HEAD: Final = "hoop.example/ledger-head/v1"
FRESH_SECONDS: Final = 300


def enrolment(signer: Signer, now: datetime) -> str:
    """That whoever presents this holds the ledger's key."""
    return _signed(signer, ENROLMENT, [], now)


def head(signer: Signer, size: int, root: bytes, now: datetime) -> str:
    """That the ledger has so many records now, and no more."""
    return _signed(signer, HEAD, [str(size), base64.b64encode(root).decode()], now)


def check_enrolment(note: str, key: Verifier, now: datetime) -> None:
    """Verify an enrolment. Raises LedgerError: malformed, not signed by the key, of another ledger, or too old."""
    if _opened(note, ENROLMENT, key, now):
        raise LedgerError("malformed statement: it says too much")


def check_head(note: str, key: Verifier, now: datetime) -> Checkpoint:
    """Verify the statement of a head. Raises LedgerError as ``check_enrolment``."""
    lines = _opened(note, HEAD, key, now)
    return Checkpoint.parse("\n".join([key.name, *lines, ""]))


def _signed(signer: Signer, purpose: str, lines: list[str], now: datetime) -> str:
    return str(signer.sign("\n".join([purpose, signer.name, *lines, str(int(now.timestamp())), ""])))


def _opened(note: str, purpose: str, key: Verifier, now: datetime) -> list[str]:
    parsed = Note.parse(note)
    key.open(parsed)
    lines = parsed.text.split("\n")
    if len(lines) < 4 or lines[:2] != [purpose, key.name] or not lines[-2].isdecimal():
        raise LedgerError("malformed statement: it is of another purpose or another ledger")
    if abs(int(lines[-2]) - now.timestamp()) > FRESH_SECONDS:
        raise LedgerError("the statement is too old, or from the future", "set the clock of this machine")
    return lines[2:-2]
