"""hoop exec on blobs, as a user runs it: a process of its own against Azurite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from tests.end_to_end.test_blob import POLICY
from tests.support.azurite import ACCOUNT, KEY, Azurite, azurite
from tests.support.machine import Machine

CSV = b"id,ssn,mail\r\n1,123-45-6789,ada@example.com\r\n"


@pytest.fixture(scope="module")
def store() -> Iterator[Azurite]:
    with azurite() as running:
        with BlobServiceClient.from_connection_string(running.connection_string) as direct:
            docs = direct.create_container("docs")
            docs.upload_blob("people.csv", CSV)
            docs.upload_blob("big.txt", b"a line of text\n" * 1_500_000)
            docs.upload_blob("secret/k", b"k")
            docs.upload_blob("old/x.txt", b"bye")
        yield running


@pytest.fixture
def machine(store: Azurite, tmp_path: Path) -> Machine:
    running = Machine(tmp_path, {"KEY": KEY})
    running.configure(POLICY, {"invoices": {"kind": "blob", **store.options(secret="env:KEY")}})
    return running


def test_listing(machine: Machine) -> None:
    containers = json.loads(machine.run("exec", "invoices", "ls", "--json").stdout)
    assert [row[0] for row in containers["results"][0]["rows"]] == ["docs"]
    shown = machine.run("exec", "invoices", "ls", "docs")
    assert shown.returncode == 0
    assert "people.csv" in shown.stdout
    assert "secret" not in shown.stdout
    old = json.loads(machine.run("exec", "invoices", "ls", "docs/old/", "--json").stdout)
    assert [row[:2] for row in old["results"][0]["rows"]] == [["old/x.txt", 3]]
    replayed = machine.run("audit", "replay", old["session"], "--instant").stdout
    assert "List Blobs devstoreaccount1/docs" in replayed
    assert "old/x.txt" in replayed


def test_reading_masked(machine: Machine, tmp_path: Path) -> None:
    printed = machine.run("exec", "invoices", "cat", "docs/people.csv").stdout
    assert "6789" in printed
    assert "123-45" not in printed
    assert "ada@" not in printed
    target = tmp_path / "out.csv"
    got = machine.run("exec", "invoices", "get", "docs/people.csv", str(target))
    assert "bytes to" in got.stdout
    assert target.read_bytes().decode().replace("\r\n", "\n") == printed.replace("\r\n", "\n")
    assert not list(tmp_path.glob("out.csv.part*"))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("cat", "docs/secret/k"), 4, "secrets-are-nobodys"),
        (("cat", "docs/nothing"), 6, "BlobNotFound"),
        (("get", "docs/nothing", "x"), 6, "BlobNotFound"),
        (("put", "FILE", "docs/final.txt"), 4, "default-deny"),
        (("rm", "docs/old/x.txt"), 5, "hoop approvals approve"),
        (("mv", "a", "b"), 2, "use: ls"),
        ((), 2, "use: ls"),
        (("ls", "a", "b"), 2, "does not take 2 words"),
        (("cat", "docs"), 2, "not the path of a blob"),
        (("put", "nowhere", "docs/drafts/x"), 2, "is not a file"),
        (("get", "docs/.."), 2, "name the file"),
        (("cat", "docs/people.csv", "--json"), 2, "prints the bytes"),
    ],
)
def test_what_goes_wrong_is_said(
    machine: Machine, tmp_path: Path, words: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "file").write_text("text")
    argv = [str(tmp_path / "file") if word == "FILE" else word for word in words]
    done = machine.run("exec", "invoices", *argv, "--no-wait")
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_download_goes_on_where_it_was(machine: Machine, tmp_path: Path) -> None:
    target = tmp_path / "big.txt"
    assert machine.run("exec", "invoices", "get", "docs/big.txt", str(target)).returncode == 0
    whole = target.read_bytes()
    assert whole == b"a line of text\n" * 1_500_000
    tags = [body.get("facts", {}).get("etag", "") for body in machine.ledger.bodies("exchange.outcome")]
    etag = next(tag for tag in tags if "-hoop" in tag)
    (tmp_path / "big.txt.part").write_bytes(whole[: 16 << 20])
    (tmp_path / "big.txt.part.etag").write_text(etag)
    before = delivered(machine)
    assert machine.run("exec", "invoices", "get", "docs/big.txt", str(target)).returncode == 0
    assert target.read_bytes() == whole
    assert delivered(machine) - before == len(whole) - (16 << 20)
    (tmp_path / "big.txt.part").write_bytes(b"x" * 100)
    (tmp_path / "big.txt.part.etag").write_text("of another version")
    assert machine.run("exec", "invoices", "get", "docs/big.txt", str(target)).returncode == 0
    assert target.read_bytes() == whole


def delivered(machine: Machine) -> int:
    return sum(body["delivered"]["size"] for body in machine.ledger.bodies("exchange.outcome"))


def test_an_interrupted_upload_goes_on_where_it_was(machine: Machine, store: Azurite, tmp_path: Path) -> None:
    source = tmp_path / "draft.txt"
    source.write_bytes(b"".join(b"line %d\n" % number for number in range(2_000_000)))
    first = machine.run("exec", "invoices", "put", str(source), "docs/drafts/draft.txt")
    assert first.returncode == 0, first.stderr
    with BlobServiceClient.from_connection_string(store.connection_string) as direct:
        assert direct.get_blob_client("docs", "drafts/draft.txt").download_blob().readall() == source.read_bytes()
        blocks = direct.get_blob_client("docs", "drafts/again.txt")
        with source.open("rb") as file:
            from connectors.blob.transfer import _BLOCK, _identity

            data = file.read(_BLOCK)
            blocks.stage_block(_identity(0, data), data)
    before = stored(machine)
    assert machine.run("exec", "invoices", "put", str(source), "docs/drafts/again.txt").returncode == 0
    sent = stored(machine)[len(before) :]
    assert source.stat().st_size - _BLOCK <= sum(sent) < source.stat().st_size
    with BlobServiceClient.from_connection_string(store.connection_string) as direct:
        assert direct.get_blob_client("docs", "drafts/again.txt").download_blob().readall() == source.read_bytes()


def stored(machine: Machine) -> list[int]:
    outcomes = machine.ledger.bodies("exchange.outcome")
    return [body["facts"]["stored"]["size"] for body in outcomes if "stored" in body.get("facts", {})]


def test_the_connection_is_shown_and_explained(machine: Machine) -> None:
    assert ACCOUNT in machine.run("connections", "ls").stdout
    explained = machine.run("policy", "explain", "invoices", "blob:read docs/secret/k").stdout
    assert "secrets-are-nobodys" in explained
    with machine.connect("invoices") as session:
        assert "AccountKey=" in session.document["environment"]["AZURE_STORAGE_CONNECTION_STRING"]
        assert KEY not in session.out
