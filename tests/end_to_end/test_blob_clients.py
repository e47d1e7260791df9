"""Blobs through the broker by the clients people have: for JavaScript, fsspec, azcopy, rclone and az, unmodified."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from adlfs import AzureBlobFileSystem  # type: ignore[import-untyped]  # it has no stubs
from azure.storage.blob import BlobServiceClient, ContentSettings

from connectors.blob.connector import BlobConnector
from connectors.blob.hint import client_hint, connection_string
from hoopcli.sansio.events import Credential
from tests.support.azurite import Store, blob_store
from tests.support.broker import RunningBroker, broker

HERE = Path(__file__).parent
NODE = HERE / "node"
ROWS = [
    {"id": str(n), "name": f"Person {n}", "ssn": f"{100 + n}-{10 + n % 80}-{1000 + n}", "mail": f"p{n}@example.com"}
    for n in range(400)
]
CSV = "\r\n".join([",".join(ROWS[0]), *(",".join(row.values()) for row in ROWS), ""]).encode()
SEEN = ["hello.txt", "old/0.txt", "people.csv"]
Said = dict[str, Any]


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with blob_store() as ready, BlobServiceClient.from_connection_string(ready.connection_string) as direct:
        docs = direct.get_container_client(ready.container)
        docs.upload_blob("people.csv", CSV, content_settings=ContentSettings(content_type="text/csv"))
        docs.upload_blob("hello.txt", b"write to ada@example.com")
        docs.upload_blob("secret/key.txt", b"the key")
        docs.upload_blob("old/0.txt", b"old")
        yield ready


@pytest.fixture(scope="module")
def hoop(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningBroker]:
    policy = store.policy((HERE / "blob_policy.yaml").read_text())
    folder = tmp_path_factory.mktemp("broker")
    credential = Credential("key", store.key)
    with broker(folder, store.options(), policy, connector=BlobConnector(), credential=credential) as running:
        yield running


@pytest.fixture(scope="module")
def connection(hoop: RunningBroker) -> str:
    return connection_string(hoop.listen, hoop.live.session.connection)


@pytest.fixture(scope="module")
def environment(hoop: RunningBroker) -> dict[str, str]:
    """What ``hoop connect`` gives a child process."""
    return {**client_hint(hoop.listen, hoop.live.session.connection).environment}


def stored(store: Store, name: str) -> bytes:
    """What is upstream, asked without the broker."""
    with BlobServiceClient.from_connection_string(store.connection_string) as direct:
        data: bytes = direct.get_blob_client(store.container, name).download_blob().readall()
        return data


def masked(data: bytes) -> bool:
    """Whether this is the table as an agent may see it."""
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    hidden = all(
        row["ssn"] not in shown["ssn"] and "@example" not in shown["mail"]
        for shown, row in zip(rows, ROWS, strict=False)
    )
    plain = [(row["id"], row["name"], row["ssn"][-4:]) for row in rows]
    return hidden and plain == [(row["id"], row["name"], row["ssn"][-4:]) for row in ROWS]


@pytest.fixture(scope="module", params=["http", "https"])
def said(request: pytest.FixtureRequest, store: Store, hoop: RunningBroker) -> Said:
    if not (NODE / "node_modules/@azure/storage-blob").is_dir() or shutil.which("node") is None:
        pytest.skip("run: npm ci in tests/end_to_end/node")
    reached = connection_string(hoop.listen, hoop.live.session.connection, scheme=request.param)
    at = {"connection": reached, "container": store.container, "size": len(CSV)}
    done = subprocess.run(
        ["node", "--no-deprecation", str(NODE / "blob.js"), json.dumps(at)],
        env={**os.environ, "NODE_EXTRA_CA_CERTS": hoop.listen.ca_file},
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: Said = json.loads(done.stdout)
    return said


class TestJavaScript:
    """@azure/storage-blob: one script, which says what every step gave."""

    def test_listings_show_what_may_be_seen(self, said: Said, store: Store) -> None:
        assert [name for name in said["names"]["got"] if not name.startswith("drafts/")] == SEEN
        assert [name for page in said["pages"]["got"] for name in page] == said["names"]["got"]
        assert all(len(page) <= 2 for page in said["pages"]["got"])
        assert {"hello.txt", "old/", "people.csv"} <= set(said["prefixes"]["got"])
        assert "secret/" not in said["prefixes"]["got"]
        assert said["containers"]["got"] == [store.container]

    def test_a_download_is_masked_whole_and_by_ranges_alike(self, said: Said) -> None:
        whole = said["whole"]["got"]
        assert masked(whole.encode())
        assert said["ranges"]["got"] == whole
        assert said["buffered"]["got"] == whole

    def test_uploads_arrive_whole_and_in_blocks(self, said: Said, store: Store) -> None:
        assert said["uploaded"]["got"] == "a draft"
        assert said["staged"]["got"] == {"before": [4, 3], "after": "one two"}
        assert stored(store, "drafts/staged") == b"one two"
        assert said["large"]["got"] is True

    def test_properties_are_masked(self, said: Said) -> None:
        found = said["properties"]["got"]
        assert (found["length"], found["type"]) == (9, "text/plain")
        assert found["metadata"]["kind"] == "draft"
        assert "ada@" not in found["metadata"]["owner"]

    def test_a_batch_with_a_denied_part(self, said: Said, store: Store) -> None:
        assert said["batch"]["got"] == [202, 403]
        assert stored(store, "secret/key.txt") == b"the key"

    def test_leases_and_deletes(self, said: Said) -> None:
        assert said["leased"]["got"]["status"] == 412
        assert said["removed"]["got"] is False

    def test_denials_name_the_rule(self, said: Said) -> None:
        for step, rule in [("card", "no-cards-in-drafts"), ("secret", "secrets-are-nobodys"), ("elsewhere", "default")]:
            assert said[step]["error"]["status"] == 403
            assert rule in said[step]["error"]["message"]
        assert said["missing"]["error"]["status"] == 404


class TestFsspec:
    """adlfs, and so whatever opens ``abfs://`` addresses."""

    @pytest.fixture
    def files(self, connection: str) -> Iterator[AzureBlobFileSystem]:
        """A file system of its own loop, closed in the end."""
        opened = AzureBlobFileSystem(connection_string=connection, skip_instance_cache=True)
        yield opened
        asyncio.run_coroutine_threadsafe(opened.service_client.close(), opened.loop).result(20)

    def test_names_are_listed(self, files: AzureBlobFileSystem, store: Store) -> None:
        found = {name.removeprefix(f"{store.container}/") for name in files.ls(store.container, detail=False)}
        assert {"hello.txt", "people.csv", "old"} <= found
        assert "secret" not in found
        assert files.info(f"{store.container}/people.csv")["size"] == len(CSV)

    @pytest.mark.parametrize("block_size", [1000, 1 << 22])
    def test_a_table_is_read_through_its_buffer(
        self, files: AzureBlobFileSystem, store: Store, block_size: int
    ) -> None:
        with files.open(f"{store.container}/people.csv", "rb", block_size=block_size) as opened:
            assert masked(opened.read())
            opened.seek(5000)
            part = opened.read(100)
        assert part == files.cat_file(f"{store.container}/people.csv")[5000:5100]
        with files.open(f"{store.container}/people.csv", "r", newline="") as lines:
            assert len(list(csv.DictReader(lines))) == len(ROWS)

    def test_what_is_written_arrives(self, files: AzureBlobFileSystem, store: Store) -> None:
        with files.open(f"{store.container}/drafts/table.csv", "wb", block_size=1 << 16) as out:
            for _ in range(10):
                out.write(CSV)
        assert stored(store, "drafts/table.csv") == CSV * 10
        files.pipe_file(f"{store.container}/drafts/one.gz", gzip.compress(b"one"))
        assert gzip.decompress(stored(store, "drafts/one.gz")) == b"one"
        files.rm(f"{store.container}/drafts/one.gz")
        assert not files.exists(f"{store.container}/drafts/one.gz")

    def test_a_denial_is_an_error(self, files: AzureBlobFileSystem, store: Store) -> None:
        with pytest.raises(Exception, match="secrets-are-nobodys"):
            files.cat_file(f"{store.container}/secret/key.txt")


