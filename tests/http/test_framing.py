"""Heads and bodies: there and back, at any cut, and nothing but ProtocolError for garbage."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.http.framing import BodyReader, BodyWriter, ChunkedReader, LengthReader
from connectors.http.head import keeps_alive, read_request, read_response, reason, take_head, write_head
from connectors.http.message import Headers, Request, Response
from hoopcli.errors import ProtocolError
from tests.http.smuggling import CHUNKS, HEADS

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789!#$%&'*+.^`|~-", min_size=1, max_size=20)
VALUE = st.text([chr(c) for c in (*range(0x21, 0x7F), *range(0x80, 0x100), 0x20, 9)], max_size=40).map(
    lambda text: text.strip(" \t")
)
TARGET = st.text([chr(c) for c in range(0x21, 0x7F) if chr(c) != "#"], max_size=40).map(lambda text: "/" + text)
SPECIAL = {"connection", "content-length", "expect", "host", "trailer", "transfer-encoding", "upgrade"}
FIELDS = st.lists(st.tuples(TOKEN.filter(lambda name: name.lower() not in SPECIAL), VALUE), max_size=8)
CUTS = st.lists(st.integers(0, 400), max_size=12)


def pieces(data: bytes, cuts: Iterable[int]) -> list[bytes]:
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    return [data[start:end] for start, end in pairwise(at)]


def drink(reader: BodyReader, parts: Iterable[bytes]) -> tuple[bytes, bool, bytes]:
    """What a reader makes of pieces: the body, whether it is done, and what follows it."""
    buffer, body = bytearray(), b""
    for part in parts:
        buffer += part
        if not reader.done:
            body += reader.take(buffer)
    return body, reader.done, bytes(buffer)


def judged(reader: BodyReader, parts: Iterable[bytes]) -> tuple[bytes, bool, bytes] | None:
    """The same, None where it is refused."""
    try:
        return drink(reader, parts)
    except ProtocolError:
        return None


@settings(max_examples=150)
@given(st.sampled_from(["GET", "PUT", "DELETE"]), TARGET, FIELDS, CUTS)
def test_a_request_is_read_as_it_was_written(
    method: str, target: str, fields: list[tuple[str, str]], cuts: list[int]
) -> None:
    request = Request(method, target, Headers([("Host", "x"), *fields]))
    buffer, found = bytearray(), None
    for part in pieces(write_head(request, h11.Connection(h11.CLIENT)) + b"rest", cuts):
        buffer += part
        if found is None and (raw := take_head(buffer)) is not None:
            found = read_request(raw, h11.Connection(h11.SERVER))
    assert found == request
    assert bytes(buffer) == b"rest"


@settings(max_examples=150)
@given(st.integers(200, 599), VALUE, FIELDS)
def test_a_response_is_read_as_it_was_written(status: int, phrase: str, fields: list[tuple[str, str]]) -> None:
    client, server = h11.Connection(h11.CLIENT), h11.Connection(h11.SERVER)
    asked = write_head(Request("GET", "/", Headers([("Host", "x")])), client)
    read_request(asked, server)
    response = Response(status, phrase, Headers([*fields, ("Content-Length", "0")]))
    raw = write_head(response, server)
    assert read_response(raw, client) == response


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=60), max_size=8), st.binary(max_size=20), CUTS)
def test_chunks_are_read_as_they_were_written_at_any_cut(body: list[bytes], rest: bytes, cuts: list[int]) -> None:
    writer = BodyWriter(None)
    wire = b"".join(b"".join(writer.frame(piece)) for piece in body) + b"".join(writer.end()) + rest
    assert drink(ChunkedReader(), pieces(wire, cuts)) == (b"".join(body), True, rest)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.binary(max_size=20), CUTS)
def test_counted_bodies_are_read_as_they_were_written_at_any_cut(body: bytes, rest: bytes, cuts: list[int]) -> None:
    writer = BodyWriter(len(body))
    wire = b"".join(writer.frame(body)) + b"".join(writer.end()) + rest
    assert drink(LengthReader(len(body)), pieces(wire, cuts)) == (body, True, rest)
    assert writer.done


@settings(max_examples=200)
@given(st.one_of(st.sampled_from(list(CHUNKS.values())), st.text("0159aAfF;\r\n x").map(str.encode)), CUTS)
def test_doubtful_chunks_are_judged_alike_at_any_cut(wire: bytes, cuts: list[int]) -> None:
    whole = judged(ChunkedReader(), [wire])
    in_parts = judged(ChunkedReader(), pieces(wire, cuts))
    assert whole == in_parts


@settings(max_examples=200)
@given(st.one_of(st.sampled_from(list(HEADS.values())), st.binary(max_size=200)), CUTS)
def test_doubtful_heads_are_judged_alike_at_any_cut(wire: bytes, cuts: list[int]) -> None:
    def judge(parts: Iterable[bytes]) -> object:
        buffer = bytearray()
        try:
            for part in parts:
                buffer += part
                if (raw := take_head(buffer)) is not None:
                    return read_request(raw, h11.Connection(h11.SERVER))
        except ProtocolError:
            return "refused"
        return None

    assert judge([wire]) == judge(pieces(wire, cuts))


def test_an_answer_of_another_kind_than_was_asked_for_is_no_head() -> None:
    with pytest.raises(ProtocolError):
        read_request(b"HTTP/1.1 200 OK\r\n\r\n", h11.Connection(h11.SERVER))


@pytest.mark.parametrize(
    "message",
    [
        Request("GET", "/", Headers()),
        Request("GET", "/\u0100", Headers([("Host", "x")])),
        Request("GET", "/ x", Headers([("Host", "x")])),
        Request("GET\r\n", "/", Headers([("Host", "x")])),
    ],
)
def test_a_head_that_cannot_be_read_is_not_written(message: Request) -> None:
    with pytest.raises(ProtocolError):
        write_head(message, h11.Connection(h11.CLIENT))


@pytest.mark.parametrize("phrase", ["a\r\nX-A: b", "a\nb", "\u0100", "a\x00"])
def test_a_reason_is_one_line(phrase: str) -> None:
    server = h11.Connection(h11.SERVER)
    read_request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", server)
    with pytest.raises(ProtocolError):
        write_head(Response(200, phrase, Headers([("Content-Length", "0")])), server)


def test_a_body_is_neither_longer_nor_shorter_than_announced() -> None:
    with pytest.raises(ProtocolError, match="longer"):
        BodyWriter(1).frame(b"ab")
    with pytest.raises(ProtocolError, match="shorter"):
        BodyWriter(1).end()


def test_an_answer_to_head_has_a_length_and_no_body() -> None:
    writer = BodyWriter(5, bodiless=True)
    assert writer.frame(b"hello") == []
    assert writer.end() == []


def test_what_a_connection_says_of_itself() -> None:
    assert keeps_alive(Headers())
    assert keeps_alive(Headers([("Connection", "keep-alive")]))
    assert not keeps_alive(Headers([("Connection", "Keep-Alive, Close")]))
    assert (reason(404), reason(599)) == ("Not Found", "")
