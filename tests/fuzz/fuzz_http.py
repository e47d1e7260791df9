"""Fuzz HTTP/1.1 in both roles: damaged requests and answers, whole connections, cut anywhere.

    python tests/fuzz/fuzz_http.py --seconds 60 [--seed 1]

Stops at the first exception that is not a HoopError, and at the first byte that goes upstream before a permit. Prints
the input that caused it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import pairwise

import h11

from connectors.http.framing import reader_of_request
from connectors.http.head import read_request, take_head
from hoopcli.errors import HoopError
from hoopcli.sansio.commands import Authorize, Command, OpenUpstream, SendData
from hoopcli.sansio.events import Peer, UpstreamOpened
from tests.fuzz import harness
from tests.fuzz.fuzz_tds import mutated
from tests.http.dialogue import OK, PERMIT, Dialogue
from tests.http.smuggling import CHUNKED, CHUNKS, HEADS, SECOND
from tests.http.test_upstream import ANSWERS
from tests.support.playbook import only

GOOD = [
    b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n",
    b"HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
    b"PUT /a HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
]
DOUBTFUL = [
    *(b"PUT /a HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n\r\n" + body for body in CHUNKS.values()),
    *(head for head in HEADS.values() if len(head) < 1000),
]
ANSWERED = [
    OK,
    b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
]
DOUBTFUL_ANSWERS = [answer for answer in ANSWERS.values() if len(answer) < 1000]


def one_run(rng: random.Random) -> list[tuple[Peer, bytes]]:
    """What both peers of a connection say, in pieces; the client's own requests first."""
    script: list[tuple[Peer, bytes]] = []
    for _ in range(rng.randint(1, 3)):
        request = rng.choice(GOOD if rng.random() < 0.8 else DOUBTFUL)
        answer = rng.choice(ANSWERED if rng.random() < 0.8 else DOUBTFUL_ANSWERS)
        script += [(Peer.CLIENT, piece) for piece in pieces(rng, damaged(rng, request))]
        script += [(Peer.UPSTREAM, piece) for piece in pieces(rng, damaged(rng, answer))]
    return script


def damaged(rng: random.Random, data: bytes) -> bytes:
    """The data as it is, with bytes changed, or with a second request somewhere in it."""
    match rng.randrange(12):
        case 0:
            at = rng.randrange(len(data) + 1)
            return data[:at] + SECOND + data[at:]
        case 1 | 2:
            return mutated(rng, data)
    return data


def pieces(rng: random.Random, data: bytes) -> list[bytes]:
    """The data cut at up to three places."""
    at = sorted({0, len(data), *(rng.randrange(len(data) + 1) for _ in range(rng.randrange(4)))})
    return [data[start:end] for start, end in pairwise(at)]


def play(script: list[tuple[Peer, bytes]]) -> int:
    """Play a connection, permitting what is asked; how many requests went upstream.

    Raises HoopError, and AssertionError if an upstream would see other requests than those that were asked about.
    """
    dialogue = Dialogue()
    try:
        for peer, data in script:
            if not dialogue.ended and peer in (dialogue.play.receiving or ()):
                hear(dialogue, peer, data)
    finally:
        seen = [request for stream in streams(dialogue.play.log) for request in requests_of(stream)]
        asked = iter([a.statement.text for a in only(dialogue.play.log, Authorize)])
        assert all(request in asked for request in seen), f"the upstream saw {seen}"
    return len(seen)


def hear(dialogue: Dialogue, peer: Peer, data: bytes) -> None:
    """Say a piece, and give the broker what it asks for."""
    before = len(dialogue.to_upstream())
    commands = dialogue.client(data) if peer is Peer.CLIENT else dialogue.upstream(data)
    if only(commands, Authorize):
        assert len(dialogue.to_upstream()) == before, "something went upstream before the permit"
        commands = dialogue.hear(PERMIT)
    if only(commands, OpenUpstream):
        dialogue.hear(UpstreamOpened())


def streams(log: list[Command]) -> Iterator[bytes]:
    """All that was sent on each connection to the upstream."""
    sent = bytearray()
    for command in log:
        match command:
            case OpenUpstream():
                yield bytes(sent)
                sent.clear()
            case SendData(peer=Peer.UPSTREAM, buffers=buffers):
                sent += b"".join(buffers)
    yield bytes(sent)


def requests_of(stream: bytes) -> Iterator[str]:
    """The requests that an upstream reads from what it was sent, as their first lines."""
    buffer = bytearray(stream)
    while (raw := take_head(buffer)) is not None:
        role = h11.Connection(h11.SERVER)
        request = read_request(raw, role)
        yield f"{request.method} {request.target}"
        body = reader_of_request(request.headers, role)
        if not body.done:
            body.take(buffer)
        if not body.done:
            return
    assert not buffer, "something stands between requests"


def fuzz(seconds: float, seed: int) -> int:
    """Run until the time is up; the exit code."""

    def choose(rng: random.Random) -> tuple[object, Callable[[], object]]:
        script = one_run(rng)
        return script, lambda: play(script)

    return harness.fuzz(choose, seconds, seed, HoopError)


if __name__ == "__main__":
    harness.command("Fuzz HTTP/1.1 in both roles.", fuzz)