def program(name: str, variable: str) -> str:
    """Where a program is, by a variable or on the path; skips where there is none."""
    found = os.environ.get(variable) or shutil.which(name)
    if not found:
        pytest.skip(f"there is no {name} on this machine; name one by {variable}")
    return found


def run(argv: list[str], environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    at_home = {"HOME": str(folder), "PATH": os.environ["PATH"], **environment}
    return subprocess.run(argv, env=at_home, cwd=folder, capture_output=True, text=True, timeout=90, check=False)


class TestAzcopy:
    """azcopy, by the SAS that ``hoop connect`` prints."""

    @pytest.fixture
    def azcopy(self, tmp_path: Path, environment: dict[str, str], store: Store) -> Any:
        path = program("azcopy", "HOOP_TEST_AZCOPY")
        quiet = {
            "AZCOPY_DISABLE_SYSLOG": "true",
            "AZCOPY_LOG_LOCATION": str(tmp_path / "logs"),
            "AZCOPY_JOB_PLAN_LOCATION": str(tmp_path / "plans"),
        }
        endpoint, sas = environment["HOOP_BLOB_ENDPOINT"], environment["HOOP_BLOB_SAS"]

        def invoke(*words: str) -> subprocess.CompletedProcess[str]:
            spelt = [
                f"{endpoint}/{store.container}{word[1:]}?{sas}" if word.startswith("@") else word for word in words
            ]
            return run([path, *spelt, "--skip-version-check"], quiet, tmp_path)

        return invoke

    def test_a_file_goes_up_and_comes_down(self, azcopy: Any, tmp_path: Path, store: Store) -> None:
        (tmp_path / "up.csv").write_bytes(b"a line of a draft\n" * 200_000)
        done = azcopy("copy", "up.csv", "@/drafts/azcopied.csv", "--from-to=LocalBlob", "--block-size-mb=1")
        assert done.returncode == 0, done.stdout
        assert stored(store, "drafts/azcopied.csv") == (tmp_path / "up.csv").read_bytes()
        done = azcopy("copy", "@/people.csv", "down.csv", "--from-to=BlobLocal", "--check-md5=FailIfDifferent")
        assert done.returncode == 0, done.stdout
        assert masked((tmp_path / "down.csv").read_bytes())

    def test_a_tree_comes_down_without_what_may_not_be_seen(self, azcopy: Any, tmp_path: Path) -> None:
        done = azcopy("copy", "@", "tree", "--from-to=BlobLocal", "--recursive")
        assert done.returncode == 0, done.stdout
        names = {path.name for path in (tmp_path / "tree").rglob("*") if path.is_file()}
        assert {"people.csv", "hello.txt", "0.txt"} <= names
        assert "key.txt" not in names

    def test_a_draft_is_removed(self, azcopy: Any, store: Store) -> None:
        with BlobServiceClient.from_connection_string(store.connection_string) as direct:
            draft = direct.get_blob_client(store.container, "drafts/to-remove")
            draft.upload_blob(b"x")
            done = azcopy("remove", "@/drafts/to-remove", "--from-to=BlobTrash")
            assert done.returncode == 0, done.stdout
            assert not draft.exists()

    def test_a_denial_is_a_failure(self, azcopy: Any, tmp_path: Path) -> None:
        assert azcopy("copy", "@/secret/key.txt", "key.txt", "--from-to=BlobLocal").returncode != 0
        assert not (tmp_path / "key.txt").exists() or (tmp_path / "key.txt").read_bytes() == b""


class TestRclone:
    """rclone, by a SAS."""

    @pytest.fixture
    def rclone(self, tmp_path: Path, environment: dict[str, str]) -> Any:
        path = program("rclone", "HOOP_TEST_RCLONE")
        url = f"{environment['HOOP_BLOB_ENDPOINT']}?{environment['HOOP_BLOB_SAS']}"
        remote = f':azureblob,sas_url="{url}":'

        def invoke(*words: str) -> subprocess.CompletedProcess[str]:
            spelt = [word.replace("hoop:", remote) for word in words]
            return run([path, "--config", "", "--retries", "1", *spelt], {}, tmp_path)

        return invoke

    def test_names_contents_and_uploads(self, rclone: Any, tmp_path: Path, store: Store) -> None:
        listed = rclone("lsf", f"hoop:{store.container}")
        assert listed.returncode == 0, listed.stderr
        assert {"hello.txt", "old/", "people.csv"} <= set(listed.stdout.split())
        assert "secret/" not in listed.stdout.split()
        assert masked(rclone("cat", f"hoop:{store.container}/people.csv").stdout.encode())
        (tmp_path / "up").mkdir()
        (tmp_path / "up" / "note.txt").write_bytes(b"a note\n")
        done = rclone("copy", "up", f"hoop:{store.container}/drafts/rclone")
        assert done.returncode == 0, done.stderr
        assert stored(store, "drafts/rclone/note.txt") == b"a note\n"
        assert rclone("deletefile", f"hoop:{store.container}/drafts/rclone/note.txt").returncode == 0
        assert rclone("cat", f"hoop:{store.container}/secret/key.txt").returncode != 0


class TestAz:
    """``az storage blob``, by a connection string in its environment, over TLS."""

    @pytest.fixture
    def az(self, tmp_path: Path, environment: dict[str, str], store: Store, hoop: RunningBroker) -> Any:
        path = program("az", "HOOP_TEST_AZ")
        quiet = {
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CONFIG_DIR": str(tmp_path / "azure"),
            "REQUESTS_CA_BUNDLE": hoop.listen.ca_file,
            **environment,
            "AZURE_STORAGE_CONNECTION_STRING": connection_string(
                hoop.listen, hoop.live.session.connection, scheme="https"
            ),
        }

        def invoke(*words: str) -> subprocess.CompletedProcess[str]:
            named = [path, "storage", "blob", *words, "--only-show-errors"]
            return run([*named, "--container-name", store.container], quiet, tmp_path)

        return invoke

    def test_names_contents_and_uploads(self, az: Any, tmp_path: Path, store: Store) -> None:
        listed = az("list", "--query", "[].name", "--output", "json")
        assert listed.returncode == 0, listed.stderr
        assert set(SEEN) <= set(json.loads(listed.stdout))
        assert az("download", "--name", "people.csv", "--file", "down.csv", "--no-progress").returncode == 0
        assert masked((tmp_path / "down.csv").read_bytes())
        (tmp_path / "up.txt").write_bytes(b"a draft")
        up = az("upload", "--name", "drafts/az.txt", "--file", "up.txt", "--no-progress")
        assert up.returncode == 0, up.stderr
        assert stored(store, "drafts/az.txt") == b"a draft"
        assert az("delete", "--name", "drafts/az.txt").returncode == 0
        denied = az("download", "--name", "secret/key.txt", "--file", "key.txt", "--no-progress")
        assert denied.returncode != 0
        assert "secrets-are-nobodys" in denied.stderr
