"""Upstreams that answer in a way that would be taken for another answer, or for more than it is."""

from __future__ import annotations

import pytest

from connectors.http.exchange import Exchange
from connectors.http.message import Headers
from hoopcli.errors import ProtocolError, UpstreamError
from hoopcli.model.decision import Action, Statement
from hoopcli.sansio.commands import Authorize, ClosePeer, OpenUpstream, SetTimer
from hoopcli.sansio.events import Drained, Peer, UpstreamOpened, Wakeup
from hoopcli.sansio.layer import Steps
from tests.http.dialogue import OK, PERMIT, Dialogue, Passing
from tests.support.playbook import only, sent

GET = b"GET /a HTTP/1.1\r\nHost: broker\r\n\r\n"
PUT = b"PUT /a HTTP/1.1\r\nHost: broker\r\nContent-Length: 10\r\n\r\n"
OTHER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"

#: Answers that are refused, so that the client gets a 502 and nothing of them.
ANSWERS: dict[str, bytes] = {
    "no length": b"HTTP/1.1 200 OK\r\n\r\nsecret",
    "CL.TE": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "CL twice": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 6\r\n\r\nsecret",
    "CL twice, equal": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Length: 6\r\n\r\nsecret",
    "CL as a list": b"HTTP/1.1 200 OK\r\nContent-Length: 6, 6\r\n\r\nsecret",
    "CL negative": b"HTTP/1.1 200 OK\r\nContent-Length: -6\r\n\r\nsecret",
    "TE gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nsecret",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nsecret",
    "HTTP/2": b"HTTP/2 200\r\ncontent-length: 6\r\n\r\nsecret",
    "ICY": b"ICY 200 OK\r\n\r\nsecret",
    "no head": b"secret\r\n\r\n",
    "status of 4 digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 6\r\n\r\nsecret",
    "status 600": b"HTTP/1.1 600 OK\r\nContent-Length: 6\r\n\r\nsecret",
    "status 099": b"HTTP/1.1 099 OK\r\nContent-Length: 6\r\n\r\nsecret",
    "fold": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 6\r\n\r\nsecret",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 6\n\nsecret",
    "bare CR": b"HTTP/1.1 200 OK\r\nX-A: a\rSet-Cookie: b\r\nContent-Length: 6\r\n\r\nsecret",
    "NUL": b"HTTP/1.1 200 OK\r\nX-A: a\x00\r\nContent-Length: 6\r\n\r\nsecret",
    "blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 6\r\n\r\nsecret",
    "body of a 204": b"HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nsecret",
    "chunks of a 204": b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "body of a 100": b"HTTP/1.1 100 Continue\r\nContent-Length: 6\r\n\r\nsecret",
    "101 that nobody asked for": b"HTTP/1.1 101 Other\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nsecret",
    "1xx without end": b"HTTP/1.1 102 Processing\r\n\r\n" * 50 + OK,
    "head of 64 KiB": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 12_000 + b"\r\n",
    "201 fields": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 201 + b"\r\n",
    "line without end": b"HTTP/1.1 200 " + b"a" * 70_000,
}


@pytest.mark.parametrize("name", ANSWERS)
def test_doubtful_answers_become_a_502(name: str) -> None:
    for step in (len(ANSWERS[name]), 1 if len(ANSWERS[name]) < 300 else 1000):
        dialogue = Dialogue()
        dialogue.forwarded(GET)
        for at in range(0, len(ANSWERS[name]), step):
            if b"502" not in dialogue.to_client():
                dialogue.upstream(ANSWERS[name][at : at + step])
        assert dialogue.to_client().startswith(b"HTTP/1.1 502 ")
        assert b"secret" not in dialogue.to_client()
        assert ClosePeer(Peer.UPSTREAM) in dialogue.play.log
        dialogue.client(GET)
        assert only(dialogue.hear(PERMIT), OpenUpstream), "nothing more is read from that connection"


