"""A batch: consecutive records of a ledger on their way to a server, with what proves that they belong there.

One zstd frame. Inside: a line of JSON that says what follows; then the canonical bytes of each record, a newline
after each; then, for each payload, 32 bytes of salt and its content as stored, one after another.

The header's members: ``v``; ``checkpoint``, a signed note; ``start``, how many records come before; ``root``, the hash
of the tree of those; ``start_proof`` and ``end_proof``, the consistency proofs from the trees before and after
the batch to that of the checkpoint; ``records``, how many; ``payloads``, for each its id and the size of its content,
null if it has expired and -1 if only its digest was ever kept.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import zstandard

from hoopcli.errors import ProtocolError
from hoopcli.ledger.reader import PayloadRow
from hoopcli.ledger.record import SALT_SIZE

MEDIA_TYPE: Final = "application/vnd.hoop.batch"
VERSION: Final = 1
MAX_RECORDS: Final = 100_000
MAX_PROOF: Final = 63
_DIGEST_ONLY: Final = -1
_WINDOW: Final = 1 << 27
_LEVEL: Final = 1
"""Fast: most of what a batch holds is either small text or compressed already."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records ``start`` to ``end - 1`` and the payloads that they name. Nothing of it is trusted until proved."""

    checkpoint: str
    start: int
    root: bytes
    start_proof: tuple[bytes, ...]
    end_proof: tuple[bytes, ...]
    records: tuple[bytes, ...]
    payloads: tuple[PayloadRow, ...]

    @property
    def end(self) -> int:
        """The index after the last record."""
        return self.start + len(self.records)


def encode(batch: Batch) -> bytes:
    """The bytes of a batch."""
    header = {
        "v": VERSION,
        "checkpoint": batch.checkpoint,
        "start": batch.start,
        "root": _b64(batch.root),
        "start_proof": [_b64(node) for node in batch.start_proof],
        "end_proof": [_b64(node) for node in batch.end_proof],
        "records": len(batch.records),
        "payloads": [(row.id, _size(row)) for row in batch.payloads],
    }
    parts = [json.dumps(header, separators=(",", ":")).encode(), *batch.records, b""]
    content = b"".join(
        part for row in batch.payloads if row.salt is not None for part in (row.salt, row.content or b"")
    )
    return zstandard.ZstdCompressor(level=_LEVEL).compress(b"\n".join(parts) + content)


def decode(data: bytes, limit: int) -> Batch:
    """Read a batch whose unpacked size is at most ``limit`` bytes. Raises ProtocolError if it is malformed."""
    plain = _unpack(data, limit)
    line, newline, rest = plain.partition(b"\n")
    try:
        header = json.loads(line) if newline else None
    except (ValueError, RecursionError) as error:
        raise ProtocolError("malformed batch: its header is not JSON") from error
    if not isinstance(header, dict) or header.get("v") != VERSION:
        raise ProtocolError("malformed batch: its header is of another version")
    try:
        count, start = _natural(header["records"], MAX_RECORDS), _natural(header["start"], 1 << 53)
        records = rest.split(b"\n", count)
        if len(records) != count + 1:
            raise ProtocolError("malformed batch: it has fewer records than it says")
        return Batch(
            checkpoint=_text(header["checkpoint"]),
            start=start,
            root=_hash(header["root"]),
            start_proof=_proof(header["start_proof"]),
            end_proof=_proof(header["end_proof"]),
            records=tuple(records[:count]),
            payloads=_payloads(header["payloads"], records[count]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ProtocolError(f"malformed batch: {type(error).__name__}") from error


def _unpack(data: bytes, limit: int) -> bytes:
    try:
        size = zstandard.frame_content_size(data)
        if not 0 <= size <= limit:
            raise ProtocolError("malformed batch: it is larger than any that is taken, or does not say its size")
        return zstandard.ZstdDecompressor(max_window_size=_WINDOW).decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ProtocolError("malformed batch: not zstd") from error


def _payloads(sizes: Sequence[Any], content: bytes) -> tuple[PayloadRow, ...]:
    rows, at = [], 0
    for identity, size in sizes:
        _natural(identity, 1 << 55)
        if size is None:
            rows.append(PayloadRow(identity, None, None))
            continue
        end = at + SALT_SIZE + (0 if size == _DIGEST_ONLY else _natural(size, len(content)))
        kept = None if size == _DIGEST_ONLY else content[at + SALT_SIZE : end]
        rows.append(PayloadRow(identity, content[at : at + SALT_SIZE], kept))
        at = end
    if at != len(content):
        raise ProtocolError("malformed batch: its payloads are not as long as it says")
    return tuple(rows)


def _size(row: PayloadRow) -> int | None:
    if row.salt is None:
        return None
    return _DIGEST_ONLY if row.content is None else len(row.content)


def _natural(value: object, limit: int) -> int:
    if type(value) is not int or not 0 <= value <= limit:
        raise ValueError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _proof(value: object) -> tuple[bytes, ...]:
    if not isinstance(value, list) or len(value) > MAX_PROOF:
        raise ValueError
    return tuple(_hash(item) for item in value)


def _hash(value: object) -> bytes:
    digest = base64.b64decode(_text(value), validate=True)
    if len(digest) != 32:
        raise ValueError
    return digest


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
