from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.blob.batch import (
    Part,
    answer_bytes,
    build_batch,
    check_part,
    content_type,
    merge,
    parse_answers,
    parse_batch,
)
from connectors.http.message import Headers, Request
from hoopcli.errors import ProtocolError
from tests.blob.requests import read, request

TYPE = "multipart/mixed; boundary=batch_1"
MIME = "Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"


def part(message: str, mime: str = f"{MIME}Content-ID: 0\r\n") -> str:
    return f"--batch_1\r\n{mime}\r\n{message}\r\n"


def body(*parts: str, end: str = "--batch_1--\r\n") -> bytes:
    return ("".join(parts) + end).encode("latin-1")


DELETE = "DELETE /acme/docs/a HTTP/1.1\r\nx-ms-date: now\r\nContent-Length: 0\r\n\r\n"


def test_the_form_of_the_reference() -> None:
    tier = "PUT /acme/docs/b?comp=tier HTTP/1.1\r\nx-ms-access-tier: Cool\r\n\r\n"
    parts = parse_batch(TYPE, body(part(DELETE), part(tier, f"{MIME}Content-ID: 1\r\n"), part(DELETE, MIME)))
    assert [each.content_id for each in parts] == ["0", "1", ""]
    assert parts[0].request == Request(
        "DELETE", "/acme/docs/a", Headers([("x-ms-date", "now"), ("Content-Length", "0")])
    )
    assert parts[1].request.target == "/acme/docs/b?comp=tier"
    assert len(parse_batch('Multipart/Mixed;boundary="batch_1"', body(part(DELETE), end="--batch_1--"))) == 1