@pytest.mark.parametrize(
    "body", [b"6;x\r\nsecret\r\n0\r\n\r\n", b"6\nsecret", b"zz\r\n", b"4\r\nsecret\r\n", b"0\r\nX-Trailer: y\r\n\r\n"]
)
def test_doubtful_chunks_cut_the_answer_short(body: bytes) -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    dialogue.upstream(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    with pytest.raises(UpstreamError):
        dialogue.upstream(body)
    assert not dialogue.to_client().endswith(b"0\r\n\r\n"), "the client must not take it for whole"
    assert ClosePeer(Peer.CLIENT) in dialogue.play.log


# -- one answer is not taken for another's


@pytest.mark.parametrize("cut", [True, False])
def test_a_second_answer_is_nobodys(cut: bool) -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    if cut:
        assert sent(dialogue.upstream(OK), Peer.CLIENT) == OK
        dialogue.upstream(OTHER)
    else:
        assert sent(dialogue.upstream(OK + OTHER), Peer.CLIENT) == OK
    dialogue.client(GET)
    assert only(dialogue.hear(PERMIT), OpenUpstream), "a new connection, on which nothing waits"
    dialogue.hear(UpstreamOpened())
    dialogue.upstream(OK)
    assert b"secret" not in dialogue.to_client()


def test_a_second_answer_while_the_next_request_waits_is_nobodys() -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    dialogue.upstream(OK)
    dialogue.client(GET)
    dialogue.upstream(OTHER)
    assert only(dialogue.hear(PERMIT), OpenUpstream)
    assert b"secret" not in dialogue.to_client()


@pytest.mark.parametrize("head", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n"])
def test_a_body_where_there_can_be_none_is_nobodys(head: bytes) -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    assert sent(dialogue.upstream(head + b"secret"), Peer.CLIENT) == head
    dialogue.client(GET)
    assert only(dialogue.hear(PERMIT), OpenUpstream)
    assert b"secret" not in dialogue.to_client()


def test_the_body_of_an_answer_to_head_is_nobodys() -> None:
    dialogue = Dialogue()
    dialogue.forwarded(b"HEAD /a HTTP/1.1\r\nHost: b\r\n\r\n")
    assert b"secret" not in sent(dialogue.upstream(OTHER), Peer.CLIENT)
    dialogue.client(GET)
    assert only(dialogue.hear(PERMIT), OpenUpstream)


def test_an_answer_that_was_not_read_to_its_end_ends_the_upstream() -> None:
    class Glancing(Passing):
        def handle(self, exchange: Exchange) -> Steps[None]:
            yield from exchange.authorize(Statement("x", b"x", (Action("t:do"),)))
            response = yield from exchange.forward(self.upstream_request(exchange.request))
            yield from exchange.respond(response.status, Headers(), b"ok")

    dialogue = Dialogue(Glancing())
    dialogue.forwarded(GET)
    assert sent(dialogue.upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"), Peer.CLIENT) == OK
    dialogue.client(GET)
    assert only(dialogue.hear(PERMIT), OpenUpstream), "what is left of the first answer is none to the second"


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"])
def test_an_early_answer_ends_both_connections(answer: bytes) -> None:
    dialogue = Dialogue()
    dialogue.forwarded(PUT + b"01234")
    assert b"Connection: close" in sent(dialogue.upstream(answer), Peer.CLIENT)
    assert ClosePeer(Peer.UPSTREAM) in dialogue.play.log, "it waits for half a body: no request may follow on it"
    dialogue.client(b"56789")
    assert dialogue.to_upstream().endswith(b"01234")
    assert dialogue.ended


# -- connections that are kept


def test_a_connection_is_used_again() -> None:
    dialogue = Dialogue()
    for _ in range(3):
        dialogue.forwarded(GET)
        assert sent(dialogue.upstream(OK), Peer.CLIENT) == OK
    assert len(only(dialogue.play.log, OpenUpstream)) == 1


def test_unless_its_peer_says_that_it_is_the_last() -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    dialogue.upstream(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    dialogue.client(GET)
    assert only(dialogue.hear(PERMIT), OpenUpstream)
    assert b"close" not in dialogue.to_client(), "that is between broker and upstream"


def test_a_connection_that_ended_meanwhile_is_replaced() -> None:
    for waiting in (False, True):
        dialogue = Dialogue()
        dialogue.forwarded(GET)
        dialogue.upstream(OK)
        if waiting:
            dialogue.client(GET)
        dialogue.hangs_up(Peer.UPSTREAM)
        if not waiting:
            dialogue.client(GET)
        assert only(dialogue.hear(PERMIT), OpenUpstream)


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
def test_a_kept_connection_that_breaks_is_replaced_once_for_a_request_that_changes_nothing(method: bytes) -> None:
    request = GET.replace(b"GET", method)
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    dialogue.upstream(OK)
    dialogue.forwarded(request)
    assert only(dialogue.hangs_up(Peer.UPSTREAM), OpenUpstream)
    assert sent(dialogue.hear(UpstreamOpened()), Peer.UPSTREAM).startswith(method + b" /a")
    assert not only(dialogue.hangs_up(Peer.UPSTREAM), OpenUpstream), "once"
    assert b"502" in dialogue.to_client()
    assert len(only(dialogue.play.log, Authorize)) == 2


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH"])
def test_what_may_have_been_done_is_not_done_again(method: bytes) -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    dialogue.upstream(OK)
    dialogue.forwarded(GET.replace(b"GET", method))
    assert not only(dialogue.hangs_up(Peer.UPSTREAM), OpenUpstream)
    assert b"502" in dialogue.to_client()


def test_what_was_answered_in_part_is_not_asked_again() -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    dialogue.upstream(OK)
    dialogue.forwarded(GET)
    dialogue.upstream(b"HTTP/1.1 ")
    assert not only(dialogue.hangs_up(Peer.UPSTREAM), OpenUpstream)
    assert b"502" in dialogue.to_client()


def test_a_new_connection_that_breaks_is_a_502() -> None:
    for request in (GET, PUT + b"01234"):
        dialogue = Dialogue()
        dialogue.forwarded(request)
        dialogue.hangs_up(Peer.UPSTREAM)
        assert dialogue.to_client().startswith(b"HTTP/1.1 502 ")


def test_an_answer_that_breaks_off_cuts_the_clients() -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    dialogue.upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234")
    dialogue.hangs_up(Peer.UPSTREAM)
    assert dialogue.ended
    assert dialogue.to_client().endswith(b"01234")


def test_an_answer_that_breaks_off_before_the_clients_was_begun_is_a_502() -> None:
    class Whole(Passing):
        def handle(self, exchange: Exchange) -> Steps[None]:
            yield from exchange.authorize(Statement("x", b"x", (Action("t:do"),)))
            yield from exchange.forward(self.upstream_request(exchange.request))
            body = yield from exchange.upstream_read(8)
            yield from exchange.respond(200, Headers(), body)

    dialogue = Dialogue(Whole())
    dialogue.forwarded(GET)
    dialogue.upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n01234")
    dialogue.hangs_up(Peer.UPSTREAM)
    assert dialogue.to_client().startswith(b"HTTP/1.1 502 ")
    dialogue.forwarded(GET)
    dialogue.upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n012345678")
    assert dialogue.to_client().count(b"HTTP/1.1 502 ") == 2, "an answer over the limit"


def test_an_upstream_that_left_while_its_client_was_slow_is_not_waited_for() -> None:
    class Slow(Passing):
        def handle(self, exchange: Exchange) -> Steps[None]:
            yield from exchange.authorize(Statement("x", b"x", (Action("t:do"),)))
            response = yield from exchange.forward(self.upstream_request(exchange.request))
            yield from exchange.begin(response)
            yield from exchange.drained()
            yield from exchange.upstream_chunk()

    dialogue = Dialogue(Slow())
    dialogue.forwarded(GET)
    dialogue.upstream(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    dialogue.hangs_up(Peer.UPSTREAM)
    dialogue.hear(Drained())
    assert dialogue.ended


def test_a_timer_that_runs_out_while_the_upstream_is_waited_for_ends_it() -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    with pytest.raises(ProtocolError):
        dialogue.hear(Wakeup())


# -- slow clients


def test_the_time_for_a_head_runs_from_its_first_byte() -> None:
    dialogue = Dialogue()
    assert SetTimer(30.0) in only(dialogue.play.opening, SetTimer)
    dialogue.client(b"G")
    before = len(only(dialogue.play.log, SetTimer))
    for byte in GET[1:-1]:
        assert not only(dialogue.client(bytes([byte])), SetTimer), "each byte does not buy more time"
    assert len(only(dialogue.play.log, SetTimer)) == before
    with pytest.raises(ProtocolError):
        dialogue.hear(Wakeup())
    assert dialogue.to_client().startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_without_a_word() -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    dialogue.upstream(OK)
    assert SetTimer(300.0) in dialogue.play.log
    said = dialogue.to_client()
    dialogue.hear(Wakeup())
    assert dialogue.ended
    assert dialogue.to_client() == said


def test_no_timer_runs_while_a_request_is_handled() -> None:
    dialogue = Dialogue()
    dialogue.client(GET)
    assert only(dialogue.play.log, SetTimer)[-1] == SetTimer(None)


def test_a_connection_without_a_byte_ends_quietly() -> None:
    for event in (Wakeup(),):
        dialogue = Dialogue()
        dialogue.hear(event)
        assert dialogue.ended
    dialogue = Dialogue()
    dialogue.hangs_up(Peer.CLIENT)
    assert dialogue.ended
    assert dialogue.to_client() == b""
