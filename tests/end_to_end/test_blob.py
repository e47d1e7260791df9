"""Blobs through the broker: Microsoft's client for Python, unmodified, against Azurite."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContentSettings

from connectors.blob.connector import BlobConnector
from connectors.blob.hint import connection_string
from hoopcli.sansio.events import Credential
from tests.support.azurite import ACCOUNT, KEY, Azurite, azurite
from tests.support.broker import DBA, RunningBroker, broker, eventually

POLICY = (Path(__file__).parent / "blob_policy.yaml").read_text()
PEOPLE = [
    {"id": str(n), "name": f"Person {n}", "ssn": f"{100 + n % 800}-{10 + n % 80}-{1000 + n % 8000}", "mail": mail}
    for n in range(30_000)
    for mail in [f"person{n}@example.com" if n % 3 else ""]
]


def as_csv(rows: list[dict[str, str]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["id", "name", "ssn", "mail"], lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows: list[dict[str, str]]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), out, row_group_size=1000)
    return out.getvalue()


CSV = as_csv(PEOPLE)
IMAGE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


@pytest.fixture(scope="module")
def store() -> Iterator[Azurite]:
    with azurite() as running:
        direct = BlobServiceClient.from_connection_string(running.connection_string)
        with direct:
            docs = direct.create_container("docs")
            direct.create_container("other").upload_blob("a.txt", b"other")
            docs.upload_blob("people.csv", CSV, content_settings=ContentSettings(content_type="text/csv"))
            docs.upload_blob("hello.txt", b"write to ada@example.com", metadata={"owner": "ada@example.com"})
            docs.upload_blob("one.json", json.dumps({"ssn": "123-45-6789", "n": [1, {"ssn": "987-65-4321"}]}).encode())
            docs.upload_blob("image.png", IMAGE, content_settings=ContentSettings(content_type="image/png"))
            docs.upload_blob("people.csv.gz", gzip.compress(CSV))
            docs.upload_blob("people.parquet", as_parquet(PEOPLE[:5000]))
            docs.upload_blob("secret/key.txt", b"the key")
            for number in range(5):
                docs.upload_blob(f"old/{number}.txt", b"old")
        yield running


@pytest.fixture
def hoop(store: Azurite, tmp_path: Path) -> Iterator[RunningBroker]:
    with broker(
        tmp_path, store.options(), POLICY, connector=BlobConnector(), credential=Credential("key", KEY)
    ) as running:
        yield running


@pytest.fixture
def client(hoop: RunningBroker) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(
        connection_string(hoop.listen, hoop.live.session.connection), retry_total=0
    ) as connected:
        yield connected


def read(client: BlobServiceClient, name: str, **more: Any) -> bytes:
    data: bytes = client.get_blob_client("docs", name).download_blob(**more).readall()
    return data


def test_a_text_is_masked_and_keeps_its_length(client: BlobServiceClient, hoop: RunningBroker) -> None:
    text = read(client, "hello.txt")
    assert len(text) == len(b"write to ada@example.com")
    assert text.startswith(b"write to ")
    assert b"ada" not in text
    outcome = hoop.ledger.outcome_of("docs/hello.txt")
    assert outcome["masked"] == {"email": 1}
    assert outcome["delivered"]["size"] == len(text)


def test_a_column_is_masked_by_its_name(client: BlobServiceClient) -> None:
    rows = list(csv.DictReader(io.StringIO(read(client, "people.csv").decode())))
    assert len(rows) == len(PEOPLE)
    for shown, real in zip(rows, PEOPLE, strict=True):
        assert (shown["id"], shown["name"]) == (real["id"], real["name"])
        assert shown["ssn"].endswith(real["ssn"][-4:])
        assert real["ssn"][:-4] not in shown["ssn"]
        assert "@example" not in shown["mail"]


def test_ranges_in_parallel_agree_with_the_masked_whole(client: BlobServiceClient, hoop: RunningBroker) -> None:
    whole = read(client, "people.csv")
    assert len(whole) == len(CSV)
    connection = connection_string(hoop.listen, hoop.live.session.connection)
    with BlobServiceClient.from_connection_string(
        connection, max_single_get_size=65_536, max_chunk_get_size=65_536
    ) as pieces:
        assert read(pieces, "people.csv", max_concurrency=8) == whole
    middle = CSV.index(PEOPLE[700]["ssn"].encode()) + 2
    for offset in (middle, 0, len(CSV) - 3):
        assert read(client, "people.csv", offset=offset, length=3) == whole[offset : offset + 3]


def test_many_readers_of_one_blob_at_once(client: BlobServiceClient) -> None:
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda n: read(client, "people.csv", offset=n * 1000, length=5000), range(12)))
    whole = read(client, "people.csv")
    assert found == [whole[n * 1000 : n * 1000 + 5000] for n in range(12)]


@pytest.mark.parametrize("span", [{}, {"offset": 0, "length": 1 << 30}, {"max_concurrency": 4}])
def test_what_changes_its_length_is_masked_and_agrees_in_length(
    client: BlobServiceClient, hoop: RunningBroker, span: dict[str, int]
) -> None:
    data = read(client, "people.csv.gz", **span)
    assert client.get_blob_client("docs", "people.csv.gz").get_blob_properties().size == len(data)
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(data).decode())))
    assert len(rows) == len(PEOPLE)
    assert all(shown["ssn"].endswith(real["ssn"][-4:]) for shown, real in zip(rows, PEOPLE, strict=True))
    assert not any(real["ssn"][:-4] in shown["ssn"] for shown, real in zip(rows, PEOPLE, strict=True))


def test_parquet_is_masked_by_column(client: BlobServiceClient) -> None:
    blob = client.get_blob_client("docs", "people.parquet")
    size = blob.get_blob_properties().size
    data = blob.download_blob().readall()
    assert len(data) == size
    rows = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    assert [row["name"] for row in rows] == [row["name"] for row in PEOPLE[:5000]]
    assert not any(real["ssn"][:-4] in shown["ssn"] for shown, real in zip(rows, PEOPLE[:5000], strict=True))
    assert not any("@example" in row["mail"] for row in rows)


def test_json_is_masked_by_path(client: BlobServiceClient) -> None:
    found = json.loads(read(client, "one.json"))
    assert found["ssn"].endswith("6789")
    assert "123-45" not in found["ssn"]
    assert "987-65" not in found["n"][1]["ssn"]


def test_properties_agree_with_what_is_read(client: BlobServiceClient) -> None:
    blob = client.get_blob_client("docs", "hello.txt")
    properties = blob.get_blob_properties()
    assert properties.size == len(read(client, "hello.txt"))
    assert "ada@" not in properties.metadata["owner"]
    stream = blob.download_blob(etag=properties.etag, match_condition=MatchConditions.IfNotModified)
    assert stream.properties.etag == properties.etag


def test_conditions_are_about_the_masked_blob(client: BlobServiceClient) -> None:
    blob = client.get_blob_client("docs", "people.csv")
    etag = blob.get_blob_properties().etag
    same = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
    assert len(blob.download_blob(0, 10, **same).readall()) == 10
    with pytest.raises(ResourceModifiedError):
        blob.download_blob(0, 10, etag='"0x8D0000000000000"', match_condition=MatchConditions.IfNotModified)
    with pytest.raises(HttpResponseError) as caught:
        blob.download_blob(0, 10, etag=etag, match_condition=MatchConditions.IfModified)
    assert caught.value.status_code == 304


def test_what_cannot_be_read_is_denied(client: BlobServiceClient) -> None:
    with pytest.raises(HttpResponseError, match="opaque-content") as caught:
        read(client, "image.png")
    assert caught.value.status_code == 403


def test_listings_hide_what_may_not_be_seen(client: BlobServiceClient) -> None:
    docs = client.get_container_client("docs")
    names = [found.name for found in docs.list_blobs()]
    assert "people.csv" in names
    assert not [name for name in names if name.startswith("secret")]
    assert [page_names for page in docs.list_blobs(results_per_page=2).by_page() for page_names in page] != []
    paged = [found.name for page in docs.list_blobs(results_per_page=2).by_page() for found in page]
    assert paged == names
    top = [found.name for found in docs.walk_blobs()]
    assert {"hello.txt", "image.png", "old/"} <= set(top)
    assert "secret/" not in top
    assert [found.name for found in client.list_containers()] == ["docs"]


def test_a_denied_read_says_which_rule_and_never_left(
    client: BlobServiceClient, hoop: RunningBroker, store: Azurite
) -> None:
    with pytest.raises(HttpResponseError, match="secrets-are-nobodys") as caught:
        read(client, "secret/key.txt")
    assert caught.value.status_code == 403
    assert hoop.ledger.request_of("secret/key.txt")["decision"]["effect"] == "deny"
    with pytest.raises(HttpResponseError, match="default-deny"):
        client.get_blob_client("other", "a.txt").download_blob()
    with pytest.raises(ResourceNotFoundError):
        read(client, "nothing.txt")


def test_uploads_of_every_size(client: BlobServiceClient, hoop: RunningBroker, store: Azurite) -> None:
    small, large = b"a draft", b"a line of a draft\n" * 500_000
    client.get_blob_client("docs", "drafts/small").upload_blob(small)
    with BlobServiceClient.from_connection_string(
        connection_string(hoop.listen, hoop.live.session.connection),
        max_single_put_size=1 << 20, max_block_size=1 << 20, retry_total=0,
    ) as blocks:  # fmt: skip
        blocks.get_blob_client("docs", "drafts/large").upload_blob(large, max_concurrency=4)
    with BlobServiceClient.from_connection_string(store.connection_string) as direct:
        assert read(direct, "drafts/small") == small
        assert read(direct, "drafts/large") == large
    stored = hoop.ledger.outcome_of("docs/drafts/small")["facts"]["stored"]
    assert stored == {"sha256": hashlib.sha256(small).hexdigest(), "size": len(small)}
    with pytest.raises(ResourceExistsError):
        client.get_blob_client("docs", "drafts/small").upload_blob(small)
    with pytest.raises(HttpResponseError, match="default-deny"):
        client.get_blob_client("docs", "final.txt").upload_blob(small)


def test_an_upload_is_denied_for_what_it_contains(client: BlobServiceClient, store: Azurite) -> None:
    with pytest.raises(HttpResponseError, match="no-cards-in-drafts"):
        client.get_blob_client("docs", "drafts/card.txt").upload_blob(b"pay by 4111 1111 1111 1111")
    with pytest.raises(HttpResponseError, match="could not be evaluated"):
        client.get_blob_client("docs", "drafts/card.txt").upload_blob(IMAGE)
    with (
        BlobServiceClient.from_connection_string(store.connection_string) as direct,
        pytest.raises(ResourceNotFoundError),
    ):
        read(direct, "drafts/card.txt")


def test_a_delete_waits_for_a_person(client: BlobServiceClient, hoop: RunningBroker, store: Azurite) -> None:
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(client.get_blob_client("docs", "old/0.txt").delete_blob)
        [request] = eventually(hoop.approvals.pending)
        assert "docs/old/0.txt" in request.text
        with BlobServiceClient.from_connection_string(store.connection_string) as direct:
            assert read(direct, "old/0.txt") == b"old"
            hoop.approvals.answer(request.id, DBA, approve=True)
            asked.result(20)
            with pytest.raises(ResourceNotFoundError):
                read(direct, "old/0.txt")


def test_a_batch_is_taken_apart(client: BlobServiceClient, store: Azurite, hoop: RunningBroker) -> None:
    with BlobServiceClient.from_connection_string(store.connection_string) as direct:
        for name in ("drafts/b1", "drafts/b2"):
            direct.get_blob_client("docs", name).upload_blob(b"x", overwrite=True)
        docs = client.get_container_client("docs")
        answers = list(docs.delete_blobs("drafts/b1", "secret/key.txt", "drafts/b2", raise_on_any_failure=False))
        assert [answer.status_code for answer in answers] == [202, 403, 202]
        assert read(direct, "secret/key.txt") == b"the key"
        for name in ("drafts/b1", "drafts/b2"):
            with pytest.raises(ResourceNotFoundError):
                read(direct, name)


def test_leases_and_copies(client: BlobServiceClient, store: Azurite) -> None:
    draft = client.get_blob_client("docs", "drafts/leased")
    draft.upload_blob(b"one", overwrite=True)
    lease = draft.acquire_lease()
    with pytest.raises(HttpResponseError) as caught:
        draft.upload_blob(b"two", overwrite=True)
    assert caught.value.status_code == 412
    draft.upload_blob(b"two", overwrite=True, lease=lease)
    lease.release()
    source = client.get_blob_client("docs", "hello.txt").url
    copied = client.get_blob_client("docs", "drafts/copied").start_copy_from_url(source)
    assert copied["copy_status"] == "success"
    secret = client.get_blob_client("docs", "secret/key.txt").url
    with pytest.raises(HttpResponseError, match="secrets-are-nobodys"):
        client.get_blob_client("docs", "drafts/stolen").start_copy_from_url(secret)
    with pytest.raises(HttpResponseError):
        client.get_blob_client("docs", "drafts/metadata").start_copy_from_url("http://169.254.169.254/latest/meta-data")


def test_neither_side_sees_the_credential_of_the_other(
    client: BlobServiceClient, hoop: RunningBroker, store: Azurite
) -> None:
    read(client, "hello.txt")
    connection = connection_string(hoop.listen, hoop.live.session.connection)
    assert KEY not in connection
    session_key = dict(part.partition("=")[::2] for part in connection.split(";"))["AccountKey"]
    log = eventually(lambda: store.log.exists() and "hello.txt" in (text := store.log.read_text()) and text)
    assert session_key not in log
    assert hoop.listen.secret not in log
    with BlobServiceClient(store.endpoint.replace(str(store.port), str(hoop.listen.port)), credential=KEY) as stranger:
        with pytest.raises(HttpResponseError) as caught:
            stranger.get_blob_client("docs", "hello.txt").download_blob()
        assert caught.value.status_code == 403
    assert ACCOUNT in connection
