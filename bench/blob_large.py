"""A blob of 5 GiB by Microsoft's client for Python before Azurite: up in blocks and down, through the broker.

``python -m bench.blob_large``. What counts is that the broker's memory stays where it was, and that what comes down is
what went up.
"""

from __future__ import annotations

import hashlib
import os
import time
from io import RawIOBase
from typing import IO, TYPE_CHECKING, cast

from azure.storage.blob import BlobServiceClient

from bench.blob import broker
from bench.blob_sdk import azurite, connection_string
from bench.stage import peak

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SIZE = 5 << 30
_AT_ONCE = 4
_PIECE = os.urandom(1 << 20)


class _Pieces(RawIOBase):
    """Content that does not repeat, and its digest as far as it was read."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 0
        self.digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer)
        count = min(len(room), SIZE - self._at, len(_PIECE))
        piece = self._at.to_bytes(8, "big") + _PIECE[: count - 8] if count > 8 else bytes(count)
        room[:count] = piece
        self.digest.update(piece)
        self._at += count
        return count


def measure() -> list[tuple[str, str, str]]:
    """What was done, its speed, and the broker's memory before and at most."""
    with azurite() as port, broker(port) as hoop:
        with BlobServiceClient.from_connection_string(connection_string(port)) as direct:
            direct.create_container("large")
        before = peak(hoop.pid)
        with BlobServiceClient.from_connection_string(hoop.connection) as service:
            blob = service.get_blob_client("large", "5gib")
            pieces = _Pieces()
            start = time.perf_counter()
            blob.upload_blob(cast("IO[bytes]", pieces), length=SIZE, max_concurrency=_AT_ONCE)
            up, after_up = time.perf_counter() - start, peak(hoop.pid)
            digest, start = hashlib.sha256(), time.perf_counter()
            for chunk in blob.download_blob().chunks():
                digest.update(chunk)
            down, after = time.perf_counter() - start, peak(hoop.pid)
    if digest.digest() != pieces.digest.digest():
        raise RuntimeError("what came down is not what went up")
    return [
        ("5 GiB up in blocks", f"{SIZE / up / 1e6:,.0f} MB/s", f"{before:.0f} MB before, {after_up:.0f} MB at most"),
        ("5 GiB down", f"{SIZE / down / 1e6:,.0f} MB/s", f"{after:.0f} MB at most"),
    ]


if __name__ == "__main__":
    for row in measure():
        print(" | ".join(row), flush=True)  # noqa: T201
