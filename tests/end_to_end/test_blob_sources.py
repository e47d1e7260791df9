"""Copies from places that are not the client's to read: inside, elsewhere, and the own account by another way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.azurite import ACCOUNT
from tests.support.blobs import DOCS, SECRET, BlobStage, attacked

METADATA = "http://169.254.169.254/latest/meta-data"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlobStage]:
    with attacked(tmp_path_factory.mktemp("broker")) as ready:
        yield ready


@pytest.mark.parametrize(
    "source",
    [
        METADATA,
        "http://169.254.169.254./latest",
        "http://2852039166/latest/meta-data",
        "http://0xA9FEA9FE/latest",
        "http://0xa9.0xfe.0xa9.0xfe/latest",
        "http://0251.0376.0251.0376/latest",
        "http://169.254.43518/latest",
        "http://[::ffff:169.254.169.254]/latest",
        "http://[::ffff:a9fe:a9fe]/latest",
        "http://[64:ff9b::a9fe:a9fe]/latest",
        "http://[fd00:ec2::254]/latest",
        "http://[::1]/latest",
        "http://127.1/latest",
        "http://localhost/latest",
        "http://metadata.internal/latest",
        "http://0/latest",
    ],
)
def test_addresses_inside(stage: BlobStage, source: str) -> None:
    with stage.denied("nothing-from-inside"):
        assert stage.ask("PUT", "drafts/copy", [("x-ms-copy-source", source)]).status == 403


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("https://stranger.blob.core.windows.net/docs/a.txt", 403),
        ("https://partner.blob.core.windows.net.evil.example/docs/a.txt", 403),
        ("https://partner.blob.core.windows.net:8443/docs/a.txt", 403),
        ("http://partner.blob.core.windows.net/docs/a.txt", 403),
        ("https://partner.blob.core.windows.net@evil.example/docs/a.txt", 400),
        ("https://partner.blob.core.windows.net/../a.txt", 400),
        ("https://partner.blob.core.windows.net/docs%2Fa.txt", 400),
        ("https://partner.blob.core.windows.net\\@evil.example/a", 400),
        ("file:///etc/passwd", 400),
        ("gopher://127.0.0.1/", 400),
        ("//169.254.169.254/latest", 400),
        ("/docs/secret/key.txt", 400),
    ],
)
def test_another_account_is_only_the_one_that_a_rule_names(stage: BlobStage, source: str, status: int) -> None:
    with stage.unheard():
        assert stage.ask("PUT", "drafts/copy", [("x-ms-copy-source", source)]).status == status


def test_the_account_by_another_way(stage: BlobStage) -> None:
    """The upstream itself, past the broker, is an address inside; the own endpoint is decided like any blob."""
    for authority in (f"127.0.0.1:{stage.emulator.port}", f"localhost:{stage.hoop.listen.port}"):
        source = f"http://{authority}{DOCS}/{SECRET}"
        with stage.denied("nothing-from-inside"):
            assert stage.ask("PUT", "drafts/copy", [("x-ms-copy-source", source)]).status == 403
    own = f"http://{stage.hoop.listen.host}:{stage.hoop.listen.port}"
    with stage.denied("secrets-are-nobodys"):
        assert stage.ask("PUT", "drafts/copy", [("x-ms-copy-source", f"{own}{DOCS}/{SECRET}")]).status == 403
    with stage.denied("default-deny"):
        source = f"{own}/{ACCOUNT}/other/a.txt"
        assert stage.ask("PUT", "drafts/copy", [("x-ms-copy-source", source)]).status == 403
    with stage.unheard():
        renamed = [("x-ms-rename-source", f"/docs/{SECRET}")]
        assert stage.ask("PUT", "drafts/copy", renamed).status == 403
        doubled = [("x-ms-copy-source", f"{own}{DOCS}/hello.txt"), *renamed]
        assert stage.ask("PUT", "drafts/copy", doubled).status == 403
