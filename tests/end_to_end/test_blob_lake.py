"""The paths of Data Lake Storage by Microsoft's client for them, unmodified, before an account in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.filedatalake import DataLakeServiceClient, FileSystemClient

from connectors.blob.connector import BlobConnector
from connectors.blob.hint import client_hint
from connectors.blob.sharedkey import session_key
from hoopcli.sansio.events import Credential
from hoopcli.spi import SessionSecret
from tests.support.azurite import ACCOUNT, KEY
from tests.support.broker import RunningBroker, broker, eventually
from tests.support.lake import Lake, lake

POLICY = (Path(__file__).parent / "blob_policy.yaml").read_text()
CSV = b"id,ssn,mail\r\n1,123-45-6789,ada@example.com\r\n"


@pytest.fixture
def account() -> Iterator[Lake]:
    with lake() as running:
        running.files |= {"docs/people.csv": CSV, "docs/secret/key.txt": b"the key", "docs/secret": None}
        running.files |= {"docs/drafts": None} | {f"docs/drafts/{n}.txt": b"a draft" for n in range(5)}
        yield running


@pytest.fixture
def hoop(account: Lake, tmp_path: Path) -> Iterator[RunningBroker]:
    options = {"account": ACCOUNT, "endpoint": account.endpoint, "auth": "key", "secret": "env:UNUSED"}
    with broker(tmp_path, options, POLICY, connector=BlobConnector(), credential=Credential("key", KEY)) as running:
        yield running


@pytest.fixture
def docs(hoop: RunningBroker) -> Iterator[FileSystemClient]:
    endpoint = client_hint(hoop.listen, hoop.live.session.connection).environment["HOOP_BLOB_ENDPOINT"]
    key = session_key(SessionSecret(hoop.listen.secret))
    credential = {"account_name": ACCOUNT, "account_key": key}
    with DataLakeServiceClient(endpoint, credential=credential, retry_total=0) as client:
        yield client.get_file_system_client("docs")


def test_a_file_is_made_appended_to_flushed_and_read_masked(docs: FileSystemClient, account: Lake) -> None:
    file = docs.create_file("drafts/new.csv")
    file.append_data(CSV, 0, length=len(CSV))
    file.flush_data(len(CSV))
    assert account.files["docs/drafts/new.csv"] == CSV
    shown = file.download_file().readall()
    assert len(shown) == len(CSV)
    assert b"123-45" not in shown
    assert b"ada@example" not in shown
    assert b"6789" in shown
    assert file.get_file_properties().size == len(CSV)


def test_paths_are_listed_over_pages_without_what_may_not_be_seen(docs: FileSystemClient, hoop: RunningBroker) -> None:
    names = [path.name for path in docs.get_paths()]
    assert names == ["drafts", *(f"drafts/{n}.txt" for n in range(5)), "people.csv", "secret"]

    def hidden() -> int:
        outcomes = hoop.ledger.bodies("exchange.outcome")
        return sum(body["facts"]["hidden"] for body in outcomes if "facts" in body)

    eventually(lambda: hidden() == 1)


def test_an_append_is_looked_into_as_what_it_is(docs: FileSystemClient, account: Lake) -> None:
    file = docs.create_file("drafts/card.txt")
    card = b"paid with 4111 1111 1111 1111"
    with pytest.raises(HttpResponseError, match="no-cards-in-drafts"):
        file.append_data(card, 0, length=len(card))
    assert account.files["docs/drafts/card.txt"] == b""


def test_a_directory_is_made_moved_and_deleted_with_all_below(docs: FileSystemClient, account: Lake) -> None:
    directory = docs.create_directory("drafts/one")
    assert account.files["docs/drafts/one"] is None
    docs.get_directory_client("drafts/one").delete_directory()
    assert "docs/drafts/one" not in account.files
    with pytest.raises(HttpResponseError):
        docs.get_directory_client("secret").delete_directory()
    assert account.files["docs/secret/key.txt"] == b"the key"
    assert directory.path_name == "drafts/one"


def test_a_rename_carries_nothing_out_and_nothing_in(docs: FileSystemClient, account: Lake) -> None:
    with pytest.raises(HttpResponseError) as denied:
        docs.get_file_client("secret/key.txt").rename_file("docs/drafts/mine.txt")
    assert "secrets-are-nobodys" in str(denied.value)
    with pytest.raises(HttpResponseError):
        docs.get_file_client("drafts/0.txt").rename_file("docs/secret/0.txt")
    assert account.files["docs/secret/key.txt"] == b"the key"
    assert account.files["docs/drafts/0.txt"] == b"a draft"
    docs.get_file_client("drafts/0.txt").rename_file("docs/drafts/moved.txt")
    assert account.files["docs/drafts/moved.txt"] == b"a draft"


def test_a_denial_is_an_error_of_the_endpoint(docs: FileSystemClient, account: Lake) -> None:
    name = "secret/key.txt"
    for attempt in (
        lambda: docs.get_file_client(name).download_file(),
        lambda: docs.get_file_client(name).append_data(b"x", 0),
        lambda: docs.get_file_client(name).get_access_control(),
        lambda: docs.get_file_client(name).delete_file(),
    ):
        before = len(account.asked)
        with pytest.raises(HttpResponseError):
            attempt()
        assert len(account.asked) == before


def test_the_account_sees_no_credential_of_the_client(
    docs: FileSystemClient, account: Lake, hoop: RunningBroker
) -> None:
    docs.get_file_client("people.csv").download_file().readall()
    list(docs.get_paths())
    said = repr(account.asked)
    assert hoop.listen.secret not in said
    assert session_key(SessionSecret(hoop.listen.secret)) not in said
