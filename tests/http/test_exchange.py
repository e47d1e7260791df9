"""One request and its answer, as a dialogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from connectors.http.exchange import Exchange, RefusedError
from connectors.http.message import Headers, Request, Response
from hoopcli.errors import DeniedError, NotSignedInError, ProtocolError
from hoopcli.model.decision import Action, Statement
from hoopcli.sansio.commands import (
    Authorize,
    Await,
    CancelAuthorize,
    ClosePeer,
    Drain,
    GetCredential,
    OpenUpstream,
    SetTimer,
)
from hoopcli.sansio.events import (
    Credential,
    CredentialGranted,
    CredentialRefused,
    Drained,
    Noticed,
    Peer,
    UpstreamFailed,
    UpstreamOpened,
    Wakeup,
)
from hoopcli.sansio.layer import Steps
from hoopcli.sansio.notice import Notice
from tests.http.dialogue import DENY, OK, PERMIT, Dialogue, Passing
from tests.support.playbook import only, sent

GET = b"GET /a?b=c HTTP/1.1\r\nHost: broker\r\n\r\n"
PUT = b"PUT /a HTTP/1.1\r\nHost: broker\r\nContent-Length: 10\r\n\r\n"
EXPECTING = b"PUT /a HTTP/1.1\r\nHost: broker\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"


class Answering(Passing):
    """Handles a request as the test says."""

    def __init__(self, handle: Callable[[Exchange], Steps[None]]) -> None:
        super().__init__()
        self._handle = handle

    def handle(self, exchange: Exchange) -> Steps[None]:
        yield from self._handle(exchange)


def test_a_request_is_passed_on_once_it_is_permitted() -> None:
    dialogue = Dialogue()
    asked = only(dialogue.client(GET), Authorize)
    assert [a.statement.text for a in asked] == ["GET /a?b=c"]
    assert dialogue.to_upstream() == b""
    assert only(dialogue.hear(PERMIT), OpenUpstream) == [OpenUpstream("upstream", 80)]
    got = sent(dialogue.hear(UpstreamOpened()), Peer.UPSTREAM)
    assert got == b"GET /a?b=c HTTP/1.1\r\nHost: upstream\r\n\r\n"
    assert sent(dialogue.upstream(OK), Peer.CLIENT) == OK


def test_a_denied_request_reaches_nobody() -> None:
    dialogue = Dialogue()
    dialogue.client(GET)
    assert b"no-writes denies this" in sent(dialogue.hear(DENY), Peer.CLIENT)
    assert not only(dialogue.play.log, OpenUpstream)
    assert only(dialogue.client(GET), Authorize), "the connection goes on"


def test_an_application_that_forwards_without_a_permit_is_stopped() -> None:
    dialogue = Dialogue(Passing(obedient=False))
    dialogue.client(GET)
    with pytest.raises(AssertionError, match="before it was permitted"):
        dialogue.hear(DENY)
    assert dialogue.to_upstream() == b""
    assert dialogue.to_client().startswith(b"HTTP/1.1 500 ")


def test_a_permit_is_for_one_exchange() -> None:
    def forwards_unasked(exchange: Exchange) -> Steps[None]:
        yield from exchange.forward(exchange.request)

    dialogue = Dialogue()
    dialogue.forwarded(GET)
    dialogue.upstream(OK)
    dialogue.application.handle = forwards_unasked  # type: ignore[method-assign]
    before = dialogue.to_upstream()
    with pytest.raises(AssertionError):
        dialogue.client(GET)
    assert dialogue.to_upstream() == before


def test_a_body_is_passed_on_as_it_comes() -> None:
    dialogue = Dialogue()
    assert dialogue.forwarded(PUT + b"01234").endswith(b"Content-Length: 10\r\n\r\n01234")
    assert sent(dialogue.client(b"56789"), Peer.UPSTREAM) == b"56789"
    assert sent(dialogue.upstream(OK), Peer.CLIENT) == OK


def test_chunks_are_framed_anew() -> None:
    dialogue = Dialogue()
    head = b"PUT /a HTTP/1.1\r\nHost: broker\r\nTransfer-Encoding: chunked\r\n\r\n"
    got = dialogue.forwarded(head + b"0003\r\nabc\r\n2\r\nde\r\n")
    assert got.endswith(b"\r\n\r\n5\r\nabcde\r\n")
    assert sent(dialogue.client(b"0\r\n\r\n"), Peer.UPSTREAM) == b"0\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    dialogue.upstream(answer)
    assert sent(dialogue.upstream(b"1\r\nx\r\n1\r\ny\r\n"), Peer.CLIENT) == b"2\r\nxy\r\n"
    assert sent(dialogue.upstream(b"0\r\n\r\n"), Peer.CLIENT) == b"0\r\n\r\n"


def test_hop_by_hop_fields_stop_at_the_broker_both_ways() -> None:
    dialogue = Dialogue()
    fields = (
        b"Connection: keep-alive, TE\r\nKeep-Alive: 5\r\nTE: trailers\r\nProxy-Authorization: x\r\nUpgrade: h2c\r\n"
    )
    got = dialogue.forwarded(b"GET /a HTTP/1.1\r\nHost: b\r\n" + fields + b"X-Kept: y\r\n\r\n").lower()
    assert b"x-kept: y" in got
    for name in (b"connection", b"keep-alive", b"te:", b"proxy", b"upgrade"):
        assert name not in got
    answer = b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: y\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n"
    assert sent(dialogue.upstream(answer), Peer.CLIENT) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 123\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 123\r\n\r\n"),
        (b"DELETE", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 206 Partial Content\r\nContent-Length: 0\r\n\r\n"),
        (b"PUT", b"HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\n\r\n"),
        (b"PUT", b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_answers_without_a_body_pass_as_they_are(method: bytes, head: bytes) -> None:
    dialogue = Dialogue()
    dialogue.forwarded(method + b" /a HTTP/1.1\r\nHost: b\r\n\r\n")
    assert sent(dialogue.upstream(head), Peer.CLIENT) == head
    assert only(dialogue.client(GET), Authorize), "both connections go on"
    assert not only(dialogue.hear(PERMIT), OpenUpstream)


# -- 100-continue


def test_a_client_is_told_to_go_on_when_its_body_is_wanted() -> None:
    dialogue = Dialogue()
    assert dialogue.client(EXPECTING)
    assert dialogue.to_client() == b""
    dialogue.hear(PERMIT)
    commands = dialogue.hear(UpstreamOpened())
    assert sent(commands, Peer.CLIENT) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b"xpect" not in dialogue.to_upstream()
    dialogue.client(b"hello")
    assert dialogue.to_client().count(b"100 Continue") == 1
    assert sent(dialogue.upstream(b"HTTP/1.1 100 Continue\r\n\r\n" + OK), Peer.CLIENT) == OK


def test_a_denied_upload_is_refused_before_its_body_is_sent() -> None:
    dialogue = Dialogue()
    dialogue.client(EXPECTING)
    dialogue.hear(DENY)
    assert b"100 Continue" not in dialogue.to_client()
    assert b"Connection: close" in dialogue.to_client()
    assert ClosePeer(Peer.CLIENT) in dialogue.play.log
    assert dialogue.ended


# -- what is left of a request that was answered


def test_a_denied_body_is_taken_so_that_its_client_reads_the_answer() -> None:
    dialogue = Dialogue()
    dialogue.client(PUT + b"01234")
    assert b"Connection: close" in sent(dialogue.hear(DENY), Peer.CLIENT)
    assert not dialogue.ended
    dialogue.client(b"56789")
    assert dialogue.ended
    assert dialogue.to_upstream() == b""


def test_it_is_not_waited_for_without_end() -> None:
    dialogue = Dialogue()
    dialogue.client(PUT)
    dialogue.hear(DENY)
    assert SetTimer(10.0) in dialogue.play.log
    dialogue.hear(Wakeup())
    assert dialogue.ended


def test_a_client_that_goes_instead_is_let_go() -> None:
    dialogue = Dialogue()
    dialogue.client(PUT)
    dialogue.hear(DENY)
    dialogue.hangs_up(Peer.CLIENT)
    assert dialogue.ended


# -- waiting


def test_a_hang_up_withdraws_the_question() -> None:
    dialogue = Dialogue()
    dialogue.client(GET)
    assert dialogue.hangs_up(Peer.CLIENT) == [CancelAuthorize()]
    assert dialogue.ended


def test_a_hang_up_is_heard_behind_a_body_that_is_not_wanted_yet() -> None:
    dialogue = Dialogue()
    dialogue.client(PUT)
    assert dialogue.play.receiving == {Peer.CLIENT}, "else the end of the stream stays behind the body"
    dialogue.client(b"0123")
    assert only(dialogue.hangs_up(Peer.CLIENT), CancelAuthorize)


def test_only_so_much_of_a_body_is_taken_while_it_waits() -> None:
    dialogue = Dialogue()
    dialogue.client(b"PUT /a HTTP/1.1\r\nHost: b\r\nContent-Length: 1000000\r\n\r\n")
    dialogue.client(bytes(300_000))
    assert dialogue.play.receiving == set()
    dialogue.hear(PERMIT)
    assert len(sent(dialogue.hear(UpstreamOpened()), Peer.UPSTREAM)) > 300_000


def test_a_request_out_of_turn_withdraws_the_one_that_waits() -> None:
    dialogue = Dialogue()
    dialogue.client(GET)
    with pytest.raises(ProtocolError):
        dialogue.client(GET)
    assert CancelAuthorize() in dialogue.play.log
    assert dialogue.to_client().startswith(b"HTTP/1.1 400 ")
    assert len(only(dialogue.play.log, Authorize)) == 1


def test_a_client_that_goes_while_the_upstream_is_called_is_not_waited_for() -> None:
    dialogue = Dialogue()
    dialogue.client(GET)
    dialogue.hear(PERMIT)
    dialogue.hangs_up(Peer.CLIENT)
    assert dialogue.ended
    assert dialogue.to_upstream() == b""


@pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234"])
def test_a_client_that_goes_before_the_end_of_its_answer_ends_it(answered: bytes) -> None:
    dialogue = Dialogue()
    dialogue.forwarded(GET)
    if answered:
        dialogue.upstream(answered)
    dialogue.hangs_up(Peer.CLIENT)
    assert dialogue.ended


def test_a_client_that_goes_within_its_body_leaves_the_upstream_without_the_rest() -> None:
    dialogue = Dialogue()
    dialogue.forwarded(PUT + b"01234")
    dialogue.hangs_up(Peer.CLIENT)
    assert dialogue.ended
    assert dialogue.to_upstream().endswith(b"01234")


# -- the broker's own affairs


def test_a_credential_is_asked_for_and_hidden() -> None:
    seen: list[Credential] = []

    def handle(exchange: Exchange) -> Steps[None]:
        seen.append((yield from exchange.credential("https://storage.azure.com/", fresh=True)))
        yield from exchange.respond(200, Headers(), b"ok")

    dialogue = Dialogue(Answering(handle))
    assert only(dialogue.client(GET), GetCredential) == [GetCredential("https://storage.azure.com/", fresh=True)]
    dialogue.hear(CredentialGranted(Credential("token", "s3cret")))
    assert [c.secret for c in seen] == ["s3cret"]
    assert b"s3cret" not in dialogue.to_client()


def test_without_a_credential_the_client_is_told_what_to_do() -> None:
    def handle(exchange: Exchange) -> Steps[None]:
        yield from exchange.credential()

    dialogue = Dialogue(Answering(handle))
    dialogue.client(GET)
    answer = sent(dialogue.hear(CredentialRefused("you are not signed in", "run: hoop login")), Peer.CLIENT)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"you are not signed in (run: hoop login)" in answer
    assert not dialogue.ended


def test_an_exchange_waits_for_another_and_for_room() -> None:
    notice = Notice()

    def handle(exchange: Exchange) -> Steps[None]:
        yield from exchange.noticed(notice)
        yield from exchange.drained()
        yield from exchange.respond(200, Headers(), b"ok")

    dialogue = Dialogue(Answering(handle))
    assert only(dialogue.client(GET), Await) == [Await(notice)]
    assert only(dialogue.hear(Noticed()), Drain) == [Drain(Peer.CLIENT)]
    assert sent(dialogue.hear(Drained()), Peer.CLIENT) == OK


@pytest.mark.parametrize(
    ("error", "status", "ends"),
    [
        (DeniedError("no"), b"403", False),
        (NotSignedInError("no"), b"401", False),
        (ProtocolError("no"), b"400", True),
        (RefusedError(413, "RequestBodyTooLarge", "no"), b"413", True),
    ],
)
def test_errors_become_answers(error: Exception, status: bytes, ends: bool) -> None:
    def handle(exchange: Exchange) -> Steps[None]:
        yield from ()
        raise error

    dialogue = Dialogue(Answering(handle))
    if ends:
        with pytest.raises(ProtocolError):
            dialogue.client(GET)
    else:
        dialogue.client(GET)
    assert dialogue.to_client().startswith(b"HTTP/1.1 " + status)
    assert (b"Connection: close" in dialogue.to_client()) is ends


def test_an_error_after_the_answer_was_begun_cuts_it_short() -> None:
    def handle(exchange: Exchange) -> Steps[None]:
        yield from exchange.begin(Response(200, "OK", Headers()))
        yield from exchange.send(b"half")
        raise DeniedError("a masker gave up")

    dialogue = Dialogue(Answering(handle))
    with pytest.raises(DeniedError):
        dialogue.client(GET)
    assert dialogue.to_client().endswith(b"4\r\nhalf\r\n"), "no end, so that nobody takes it for whole"
    assert ClosePeer(Peer.CLIENT) in dialogue.play.log


def test_an_unforeseen_error_is_answered_without_a_word_of_it() -> None:
    def handle(exchange: Exchange) -> Steps[None]:
        yield from ()
        raise ZeroDivisionError("secret detail")

    dialogue = Dialogue(Answering(handle))
    with pytest.raises(ZeroDivisionError):
        dialogue.client(GET)
    assert dialogue.to_client().startswith(b"HTTP/1.1 500 ")
    assert b"secret detail" not in dialogue.to_client()


def test_an_application_that_forgets_to_answer_ends_the_connection() -> None:
    def handle(exchange: Exchange) -> Steps[None]:
        yield from exchange.begin(Response(200, "OK", Headers()))

    dialogue = Dialogue(Answering(handle))
    dialogue.client(GET)
    assert dialogue.ended
    assert ClosePeer(Peer.CLIENT) in dialogue.play.log


def test_a_body_that_is_longer_or_shorter_than_its_head_says_is_no_answer() -> None:
    for body in (b"abc", b"a"):

        def handle(exchange: Exchange, body: bytes = body) -> Steps[None]:
            yield from exchange.begin(Response(200, "OK", Headers([("Content-Length", "2")])))
            yield from exchange.send(body)
            yield from exchange.end()

        dialogue = Dialogue(Answering(handle))
        with pytest.raises(ProtocolError):
            dialogue.client(GET)


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\x00b"])
def test_a_header_of_an_answer_cannot_become_two(value: str) -> None:
    def handle(exchange: Exchange) -> Steps[None]:
        yield from exchange.respond(200, Headers([("x-name", value)]))

    dialogue = Dialogue(Answering(handle))
    with pytest.raises(ProtocolError):
        dialogue.client(GET)
    assert b"Cookie" not in dialogue.to_client()


# -- whole bodies


def read(limit: int) -> Answering:
    def handle(exchange: Exchange) -> Steps[None]:
        body = yield from exchange.read(limit)
        yield from exchange.respond(200, Headers(), body)

    return Answering(handle)


def test_a_whole_body_is_read_up_to_a_limit() -> None:
    dialogue = Dialogue(read(10))
    dialogue.client(PUT)
    dialogue.client(b"01234")
    assert sent(dialogue.client(b"56789"), Peer.CLIENT).endswith(b"0123456789")


def test_a_longer_body_is_refused() -> None:
    dialogue = Dialogue(read(9))
    dialogue.client(PUT)
    with pytest.raises(RefusedError):
        dialogue.client(b"0123456789")
    assert dialogue.to_client().startswith(b"HTTP/1.1 413 ")


def test_a_body_that_stops_is_given_up_when_a_timer_says_so() -> None:
    dialogue = Dialogue(read(10))
    dialogue.client(PUT)
    with pytest.raises(RefusedError):
        dialogue.hear(Wakeup())
        dialogue.hear(Wakeup())
    assert dialogue.to_client().startswith(b"HTTP/1.1 408 ")


def test_the_upstream_may_leave_while_the_client_sends() -> None:
    dialogue = Dialogue(read(10))
    dialogue.client(PUT)
    dialogue.hangs_up(Peer.UPSTREAM)
    assert sent(dialogue.client(b"0123456789"), Peer.CLIENT).endswith(b"0123456789")


def test_a_whole_body_is_sent_with_its_own_length() -> None:
    def handle(exchange: Exchange) -> Steps[None]:
        yield from exchange.read(10)
        yield from exchange.authorize(Statement("x", b"x", (Action("t:do"),)))
        request = Request("POST", "/b", Headers([("Host", "u"), ("Content-Length", "99"), ("Expect", "100-continue")]))
        yield from exchange.forward(request, b"new")
        body = yield from exchange.upstream_read(10)
        yield from exchange.respond(200, Headers(), body)

    dialogue = Dialogue(Answering(handle))
    got = dialogue.forwarded(PUT + b"0123456789")
    assert got == b"POST /b HTTP/1.1\r\nHost: u\r\nContent-Length: 3\r\n\r\nnew"
    assert sent(dialogue.upstream(OK), Peer.CLIENT) == OK


class Kept:
    """A body that was spooled."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)
        self.complete, self.failed = True, False
        self.facts: Mapping[str, int] = {}
        self.grown = Notice()

    def read(self, offset: int, length: int) -> bytes:
        return self.data[offset : offset + length]

    def append(self, data: bytes) -> None:
        raise NotImplementedError

    def finish(self, facts: Mapping[str, int]) -> None:
        raise NotImplementedError

    def fail(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


def spooled(body: bytes) -> Answering:
    def handle(exchange: Exchange) -> Steps[None]:
        yield from exchange.authorize(Statement("x", b"x", (Action("t:do"),)))
        request = Request("PUT", "/b", Headers([("Host", "u")]))
        response = yield from exchange.forward(request, Kept(body))
        yield from exchange.respond(response.status, Headers(), b"ok")

    return Answering(handle)


def test_a_spooled_body_goes_as_the_upstream_takes_it() -> None:
    body = bytes(range(256)) * 8192  # 2 MiB
    dialogue = Dialogue(spooled(body))
    first = dialogue.forwarded(GET)
    assert len(first) < len(body)
    assert Drain(Peer.UPSTREAM) in dialogue.play.log
    while not dialogue.to_upstream().endswith(body):
        dialogue.hear(Drained())
    dialogue.hear(Drained())
    assert sent(dialogue.upstream(OK), Peer.CLIENT) == OK


def test_an_upstream_that_leaves_before_it_took_a_spooled_body_is_a_502() -> None:
    dialogue = Dialogue(spooled(bytes(100)))
    dialogue.forwarded(GET)
    dialogue.hangs_up(Peer.UPSTREAM)
    assert sent(dialogue.hear(Drained()), Peer.CLIENT).startswith(b"HTTP/1.1 502 ")


def test_a_streamed_body_is_seen_on_its_way() -> None:
    seen: list[bytes] = []

    def handle(exchange: Exchange) -> Steps[None]:
        yield from exchange.authorize(Statement("x", b"x", (Action("t:do"),)))
        response = yield from exchange.forward(Request("PUT", "/b", Headers([("Host", "u")])), tap=seen.append)
        yield from exchange.respond(response.status, Headers(), b"ok")

    dialogue = Dialogue(Answering(handle))
    dialogue.forwarded(PUT + b"01234")
    dialogue.client(b"56789")
    assert b"".join(seen) == b"0123456789"
    assert dialogue.to_upstream().endswith(b"0123456789")


# -- the upstream cannot be had


def test_an_upstream_that_cannot_be_reached_is_told_as_502() -> None:
    dialogue = Dialogue()
    dialogue.client(GET)
    dialogue.hear(PERMIT)
    answer = sent(dialogue.hear(UpstreamFailed("upstream:80 did not answer")), Peer.CLIENT)
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"upstream:80 did not answer" in answer
    assert only(dialogue.client(GET), Authorize), "the client's connection goes on"
