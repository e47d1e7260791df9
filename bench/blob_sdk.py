"""Blob Storage by Microsoft's client for Python before Azurite: what a user of either sees. Run by ``bench.blob``."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from azure.storage.blob import BlobServiceClient, ContainerClient, ContentSettings

from bench.proxies import free_port, wait_for
from bench.storage import csv_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

#: The account that the emulator is told to have.
ACCOUNT, KEY = "benchaccount", "c2VjcmV0"
CSV_SIZE = 200_000_000
NAMES = 100_000
GIB = 1 << 30
_PROGRAM = Path(__file__).parents[1] / "tests/end_to_end/node/node_modules/.bin/azurite-blob"
_AT_ONCE = 4


def installed() -> bool:
    """Whether there is an Azurite here."""
    return _PROGRAM.exists()


@contextmanager
def azurite() -> Iterator[int]:
    """The emulator, its blobs in memory; its port."""
    with tempfile.TemporaryDirectory(prefix="hoop-bench-") as folder:
        port = free_port()
        command = [
            str(_PROGRAM),
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            str(port),
            "--inMemoryPersistence",
            "--silent",
        ]
        command += ["--skipApiVersionCheck", "--loose", "--disableTelemetry", "--extentMemoryLimit", "16384"]
        environment = dict(os.environ, AZURITE_ACCOUNTS=f"{ACCOUNT}:{KEY}")
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=folder)  # noqa: S603
        try:
            wait_for(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(20)


def connection_string(port: int) -> str:
    """The way to the emulator by a port, its own or that of a proxy before it."""
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"


class Sdk:
    """A client of one container, as its documentation has it."""

    def __init__(self, connection: str, container: str = "box") -> None:
        self.service = BlobServiceClient.from_connection_string(connection)
        self.box: ContainerClient = self.service.get_container_client(container)

    def fill(self) -> None:
        """Put what is read into the account."""
        self.box.create_container()
        self.box.upload_blob("gib", cast("IO[bytes]", _Zeros(GIB)), length=GIB, max_concurrency=_AT_ONCE)
        self.box.upload_blob("small", bytes(4096))
        table = ContentSettings(content_type="text/csv")
        self.box.upload_blob("people.csv", csv_of(CSV_SIZE), content_settings=table, max_concurrency=_AT_ONCE)

    def download(self) -> float:
        """MB/s of one GiB, in ranges, four at once."""
        return self._drained("gib")

    def table(self) -> float:
        """MB/s of a CSV of 200 MB, in ranges."""
        return self._drained("people.csv")

    def upload(self) -> float:
        """MB/s of one GiB, in blocks, four at once."""
        start = time.perf_counter()
        zeros = cast("IO[bytes]", _Zeros(GIB))
        self.box.upload_blob("up", zeros, length=GIB, max_concurrency=_AT_ONCE, overwrite=True)
        return GIB / (time.perf_counter() - start) / 1e6

    def small(self, count: int = 300) -> float:
        """Reads of 4 KiB per second."""
        start = time.perf_counter()
        for _ in range(count):
            self.box.download_blob("small").readall()
        return count / (time.perf_counter() - start)

    def names(self) -> float:
        """Names per second of a listing, before the bare account: the emulator takes minutes to be filled so."""
        start = time.perf_counter()
        count = sum(1 for _ in self.box.list_blob_names())
        if count != NAMES:
            raise RuntimeError(f"{count} names came instead of {NAMES}")
        return count / (time.perf_counter() - start)

    def _drained(self, name: str) -> float:
        start = time.perf_counter()
        size = self.box.download_blob(name, max_concurrency=_AT_ONCE).readinto(cast("IO[bytes]", _Sink()))
        return size / (time.perf_counter() - start) / 1e6

    def close(self) -> None:
        """End."""
        self.service.close()


class _Zeros(RawIOBase):
    """So many bytes to read."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count = min(len(memoryview(buffer)), self._left)
        self._left -= count
        return count


class _Sink:
    """Takes whatever is written."""

    def write(self, data: bytes) -> int:
        return len(data)

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0

    def seek(self, _position: int, _whence: int = os.SEEK_SET) -> int:
        return 0
