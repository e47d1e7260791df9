"""A session before Azurite for those who attack it: what they send, what the upstream heard, what the ledger says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from azure.storage.blob import BlobServiceClient, ContainerClient, ContentSettings

from connectors.blob.connector import BlobConnector
from connectors.blob.sharedkey import session_key
from hoopcli.sansio.events import Credential
from hoopcli.spi import SessionSecret
from tests.support.azurite import ACCOUNT, KEY, Azurite, azurite
from tests.support.broker import RunningBroker, broker, eventually
from tests.support.rawhttp import Answer, Fields, RawClient

DOCS = f"/{ACCOUNT}/docs"
#: A blob that nobody may touch.
SECRET = "secret/key.txt"
_POLICY = Path(__file__).parents[1] / "end_to_end/blob_attacks.yaml"


@dataclass(frozen=True)
class BlobStage:
    """One session, its upstream, and a client that sends what it is told."""

    emulator: Azurite
    hoop: RunningBroker
    raw: RawClient
    direct: BlobServiceClient

    @property
    def key(self) -> str:
        """The session's account key."""
        return session_key(SessionSecret(self.hoop.listen.secret))

    @property
    def docs(self) -> ContainerClient:
        """The container as it is upstream."""
        return self.direct.get_container_client("docs")

    def ask(self, method: str, name: str, fields: Fields = (), **more: Any) -> Answer:
        """Ask, signed, for a blob of the container ``docs``, with a query if the name has one."""
        return self.raw.ask(method, f"{DOCS}/{name}", fields, **more)

    def put(self, name: str, data: bytes, content_type: str = "", **more: Any) -> None:
        """Put a blob upstream, past the broker."""
        settings = ContentSettings(content_type=content_type or None)
        self.docs.upload_blob(name, data, overwrite=True, content_settings=settings, **more)

    def stored(self, name: str) -> bytes:
        """What is upstream."""
        data: bytes = self.docs.download_blob(name).readall()
        return data

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What happens in this block must not reach the upstream."""
        mark = self.emulator.mark()
        yield
        assert self.emulator.asked_since(mark) == []

    @contextmanager
    def noted(self, text: str = "") -> Iterator[None]:
        """What happens in this block must leave a note in the ledger that a connection was ended by an error."""
        before = len(self._notes())
        yield
        found = eventually(lambda: self._notes()[before:])
        assert any(text in note for note in found), found

    @contextmanager
    def denied(self, rule: str) -> Iterator[None]:
        """What happens in this block must be recorded as denied by a rule, and not reach the upstream."""
        before = len(self._requests())
        with self.unheard():
            yield
        decisions = [request["decision"] for request in self._requests()[before:]]
        assert [(each["effect"], each["rule"]) for each in decisions] == [("deny", rule)]

    def _notes(self) -> list[str]:
        return [str(note["facts"]["error"]) for note in self.hoop.ledger.bodies("ledger.note")]

    def _requests(self) -> list[Mapping[str, Any]]:
        return self.hoop.ledger.bodies("exchange.request")


@contextmanager
def blob_stage(emulator: Azurite, folder: Path) -> Iterator[BlobStage]:
    """A session under the policy of the attacks, until the block ends."""
    options, credential, policy = emulator.options(), Credential("key", KEY), _POLICY.read_text()
    with (
        BlobServiceClient.from_connection_string(emulator.connection_string) as direct,
        broker(folder, options, policy, connector=BlobConnector(), credential=credential) as running,
    ):
        yield BlobStage(emulator, running, RawClient(running.listen, ACCOUNT), direct)


@contextmanager
def attacked(folder: Path) -> Iterator[BlobStage]:
    """An emulator with a few blobs and a session before it. No mask holds in the container ``open``."""
    with azurite() as emulator, blob_stage(emulator, folder) as stage:
        for name in ("docs", "open", "other"):
            stage.direct.create_container(name)
        for name in ("hello.txt", SECRET, "drafts/mine.txt"):
            stage.put(name, b"some words")
        stage.direct.get_blob_client("other", "a.txt").upload_blob(b"other words")
        yield stage
