"""Azurite, Microsoft's emulator of Blob Storage, as the real upstream of tests; or any account that is named."""

from __future__ import annotations

import os
import re
import secrets
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from shutil import which

import pytest
from azure.storage.blob import BlobServiceClient

from hoopcli.model.access import Connection
from tests.support.ports import free_port, listens
from tests.support.waiting import eventually

#: The account and key that the emulator publishes.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
#: The connection string of an account that tests use instead of the emulator.
NAMED = "HOOP_TEST_BLOB"
_CANARY = "canary"
_REQUEST = re.compile(r"RequestMethod=(\w+) RequestURL=\S+?/" + ACCOUNT + r"(\S*) RequestHeaders:")
_PROGRAM = Path(__file__).parents[1] / "end_to_end/node/node_modules/.bin/azurite-blob"


def connection_string(account: str, key: str, endpoint: str) -> str:
    """What clients take to reach an account with its key."""
    scheme = endpoint.partition(":")[0]
    return f"DefaultEndpointsProtocol={scheme};AccountName={account};AccountKey={key};BlobEndpoint={endpoint};"


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
        return connection_string(ACCOUNT, KEY, self.endpoint)

    def options(self, **more: str) -> dict[str, str]:
        return {"account": ACCOUNT, "endpoint": self.endpoint, "auth": "key", "secret": "env:UNUSED", **more}

    def connection(self) -> Connection:
        return Connection("azure-blob", "blob", self.options())

    def mark(self) -> int:
        """Where the log ends, once all that was asked before is in it."""
        self._settle()
        return self.log.stat().st_size

    def heard_since(self, mark: int) -> str:
        """What the log says of the time from a mark until now."""
        self._settle()
        with self.log.open("rb") as log:
            log.seek(mark)
            return log.read().decode("utf-8", "replace")

    def asked_since(self, mark: int) -> list[str]:
        """The requests from a mark until now, as ``METHOD /container/name?query``."""
        found = _REQUEST.findall(self.heard_since(mark))
        return [f"{method} {target}" for method, target in found if _CANARY not in target]

    def _settle(self) -> None:
        """Ask for something, and wait until the log says so: the log is written in order."""
        name, start = f"{_CANARY}-{secrets.token_hex(8)}", self.log.stat().st_size
        with closing(self._wire()) as wire:
            wire.request("GET", f"/{ACCOUNT}/{name}")
            wire.getresponse().read()

        def logged() -> bool:
            with self.log.open("rb") as log:
                log.seek(start)
                return name.encode() in log.read()

        eventually(logged)

    def _wire(self) -> HTTPConnection:
        if self.scheme == "http":
            return HTTPConnection("127.0.0.1", self.port, timeout=20)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return HTTPSConnection("127.0.0.1", self.port, timeout=20, context=context)


@dataclass(frozen=True)
class Store:
    """An account with a container of the tests' own. ``emulator`` is it, where it is one."""

    account: str
    key: str
    endpoint: str
    container: str
    emulator: Azurite | None = None

    @property
    def connection_string(self) -> str:
        return connection_string(self.account, self.key, self.endpoint)

    def options(self) -> dict[str, str]:
        return {"account": self.account, "endpoint": self.endpoint, "auth": "key", "secret": "env:UNUSED"}

    def policy(self, text: str) -> str:
        """A policy about the emulator's container ``docs``, about this one."""
        return text.replace(f"{ACCOUNT}/docs", f"{self.account}/{self.container}").replace(
            f'"{ACCOUNT}"', f'"{self.account}"'
        )


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


@contextmanager
def blob_store() -> Iterator[Store]:
    """The account that ``HOOP_TEST_BLOB`` names, else an emulator's, with an empty container until the block ends."""
    if text := os.environ.get(NAMED):
        named = dict(part.partition("=")[::2] for part in text.split(";") if part)
        account = named["AccountName"]
        endpoint = named.get("BlobEndpoint") or f"https://{account}.blob.{named['EndpointSuffix']}"
        container = f"hoop-test-{secrets.token_hex(4)}"
        with _with_container(Store(account, named["AccountKey"], endpoint.rstrip("/"), container)) as store:
            yield store
    else:
        with azurite() as emulator, _with_container(Store(ACCOUNT, KEY, emulator.endpoint, "docs", emulator)) as store:
            yield store


@contextmanager
def _with_container(store: Store) -> Iterator[Store]:
    with BlobServiceClient.from_connection_string(store.connection_string) as direct:
        direct.create_container(store.container)
        try:
            yield store
        finally:
            direct.delete_container(store.container)
