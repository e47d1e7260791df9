"""Sending a ledger to a server, in batches that can be repeated, and keeping its cosigned checkpoint as a receipt.

The transport is the caller's: a function that makes one HTTP request. Everything sent was signed before: a round sends
what the last checkpoint covers. What the server answers is believed only as far as it is proved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from hoopcli.errors import LedgerError, UpstreamError
from hoopcli.ledger import receipt as receipts
from hoopcli.ledger import statements
from hoopcli.ledger.batch import MEDIA_TYPE, Batch, encode
from hoopcli.ledger.merkle import EMPTY_ROOT, consistency_proof, tree_hash
from hoopcli.ledger.note import COSIGNATURE_V1, Checkpoint, Note, Signer, Verifier, open_checkpoint
from hoopcli.ledger.reader import PayloadRow, Reader, StoredRecord
from hoopcli.ledger.receipt import Receipt
from hoopcli.ledger.record import SLOTS
from hoopcli.ledger.witnesses import Witness

BATCH_RECORDS: Final = 4_096
BATCH_BYTES: Final = 4 << 20
JSON: Final = "application/json"
_ASK: Final = "ask who runs the server before anything else is done with this ledger"


class NotEnrolledError(LedgerError):
    """The server does not know this ledger's key."""


class ContradictedError(LedgerError):
    """The server holds what this ledger does not: one of them was rolled back, or the key has a second ledger."""


class _OvertakenError(UpstreamError):
    """The server has more than was to be sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said."""

    status: int
    body: bytes

    def document(self) -> dict[str, Any]:
        """The JSON object of the body. Raises UpstreamError if it is none."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise UpstreamError(f"the server answered {self.status} with something else than JSON", "check server.url")
        return value


class Transport(Protocol):
    """Makes one request to the server. Raises UpstreamError if there is no answer."""

    def __call__(self, method: str, path: str, body: bytes | None = None, media_type: str = JSON) -> Answer:
        """``path`` begins with a slash and may have a query."""


Progress = Callable[[int, int], None]
"""Called with the records that the server has and the number that it is to have."""


class LedgerSync:
    """Sends one ledger to one server. Not for several threads at once.

    ``key`` is the ledger's public key; with ``signer``, its private one, a rollback is reported to the server.
    ``unwitnessed`` says which further witnesses did not cosign in the last round, and why.
    """

    def __init__(
        self,
        ledger: Path,
        key: Verifier,
        transport: Transport,
        signer: Signer | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        witnesses: Sequence[Witness] = (),
    ) -> None:
        self.unwitnessed: list[str] = []
        self._witnesses = witnesses
        self._ledger = ledger
        self._key = key
        self._transport = transport
        self._signer = signer
        self._now = now

    def enrolment(self, signer: Signer) -> dict[str, str]:
        """What ``POST /v1/ledgers`` takes from whoever is signed in."""
        return {"vkey": str(self._key), "statement": statements.enrolment(signer, self._now())}

    def run(self, progress: Progress = lambda _done, _total: None) -> Receipt | None:
        """Send all that is signed; the receipt for it, or None if nothing is signed yet.

        Raises:
            NotEnrolledError: the key must be enrolled first.
            ContradictedError: the server has another history of this ledger.
            UpstreamError: no answer, or none that can be believed.
            LedgerError: the ledger or its receipt cannot be read.
        """
        for _ in range(_TURNS):
            try:
                return self._round(progress)
            except _OvertakenError:
                continue  # another process of this machine sends the ledger too, and is further
        raise UpstreamError("others keep sending this ledger faster", "run: hoop sync")

    def _round(self, progress: Progress) -> Receipt | None:
        held = self._head()
        with Reader.open(self._ledger) as reader:
            note = reader.last_checkpoint()
            checkpoint = open_checkpoint(note, self._key) if note is not None else Checkpoint("", 0, EMPTY_ROOT)
            self._check_not_rolled_back(reader, checkpoint, held.size)
            if note is None:
                return None
            known = receipts.load(self._ledger, self._key)
            witness = self._same_witness(known, held.witness)
            if known is not None and known.checkpoint == checkpoint and held.size == checkpoint.size:
                receipt = known
            else:
                cosigned = self._send(reader, note, checkpoint, held.size, progress)
                receipt = self._believed(cosigned, checkpoint, witness)
            receipt = self._witnessed(reader, receipt)
        if receipt != known:
            receipts.save(self._ledger, receipt)
        return receipt

    def _head(self) -> _Held:
        answer = self._transport("GET", f"/v1/ledgers/head?origin={self._key.name}")
        if answer.status == 404:
            raise NotEnrolledError("the server does not know this ledger yet", "run: hoop sync")
        document = self._expect(answer)
        try:
            return _Held(_size(document), Verifier.parse(str(document.get("witness"))))
        except LedgerError as error:
            raise UpstreamError("the server's answer cannot be understood", "check server.url") from error

    def _send(self, reader: Reader, note: str, checkpoint: Checkpoint, size: int, progress: Progress) -> object:
        """Send what is missing; the cosigned note of the last answer, or None if it has none."""
        idle = 0
        progress(size, checkpoint.size)
        with _Ahead(reader, note, checkpoint) as batches:
            while idle < _TURNS:
                answer = self._transport("POST", "/v1/ledgers/batches", batches.starting_at(size), MEDIA_TYPE)
                document = _stale(answer.document()) if answer.status == 409 else self._expect(answer)
                before, size = size, _size(document)
                cosigned = document.get("checkpoint") if answer.status == 200 else None
                if size == checkpoint.size and (cosigned is not None or before == size):
                    progress(size, size)
                    return cosigned
                if size > checkpoint.size:
                    raise _OvertakenError("the server has a later checkpoint")
                idle += size <= before
                progress(size, checkpoint.size)
        raise UpstreamError("the server does not take this ledger's records any further", "run: hoop sync")

    def _believed(self, cosigned: object, checkpoint: Checkpoint, witness: Verifier) -> Receipt:
        if not isinstance(cosigned, str):
            raise UpstreamError("the server has not cosigned this ledger yet", "run: hoop sync")
        try:
            receipt = Receipt.verified(cosigned, self._key, witness)
        except LedgerError as error:
            raise UpstreamError(f"the server's cosignature does not hold: {error.message}", _ASK) from error
        if receipt.checkpoint != checkpoint:
            raise UpstreamError("the server cosigned another checkpoint than it was sent", _ASK)
        return receipt

    def _witnessed(self, reader: Reader, receipt: Receipt) -> Receipt:
        """The receipt with the cosignatures of all further witnesses that answer."""
        self.unwitnessed = []
        signed = {(s.name, s.key_id) for s in Note.parse(receipt.note).signatures}
        for witness in self._witnesses:
            if (witness.verifier.name, witness.verifier.key_id) in signed:
                continue
            try:
                note = witness.add(reader, receipt.note, receipt.checkpoint)
                receipt = Receipt.verified(note, self._key, receipt.witness)
            except UpstreamError as error:
                self.unwitnessed.append(error.message)
        return receipt

    def _check_not_rolled_back(self, reader: Reader, checkpoint: Checkpoint, size: int) -> None:
        """The server's size was asked before the ledger was read: it cannot be larger in an honest world."""
        if size <= checkpoint.size:
            return
        if self._signer is not None:
            mine = reader.size
            root = tree_hash(mine, reader.node)
            body = {"origin": self._key.name, "statement": statements.head(self._signer, mine, root, self._now())}
            self._transport("POST", "/v1/ledgers/head", json.dumps(body).encode())
        raise ContradictedError(
            f"the server has {size} records of this ledger, and only {checkpoint.size} are signed here: "
            "it was put back to an older state",
            _ASK,
        )

    def _same_witness(self, known: Receipt | None, witness: Verifier) -> Verifier:
        if witness.algorithm != COSIGNATURE_V1:
            raise UpstreamError("the server's key is not that of a witness", "check server.url")
        if known is not None and known.witness != witness:
            raise UpstreamError(
                "the server signs with another key than it did before",
                f"if it was set up anew, move {receipts.receipt_file(self._ledger)} aside, then run: hoop sync",
            )
        return witness

    def _expect(self, answer: Answer) -> dict[str, Any]:
        document = answer.document()
        if answer.status == 200:
            return document
        said = f"the server refused ({answer.status}): {document.get('detail', '')}"
        if answer.status == 404:
            raise NotEnrolledError(said, "run: hoop sync")
        raise UpstreamError(said, str(document.get("hint", "")))


