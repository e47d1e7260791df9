from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from connectors.blob.address import parse
from connectors.blob.batch import build_batch, content_type, parse_answers
from connectors.blob.operations import classify
from connectors.blob.sas import account_sas
from connectors.blob.signing import Endpoint, signed, upstream_request, without_proof
from connectors.http.message import Request
from hoopcli.errors import UpstreamError, UsageError
from hoopcli.sansio.events import Credential
from tests.blob.requests import ACCOUNT, HOST, NOW, SECRET, read, request
from tests.support import azurite as emulator
from tests.support.azurite import KEY, Azurite, azurite

CLOUD = Endpoint.parse("https://acme.blob.core.windows.net")
LOCAL = Endpoint.parse("http://127.0.0.1:10000/acme/")
TOKEN = Credential("token", "upstream-token")
SAS = Credential("sas", "?sv=2022-11-02&sig=upstream%3D")
CLIENT_SAS = "sv=2021-12-02&ss=b&srt=o&sp=r&se=2027-01-01&sig=client"


def forwarded(asked: Request, credential: Credential = TOKEN, endpoint: Endpoint = CLOUD, **more: int) -> Request:
    address, operation = read(asked)
    plain, there = without_proof(asked, address, operation)
    return upstream_request(plain, there, operation, endpoint, credential, NOW, **more)


def test_nothing_of_the_client_s_proof_goes_upstream() -> None:
    asked = request(
        "GET", f"/acme/docs/a?{CLIENT_SAS}&snapshot=s", Authorization=f"Bearer {SECRET.value}", Cookie="a=b",
        X_Forwarded_For="x", x_ms_copy_source_authorization="Bearer client", Accept_Encoding="gzip", x_ms_meta_a="1",
        Date="x", Range="bytes=0-9", Proxy_Authorization="x", X_HTTP_Method_Override="DELETE", Origin="https://x",
    )  # fmt: skip
    sent = forwarded(asked)
    assert sent.target == "/docs/a?snapshot=s"
    assert sorted((name.lower(), value) for name, value in sent.headers) == [
        ("accept", "*/*"),
        ("authorization", "Bearer upstream-token"),
        ("host", "acme.blob.core.windows.net"),
        ("range", "bytes=0-9"),
        ("x-ms-date", "Mon, 23 Nov 2026 12:00:00 GMT"),
        ("x-ms-meta-a", "1"),
        ("x-ms-version", "2021-12-02"),
    ]


def test_what_is_recorded_holds_no_proof_either() -> None:
    def plain(asked: Request) -> str:
        address, operation = read(asked)
        shown, there = without_proof(asked, address, operation)
        assert there.query == ()
        return f"{shown.target} {list(shown.headers)}"

    text = plain(request("GET", f"/acme/docs/a?{CLIENT_SAS}", Authorization=f"Bearer {SECRET.value}"))
    assert "client" not in text
    assert SECRET.value not in text
    own = plain(request("PUT", "/acme/docs/a", x_ms_copy_source=f"http://{HOST}/acme/docs/b?{CLIENT_SAS}"))
    assert "('x-ms-copy-source', '/acme/docs/b')" in own
    theirs = plain(request("PUT", "/acme/docs/a", x_ms_copy_source="https://globex.example/b?sig=theirs"))
    assert f"https://globex.example/b?sha256={hashlib.sha256(b'sig=theirs').hexdigest()}" in theirs
    assert "theirs" not in theirs
    bare = plain(request("PUT", "/acme/docs/a", x_ms_copy_source="https://globex.example/b"))
    assert "('x-ms-copy-source', 'https://globex.example/b')" in bare
    renamed = plain(request("PUT", "/acme/docs/a", x_ms_rename_source=f"/docs/b?{CLIENT_SAS}"))
    assert "('x-ms-rename-source', '/acme/docs/b')" in renamed


def test_the_version_of_a_request() -> None:
    def version(target: str, **headers: str) -> str | None:
        return forwarded(request("GET", target, **headers)).headers.get("x-ms-version")

    assert version("/acme/docs/a", x_ms_version="2020-04-08") == "2020-04-08"
    assert version("/acme/docs/a?sv=2021-12-02&sig=x") == "2021-12-02"
    assert version("/acme/docs/a?sv=2021-12-02&api-version=2022-11-02&sig=x") == "2022-11-02"
    assert version("/acme/docs/a") == "2024-11-04"
    assert version("/acme/docs/a?sv=new%C3%BC&sig=x") == "2024-11-04"


