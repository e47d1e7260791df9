from __future__ import annotations

import pytest

from connectors.blob.copy import copy_source, is_internal, rename_source
from hoopcli.errors import ProtocolError
from tests.blob.requests import ACCOUNT, HOST, read, request


@pytest.mark.parametrize(
    "host",
    [
        "localhost", "LOCALHOST.", "a.localhost", "metadata.google.internal", "db.corp", "printer.local", "intranet",
        "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0",
        "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0xa9fea9fe", "2852039166", "100.64.0.1",
        "[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::a9fe:a9fe]",
        "[2002:7f00:1::]", "999.1.1.1", "256.256.256.256", "4294967296", "0x", "09.1.1.1", "1.2.3.4.5", "[::zz]", "[1",
        "metadata.google.internal.", "224.0.0.1", "255.255.255.255",
    ],
)  # fmt: skip
def test_hosts_that_are_not_of_the_public_internet(host: str) -> None:
    assert is_internal(host)


@pytest.mark.parametrize(
    "host",
    ["globex.blob.core.windows.net", "example.com", "8.8.8.8", "134744072", "[2606:4700::1111]", "[::ffff:8.8.8.8]"],
)
def test_hosts_of_the_public_internet(host: str) -> None:
    assert not is_internal(host)


@pytest.mark.parametrize(
    ("url", "resource"),
    [
        (f"http://{HOST}/acme/docs/a", "acme/docs/a"),
        (f"HTTPS://{HOST}/acme/docs/a%2Fb?versionid=1", "acme/docs/a/b"),
        (f"http://{HOST}/acme/docs/a?snapshot=1&sv=2020-01-01&sig=x", "acme/docs/a"),
        ("http://127.0.0.1:10/acme/docs/a", "url:http://127.0.0.1:10/acme/docs/a"),
        ("http://127.0.0.1/acme/docs/a", "url:http://127.0.0.1/acme/docs/a"),
        ("https://acme.blob.core.windows.net/docs/a", "url:https://acme.blob.core.windows.net/docs/a"),
        (
            "https://Globex.Blob.Core.Windows.Net:443/pub/a%20b?sig=s",
            "url:https://globex.blob.core.windows.net/pub/a b",
        ),
        ("http://globex.example:8080/a", "url:http://globex.example:8080/a"),
        ("http://[::1]:80/a", "url:http://[::1]/a"),
    ],
)
def test_a_source(url: str, resource: str) -> None:
    assert copy_source(request("PUT", "/acme/docs/x", x_ms_copy_source=url), ACCOUNT).resource == resource


@pytest.mark.parametrize(
    "url",
    [
        "", "/acme/docs/a", "//globex.example/a", "ftp://globex.example/a", "file:///etc/passwd",
        "http:globex.example/a",
        "http://user@globex.example/a", "http://globex.example@127.0.0.1/a", "http://globex.example#@127.0.0.1/a",
        "http://globex.example\\@127.0.0.1/a", "http://globex.example/a#b", "http://globex.example/../a",
        "http://globex.example/%2e%2e/a", "http://globex.example/a%2fb", "http://globex.example//a", "http://globex.example/",
        "http://globex.example", "http://globex.example:999999/a", "http://globex.example /a",
        "http://globex.example/a b", "http://glob\u0435x.example/a", "http://globex.example/a?b=1&b=2",
        f"http://{HOST}/globex/docs/a", f"http://{HOST}/acme/docs", f"http://{HOST}/acme", f"http://{HOST}/acme/docs/../x/a",
        f"http://{HOST}/acme/docs/a?comp=list", f"http://{HOST}/acme/docs/a?sv=2020-01-01", f"http://{HOST}",
    ],
)  # fmt: skip
def test_sources_that_are_refused(url: str) -> None:
    with pytest.raises(ProtocolError):
        copy_source(request("PUT", "/acme/docs/x", x_ms_copy_source=url), ACCOUNT)


def test_what_a_source_keeps() -> None:
    url = f"http://{HOST}/acme/docs/a?snapshot=1&sv=2020-01-01&sr=b&sig=x%3D"
    source = copy_source(request("PUT", "/acme/docs/x", x_ms_copy_source=url), ACCOUNT)
    assert source.address is not None
    assert source.address.query == (("snapshot", "1"),)
    assert source.sas == (("sv", "2020-01-01"), ("sr", "b"), ("sig", "x="))
    assert not source.internal
    elsewhere = copy_source(request("PUT", "/acme/docs/x", x_ms_copy_source="http://0x7f.1/a?sig=s"), ACCOUNT)
    assert (elsewhere.address, elsewhere.internal, elsewhere.url) == (None, True, "http://0x7f.1/a?sig=s")


def test_a_rename_stays_in_the_account() -> None:
    def source(value: str) -> str:
        return rename_source(request("PUT", "/acme/docs/x", x_ms_rename_source=value), ACCOUNT).resource

    assert source("/docs/a%20b") == "acme/docs/a b"
    assert source("docs/a") == "acme/docs/a"
    assert source("/acme/docs/a") == "acme/docs/a"
    for odd in ("", "/", "/docs", "/docs/", "/docs/../a", "//docs/a", "/docs/a?comp=x", "http://x/docs/a", "/docs/a#b"):
        with pytest.raises(ProtocolError):
            source(odd)


@pytest.mark.parametrize(
    "headers",
    [
        {"x_ms_undelete_source": "d"},
        {"x_ms_undelete_source": "d?deletionid=1&x=2"},
        {"x_ms_undelete_source": "../d?deletionid=1"},
        {"x_ms_undelete_source": "?deletionid=1"},
    ],
)
def test_what_is_undeleted_is_named(headers: dict[str, str]) -> None:
    with pytest.raises(ProtocolError):
        read(request("PUT", "/acme/docs/d?comp=undelete", **headers))


def test_containers_in_headers_are_names() -> None:
    for odd in ("a", "../docs", "docs/a", "Docs"):
        with pytest.raises(ProtocolError):
            read(request("PUT", "/acme/new?restype=container&comp=undelete", x_ms_deleted_container_name=odd))
