from __future__ import annotations

import pytest

from hoopcli.errors import ProtocolError
from hoopcli.sansio.commands import Authorize, ClosePeer, OpenUpstream
from hoopcli.sansio.events import Peer, UpstreamOpened
from tests.http.dialogue import OK, PERMIT, Dialogue, Passing
from tests.http.smuggling import CHUNKS, HEADS, SECOND
from tests.support.playbook import only


def cuts(data: bytes) -> list[list[bytes]]:
    """The bytes at once, one by one if they are few, and in two halves."""
    half = len(data) // 2
    return [[data], [data[:half], data[half:]], *([[bytes([b]) for b in data]] if len(data) < 300 else [])]


@pytest.mark.parametrize("name", HEADS)
def test_nothing_of_a_smuggling_head_is_handled(name: str) -> None:
    application = Passing()
    dialogue = Dialogue(application)
    with pytest.raises(ProtocolError):
        dialogue.client(HEADS[name])
    assert application.handled == []
    assert not only(dialogue.play.log, Authorize)
    assert not only(dialogue.play.log, OpenUpstream)
    assert dialogue.to_upstream() == b""
    assert dialogue.to_client().startswith(b"HTTP/1.1 400 ")
    assert dialogue.to_client().lower().count(b"content-length:") == 1
    assert b"connection: close" in dialogue.to_client().lower()
    assert ClosePeer(Peer.CLIENT) in dialogue.play.log


@pytest.mark.parametrize("name", [name for name in HEADS if "second" not in name and "after a" not in name])
def test_smuggling_heads_are_refused_however_they_are_cut(name: str) -> None:
    for pieces in cuts(HEADS[name]):
        application = Passing()
        dialogue = Dialogue(application)
        with pytest.raises(ProtocolError):
            for piece in pieces:
                dialogue.client(piece)
        assert application.handled == []


@pytest.mark.parametrize("name", CHUNKS)
def test_a_body_in_doubtful_chunks_ends_both_connections(name: str) -> None:
    for pieces in cuts(CHUNKS[name]):
        dialogue = Dialogue()
        head = b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert only(dialogue.client(head), Authorize)
        dialogue.hear(PERMIT)
        dialogue.hear(UpstreamOpened())
        with pytest.raises(ProtocolError):
            for piece in pieces:
                dialogue.client(piece)
        assert not dialogue.to_upstream().endswith(b"0\r\n\r\n"), "the upstream must not take the body for whole"
        assert b"secret" not in dialogue.to_upstream()
        assert dialogue.to_client().startswith(b"HTTP/1.1 400 ")
        assert {ClosePeer(Peer.CLIENT), ClosePeer(Peer.UPSTREAM)} <= set(only(dialogue.play.log, ClosePeer))


def test_what_follows_a_body_is_not_run() -> None:
    dialogue = Dialogue()
    head = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
    assert dialogue.forwarded(head + b"hello" + SECOND).endswith(b"\r\n\r\nhello")
    with pytest.raises(ProtocolError):
        dialogue.upstream(OK)
    assert len(only(dialogue.play.log, Authorize)) == 1
    assert b"secret" not in dialogue.to_upstream()
    assert dialogue.to_client().count(b"HTTP/1.1 ") == 1, "the answer of the first, and none of the second"


def test_the_corpus_is_as_large_as_was_promised() -> None:
    assert len(HEADS) + len(CHUNKS) > 100