def test_a_key_signs_and_a_sas_is_appended() -> None:
    asked = request("GET", "/acme/docs/a%2Fb?snapshot=s")
    keyed = forwarded(asked, Credential("key", KEY))
    assert (keyed.headers.get("authorization") or "").startswith("SharedKey acme:")
    assert keyed.target == "/docs/a/b?snapshot=s"
    appended = forwarded(asked, SAS)
    assert appended.target == "/docs/a/b?snapshot=s&sv=2022-11-02&sig=upstream%3D"
    assert "authorization" not in appended.headers
    assert forwarded(request("GET", "/acme/docs/a"), SAS, LOCAL).target == "/acme/docs/a?sv=2022-11-02&sig=upstream%3D"
    with pytest.raises(UpstreamError, match="'password'"):
        forwarded(asked, Credential("password", "x", "y"))


def test_sources_are_named_and_proved_by_the_broker() -> None:
    own = f"http://{HOST}/acme/docs/b%20c?versionid=v&{CLIENT_SAS}"
    url = "https://acme.blob.core.windows.net/docs/b%20c?versionid=v"
    asked = request("PUT", "/acme/docs/a", x_ms_copy_source=own, x_ms_requires_sync="true")
    sent = forwarded(asked).headers
    assert sent.get("x-ms-copy-source") == url
    assert sent.get("x-ms-copy-source-authorization") == "Bearer upstream-token"
    assert "x-ms-copy-source-authorization" not in forwarded(asked, Credential("key", KEY)).headers
    assert forwarded(asked, SAS).headers.get("x-ms-copy-source") == f"{url}&sv=2022-11-02&sig=upstream%3D"
    plain = forwarded(request("PUT", "/acme/docs/a", x_ms_copy_source=own)).headers
    assert (plain.get("x-ms-copy-source"), "x-ms-copy-source-authorization" in plain) == (url, False)
    theirs = forwarded(request("PUT", "/acme/docs/a", x_ms_copy_source="https://globex.example/b?sig=x"), SAS).headers
    assert theirs.get("x-ms-copy-source") == "https://globex.example/b?sig=x"


def test_the_data_lake_has_an_endpoint_of_its_own() -> None:
    asked = request("PUT", "/acme/docs/d?mode=legacy", x_ms_rename_source="/docs/e%20f", Accept="text/html")
    sent = forwarded(asked)
    assert sent.headers.get("host") == "acme.dfs.core.windows.net"
    assert sent.headers.get("accept") == "application/json"
    assert sent.headers.get("x-ms-rename-source") == "/docs/e%20f"
    assert forwarded(asked, SAS).headers.get("x-ms-rename-source") == "/docs/e%20f?sv=2022-11-02&sig=upstream%3D"
    assert forwarded(asked, endpoint=LOCAL).headers.get("host") == "127.0.0.1:10000"
    assert forwarded(request("GET", "/acme/?comp=list")).headers.get("accept") == "application/xml"


def test_an_account_is_no_container() -> None:
    assert forwarded(request("POST", "/acme?comp=batch&restype=container")).target == "/?comp=batch"
    assert forwarded(request("POST", "/acme/docs?comp=batch&restype=container")).target.endswith("restype=container")


def test_a_length_that_is_not_the_client_s() -> None:
    asked = request("PUT", "/acme/docs/a", x_ms_blob_type="BlockBlob", Content_Length="5")
    assert forwarded(asked).headers.get("content-length") == "5"
    assert forwarded(asked, length=7).headers.get("content-length") == "7"


@pytest.mark.parametrize(
    "url",
    ["", "acme", "ftp://acme.example", "https://", "https://acme.example:0x", "https://acme.example:99999",
     "https://user@acme.example", "https://acme.example/?a", "https://acme.example/#a", "https://ücme.example"],
)  # fmt: skip
def test_endpoints_that_are_none(url: str) -> None:
    with pytest.raises(UsageError):
        Endpoint.parse(url)


@pytest.fixture(scope="module")
def store() -> Iterator[Azurite]:
    with azurite() as running:
        yield running


def send(store: Azurite, asked: Request, credential: Credential, body: bytes = b"") -> tuple[int, bytes]:
    """Forward a request that names the emulator's account; returns the answer's status and body."""
    return raw(store, prepared(store, asked, credential, len(body) if asked.method != "GET" else None), body)


