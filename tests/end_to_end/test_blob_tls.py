"""Blobs over TLS on both sides: clients that trust the session's CA, an upstream that takes bearer tokens of Entra."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import jwt
import pytest
from azure.core.exceptions import HttpResponseError, ServiceRequestError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient, ContentSettings

from connectors.blob.connector import BlobConnector
from connectors.blob.hint import connection_string, sas
from hoopcli.certificates import issue
from hoopcli.sansio.events import Credential
from tests.support.azurite import ACCOUNT, KEY, Azurite, azurite
from tests.support.broker import FixedCredentials, RunningBroker, broker

POLICY = (Path(__file__).parent / "blob_policy.yaml").read_text()
CSV = b"id,ssn,mail\r\n" + b"".join(b"%d,123-45-%04d,ada@example.com\r\n" % (n, n) for n in range(2000))


def token(audience: str = "https://storage.azure.com", life: timedelta = timedelta(hours=1)) -> str:
    """What the upstream takes for one of Microsoft Entra's: it reads it, and checks no signature."""
    now = datetime.now(UTC)
    claims = {"aud": audience, "iss": "https://sts.windows.net/11111111-2222-3333-4444-555555555555/", "ver": "1.0"}
    return jwt.encode({**claims, "iat": now, "nbf": now, "exp": now + life}, "k" * 32, algorithm="HS256")