def test_a_head_that_ends_at_the_boundary() -> None:
    """The client for JavaScript leaves out the empty line between the two."""
    short = part("DELETE /acme/docs/a HTTP/1.1\r\nx-ms-date: now\r\n")
    [only] = parse_batch(TYPE, body(short))
    assert only.request == Request("DELETE", "/acme/docs/a", Headers([("x-ms-date", "now")]))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "text/plain",
        "multipart/mixed",
        "multipart/form-data; boundary=batch_1",
        f"{TYPE}; charset=utf-8",
        f"{TYPE}, text/plain",
        "multipart/mixed; boundary=",
        'multipart/mixed; boundary="batch_1',
        f"{TYPE}; boundary=b",
        "multipart/mixed; boundary=batch 1",
        "multipart/mixed; boundary=" + "b" * 71,
        "multipart/mixed; boundary=batch_2",
    ],
)
def test_another_type(content: str) -> None:
    with pytest.raises(ProtocolError):
        parse_batch(content, body(part(DELETE)))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"--batch_1--\r\n",
        body(part(DELETE), end=""),
        body(part(DELETE), end="--batch_1\r\n"),
        b"before\r\n" + body(part(DELETE)),
        body(part(DELETE)) + b"after",
        body(part(DELETE), end="--batch_1--\r\n\r\n"),
        body(part(DELETE)).replace(b"\r\n", b"\n"),
        body(part(DELETE)).replace(b"--batch_1\r", b"--batch_1 \r"),
        body(part(DELETE)).replace(b"--batch_1\r", b"--batch_1x\r"),
        body(part(DELETE)).replace(b"HTTP/1.1", b"HTTP/1.0"),
        # a second request behind the first one
        body(part(DELETE + DELETE)),
        body(part(DELETE + "\r\n" + DELETE)),
        body(part(f"{DELETE}x")),
        body(part(DELETE.replace("Length: 0", "Length: 5") + "abcde")),
        body(part(DELETE.replace("Length: 0", "Length: 00"))),
        body(part("DELETE /acme/docs/a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")),
        body(part("DELETE /acme/docs/a HTTP/1.1\r\nUpgrade: x\r\n\r\n")),
        body(part("DELETE /acme/docs/a HTTP/1.1\r\nConnection: x\r\n\r\n")),
        body(part("DELETE /acme/docs/a HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n")),
        body(part("DELETE /acme/docs/a HTTP/1.1")),
        body(part("")),
        body(part("\r\n" + DELETE)),
        body(part(DELETE.replace("DELETE ", "DELETE  "))),
        body(part(f" {DELETE}")),
        body(part(DELETE.replace("/acme", "http://globex.example/acme"))),
        body(part(DELETE.replace(" HTTP/1.1", ""))),
        body(part(DELETE.replace("x-ms-date:", "x-ms-date :"))),
        body(part(DELETE.replace("x-ms", " x-ms"))),
        body(part(DELETE.replace("now", "no\rw"))),
        body(part(DELETE.replace("now", "no\nw"))),
        body(part(DELETE.replace("now", "no\0w"))),
        body(part(DELETE.replace("now", "n\xf6w"))),
        body(part(DELETE.replace("now", "now\r\n folded"))),
        body(part(DELETE.replace("/docs/a", "/docs/\xe4"))),
        body(part("DELETE /a HTTP/1.1\r\n" + "a: b\r\n" * 101 + "\r\n")),
        # other MIME headers
        body(part(DELETE, "")),
        body(part(DELETE, "Content-Type: text/plain\r\n")),
        body(part(DELETE, MIME.replace("binary", "base64"))),
        body(part(DELETE, MIME + "Content-Length: 5\r\n")),
        body(part(DELETE, MIME + MIME)),
        body(part(DELETE, MIME + "Content-ID: a b\r\n")),
        body(part(DELETE, MIME + "Content-ID: " + "a" * 101 + "\r\n")),
        body(part(DELETE), part(DELETE)),
        body(part(DELETE, MIME + "X-Other: 1\r\n")),
        body(part(DELETE, MIME + "Content-Type: application/http\r\n")),
        # too many, too long
        body(*(part(DELETE, MIME) for _ in range(257))),
        body(part(DELETE.replace("now", "a" * (4 << 20)))),
    ],
)
def test_batches_that_could_be_read_in_two_ways(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_batch(TYPE, data)


def test_256_parts_are_not_too_many() -> None:
    assert len(parse_batch(TYPE, body(*(part(DELETE, MIME) for _ in range(256))))) == 256


def test_what_may_be_in_a_batch() -> None:
    whole, _ = read(request("POST", "/acme/?comp=batch"))
    docs, _ = read(request("POST", "/acme/docs?restype=container&comp=batch"))
    for allowed in (
        request("DELETE", "/acme/docs/a?snapshot=s"),
        request("PUT", "/acme/docs/a?comp=tier", x_ms_access_tier="Cool"),
    ):
        check_part(whole, *read(allowed))
        check_part(docs, *read(allowed))
    with pytest.raises(ProtocolError, match="another one"):
        check_part(docs, *read(request("DELETE", "/acme/other/a")))
    for other in (
        request("GET", "/acme/docs/a"),
        request("PUT", "/acme/docs/a", x_ms_blob_type="BlockBlob"),
        request("PUT", "/acme/docs/a", x_ms_copy_source="http://127.0.0.1:9/acme/docs/b"),
        request("DELETE", "/acme/docs?restype=container"),
        request("DELETE", "/acme/docs/d?recursive=true"),
        request("POST", "/acme/?comp=batch"),
        request("DELETE", "/acme/docs/a?new=1"),
    ):
        with pytest.raises(ProtocolError, match="nothing else"):
            check_part(whole, *read(other))


def test_a_part_without_its_own_proof_is_seen() -> None:
    [only] = parse_batch(TYPE, body(part("DELETE /acme/docs/a HTTP/1.1\r\n\r\n")))
    assert "authorization" not in only.request.headers


TEXT = st.text("abcXYZ019-_./", min_size=1, max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
def test_what_is_built_is_read_again(parts: list[tuple[str, str]]) -> None:
    requests = [Request("DELETE", f"/acme/{name}", Headers([("x-ms-date", value)])) for name, value in parts]
    built = build_batch(requests, "batch_0123456789")
    found = parse_batch(content_type("batch_0123456789"), built)
    assert [each.request for each in found] == requests
    assert [each.content_id for each in found] == [str(index) for index in range(len(parts))]


def answer(status: str, index: int | str, rest: str = "x-ms-request-id: 1\r\n\r\n") -> str:
    return f"--r\r\nContent-Type: application/http\r\nContent-ID: {index}\r\n\r\nHTTP/1.1 {status}\r\n{rest}\r\n"


def test_answers_come_back_in_the_client_s_order() -> None:
    upstream = (answer("404 Not Found", 1, "x: y\r\n\r\n<Error/>") + answer("202 Accepted", 0) + "--r--").encode()
    found = parse_answers("multipart/mixed; boundary=r", upstream, 2)
    assert found[0].startswith(b"HTTP/1.1 202 Accepted\r\n")
    assert found[1] == b"HTTP/1.1 404 Not Found\r\nx: y\r\n\r\n<Error/>"
    denied = answer_bytes(403, "Refused", Headers([("x-ms-error-code", "AuthorizationFailure")]), b"<Error/>")
    parts = [Part(name, request("DELETE", "/acme/docs/a")) for name in ("first", "", "last")]
    merged = merge(parts, {0: found[0], 1: denied, 2: found[1]}, "batchresponse_1")
    sections = merged.split(b"--batchresponse_1")
    assert [b"202" in sections[1], b"403" in sections[2], b"404" in sections[3]] == [True] * 3
    assert [b"Content-ID: first" in sections[1], b"Content-ID" in sections[2], b"Content-ID: last" in sections[3]] == [
        True, False, True,
    ]  # fmt: skip
    assert sections[4] == b"--\r\n"


def test_an_answer_without_a_body() -> None:
    upstream = (
        b"--r\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\nHTTP/1.1 202 Accepted\r\na: b\r\n\r\n--r--"
    )
    assert parse_answers("multipart/mixed; boundary=r", upstream, 1) == [b"HTTP/1.1 202 Accepted\r\na: b\r\n\r\n"]


@pytest.mark.parametrize(
    "data",
    [
        answer("202 Accepted", 0), answer("202 Accepted", 0) + answer("202 Accepted", 0), answer("202 Accepted", 2),
        answer("202 Accepted", 0) + answer("202 Accepted", 1) + answer("202 Accepted", 2), answer("99 x", 0), "",
        answer("202 Accepted", 0) + answer("202 Accepted", "").replace("Content-ID: ", "X: "),
        answer("202 Accepted", 0) + answer("202 Accepted", 1).replace("\r\n\r\nHTTP", "\r\n\r\nSECRET"),
        answer("202 Accepted", 0) + answer("202 Accepted", 1, "x"),
    ],
)  # fmt: skip
def test_answers_that_do_not_fit(data: str) -> None:
    with pytest.raises(ProtocolError):
        parse_answers("multipart/mixed; boundary=r", (data + "--r--").encode(), 2)


def test_a_boundary_that_occurs_is_none() -> None:
    with pytest.raises(ProtocolError, match="occurs"):
        build_batch([request("DELETE", "/acme/docs/--batch_1")], "batch_1")


@given(st.binary(max_size=300))
def test_garbage_is_refused(data: bytes) -> None:
    for text in (data, body(part(DELETE)).replace(b"now", data), b"--batch_1\r\n" + data + b"\r\n--batch_1--"):
        with suppress(ProtocolError):
            parse_batch(TYPE, text)
        with suppress(ProtocolError):
            parse_answers(TYPE, text, 1)
