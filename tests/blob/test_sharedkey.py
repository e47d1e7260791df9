from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.blob.errors import StorageError
from connectors.blob.sharedkey import http_date, session_key, signature, string_to_sign, verify
from connectors.http.message import Headers, Request
from hoopcli.errors import ProtocolError
from hoopcli.spi import SessionSecret
from tests.blob.requests import ACCOUNT, KEY, NOW, request, signed_by

DATE = http_date(NOW)


def check(asked: Request) -> None:
    verify(asked, ACCOUNT, KEY, NOW)


def with_signature(asked: Request, text: str, scheme: str = "SharedKey") -> Request:
    proof = f"{scheme} {ACCOUNT}:{signature(KEY, text)}"
    return Request(asked.method, asked.target, asked.headers.with_("Authorization", proof))


def test_the_key_of_a_session_is_an_account_key_of_its_own() -> None:
    assert len(base64.b64decode(KEY)) == 64
    assert session_key(SessionSecret("the secret of one session")) == KEY
    assert session_key(SessionSecret("the secret of one sessioN")) != KEY


def test_the_string_to_sign_of_the_reference() -> None:
    """The example in "Authorize with Shared Key"."""
    asked = Request(
        "PUT",
        "/mycontainer?restype=container&timeout=30&comp=metadata",
        Headers(
            [
                ("x-ms-version", "2011-08-18"),
                ("X-Ms-Date", "Fri, 26 Jun 2015 23:39:12 GMT"),
                ("x-ms-meta-b", " two words "),
                ("Content-Type", "text/plain; charset=UTF-8"),
                ("Content-Length", "11"),
                ("If-None-Match", "*"),
            ]
        ),
    )
    assert string_to_sign(asked, "myaccount") == (
        "PUT\n\n\n11\n\ntext/plain; charset=UTF-8\n\n\n\n*\n\n\n"
        "x-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-meta-b:two words\nx-ms-version:2011-08-18\n"
        "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:30"
    )


def test_a_length_of_zero_is_empty_since_2015() -> None:
    empty = request("PUT", "/acme/docs/a", Content_Length="0", Date=DATE)
    assert string_to_sign(empty, ACCOUNT).split("\n")[3] == ""
    assert string_to_sign(empty, ACCOUNT).split("\n")[6] == DATE
    for version, shown in (("2014-02-14", "0"), ("2015-02-21", ""), ("2024-11-04", "")):
        asked = Request("PUT", "/acme/docs/a", empty.headers.with_("x-ms-version", version))
        assert string_to_sign(asked, ACCOUNT).split("\n")[3] == shown
        check(with_signature(asked, string_to_sign(asked, ACCOUNT)))


def test_shared_key_lite() -> None:
    asked = request("GET", "/acme/docs?restype=container&comp=list", x_ms_date=DATE, x_ms_version="2024-11-04")
    text = f"GET\n\n\n\nx-ms-date:{DATE}\nx-ms-version:2024-11-04\n/acme/acme/docs?comp=list"
    check(with_signature(asked, text, "SharedKeyLite"))
    plain = request("GET", "/acme/docs/a", Content_Type="text/x", Date=DATE)
    check(with_signature(plain, f"GET\n\ntext/x\n{DATE}\n/acme/acme/docs/a", "SharedKeyLite"))
    with pytest.raises(StorageError, match="does not match"):
        check(with_signature(asked, text, "SharedKey"))


def test_headers_in_either_order() -> None:
    asked = request("GET", "/acme/docs/a", x_ms_date=DATE, x_ms_meta_a1="1", x_ms_meta_ab="2")
    asked = Request("GET", asked.target, asked.headers.with_("x-ms-meta-a_b", "3"))
    texts = {string_to_sign(asked, ACCOUNT), string_to_sign(asked, ACCOUNT, ordinal=True)}
    assert len(texts) == 2
    for text in texts:
        check(with_signature(asked, text))


def test_a_path_signed_in_another_encoding() -> None:
    asked = request("GET", "/acme/docs/a%7Eb(1)", x_ms_date=DATE)
    proof = with_signature(request("GET", "/acme/docs/a~b%281%29", x_ms_date=DATE), "").headers
    canonical = "/acme/docs/a~b%281%29"
    signed = with_signature(asked, string_to_sign(Request("GET", canonical, asked.headers), ACCOUNT))
    verify(signed, ACCOUNT, KEY, NOW, canonical_target=canonical)
    with pytest.raises(StorageError):
        check(signed)
    with pytest.raises(StorageError):
        verify(Request("GET", asked.target, proof), ACCOUNT, KEY, NOW, canonical_target=canonical)


