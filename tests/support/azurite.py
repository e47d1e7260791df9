"""Azurite, Microsoft's emulator of Blob Storage, as the real upstream of tests."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which

import pytest

from hoopcli.model.access import Connection
from tests.support.ports import free_port, listens
from tests.support.waiting import eventually

#: The account and key that the emulator publishes.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_PROGRAM = Path(__file__).parents[1] / "end_to_end/node/node_modules/.bin/azurite-blob"


@dataclass(frozen=True)
class Azurite:
    """A running emulator. ``log`` is its debug log, with every request and its headers."""

    port: int
    scheme: str
    log: Path

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        return f"DefaultEndpointsProtocol={self.scheme};AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.endpoint};"

    def options(self, **more: str) -> dict[str, str]:
        return {"account": ACCOUNT, "endpoint": self.endpoint, "auth": "key", "secret": "env:UNUSED", **more}

    def connection(self) -> Connection:
        return Connection("azure-blob", "blob", self.options())


@contextmanager
def azurite(*, certificate: tuple[Path, Path] | None = None, in_memory: bool = True) -> Iterator[Azurite]:
    """An emulator of its own; with a certificate and its key over https, taking bearer tokens too."""
    if not (_PROGRAM.exists() and which("node")):
        pytest.skip("Azurite is not installed: it needs npm")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="hoop-azurite-") as folder:
        log = Path(folder) / "debug.log"
        command = [str(_PROGRAM), "--blobHost", "127.0.0.1", "--blobPort", str(port)]
        command += ["--skipApiVersionCheck", "--loose", "--silent", "--disableTelemetry", "--debug", str(log)]
        command += ["--inMemoryPersistence"] if in_memory else ["--location", folder]
        if certificate:
            command += ["--cert", str(certificate[0]), "--key", str(certificate[1]), "--oauth", "basic"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
        try:
            eventually(lambda: listens(port) or process.poll() is not None)
            assert process.poll() is None, "Azurite ended"
            yield Azurite(port, "https" if certificate else "http", log)
        finally:
            process.terminate()
            process.wait(20)
