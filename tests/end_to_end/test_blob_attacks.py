"""Requests by hand against the whole broker: names, proofs, framing and batches that try to get around it.

Each is refused with a storage error, leaves its trace in the ledger, and the upstream hears nothing of it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    BlobSasPermissions,
    ContainerSasPermissions,
    ResourceTypes,
    generate_account_sas,
    generate_blob_sas,
    generate_container_sas,
)

from connectors.http import serve
from tests.http.smuggling import HEADS
from tests.support.azurite import ACCOUNT, KEY
from tests.support.blobs import DOCS, SECRET, BlobStage, attacked, blob_stage
from tests.support.rawhttp import RawClient, written


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobStage]:
    with attacked(tmp_path_factory.mktemp("broker")) as ready:
        yield ready


class TestNames:
    """Names that two servers might read differently, and names that only look like others."""

    @pytest.mark.parametrize(
        "target",
        [
            f"{DOCS}/drafts/%2e%2e/{SECRET}",
            f"{DOCS}/drafts/../{SECRET}",
            f"{DOCS}/drafts/%2E%2E%2F{SECRET}",
            f"{DOCS}/./{SECRET}",
            f"{DOCS}//{SECRET}",
            f"{DOCS}/secret//key.txt",
            f"{DOCS}/secret%5Ckey.txt",
            f"{DOCS}/secret/key.txt/",
            f"{DOCS}/secret./key.txt",
            f"{DOCS}/secret/key.txt.",
            f"{DOCS}/secret%252Fkey.txt",
            f"{DOCS}/%73%65%63%72%65%74%2525/key.txt",
            f"{DOCS}/secret%00/key.txt",
            f"{DOCS}/secret/key.txt%0d%0aHost:%20x",
            f"{DOCS}/secret%EF%BC%8Fkey.txt",
            f"{DOCS}/secret/key%E2%80%A4txt",
            f"{DOCS}/se%E2%80%8Bcret/key.txt",
            f"{DOCS}/secre%C3%28t/key.txt",
            f"{DOCS}/%c0%ae%c0%ae/{SECRET}",
            f"{DOCS.upper()}/{SECRET}",
            f"/{ACCOUNT}/Docs/{SECRET}",
            f"/{ACCOUNT}/docs%2F..%2Fother/a.txt",
            f"/{ACCOUNT}/../{ACCOUNT}/docs/{SECRET}",
            f"//{ACCOUNT}/docs/{SECRET}",
            f"/{ACCOUNT}2/docs/{SECRET}",
            f"/docs/{SECRET}",
            f"{DOCS};x/{SECRET}",
            f"{DOCS}/{SECRET}?comp=metadata&comp=tags",
            f"{DOCS}/{SECRET}?comp=metadata&Comp=tags",
            f"{DOCS}/{SECRET}?%63omp=metadata",
        ],
    )
    def test_what_cannot_be_read_in_one_way_is_refused(self, stage: BlobStage, target: str) -> None:
        with stage.unheard(), stage.noted():
            answer = stage.raw.bare("GET", target)
        assert answer.status == 400, answer.body
        assert b"some words" not in answer.body
        assert answer.more == b""

    @pytest.mark.parametrize("name", ["secret%2Fkey.txt", "%73ecret/key.txt", "secret/key%2Etxt", "secret/%6B%65y.txt"])
    def test_an_escape_is_the_character_that_it_stands_for(self, stage: BlobStage, name: str) -> None:
        with stage.denied("secrets-are-nobodys"):
            assert stage.ask("GET", name).status == 403

    @pytest.mark.parametrize("name", ["SECRET/key.txt", "Secret/Key.txt", "secret%20/key.txt", "s%D0%B5cret/key.txt"])
    def test_another_name_is_another_blob(self, stage: BlobStage, name: str) -> None:
        answer = stage.ask("GET", name)
        assert answer.status in {403, 404}
        assert b"some words" not in answer.body

    @pytest.mark.parametrize("target", ["other/a.txt", "$root/a.txt", "a.txt", "$web/a.txt", "other?restype=container"])
    def test_other_containers_are_denied(self, stage: BlobStage, target: str) -> None:
        with stage.unheard():
            answer = stage.raw.ask("GET", f"/{ACCOUNT}/{target}")
        assert (answer.status, answer.code) in {(403, "InsufficientAccountPermissions"), (400, "InvalidInput")}


class TestFraming:
    """Bytes that two readers may take for different requests."""

    def test_every_smuggling_head(self, stage: BlobStage) -> None:
        with stage.unheard(), stage.noted():
            answers = {name: stage.raw.send(data) for name, data in HEADS.items()}
        assert {name: (each.status, each.more) for name, each in answers.items() if each.status not in {400, 401}} == {}

    @pytest.mark.parametrize(
        "fields",
        [
            [("Content-Length", "10")],
            [("Host", "127.0.0.1")],
            [("Transfer-Encoding", "chunked")],
            [("x-ms-date", "Mon, 23 Nov 2026 07:22:27 GMT")],
            [("Authorization", "Bearer x")],
            [("Connection", "x-ms-date")],
            [("Expect", "200-ok")],
            [("Content_Length", "10")],
        ],
    )
    def test_fields_that_are_added_to_a_signed_request(self, stage: BlobStage, fields: list[tuple[str, str]]) -> None:
        head = [("x-ms-blob-type", "BlockBlob")]
        with stage.unheard(), stage.noted():
            answer = stage.ask("PUT", "drafts/new.txt", head, body=b"x", unsigned=fields)
        assert answer.status == 400
        assert answer.headers.get("connection") == "close"

    def test_a_field_ends_where_its_line_ends(self, stage: BlobStage) -> None:
        kind = ("x-ms-blob-type", "BlockBlob")
        with stage.denied("nothing-from-inside"):
            fields = [("x-ms-meta-a", "a\r\nx-ms-copy-source: http://10.0.0.1/y"), kind]
            assert stage.raw.bare("PUT", f"{DOCS}/drafts/new.txt", fields).status == 403
        for value in ("a\rb", "a\nx-ms-copy-source: http://10.0.0.1/y", "a\x00b", "a\r\n b"):
            fields = [("x-ms-meta-a", value), kind]
            with stage.unheard(), stage.noted():
                answer = stage.raw.bare("PUT", f"{DOCS}/drafts/new.txt", fields, b"x")
            assert answer.status == 400, value

    def test_nothing_is_read_behind_a_request(self, stage: BlobStage) -> None:
        first, second = (stage.raw.head("DELETE", f"{DOCS}/drafts/{name}.txt") for name in ("none", "mine"))
        with stage.noted():
            answer = stage.raw.send(first + second)
        assert answer.status == 400
        assert answer.more == b""
        assert stage.stored("drafts/mine.txt") == b"some words"

    def test_the_head_of_ten_megabytes(self, stage: BlobStage) -> None:
        with stage.unheard(), stage.noted("longer than"):
            answer = stage.ask("GET", "hello.txt", unsigned=[("x-filler", "y" * 10_000_000)])
        assert answer.status == 400

    def test_a_head_that_does_not_come_to_an_end(self, stage: BlobStage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(serve, "HEAD_SECONDS", 0.05)
        raw = stage.raw
        with stage.unheard(), stage.noted("too long"):
            answer = raw.send(raw.head("GET", f"{DOCS}/hello.txt")[:-2])
        assert (answer.status, answer.code) == (408, "RequestTimeout")

    @pytest.mark.parametrize("field", ["x-http-method-override", "x-http-method", "x-method-override"])
    def test_a_method_is_what_the_request_line_says(self, stage: BlobStage, field: str) -> None:
        mark = stage.emulator.mark()
        assert stage.ask("GET", "drafts/mine.txt", unsigned=[(field, "DELETE")]).status == 200
        assert field not in stage.emulator.heard_since(mark).lower()
        assert stage.stored("drafts/mine.txt") == b"some words"

    def test_headers_of_the_service_that_are_not_known_are_not_passed_on(self, stage: BlobStage) -> None:
        for field in ("x-ms-encryption-key", "x-ms-structured-body", "x-ms-file-request-intent", "x-ms-whatever"):
            with stage.unheard():
                assert stage.ask("GET", "hello.txt", [(field, "x")]).status == 403

    def test_an_expectation_is_met_once_the_request_is_permitted(self, stage: BlobStage) -> None:
        fields = [("x-ms-blob-type", "BlockBlob"), ("Expect", "100-continue")]
        with stage.denied("default-deny"):
            refused = stage.ask("PUT", "final.txt", fields, body=b"x")
        assert refused.status == 403
        taken = stage.ask("PUT", "drafts/expected.txt", fields, body=b"x")
        assert taken.status == 201
        assert stage.stored("drafts/expected.txt") == b"x"


class TestProofs:
    """Requests that are not of this session, or reach beyond what proves them."""

    @pytest.mark.parametrize(
        ("minutes", "status"), [(-16, 403), (16, 403), (-60 * 24 * 365, 403), (-14, 200), (14, 200)]
    )
    def test_a_signature_is_good_for_a_quarter_of_an_hour(self, stage: BlobStage, minutes: int, status: int) -> None:
        assert stage.ask("GET", "hello.txt", at=datetime.now(UTC) + timedelta(minutes=minutes)).status == status

    def test_a_signature_is_of_every_part_of_the_request(self, stage: BlobStage) -> None:
        head = stage.raw.head("GET", f"{DOCS}/hello.txt?snapshot=x", [("x-ms-range", "bytes=0-1"), ("If-Match", "*")])
        changes = [
            (b"hello.txt", b"hallo.txt"),
            (b"GET ", b"DELETE "),
            (b"bytes=0-1", b"bytes=0-9"),
            (b"If-Match: *", b'If-Match: "1"'),
            (b"snapshot=x", b"snapshot=y"),
            (b"snapshot=x", b"versionid=x"),
            (b"x-ms-version", b"x-ms-client-request-id"),
            (ACCOUNT.encode() + b":", ACCOUNT.encode() + b"2:"),
            (b"SharedKey ", b"SharedKeyLite "),
            (b"SharedKey ", b"sharedkey "),
        ]
        for old, new in changes:
            assert old in head
            with stage.unheard(), stage.noted():
                answer = stage.raw.send(head.replace(old, new, 1))
            assert answer.status in {400, 401, 403}, (old, new)

    def test_a_signature_of_other_keys(self, stage: BlobStage, tmp_path: Path) -> None:
        with blob_stage(stage.emulator, tmp_path) as other:
            keys = [
                KEY,
                other.key,
                base64.b64encode(stage.hoop.listen.secret.encode()).decode(),
                base64.b64encode(bytes(64)).decode(),
            ]
            bearers = [other.hoop.listen.secret, other.key, stage.key, KEY, "", "null"]
            with stage.unheard():
                for key in keys:
                    stranger = RawClient(stage.hoop.listen, ACCOUNT, key)
                    with stage.noted("not signed for this session"):
                        assert stranger.ask("GET", f"{DOCS}/hello.txt").status == 403
                for bearer in bearers:
                    request = written(
                        "GET", f"{DOCS}/hello.txt", [("Host", "x"), ("Authorization", f"Bearer {bearer}")]
                    )
                    assert stage.raw.send(request).status in {401, 403}
                assert stage.raw.send(written("GET", f"{DOCS}/hello.txt", [("Host", "x")])).status == 401

    @pytest.fixture
    def later(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)

    def by_sas(
        self, stage: BlobStage, sas: str, name: str = "hello.txt", method: str = "GET", container: str = "docs"
    ) -> int:
        """The status of a request that only a SAS proves."""
        target = f"/{ACCOUNT}/{container}/{name}{'&' if '?' in name else '?'}{sas}"
        return stage.raw.send(written(method, target, [("Host", "x"), ("x-ms-version", "2021-12-02")]), method).status

    def test_a_sas_reaches_no_further_than_it_says(self, stage: BlobStage, later: datetime) -> None:
        reads = BlobSasPermissions(read=True)
        blob = generate_blob_sas(ACCOUNT, "docs", "hello.txt", account_key=stage.key, permission=reads, expiry=later)
        assert self.by_sas(stage, blob) == 200
        assert self.by_sas(stage, blob, method="HEAD") == 200
        lists = generate_container_sas(
            ACCOUNT, "docs", account_key=stage.key, permission=ContainerSasPermissions(list=True), expiry=later
        )
        assert self.by_sas(stage, lists, "?restype=container&comp=list") == 200
        with stage.unheard():
            for name, method, container in [
                ("drafts/mine.txt", "GET", "docs"),
                ("hello.txt", "DELETE", "docs"),
                ("hello.txt?comp=metadata", "PUT", "docs"),
                ("?restype=container&comp=list", "GET", "docs"),
                ("hello.txt", "GET", "open"),
                ("hello.txt?snapshot=2026-11-23T07:22:27.0000000Z", "GET", "docs"),
            ]:
                assert self.by_sas(stage, blob, name, method, container) == 403, (name, method, container)
            assert self.by_sas(stage, lists) == 403
            assert self.by_sas(stage, lists, "a.txt", container="other") == 403

    def test_a_sas_does_not_give_more_than_the_policy(self, stage: BlobStage, later: datetime) -> None:
        levels = ResourceTypes(service=True, container=True, object=True)
        everything = AccountSasPermissions(read=True, write=True, delete=True, list=True, add=True, create=True)
        wide = generate_account_sas(ACCOUNT, stage.key, levels, everything, later)
        assert self.by_sas(stage, wide) == 200
        with stage.denied("secrets-are-nobodys"):
            assert self.by_sas(stage, wide, SECRET) == 403
        with stage.denied("default-deny"):
            assert self.by_sas(stage, wide, "a.txt", container="other") == 403

    def test_a_sas_that_is_altered_expired_or_of_another_key(self, stage: BlobStage, later: datetime) -> None:
        reads, now = BlobSasPermissions(read=True), datetime.now(UTC)

        def made(key: str = stage.key, expiry: datetime = later, **more: Any) -> str:
            sas = generate_blob_sas(
                ACCOUNT, "docs", "hello.txt", account_key=key, permission=reads, expiry=expiry, **more
            )
            return str(sas)

        good = made()
        bad = {
            "wider": good.replace("sp=r", "sp=rwd"),
            "longer": good.replace("se=20", "se=21"),
            "other resource": good.replace("sr=b", "sr=c"),
            "no signature": good.partition("&sig=")[0],
            "two signatures": good + "&sig=AAAA",
            "empty signature": good.partition("&sig=")[0] + "&sig=",
            "expired": made(expiry=now - timedelta(seconds=1)),
            "not yet": made(start=now + timedelta(minutes=5)),
            "https only": made(protocol="https"),
            "another address": made(ip="10.0.0.1"),
            "the upstream's key": made(key=KEY),
            "a stored policy": made(policy_id="a-policy"),
        }  # fmt: skip
        with stage.unheard():
            for what, sas in bad.items():
                with stage.noted():
                    assert self.by_sas(stage, sas) in {400, 401, 403}, what

    def test_a_user_delegation_key_never_leaves(self, stage: BlobStage) -> None:
        document = b"<KeyInfo><Start>2026-11-23T00:00:00Z</Start><Expiry>2026-11-24T00:00:00Z</Expiry></KeyInfo>"
        target = f"/{ACCOUNT}/?restype=service&comp=userdelegationkey"
        with stage.unheard():
            answer = stage.raw.ask("POST", target, body=document)
        assert answer.status == 403
        assert b"never leaves" in answer.body
        outcome = stage.hoop.ledger.outcome_of("Get User Delegation Key")
        assert outcome["status"] == "blocked"


class TestBatches:
    """A second request in the clothes of a part."""

    def batch(self, stage: BlobStage, *parts: bytes, container: str = "") -> tuple[int, bytes]:
        body = b"".join(
            b"--b\r\nContent-Type: application/http\r\nContent-ID: %d\r\n\r\n%s\r\n" % (n, part)
            for n, part in enumerate(parts)
        )
        target = f"/{ACCOUNT}/{container}?{'restype=container&' if container else ''}comp=batch"
        answer = stage.raw.ask(
            "POST", target, [("Content-Type", "multipart/mixed; boundary=b")], body=body + b"--b--\r\n"
        )
        return answer.status, answer.body

    def part(self, stage: BlobStage, name: str, method: str = "DELETE", key: str = "") -> bytes:
        """A request in a batch, signed as such."""
        signed = RawClient(stage.hoop.listen, ACCOUNT, key or stage.key).head(method, f"{DOCS}/{name}")
        lines = signed.split(b"\r\n")
        return b"\r\n".join([line for line in lines if not line.startswith((b"Host:", b"Connection:"))])

    def test_a_part_that_may_go_goes(self, stage: BlobStage) -> None:
        stage.put("drafts/goes.txt", b"x")
        status, body = self.batch(stage, self.part(stage, "drafts/goes.txt"))
        assert (status, b"HTTP/1.1 202" in body) == (202, True)
        assert not stage.docs.get_blob_client("drafts/goes.txt").exists()

    def test_parts_that_are_two(self, stage: BlobStage) -> None:
        mine, secret = (self.part(stage, name) for name in ("drafts/mine.txt", SECRET))
        smuggled = [
            mine + secret,
            mine[:-2] + b"Content-Length: %d\r\n\r\n" % len(secret) + secret,
            mine[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + secret,
            mine[:-2] + b"x-ms-meta-a: b\n\n" + secret,
            mine.replace(b" HTTP/1.1", b" HTTP/1.1\r\n\r\n" + secret.rstrip(), 1),
            b"--b--\r\n" + mine,
        ]
        for part in smuggled:
            with stage.unheard():
                status, body = self.batch(stage, part)
            assert status == 400 or b"HTTP/1.1 202" not in body
        assert stage.stored("drafts/mine.txt") == b"some words"
        assert stage.stored(SECRET) == b"some words"

    def test_each_part_proves_itself_and_is_decided(self, stage: BlobStage) -> None:
        parts = [
            self.part(stage, SECRET),
            self.part(stage, "drafts/mine.txt", key=KEY),
            self.part(stage, "drafts/mine.txt").replace(b"mine.txt", b"x/../mine.txt", 1),
            self.part(stage, "drafts/mine.txt", method="GET"),
            b"DELETE " + f"{DOCS}/drafts/mine.txt".encode() + b" HTTP/1.1\r\n\r\n",
        ]  # fmt: skip
        with stage.unheard():
            status, body = self.batch(stage, *parts)
        assert status == 202
        assert b"HTTP/1.1 202" not in body
        assert stage.stored("drafts/mine.txt") == b"some words"
        assert stage.stored(SECRET) == b"some words"
        refused = stage.hoop.ledger.outcome_of("Blob Batch")["facts"]["refused"]
        assert [each["part"] for each in refused] == [1, 2, 3, 4]
        assert "not signed for this session" in refused[0]["error"]
        assert "proves nothing" in refused[3]["error"]
