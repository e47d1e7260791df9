"""The receipt of a ledger: the latest checkpoint that a server has cosigned, kept beside the ledger.

It proves, with nothing but public keys, that somebody else has seen so many records. It is a JSON file: ``witness`` is
the vkey of the server's witness as it was first seen, ``checkpoint`` the cosigned note.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from hoopcli.errors import LedgerError
from hoopcli.ledger.files import replace_file
from hoopcli.ledger.note import Checkpoint, Verifier, open_checkpoint


@dataclass(frozen=True, slots=True)
class Receipt:
    """A cosigned checkpoint. It was verified when it was made or read."""

    witness: Verifier
    note: str
    checkpoint: Checkpoint

    @classmethod
    def verified(cls, note: str, key: Verifier, witness: Verifier) -> Receipt:
        """A note that the ledger's key and the witness have signed. Raises LedgerError if they have not."""
        return cls(witness, note, open_checkpoint(note, key, [witness]))

    @property
    def size(self) -> int:
        """How many records it covers."""
        return self.checkpoint.size


def receipt_file(ledger: Path) -> Path:
    """Where the receipt of a ledger is kept."""
    return ledger.with_name(f"{ledger.name}.receipt")


def load(ledger: Path, key: Verifier) -> Receipt | None:
    """The receipt of a ledger, verified; None if there is none. Raises LedgerError if it is not one."""
    path = receipt_file(ledger)
    try:
        document = json.loads(path.read_text("utf-8"))
        return Receipt.verified(document["checkpoint"], key, Verifier.parse(document["witness"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(
            f"the receipt {path} cannot be read", f"move it aside, then run: hoop sync ({path})"
        ) from error


def save(ledger: Path, receipt: Receipt) -> None:
    """Keep a receipt, replacing the one before. Raises LedgerError."""
    document = {"witness": str(receipt.witness), "checkpoint": receipt.note}
    replace_file(receipt_file(ledger), json.dumps(document, indent=1) + "\n")
