"""Further witnesses of a ledger: a client of C2SP tlog-witness. Each adds its cosignature to the receipt's note."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from hoopcli.errors import LedgerError, UpstreamError, UsageError
from hoopcli.ledger.merkle import consistency_proof
from hoopcli.ledger.note import COSIGNATURE_V1, Checkpoint, Note, Verifier
from hoopcli.ledger.reader import Reader

TEXT: Final = "text/plain"
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,17})\n?")
_TURNS: Final = 3


class Reply(Protocol):
    """What a witness said."""

    @property
    def status(self) -> int:
        """The status code."""

    @property
    def body(self) -> bytes:
        """The body."""


Post = Callable[[str, bytes], Reply]
"""Posts a text to a path below the witness's submission prefix. Raises UpstreamError if there is no answer."""


@dataclass(frozen=True, slots=True)
class WitnessName:
    """A witness as the settings name it: its public key and its submission prefix."""

    verifier: Verifier
    url: str

    @classmethod
    def parse(cls, text: str) -> WitnessName:
        """Read ``VKEY URL``. Raises UsageError."""
        vkey, _, url = text.strip().partition(" ")
        try:
            verifier = Verifier.parse(vkey)
        except LedgerError as error:
            raise UsageError(f"server.witnesses: {error.message}", "write each as: VKEY URL") from error
        if verifier.algorithm != COSIGNATURE_V1 or not url.strip().startswith(("https://", "http://127.0.0.1:")):
            raise UsageError(f"server.witnesses: {verifier.name} has no cosignature key, or no https URL")
        return cls(verifier, url.strip().rstrip("/"))


class Witness:
    """One witness. It remembers what it cosigned last; this client learns that from its refusals."""

    def __init__(self, verifier: Verifier, post: Post) -> None:
        self.verifier = verifier
        self._post = post
        self._old = 0

    def add(self, reader: Reader, note: str, checkpoint: Checkpoint) -> str:
        """The note with this witness's cosignature added.

        Raises:
            UpstreamError: it does not answer, refuses, or its cosignature does not hold.
        """
        text = str(Note.parse(note))
        for _ in range(_TURNS):
            reply = self._post("/add-checkpoint", _submission(reader, self._old, text, checkpoint))
            if reply.status == 200:
                self._old = checkpoint.size
                return self._merged(text, reply.body)
            size = _SIZE.fullmatch(reply.body) if reply.status == 409 else None
            if size is None or int(size[1]) > checkpoint.size:
                break
            self._old = int(size[1])
        raise UpstreamError(f"the witness {self.verifier.name} refused ({reply.status})", "ask who runs the witness")

    def _merged(self, note: str, lines: bytes) -> str:
        try:
            parsed = Note.parse(note)
            added = Note.parse(f"{parsed.text}\n{lines.decode()}")
            self.verifier.open(added)
        except (LedgerError, UnicodeDecodeError) as error:
            raise UpstreamError(
                f"the cosignature of the witness {self.verifier.name} does not hold", "ask who runs the witness"
            ) from error
        name = (self.verifier.name, self.verifier.key_id)
        mine = [s for s in added.signatures if (s.name, s.key_id) == name]
        others = [s for s in parsed.signatures if (s.name, s.key_id) != name]
        return str(Note(parsed.text, (*others, *mine)))


def _submission(reader: Reader, old: int, note: str, checkpoint: Checkpoint) -> bytes:
    proof = [] if old in {0, checkpoint.size} else consistency_proof(old, checkpoint.size, reader.node)
    lines = [f"old {old}", *(base64.b64encode(node).decode() for node in proof), "", note]
    return "\n".join(lines).encode()
