"""Reads that are not plain: opaque content, checksums, versions that change, tags, and an upstream that is away."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import BlobServiceClient, ContentSettings

from connectors.blob.connector import BlobConnector
from connectors.blob.hint import connection_string
from hoopcli.sansio.events import Credential
from tests.end_to_end.test_blob import CSV, IMAGE, POLICY
from tests.support.azurite import KEY, Azurite, azurite
from tests.support.broker import DBA, RunningBroker, broker, eventually


@pytest.fixture(scope="module")
def store() -> Iterator[Azurite]:
    with azurite() as running, direct(running) as service:
        docs = service.create_container("docs")
        docs.upload_blob("image.png", IMAGE, content_settings=ContentSettings(content_type="image/png"))
        docs.upload_blob("people.csv", CSV)
        docs.upload_blob("empty.csv", b"")
        docs.upload_blob("named.csv", IMAGE, content_settings=ContentSettings(content_type="text/csv"))
        docs.upload_blob("tagged.txt", b"text", tags={"card": "4111 1111 1111 1111", "kind": "note"})
        docs.upload_blob("late.txt", b"a line of text\n" * 20_000 + b"\xff\xfe\0")
        yield running


def direct(store: Azurite) -> BlobServiceClient:
    return BlobServiceClient.from_connection_string(store.connection_string)


@contextmanager
def session(store: Azurite, folder: Path, policy: str = POLICY) -> Iterator[tuple[BlobServiceClient, RunningBroker]]:
    with broker(
        folder, store.options(), policy, connector=BlobConnector(), credential=Credential("key", KEY)
    ) as running:
        string = connection_string(running.listen, running.live.session.connection)
        with BlobServiceClient.from_connection_string(string, retry_total=0) as client:
            yield client, running


def read(client: BlobServiceClient, name: str, **more: Any) -> bytes:
    data: bytes = client.get_blob_client("docs", name).download_blob(**more).readall()
    return data


def test_opaque_content_goes_as_it_is_where_the_policy_lets_it(store: Azurite, tmp_path: Path) -> None:
    with session(store, tmp_path, POLICY.replace("on_opaque: deny", "on_opaque: allow")) as (client, hoop):
        assert read(client, "image.png") == IMAGE
        assert read(client, "image.png", offset=3, length=5) == IMAGE[3:8]
        assert read(client, "named.csv") == IMAGE
        asked, again = [body for body in hoop.ledger.bodies("exchange.request") if "image.png" in body["text"]][:2]
        assert "opaque" not in asked["facts"]
        assert again["facts"]["opaque"] is True
        assert hoop.ledger.outcome_of("image.png")["delivered"]["size"] == 5


def test_opaque_content_waits_for_a_person_where_the_policy_says_so(store: Azurite, tmp_path: Path) -> None:
    with (
        session(store, tmp_path, POLICY.replace("on_opaque: deny", "on_opaque: approve")) as (client, hoop),
        ThreadPoolExecutor(1) as threads,
    ):
        asked = threads.submit(read, client, "image.png")
        [request] = eventually(hoop.approvals.pending)
        hoop.approvals.answer(request.id, DBA, approve=True)
        assert asked.result(20) == IMAGE


def test_a_text_that_turns_out_to_be_none_is_cut_off(store: Azurite, tmp_path: Path) -> None:
    with session(store, tmp_path) as (client, hoop):
        with pytest.raises(AzureError):
            read(client, "late.txt")
        outcome = hoop.ledger.outcome_of("late.txt")
        assert outcome["status"] == "blocked"
        assert outcome["delivered"]["size"] < 300_000


def test_an_empty_blob(store: Azurite, tmp_path: Path) -> None:
    with session(store, tmp_path) as (client, _):
        assert read(client, "empty.csv") == b""
        assert client.get_blob_client("docs", "empty.csv").get_blob_properties().size == 0


def test_checksums_are_of_what_is_delivered(store: Azurite, tmp_path: Path) -> None:
    with session(store, tmp_path) as (client, _):
        blob = client.get_blob_client("docs", "people.csv")
        seen: list[str] = []

        def note(response: Any) -> None:
            seen.append(response.http_response.headers.get("Content-MD5", ""))

        data = blob.download_blob(0, 4096, validate_content=True, raw_response_hook=note).readall()
        assert base64.b64encode(hashlib.md5(data).digest()).decode() in seen
        assert data != CSV[:4096]


def test_a_blob_that_changes_is_masked_anew(store: Azurite, tmp_path: Path) -> None:
    with session(store, tmp_path) as (client, _), direct(store) as service:
        docs = service.get_container_client("docs")
        docs.upload_blob("changing.csv", b"id,ssn\n1,111-22-3333\n", overwrite=True)
        first = read(client, "changing.csv", offset=0, length=21)
        docs.upload_blob("changing.csv", b"id,ssn\n1,444-55-6666\n", overwrite=True)
        second = read(client, "changing.csv", offset=0, length=21)
        assert (first[-5:-1], second[-5:-1]) == (b"3333", b"6666")
        assert b"444-55" not in second
        snapshot = docs.get_blob_client("changing.csv").create_snapshot()["snapshot"]
        docs.upload_blob("changing.csv", b"id,ssn\n1,777-88-9999\n", overwrite=True)
        old = client.get_blob_client("docs", "changing.csv", snapshot=snapshot).download_blob(0, 21).readall()
        assert old == second


def test_tags_are_masked(store: Azurite, tmp_path: Path) -> None:
    with session(store, tmp_path, POLICY.replace("[email]", "[email, credit_card]")) as (client, _):
        tags = client.get_blob_client("docs", "tagged.txt").get_blob_tags()
        assert tags["kind"] == "note"
        assert "4111" not in tags["card"]


def test_a_range_that_cannot_be(store: Azurite, tmp_path: Path) -> None:
    with session(store, tmp_path) as (client, _):
        with pytest.raises(HttpResponseError) as caught:
            read(client, "people.csv", offset=10 * len(CSV), length=5)
        assert caught.value.status_code == 416


def test_an_upstream_that_is_away(store: Azurite, tmp_path: Path) -> None:
    away = Azurite(1, "http", store.log)
    with session(away, tmp_path) as (client, hoop):
        with pytest.raises(HttpResponseError) as caught:
            read(client, "people.csv")
        assert caught.value.status_code == 502
        assert hoop.ledger.outcome_of("people.csv")["status"] == "blocked"