@dataclass(frozen=True, slots=True)
class _Held:
    size: int
    witness: Verifier


_TURNS: Final = 10


def _stale(document: dict[str, Any]) -> dict[str, Any]:
    """What a 409 says: where to go on from. Raises ContradictedError if it is about something else."""
    if not str(document.get("type", "")).endswith(":stale-size"):
        raise ContradictedError(str(document.get("detail", "the server refused")), _ASK)
    return document


def _size(document: dict[str, Any]) -> int:
    size = document.get("size")
    if type(size) is not int or size < 0:
        raise UpstreamError("the server's answer cannot be understood", "check server.url")
    return size


class _Ahead:
    """Batches of one ledger, each made while the one before is on its way. All reading is in one thread at a time."""

    def __init__(self, reader: Reader, note: str, checkpoint: Checkpoint) -> None:
        self._make = partial(_batch, reader, note, checkpoint)
        self._size = checkpoint.size
        self._pool = ThreadPoolExecutor(1, "batches")
        self._next: dict[int, Future[tuple[int, bytes]]] = {}

    def starting_at(self, start: int) -> bytes:
        """The batch whose first record is ``start``."""
        future = self._next.pop(start, None) or self._pool.submit(self._make, start)
        end, data = future.result()
        self._next = {end: self._pool.submit(self._make, end)} if end < self._size else {}
        return data

    def __enter__(self) -> _Ahead:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)


def _batch(reader: Reader, note: str, checkpoint: Checkpoint, start: int) -> tuple[int, bytes]:
    """One batch: the index after its last record, and its bytes."""
    records, payloads = _contents(reader, start, checkpoint.size)
    end = start + len(records)
    batch = Batch(
        checkpoint=note,
        start=start,
        root=tree_hash(start, reader.node),
        start_proof=_proof(reader, start, checkpoint.size),
        end_proof=_proof(reader, end, checkpoint.size),
        records=tuple(row.data for row in records),
        payloads=tuple(payloads),
    )
    return end, encode(batch)


def _contents(reader: Reader, start: int, end: int) -> tuple[list[StoredRecord], list[PayloadRow]]:
    """Records from ``start`` on, as many as fit, and their payloads."""
    records: list[StoredRecord] = []
    payloads: list[PayloadRow] = []
    left = BATCH_BYTES
    waiting: Iterator[PayloadRow] = reader.payload_rows(start * SLOTS)
    payload = next(waiting, None)
    for row in reader.rows(start):
        if row.index >= end or len(records) == BATCH_RECORDS or left <= 0:
            break
        records.append(row)
        left -= len(row.data)
        while payload is not None and payload.id < (row.index + 1) * SLOTS:
            payloads.append(payload)
            left -= len(payload.content or b"")
            payload = next(waiting, None)
    return records, payloads


def _proof(reader: Reader, first: int, second: int) -> tuple[bytes, ...]:
    return () if first in {0, second} else tuple(consistency_proof(first, second, reader.node))
