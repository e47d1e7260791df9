"""What Microsoft's own client sends is proved and understood: its requests, recorded from the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import AzureError
from azure.storage.blob import (
    AccountSasPermissions,
    BlobBlock,
    BlobClient,
    BlobServiceClient,
    ContainerClient,
    ContentSettings,
    ImmutabilityPolicy,
    ResourceTypes,
    StaticWebsite,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

from connectors.blob.address import parse
from connectors.blob.batch import check_part, parse_batch
from connectors.blob.errors import StorageError
from connectors.blob.operations import classify
from connectors.blob.sas import account_sas
from tests.blob.recorder import Recorder, recorder
from tests.blob.requests import ACCOUNT, KEY, proves, read

NAME = "dir/ü x+y%&~'(1).csv"
SNAPSHOT = "2026-01-01T00:00:00.0000000Z"


@pytest.fixture(scope="module")
def record() -> Iterator[Recorder]:
    with recorder() as recording:
        yield recording


def sent(record: Recorder, call: Callable[[], object]) -> str:
    """The operation of the one request that a call sends; it proves itself now."""
    record.requests.clear()
    with pytest.raises(AzureError):
        call()
    asked = record.last
    proves(asked, now=datetime.now(UTC))
    address, operation = parse(asked, ACCOUNT), classify(asked, parse(asked, ACCOUNT))
    if operation.name == "Blob Batch":
        for part in parse_batch(asked.headers.get("content-type") or "", record.requests[-1][1]):
            proves(part.request, now=datetime.now(UTC))
            check_part(address, *read(part.request))
    return operation.name


Calls = dict[str, Callable[[BlobServiceClient, ContainerClient, BlobClient, BlobClient], object]]
CALLS: Calls = {
    "List Containers": lambda s, _c, _b, _o: list(s.list_containers("a b", include_metadata=True)),
    "List Blobs": lambda _s, c, _b, _o: list(c.list_blobs(name_starts_with="a b+ü/", include=["metadata", "tags"])),
    "List Blobs by hierarchy": lambda _s, c, _b, _o: list(c.walk_blobs()),
    "Get Blob": lambda _s, _c, b, _o: b.download_blob(0, 10),
    "Get Blob of a version": lambda _s, _c, b, _o: b.download_blob(version_id="v1"),
    "Get Blob Properties": lambda _s, _c, b, _o: b.get_blob_properties(),
    "Put Blob": lambda _s, _c, b, _o: b.upload_blob(
        b"x", metadata={"a_b": "1", "a1": "2", "ab": "3"}, tags={"x": "z&"}
    ),
    "Put Blob of nothing": lambda _s, _c, b, _o: b.upload_blob(b"", overwrite=True),
    "Put Blob for appending": lambda _s, _c, b, _o: b.create_append_blob(),
    "Put Blob From URL": lambda _s, _c, b, _o: b.upload_blob_from_url("https://globex.example.com/a/b.txt"),
    "Set Blob Metadata": lambda _s, _c, b, _o: b.set_blob_metadata({"owner": "ada  b "}),
    "Set Blob Properties": lambda _s, _c, b, _o: b.set_http_headers(ContentSettings(content_type="x/y")),
    "Set Blob Properties of size": lambda _s, _c, b, _o: b.resize_blob(512),
    "Delete Blob": lambda _s, _c, b, _o: b.delete_blob(delete_snapshots="include"),
    "Undelete Blob": lambda _s, _c, b, _o: b.undelete_blob(),
    "Lease Blob": lambda _s, _c, b, _o: b.acquire_lease(15),
    "Snapshot Blob": lambda _s, _c, b, _o: b.create_snapshot(),
    "Copy Blob": lambda _s, _c, b, o: b.start_copy_from_url(o.url),
    "Copy Blob From URL": lambda _s, _c, b, o: b.start_copy_from_url(o.url, requires_sync=True),
    "Abort Copy Blob": lambda _s, _c, b, _o: b.abort_copy("1-2"),
    "Set Blob Tier": lambda _s, _c, b, _o: b.set_standard_blob_tier("Cool"),
    "Set Blob Tags": lambda _s, _c, b, _o: b.set_blob_tags({"a": "b"}),
    "Get Blob Tags": lambda _s, _c, b, _o: b.get_blob_tags(),
    "Put Block": lambda _s, _c, b, _o: b.stage_block("aa", b"123"),
    "Put Block From URL": lambda _s, _c, b, o: b.stage_block_from_url("aa", o.url),
    "Put Block List": lambda _s, _c, b, _o: b.commit_block_list([BlobBlock("aa")]),
    "Get Block List": lambda _s, _c, b, _o: b.get_block_list(),
    "Append Block": lambda _s, _c, b, _o: b.append_block(b"1"),
    "Append Block From URL": lambda _s, _c, b, o: b.append_block_from_url(o.url),
    "Append Blob Seal": lambda _s, _c, b, _o: b.seal_append_blob(),
    "Put Page": lambda _s, _c, b, _o: b.upload_page(b"0" * 512, 0, 512),
    "Clear Page": lambda _s, _c, b, _o: b.clear_page(0, 512),
    "Get Page Ranges": lambda _s, _c, b, _o: list(b.list_page_ranges()),
    "Query Blob Contents": lambda _s, _c, b, _o: b.query_blob("SELECT * from BlobStorage"),
    "Set Blob Immutability Policy": lambda _s, _c, b, _o: b.set_immutability_policy(
        ImmutabilityPolicy(expiry_time=datetime(2030, 1, 1, tzinfo=UTC))
    ),
    "Set Blob Legal Hold": lambda _s, _c, b, _o: b.set_legal_hold(True),
    "Find Blobs by Tags": lambda s, _c, _b, _o: list(s.find_blobs_by_tags("\"a\"='b'")),
    "Find Blobs by Tags in Container": lambda _s, c, _b, _o: list(c.find_blobs_by_tags("\"a\"='b'")),
    "Get Blob Service Properties": lambda s, _c, _b, _o: s.get_service_properties(),
    "Set Blob Service Properties": lambda s, _c, _b, _o: s.set_service_properties(static_website=StaticWebsite()),
    "Get Account Information": lambda _s, c, _b, _o: c.get_account_information(),
    "Get User Delegation Key": lambda s, _c, _b, _o: s.get_user_delegation_key(
        datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    ),
    "Create Container": lambda _s, c, _b, _o: c.create_container(metadata={"a": "b"}),
    "Delete Container": lambda _s, c, _b, _o: c.delete_container(),
    "Get Container ACL": lambda _s, c, _b, _o: c.get_container_access_policy(),
    "Set Container ACL": lambda _s, c, _b, _o: c.set_container_access_policy({}),
    "Get Container Properties": lambda _s, c, _b, _o: c.get_container_properties(),
    "Restore Container": lambda s, _c, _b, _o: s.undelete_container("docs", "v1"),
    "Blob Batch": lambda _s, c, _b, _o: list(c.delete_blobs("a", "b c", NAME)),
    "Blob Batch of tiers": lambda _s, c, _b, _o: list(c.set_standard_blob_tier_blobs("Cool", "a", "b")),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_the_client_signs(record: Recorder, name: str) -> None:
    endpoint = f"http://127.0.0.1:{record.port}/{ACCOUNT}"
    string = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint};"
    with BlobServiceClient.from_connection_string(string, retry_total=0) as service:
        container = service.get_container_client("docs")
        blob, other = container.get_blob_client(NAME), container.get_blob_client("a")
        done = sent(record, lambda: CALLS[name](service, container, blob, other))
    assert name.startswith(done)


def blob_with(record: Recorder, sas: str, name: str = NAME, *, snapshot: str | None = None) -> BlobClient:
    endpoint = f"http://127.0.0.1:{record.port}/{ACCOUNT}"
    return BlobClient(endpoint, "docs", name, credential=sas, snapshot=snapshot, retry_total=0)


def later() -> datetime:
    return datetime.now(UTC) + timedelta(hours=1)


def test_an_account_sas_of_the_client(record: Recorder) -> None:
    sas = generate_account_sas(
        ACCOUNT, KEY, ResourceTypes(object=True), AccountSasPermissions(read=True), later(),
        start=datetime.now(UTC) - timedelta(minutes=5), ip="127.0.0.1", protocol="https,http", services="bf",
    )  # fmt: skip
    with blob_with(record, sas) as blob:
        assert sent(record, blob.download_blob) == "Get Blob"
        with pytest.raises(StorageError, match="needs one of the permissions 'd'"):
            sent(record, blob.delete_blob)
    endpoint = f"http://127.0.0.1:{record.port}/{ACCOUNT}"
    client = ContainerClient(endpoint, "docs", sas, retry_total=0)
    with client as container, pytest.raises(StorageError, match="resource types"):
        sent(record, lambda: list(container.list_blobs()))


def test_a_container_sas_of_the_client(record: Recorder) -> None:
    sas = generate_container_sas(ACCOUNT, "docs", account_key=KEY, permission="rl", expiry=later())
    with blob_with(record, sas) as blob:
        assert sent(record, blob.download_blob) == "Get Blob"
        with pytest.raises(StorageError, match="'cw'"):
            sent(record, lambda: blob.upload_blob(b"x"))
    endpoint = f"http://127.0.0.1:{record.port}/{ACCOUNT}"
    with ContainerClient(endpoint, "docs", sas, retry_total=0) as container:
        assert sent(record, lambda: list(container.list_blobs())) == "List Blobs"
        with pytest.raises(StorageError, match="does not reach its container"):
            sent(record, container.delete_container)
    client = ContainerClient(endpoint, "other", sas, retry_total=0)
    with client as other, pytest.raises(StorageError, match="signature"):
        sent(record, lambda: list(other.list_blobs()))


def test_blob_snapshot_and_version_sas_of_the_client(record: Recorder) -> None:
    base = generate_blob_sas(
        ACCOUNT,
        "docs",
        NAME,
        account_key=KEY,
        permission="r",
        expiry=later(),
        content_type="text/x",
        cache_control="no",
    )
    snapshot = generate_blob_sas(
        ACCOUNT, "docs", NAME, snapshot=SNAPSHOT, account_key=KEY, permission="r", expiry=later()
    )
    version = generate_blob_sas(
        ACCOUNT, "docs", NAME, version_id="v1", account_key=KEY, permission="rx", expiry=later()
    )
    with blob_with(record, base) as blob:
        assert sent(record, blob.download_blob) == "Get Blob"
        with pytest.raises(StorageError, match="another kind of resource"):
            sent(record, lambda: blob.download_blob(version_id="v1"))
    with blob_with(record, base, "other") as other, pytest.raises(StorageError, match="signature"):
        sent(record, other.download_blob)
    with blob_with(record, snapshot, snapshot=SNAPSHOT) as blob:
        assert sent(record, blob.download_blob) == "Get Blob"
    with blob_with(record, snapshot) as blob, pytest.raises(StorageError, match="another kind of resource"):
        sent(record, blob.download_blob)
    with blob_with(record, version) as blob:
        assert sent(record, lambda: blob.delete_blob(version_id="v1")) == "Delete Blob"
        with pytest.raises(StorageError, match="signature"):
            sent(record, lambda: blob.download_blob(version_id="v2"))


def test_the_sas_that_hoop_prints(record: Recorder) -> None:
    with blob_with(record, account_sas(ACCOUNT, KEY, expires=later())) as blob:
        for call, name in (
            (blob.download_blob, "Get Blob"),
            (blob.delete_blob, "Delete Blob"),
            (lambda: blob.set_blob_tags({"a": "b"}), "Set Blob Tags"),
            (lambda: blob.upload_blob(b"x", overwrite=True, tags={"a": "b"}), "Put Blob"),
            (lambda: blob.start_copy_from_url(blob.url), "Copy Blob"),
        ):
            assert sent(record, call) == name