def prepared(store: Azurite, asked: Request, credential: Credential, length: int | None = None) -> Request:
    address = parse(asked, emulator.ACCOUNT)
    operation = classify(asked, address)
    assert operation.row is not None
    plain, there = without_proof(asked, address, operation)
    endpoint = Endpoint.parse(store.endpoint)
    return upstream_request(plain, there, operation, endpoint, credential, datetime.now(UTC), length=length)


def raw(store: Azurite, sent: Request, body: bytes) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(urlsplit(store.endpoint).netloc, timeout=20)) as connection:
        connection.putrequest(sent.method, sent.target, skip_host=True, skip_accept_encoding=True)
        for name, value in sent.headers:
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def credentials() -> list[Credential]:
    sas = account_sas(emulator.ACCOUNT, KEY, expires=datetime.now(UTC) + timedelta(hours=1))
    return [Credential("key", KEY), Credential("sas", sas)]


@pytest.mark.parametrize("credential", credentials(), ids=["key", "sas"])
def test_a_real_server_takes_what_is_signed(store: Azurite, credential: Credential) -> None:
    container = f"/{emulator.ACCOUNT}/docs-{credential.kind}"
    name = f"{container}/dir/%C3%BC%20x%2By%25%26~%27(1).csv"
    asked = request(
        "PUT", name, x_ms_blob_type="BlockBlob", x_ms_meta_a1="1", x_ms_meta_ab="2", Content_Type="text/csv"
    )
    asked = Request(asked.method, asked.target, asked.headers.with_("x-ms-meta-a_b", "two words"))
    assert send(store, request("PUT", f"{container}?restype=container"), credential)[0] == 201
    assert send(store, asked, credential, b"a,b\n")[0] == 201
    assert send(store, request("GET", f"{name}?timeout=30", x_ms_range="bytes=0-1"), credential) == (206, b"a,")
    status, page = send(
        store, request("GET", f"{container}?restype=container&comp=list&prefix=dir%2F%C3%BC+x"), credential
    )
    assert (status, b"<Name>dir/" in page) == (200, True)
    source = f"http://{HOST}{name}"
    assert send(store, request("PUT", f"{container}/copy", x_ms_copy_source=source), credential)[0] == 202
    assert send(store, request("GET", f"{container}/copy"), credential) == (200, b"a,b\n")
    assert send(store, request("DELETE", f"{container}/copy"), credential)[0] == 202


def test_a_real_server_takes_a_batch(store: Azurite) -> None:
    container, credential = f"/{emulator.ACCOUNT}/batch", Credential("key", KEY)  # it has no batches by SAS
    send(store, request("PUT", f"{container}?restype=container"), credential)
    send(store, request("PUT", f"{container}/a", x_ms_blob_type="BlockBlob"), credential, b"x")
    parts = [prepared(store, request("DELETE", f"{container}/{name}"), credential) for name in ("a", "b")]
    body = build_batch(parts, "batch_0123")
    asked = request("POST", f"{container}?restype=container&comp=batch", Content_Type=content_type("batch_0123"))
    sent = prepared(store, asked, credential, len(body))
    with closing(http.client.HTTPConnection(urlsplit(store.endpoint).netloc, timeout=20)) as connection:
        connection.request(sent.method, sent.target, body, dict(sent.headers))
        answer = connection.getresponse()
        got = answer.read()
    assert answer.status == 202, got
    answers = parse_answers(answer.headers["Content-Type"], got, 2)
    assert [each.split(b" ")[1] for each in answers] == [b"202", b"404"]


def test_a_request_signed_with_the_wrong_key_is_none(store: Azurite) -> None:
    wrong = Credential("key", "A" * 86 + "==")
    assert send(store, request("GET", f"/{emulator.ACCOUNT}/?comp=list"), wrong)[0] == 403


def test_signing_leaves_no_proof_of_before() -> None:
    before = request("GET", "/docs/a", Authorization="SharedKey client", Date="x", x_ms_date="y")
    after = signed(before, ACCOUNT, TOKEN, NOW).headers
    assert after.all("authorization") == ["Bearer upstream-token"]
    assert (after.all("x-ms-date"), "date" in after) == (["Mon, 23 Nov 2026 12:00:00 GMT"], False)