@pytest.mark.parametrize(
    ("method", "target", "header", "value"),
    [
        ("PUT", "/acme/docs/a?prefix=x", "", ""),
        ("GET", "/acme/docs/b?prefix=x", "", ""),
        ("GET", "/acme/docs/a?prefix=y", "", ""),
        ("GET", "/acme/docs/a?prefix=x&comp=tags", "", ""),
        ("GET", "/acme/docs/a", "", ""),
        ("GET", "/acme/docs/a?prefix=x", "x-ms-new", "1"),
        ("GET", "/acme/docs/a?prefix=x", "x-ms-meta-a", "2"),
        ("GET", "/acme/docs/a?prefix=x", "Range", "bytes=0-1"),
        ("GET", "/acme/docs/a?prefix=x", "Content-Length", "5"),
        ("GET", "/acme/docs/a?prefix=x", "If-Match", "*"),
    ],
)
def test_nothing_signed_can_change(method: str, target: str, header: str, value: str) -> None:
    signed = signed_by(request("GET", "/acme/docs/a?prefix=x", x_ms_meta_a="1"))
    check(signed)
    with pytest.raises(StorageError, match="does not match"):
        check(Request(method, target, signed.headers.with_(header, value) if header else signed.headers))


def test_other_keys_accounts_and_forms() -> None:
    asked = request("GET", "/acme/docs/a")
    for bad in (
        signed_by(asked, session_key(SessionSecret("another"))),
        signed_by(asked, account="globex"),
        request("GET", "/acme/docs/a", Authorization="SharedKey acme:", x_ms_date=DATE),
        request("GET", "/acme/docs/a", Authorization="SharedKeyfoo acme:" + "A" * 43 + "=", x_ms_date=DATE),
        request("GET", "/acme/docs/a", Authorization="SharedKey acme:é", x_ms_date=DATE),
        request("GET", "/acme/docs/a", Authorization="SharedKey acme:" + "A" * 43 + "=", x_ms_date=DATE),
    ):
        with pytest.raises(StorageError) as caught:
            check(bad)
        assert (caught.value.status, caught.value.code) == (403, "AuthenticationFailed")


@pytest.mark.parametrize("minutes", [-16, 16, 60 * 24 * 365])
def test_an_old_date(minutes: int) -> None:
    with pytest.raises(StorageError, match="15 minutes"):
        check(signed_by(request("GET", "/acme/docs/a"), at=NOW + timedelta(minutes=minutes)))
    check(signed_by(request("GET", "/acme/docs/a"), at=NOW + timedelta(minutes=14)))


@pytest.mark.parametrize(
    "date", ["", "now", "2026-11-23T12:00:00Z", "Mon, 23 Nov 2026 12:00:00 -0000", "Mon, 99 Nov 2026 12:00:00 GMT"]
)
def test_a_date_that_cannot_be_read(date: str) -> None:
    asked = request("GET", "/acme/docs/a", x_ms_date=date) if date else request("GET", "/acme/docs/a")
    with pytest.raises(StorageError):
        check(with_signature(asked, string_to_sign(asked, ACCOUNT)))


def test_a_header_twice_is_refused() -> None:
    signed = signed_by(request("GET", "/acme/docs/a", x_ms_meta_a="1"))
    for name, value in (("X-Ms-Meta-A", "1"), ("Authorization", "x"), ("x-ms-date", DATE)):
        with pytest.raises(ProtocolError):
            check(Request("GET", signed.target, Headers([*signed.headers, (name, value)])))


VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80)


@given(VALUE, VALUE)
def test_garbage_is_refused(proof: str, date: str) -> None:
    with pytest.raises(StorageError):
        check(request("GET", "/acme/docs/a", Authorization=f"SharedKey {proof}", x_ms_date=date))
    with pytest.raises(StorageError):
        check(request("GET", "/acme/docs/a", Authorization="SharedKey acme:" + "A" * 43 + "=", x_ms_date=date))