class Watched(RequestsTransport):  # type: ignore[misc]  # its package loads it late, so that its type is unknown
    """The client's own transport, with a note of every header that reaches it."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.seen: list[str] = []

    def send(self, request: Any, **more: Any) -> Any:
        response = super().send(request, **more)
        self.seen += [f"{name}: {value}" for name, value in response.headers.items()]
        return response


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Azurite, Path]]:
    """Azurite over https, and the CA that signs it."""
    folder = tmp_path_factory.mktemp("upstream")
    identity = issue("upstream", datetime.now(UTC), timedelta(hours=1))
    ca, chain, key = (folder / name for name in ("ca.pem", "chain.pem", "key.pem"))
    for path, text in [(ca, identity.ca), (chain, identity.chain), (key, identity.key)]:
        path.write_bytes(text)
    with azurite(certificate=(chain, key)) as running:
        with BlobServiceClient.from_connection_string(running.connection_string, connection_verify=str(ca)) as direct:
            docs = direct.create_container("docs")
            docs.upload_blob("people.csv", CSV, content_settings=ContentSettings(content_type="text/csv"))
            docs.upload_blob("hello.txt", b"write to ada@example.com")
            docs.upload_blob("secret/key.txt", b"the key")
        yield running, ca


@pytest.fixture
def credential() -> Credential:
    return Credential("token", token())


@pytest.fixture
def hoop(store: tuple[Azurite, Path], credential: Credential, tmp_path: Path) -> Iterator[RunningBroker]:
    emulator, ca = store
    options = {"account": ACCOUNT, "endpoint": emulator.endpoint, "auth": "entra", "ca_file": str(ca)}
    with broker(tmp_path, options, POLICY, connector=BlobConnector(), credential=credential) as running:
        yield running


@pytest.fixture
def transport(hoop: RunningBroker) -> Watched:
    return Watched(connection_verify=hoop.listen.ca_file)


@pytest.fixture
def client(hoop: RunningBroker, transport: Watched) -> Iterator[BlobServiceClient]:
    text = connection_string(hoop.listen, hoop.live.session.connection, scheme="https")
    with BlobServiceClient.from_connection_string(text, retry_total=0, transport=transport) as connected:
        yield connected


def test_a_client_that_verifies_reads_writes_lists_and_deletes(client: BlobServiceClient) -> None:
    docs = client.get_container_client("docs")
    assert "secret/key.txt" not in {found.name for found in docs.list_blobs()}
    whole = docs.download_blob("people.csv").readall()
    assert len(whole) == len(CSV)
    assert b"123-45" not in whole
    assert b"ada@" not in whole
    assert docs.download_blob("people.csv", 1000, 500).readall() == whole[1000:1500]
    draft = docs.get_blob_client("drafts/large")
    draft.upload_blob(b"a line of a draft\n" * 300_000, metadata={"kind": "draft"})
    assert draft.get_blob_properties().metadata == {"kind": "draft"}
    assert len(draft.download_blob().readall()) == 18 * 300_000
    draft.delete_blob()
    assert not draft.exists()
    with pytest.raises(HttpResponseError, match="secrets-are-nobodys"):
        docs.download_blob("secret/key.txt")


def test_a_copy_within_the_account_is_made_with_the_brokers_token(client: BlobServiceClient) -> None:
    docs = client.get_container_client("docs")
    docs.upload_blob("drafts/one.txt", b"one", overwrite=True)
    done = docs.get_blob_client("drafts/two.txt").start_copy_from_url(docs.get_blob_client("drafts/one.txt").url)
    assert done["copy_status"] == "success"
    assert docs.download_blob("drafts/two.txt").readall() == b"one"


def test_a_batch_is_signed_part_by_part(client: BlobServiceClient) -> None:
    docs = client.get_container_client("docs")
    docs.upload_blob("drafts/b1", b"x", overwrite=True)
    answers = list(docs.delete_blobs("drafts/b1", "secret/key.txt", raise_on_any_failure=False))
    assert [answer.status_code for answer in answers] == [202, 403]


def test_a_client_that_trusts_another_ca_does_not_connect(hoop: RunningBroker, store: tuple[Azurite, Path]) -> None:
    text = connection_string(hoop.listen, hoop.live.session.connection, scheme="https")
    with (
        BlobServiceClient.from_connection_string(text, retry_total=0, connection_verify=str(store[1])) as stranger,
        pytest.raises(ServiceRequestError, match="certificate"),
    ):
        stranger.get_blob_client("docs", "hello.txt").download_blob()


def test_neither_side_sees_the_credential_of_the_other(
    client: BlobServiceClient,
    hoop: RunningBroker,
    transport: Watched,
    credential: Credential,
    store: tuple[Azurite, Path],
) -> None:
    emulator, _ = store
    mark = emulator.mark()
    connection = hoop.live.session.connection
    key = dict(part.partition("=")[::2] for part in connection_string(hoop.listen, connection).split(";"))["AccountKey"]
    signature = sas(hoop.listen, connection)
    docs = client.get_container_client("docs")
    said = [docs.download_blob("hello.txt").readall(), docs.download_blob("people.csv", 0, 100).readall()]
    source = f"{docs.get_blob_client('hello.txt').url}?{signature}"
    docs.get_blob_client("drafts/copied").start_copy_from_url(source)
    for method, target, fields in [
        ("GET", "/devstoreaccount1/docs/hello.txt", {"Authorization": f"Bearer {hoop.listen.secret}"}),
        ("GET", f"/devstoreaccount1/docs?restype=container&comp=list&{signature}", {}),
        ("GET", f"/devstoreaccount1/docs/nothing.txt?{signature}", {}),
        ("GET", f"/devstoreaccount1/docs/secret/key.txt?{signature}", {}),
        ("GET", f"/devstoreaccount1/docs/nothing%00?{signature}", {}),
        ("GET", "/devstoreaccount1/docs/hello.txt", {"Authorization": f"Bearer {credential.secret}"}),
    ]:
        context = ssl.create_default_context(cafile=hoop.listen.ca_file)
        wire = HTTPSConnection(hoop.listen.host, hoop.listen.port, context=context, timeout=30)
        wire.request(method, target, headers={"x-ms-version": "2021-12-02", **fields})
        answer = wire.getresponse()
        said += [str(answer.getheaders()).encode(), answer.read()]
        wire.close()
    heard = emulator.heard_since(mark)
    for secret in (hoop.listen.secret, key, signature.rpartition("sig=")[2], f"SharedKey {ACCOUNT}"):
        assert secret not in heard
    assert heard.count("Bearer ") >= 6
    shown = "\n".join(transport.seen) + "\n".join(part.decode("utf-8", "replace") for part in said)
    for secret in (credential.secret, credential.secret.split(".")[2], KEY, "Bearer ey"):
        assert secret not in shown


def test_a_token_that_the_upstream_refuses_is_its_error_and_is_asked_for_anew(
    store: tuple[Azurite, Path], tmp_path: Path
) -> None:
    emulator, ca = store
    options = {"account": ACCOUNT, "endpoint": emulator.endpoint, "auth": "entra", "ca_file": str(ca)}
    stale = Credential("token", token(life=timedelta(hours=-1)))
    with broker(tmp_path, options, POLICY, connector=BlobConnector(), credential=stale) as running:
        text = connection_string(running.listen, running.live.session.connection)
        with BlobServiceClient.from_connection_string(text, retry_total=0) as client:
            for _ in range(2):
                with pytest.raises(HttpResponseError) as caught:
                    client.get_blob_client("docs", "hello.txt").download_blob()
                assert caught.value.status_code in {401, 403}
                assert stale.secret not in str(caught.value)
        assert running.ledger.outcome_of("docs/hello.txt")["status"] == "failed"
        source = running.services.credentials
        assert isinstance(source, FixedCredentials)
        source.credential = Credential("token", token())
        with BlobServiceClient.from_connection_string(text, retry_total=0) as client:
            assert client.get_blob_client("docs", "hello.txt").download_blob().readall().startswith(b"write to")


def test_an_upstream_that_another_ca_signs_is_not_trusted(store: tuple[Azurite, Path], tmp_path: Path) -> None:
    emulator, _ = store
    other = tmp_path / "other.pem"
    other.write_bytes(issue("other", datetime.now(UTC), timedelta(hours=1)).ca)
    options = {"account": ACCOUNT, "endpoint": emulator.endpoint, "auth": "entra", "ca_file": str(other)}
    mark = emulator.mark()
    secret = Credential("token", token())
    with broker(tmp_path, options, POLICY, connector=BlobConnector(), credential=secret) as running:
        text = connection_string(running.listen, running.live.session.connection)
        with (
            BlobServiceClient.from_connection_string(text, retry_total=0) as client,
            pytest.raises(HttpResponseError) as caught,
        ):
            client.get_blob_client("docs", "hello.txt").download_blob()
    assert caught.value.status_code == 502
    assert "Bearer" not in emulator.heard_since(mark)
