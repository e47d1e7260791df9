from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.http.message import Headers, Request
from connectors.kubectl.asciicast import MEDIA_TYPE, read_cast
from connectors.kubectl.asked import ask
from connectors.kubectl.recording import copied
from connectors.kubectl.relay import PIECE_SECONDS
from connectors.kubectl.request_info import request_info
from connectors.kubectl.streams.events import Channel, Closed, Data, ErrorStatus, ExecEvent, Opened, Reply, Resize, Side
from connectors.kubectl.streams.exec_stream import RELEASE_AFTER
from connectors.kubectl.streams.spdy import FrameReader, FrameWriter, Ping, SynStream
from connectors.kubectl.streams.websocket import WebSocket
from hoopcli.errors import HoopError, ProtocolError, UpstreamError
from hoopcli.model.decision import Approve, Effect, Streaming
from hoopcli.model.outcome import Status
from hoopcli.sansio.commands import Authorize, CancelAuthorize, ClosePeer, Drain, GetCredential, Keep, OpenUpstream
from hoopcli.sansio.events import Credential, CredentialGranted, Drained, Peer, UpstreamOpened, Wakeup
from tests.kubectl.streamed import CARDS, EXEC, WEBSOCKET, Dialogue, switched
from tests.kubectl.streams.exec_events import Codec, ending, spdy, v5
from tests.kubectl.test_tarlist import archive, member
from tests.support.playbook import only

SPDY = (("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"), ("X-Stream-Protocol-Version", "v4.channel.k8s.io"))
POD = "/api/v1/namespaces/default/pods/web-1"
FORWARD = f"{POD}/portforward"
CARD = b"4111111111111111"


class Shell:
    """A stream that stands, with the codecs of both peers."""

    def __init__(self, target: str = EXEC, *, talk: Dialogue | None = None) -> None:
        self.talk = talk or Dialogue(CARDS)
        self.talk.opened(target)
        self.user: Codec = v5(Side.CLIENT)
        self.pod: Codec = v5(Side.SERVER)

    def types(self, *events: ExecEvent) -> list[ExecEvent]:
        """What the pod hears of what the client sends."""
        before = len(self.talk.to_upstream())
        self.talk.client(b"".join(map(self.user.send, events)))
        return list(self.pod.feed(self.talk.to_upstream()[before:]))

    def prints(self, *events: ExecEvent) -> list[ExecEvent]:
        """What the client sees of what the pod sends."""
        before = len(self.talk.to_client())
        self.talk.upstream(b"".join(map(self.pod.send, events)))
        return list(self.user.feed(self.talk.to_client()[before:]))


def test_the_upgrade_is_held_until_it_is_permitted() -> None:
    talk = Dialogue()
    asked = talk.permitted()
    assert asked.startswith(b"GET /api/v1/namespaces/default/pods/web-1/exec?")
    assert b"Authorization: Bearer of-the-broker" in asked
    assert b"AAECAwQFBgcICQoLDA0ODw==" not in asked, "the key is the broker's own"
    assert talk.to_client() == b"", "the client hears of it once the upstream has agreed"
    talk.upstream(switched(asked))
    assert b"\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n" in talk.to_client()


def test_a_denial_is_an_ordinary_answer_and_the_upstream_hears_nothing() -> None:
    talk = Dialogue()
    assert talk.request()
    talk.denied()
    assert talk.to_client().startswith(b"HTTP/1.1 403 ")
    assert b"denied by no-exec (ask first)" in talk.to_client()
    assert not only(talk.play.log, OpenUpstream)


def test_what_people_refuse_is_told_within_the_stream_for_else_they_would_be_asked_again() -> None:
    talk = Dialogue()
    talk.previewed = Effect.REQUIRE_APPROVAL
    assert talk.request()
    talk.denied()
    head, _, stream = talk.to_client().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    told, *_ = v5(Side.CLIENT).feed(stream)
    assert isinstance(told, ErrorStatus)
    assert told.status is not None
    assert told.status["message"] == "hoop: denied by no-exec; ask first"
    assert talk.play.ended
    assert talk.to_upstream() == b""


def test_an_upstream_that_does_not_know_the_broker_does_not_ask_the_client_for_a_proof() -> None:
    talk = Dialogue()
    talk.permitted()
    proves_itself_anew(talk)
    talk.upstream(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
    assert talk.to_client().startswith(b"HTTP/1.1 502 ")
    assert talk.outcome.errors == ("401 Unauthorized",)


def test_a_proof_that_was_revoked_is_replaced_once() -> None:
    talk = Dialogue()
    talk.permitted()
    asked = proves_itself_anew(talk)
    assert b"Authorization: Bearer renewed" in asked
    talk.upstream(switched(asked))
    assert talk.to_client().startswith(b"HTTP/1.1 101 ")


def proves_itself_anew(talk: Dialogue) -> bytes:
    """The upstream refuses the broker's proof; the request that it gets with another one."""
    talk.play.log.clear()
    [wanted] = only(talk.upstream(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"), GetCredential)
    assert wanted.fresh
    talk.hear(CredentialGranted(Credential("token", "renewed")))
    talk.hear(UpstreamOpened())
    return talk.to_upstream()


def test_what_people_read_of_a_command_cannot_be_made_to_look_like_another() -> None:
    target = f"{POD}/exec?command=sh&command=-c&command=true%0A%24%20ls&stdout=true&container=a%0Ab"
    info = request_info("GET", target)
    text = ask(Request("GET", target, Headers()), info, None).statement().text
    assert len(text.splitlines()) == 3
    assert text.splitlines()[2].startswith("$ sh -c 'true")


def test_a_client_that_gives_up_withdraws_the_question() -> None:
    talk = Dialogue()
    assert talk.request()
    talk.hangs_up(Peer.CLIENT)
    assert only(talk.play.log, CancelAuthorize)
    assert talk.play.ended


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param((), id="no upgrade"),
        pytest.param((*WEBSOCKET, ("Upgrade", "SPDY/3.1")), id="two upgrades"),
        pytest.param((("Upgrade", "websocket"), *WEBSOCKET[2:]), id="no Connection"),
        pytest.param((*WEBSOCKET, ("Content-Length", "5")), id="a body"),
        pytest.param((*WEBSOCKET, ("Transfer-Encoding", "chunked")), id="chunks"),
        pytest.param((("Connection", "Upgrade"), ("Upgrade", "h2c")), id="another protocol"),
        pytest.param((*WEBSOCKET[:-1], ("Sec-WebSocket-Protocol", "v1.channel.k8s.io")), id="an old protocol"),
    ],
)
def test_what_is_not_one_upgrade_is_neither_asked_about_nor_forwarded(pairs: tuple[tuple[str, str], ...]) -> None:
    talk = Dialogue()
    with pytest.raises(ProtocolError):
        talk.request(EXEC, pairs)
    assert not only(talk.play.log, Authorize)
    assert not only(talk.play.log, OpenUpstream)
    assert talk.to_client().startswith(b"HTTP/1.1 400 ")


def test_what_comes_before_the_upgrade_is_answered_ends_the_connection() -> None:
    talk = Dialogue()
    assert talk.request()
    with pytest.raises(ProtocolError):
        talk.client(b"\x82\x05\x00rm -")
    assert talk.to_upstream() == b""


@pytest.mark.parametrize(
    "instead",
    [
        {"Sec_WebSocket_Accept": "AAAA"},
        {"Sec_WebSocket_Protocol": "v1.channel.k8s.io"},
        {"Sec_WebSocket_Extensions": "permessage-deflate"},
        {"Upgrade": "h2c"},
        {"Connection": "close"},
    ],
    ids=lambda instead: next(iter(instead)),
)
def test_an_upstream_that_agrees_to_something_else_is_dropped(instead: dict[str, str]) -> None:
    talk = Dialogue()
    asked = talk.permitted()
    talk.upstream(switched(asked, **instead))
    assert talk.to_client().startswith(b"HTTP/1.1 502 ")
    assert talk.outcome.status is Status.BLOCKED
    assert ClosePeer(Peer.UPSTREAM) in talk.play.log


def test_a_refusal_of_the_upstream_is_passed_on_masked() -> None:
    talk = Dialogue(CARDS)
    talk.permitted()
    said = b'{"kind":"Status","message":"no pod %s"}' % CARD
    talk.upstream(b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said))
    talk.upstream(said)
    assert talk.to_client().startswith(b"HTTP/1.1 404 ")
    assert b"no pod [redacted]" in talk.to_client()
    assert (talk.outcome.status, talk.outcome.errors) == (Status.FAILED, ("404 Not Found",))


def test_an_upstream_that_leaves_instead_of_answering() -> None:
    talk = Dialogue()
    talk.permitted()
    talk.hangs_up(Peer.UPSTREAM)
    assert talk.to_client().startswith(b"HTTP/1.1 502 ")
    assert talk.outcome.status is Status.LOST


def test_a_shell_is_passed_on_masked_and_recorded() -> None:
    shell = Shell()
    assert shell.types(Resize(100, 30)) == [Resize(100, 30)]
    assert shell.prints(Data(Channel.STDOUT, b"$ ")) == [Data(Channel.STDOUT, b"$ ")]
    assert shell.types(Data(Channel.STDIN, b"pay " + CARD + b"\r")) == [Data(Channel.STDIN, b"pay " + CARD + b"\r")]
    shell.prints(Data(Channel.STDOUT, b"pay " + CARD + b"\r\npaid\r\n"))
    shell.prints(*ending(3), Closed())
    shell.talk.client(shell.user.send(Closed()))
    shell.talk.hangs_up(Peer.CLIENT)
    outcome = shell.talk.outcome
    assert (outcome.status, outcome.media_type, outcome.masked) == (Status.COMPLETED, MEDIA_TYPE, {"cards": 1})
    assert outcome.facts == {"exit_code": 3, "commands": ["$ pay [redacted]"]}
    header, events = read_cast(outcome.kept)
    assert header.command == "sh"
    told = [(event.code, event.data) for event in events]
    assert ("r", "100x30") in told
    assert ("m", "$ pay [redacted]") in told
    assert CARD not in outcome.kept


def test_commands_in_plain_sight_hold_no_secrets_whatever_policy_masks() -> None:
    shell = Shell(talk=Dialogue())
    shell.prints(Data(Channel.STDOUT, b"$ "))
    shell.types(Data(Channel.STDIN, b"pay " + CARD + b"\r"))
    shell.prints(Data(Channel.STDOUT, b"pay " + CARD + b"\r\n"))
    shell.talk.hangs_up(Peer.CLIENT)
    assert shell.talk.outcome.facts == {"commands": ["$ pay [redacted]"]}


def test_what_is_held_back_is_released_after_a_moment() -> None:
    shell = Shell()
    text = b"x" * 100 + b" 4111"
    assert Data(Channel.STDOUT, text) not in shell.prints(Data(Channel.STDOUT, text))
    assert shell.talk.timer == RELEASE_AFTER
    before = len(shell.talk.to_client())
    shell.talk.passes(RELEASE_AFTER)
    assert len(shell.talk.to_client()) > before


def test_a_command_that_did_not_run_has_failed() -> None:
    shell = Shell()
    shell.prints(ErrorStatus(b'{"status":"Failure","message":"no such program"}'), Closed())
    shell.talk.hangs_up(Peer.UPSTREAM)
    assert shell.talk.outcome.status is Status.FAILED


def test_a_shell_over_spdy() -> None:
    talk = Dialogue()
    talk.opened(pairs=SPDY, method="POST")
    user, pod = spdy(Side.CLIENT), spdy(Side.SERVER)
    talk.client(b"".join(user.send(Opened(channel)) for channel in Channel))
    talk.client(user.send(Data(Channel.STDIN, b"ls\r")))
    assert Data(Channel.STDIN, b"ls\r") in list(pod.feed(talk.to_upstream()))
    talk.upstream(pod.send(Data(Channel.STDOUT, b"a b\r\n")))
    assert Data(Channel.STDOUT, b"a b\r\n") in list(user.feed(talk.to_client()))
    talk.hangs_up(Peer.UPSTREAM)
    assert talk.outcome.size == 5


@pytest.mark.parametrize(("peer", "status"), [(Peer.CLIENT, Status.CANCELLED), (Peer.UPSTREAM, Status.LOST)])
def test_a_peer_that_is_gone_ends_the_stream_both_ways(peer: Peer, status: Status) -> None:
    shell = Shell()
    shell.prints(Data(Channel.STDOUT, b"so far\r\n"))
    shell.talk.hangs_up(peer)
    assert shell.talk.play.ended
    assert {ClosePeer(Peer.CLIENT), ClosePeer(Peer.UPSTREAM)} <= set(only(shell.talk.play.log, ClosePeer))
    assert shell.talk.outcome.status is status
    assert "so far" in "".join(event.data for event in read_cast(shell.talk.outcome.kept)[1])


def test_a_client_that_says_goodbye_and_stays_is_not_waited_for_long() -> None:
    shell = Shell()
    shell.talk.client(shell.user.send(Closed()))
    assert shell.talk.timer is not None
    shell.talk.passes(shell.talk.timer)
    assert shell.talk.play.ended
    assert shell.talk.outcome.status is Status.CANCELLED


def test_a_client_that_breaks_the_protocol_is_cut_off_and_the_outcome_says_so() -> None:
    shell = Shell()
    with pytest.raises(HoopError):
        shell.talk.client(b"\x82\x81aaaa" + bytes([9 ^ 97]))  # a message to channel 9
    assert shell.talk.outcome.status is Status.BLOCKED
    assert "channel 9" in shell.talk.outcome.errors[0]


def test_an_upstream_that_breaks_the_protocol_is_to_blame_itself() -> None:
    shell = Shell()
    with pytest.raises(UpstreamError):
        shell.talk.upstream(b"\xff" * 40)
    assert shell.talk.outcome.status is Status.BLOCKED


def test_a_length_that_cannot_be_is_refused_before_it_comes() -> None:
    shell = Shell()
    with pytest.raises(ProtocolError):
        shell.talk.client(b"\x82\xff" + b"\xff" * 8 + b"aaaa")
    assert shell.talk.to_upstream().count(b"aaaa") == 0


def test_who_sends_pings_and_reads_no_answers_is_not_read_either() -> None:
    shell = Shell()
    pings = WebSocket(Side.CLIENT)
    for _ in range(3):
        shell.talk.client(b"".join(pings.ping() for _ in range(12_000)))
    assert only(shell.talk.play.log, Drain) == [Drain(Peer.CLIENT)]
    assert shell.talk.play.receiving == frozenset()
    shell.talk.hear(Wakeup())
    shell.talk.hear(Drained())
    assert shell.talk.play.receiving == frozenset(Peer)
    assert shell.talk.timer == 0
    shell.talk.hear(Wakeup())
    shell.talk.client(b"".join(pings.ping() for _ in range(40_000)))
    shell.talk.hangs_up(Peer.CLIENT)
    assert shell.talk.play.ended


def test_a_client_that_keeps_its_connection_alive_keeps_the_upstreams_alive_too() -> None:
    shell = Shell()
    shell.talk.client(WebSocket(Side.CLIENT).ping() * 3)
    assert [type(reply) for reply in WebSocket(Side.SERVER).feed(shell.talk.to_upstream())] == [Reply]


@pytest.mark.parametrize("subprotocol", ["v4.channel.k8s.io", "SPDY/3.1+portforward.k8s.io", "portforward.k8s.io"])
def test_a_port_forward_is_kept_alive_too(subprotocol: str) -> None:
    talk = Dialogue()
    if subprotocol == "portforward.k8s.io":
        talk.opened(FORWARD, (*SPDY[:-1], ("X-Stream-Protocol-Version", subprotocol)), "POST")
        talk.client(FrameWriter().encode(Ping(7)))
        assert list(FrameReader().feed(talk.to_upstream())) == [Ping(1)]
        return
    talk.opened(f"{FORWARD}?ports=80", (*WEBSOCKET[:-1], ("Sec-WebSocket-Protocol", subprotocol)))
    talk.client(WebSocket(Side.CLIENT).ping())
    assert [type(reply) for reply in WebSocket(Side.SERVER).feed(talk.to_upstream())] == [Reply]


def test_a_shell_over_spdy_is_kept_alive_too() -> None:
    talk = Dialogue()
    talk.opened(pairs=SPDY, method="POST")
    talk.client(FrameWriter().encode(Ping(7)))
    assert list(FrameReader().feed(talk.to_upstream())) == [Ping(1)]


def test_silence_ends_a_stream_where_the_policy_says_so() -> None:
    shell = Shell(talk=Dialogue(Streaming(timedelta(minutes=15))))
    shell.prints(Data(Channel.STDOUT, b"$ "))
    shell.talk.clock.forward(seconds=600)
    shell.types(Data(Channel.STDIN, b"l"))
    shell.talk.passes(300)
    assert shell.talk.timer == 600, "typing counts"
    shell.talk.client(WebSocket(Side.CLIENT).ping())
    shell.talk.passes(600)
    assert shell.talk.play.ended, "pings do not"
    assert shell.talk.outcome.status is Status.BLOCKED
    assert shell.talk.outcome.errors == ("nothing happened for 900 seconds",)
    assert b"the policy ends such a stream" in shell.talk.to_client()


def test_a_recording_is_kept_in_pieces_while_it_goes_on() -> None:
    """By time where little is shown, at once where much is: together they are what the outcome keeps."""
    shell = Shell()
    shell.prints(Data(Channel.STDOUT, b"first "))
    assert only(shell.talk.play.log, Keep) == []
    assert shell.talk.timer == PIECE_SECONDS
    shell.talk.passes(PIECE_SECONDS)
    shell.talk.clock.forward(seconds=1)
    shell.prints(Data(Channel.STDOUT, b"y" * (64 << 10) + b"\n"))
    shell.talk.passes(PIECE_SECONDS)
    pieces = [keep.piece for keep in only(shell.talk.play.log, Keep)]
    assert [(piece.exchange, piece.number, piece.media_type) for piece in pieces] == [
        ("x1", 0, MEDIA_TYPE), ("x1", 1, MEDIA_TYPE),
    ]  # fmt: skip
    assert [event.data for event in read_cast(pieces[0].kept)[1]] == ["first "]
    shell.prints(*ending(0))
    shell.talk.hangs_up(Peer.UPSTREAM)
    assert shell.talk.outcome.kept.startswith(b"".join(piece.kept for piece in pieces))


def test_a_piece_comes_in_time_where_silence_ends_a_stream() -> None:
    shell = Shell(talk=Dialogue(Streaming(timedelta(seconds=7))))
    shell.prints(Data(Channel.STDOUT, b"$ "))
    assert shell.talk.timer == PIECE_SECONDS
    shell.talk.passes(PIECE_SECONDS)
    assert len(only(shell.talk.play.log, Keep)) == 1
    assert shell.talk.timer == 2
    shell.talk.passes(2)
    assert shell.talk.outcome.errors == ("nothing happened for 7 seconds",)


def test_what_is_not_kept_has_no_pieces() -> None:
    shell = Shell(talk=Dialogue(keep=0))
    shell.prints(Data(Channel.STDOUT, b"y" * (128 << 10)))
    assert only(shell.talk.play.log, Keep) == []


@pytest.mark.parametrize("keep", [True, False])
def test_input_is_kept_where_the_policy_says_so(*, keep: bool) -> None:
    shell = Shell(talk=Dialogue(CARDS, Streaming(keep_input=keep)))
    shell.types(Data(Channel.STDIN, b"unseen " + CARD + b"\r"))
    shell.talk.hangs_up(Peer.CLIENT)
    typed = "".join(event.data for event in read_cast(shell.talk.outcome.kept)[1] if event.code == "i")
    assert typed == ("unseen [redacted]\r" if keep else "")


def test_nothing_is_kept_where_the_policy_keeps_nothing() -> None:
    shell = Shell(talk=Dialogue(keep=0))
    shell.prints(Data(Channel.STDOUT, b"words"))
    shell.talk.hangs_up(Peer.CLIENT)
    outcome = shell.talk.outcome
    assert (outcome.kept, outcome.kept_all, outcome.size) == (b"", False, 5)


# --- copies ----------------------------------------------------------------------------------------------------------

COPY_IN = f"{POD}/exec?command=tar&command=-xmf&command=-&command=-C&command=/&stdin=true&stdout=true"
COPY_OUT = f"{POD}/exec?command=tar&command=cf&command=-&command=/etc/shop&stdout=true"


def test_a_copy_is_recorded_by_its_manifest() -> None:
    shell = Shell(COPY_IN)
    shell.types(Data(Channel.STDIN, archive((member("shop.cfg"), b"x=1"))))
    shell.prints(*ending(0), Closed())
    shell.talk.hangs_up(Peer.UPSTREAM)
    facts = shell.talk.outcome.facts["copied"]
    assert isinstance(facts, dict)
    assert facts["to"] == "pod"
    entries = facts["entries"]
    assert isinstance(entries, list)
    assert [entry["name"] for entry in entries if isinstance(entry, dict)] == ["shop.cfg"]


def test_a_program_that_only_calls_itself_tar_is_recorded_like_any_other() -> None:
    shell = Shell(COPY_OUT, talk=Dialogue())
    shell.prints(Data(Channel.STDOUT, b"customers: " + b"no archive at all. " * 100))
    shell.talk.hangs_up(Peer.UPSTREAM)
    shown = "".join(event.data for event in read_cast(shell.talk.outcome.kept)[1])
    assert "no archive at all" in shown


@pytest.mark.parametrize(
    ("command", "channel"),
    [
        (["tar", "cf", "-", "/a b"], Channel.STDOUT),
        (["/bin/tar", "-xmf", "-", "-C", "/"], Channel.STDIN),
        (["tar", "--no-same-permissions", "--no-same-owner", "-xmf", "-"], Channel.STDIN),
        (["sh", "-c", "tar cf - '/x' | tail -c+100"], Channel.STDOUT),
        (["tar", "tf", "-"], None),
        (["tar", "cf", "/tmp/x.tar", "/etc"], None),
        (["cat", "tar cf -"], None),
        (["sh"], None),
        ([], None),
    ],
)
def test_which_commands_copy(command: list[str], channel: Channel | None) -> None:
    assert copied(command) is channel


# --- port-forward ----------------------------------------------------------------------------------------------------


TUNNEL = (*WEBSOCKET[:-1], ("Sec-WebSocket-Protocol", "SPDY/3.1+portforward.k8s.io"))


@pytest.mark.parametrize(
    ("effect", "approved", "passes"),
    [
        (Effect.ALLOW, False, True),
        (Effect.REQUIRE_APPROVAL, False, False),
        (Effect.REQUIRE_APPROVAL, True, True),
        (Effect.DENY, True, False),
    ],
)
@pytest.mark.parametrize("tunnelled", [True, False])
def test_each_port_is_put_to_the_policy(effect: Effect, *, approved: bool, passes: bool, tunnelled: bool) -> None:
    talk = Dialogue(*([Approve()] if approved else []))
    talk.previewed = effect
    pairs = TUNNEL if tunnelled else (*SPDY[:-1], ("X-Stream-Protocol-Version", "portforward.k8s.io"))
    talk.opened(FORWARD, pairs=pairs, method="GET" if tunnelled else "POST")
    frames = FrameWriter()
    asked = b"".join(
        frames.encode(SynStream(number, {"streamtype": kind, "port": "5432", "requestid": "0"}))
        for number, kind in ((1, "error"), (3, "data"))
    )
    talk.client(WebSocket(Side.CLIENT).send(asked) if tunnelled else asked)
    assert bool(talk.to_upstream()) is passes
    assert (b"port 5432 is not allowed" in talk.to_client()) is not passes
    talk.hangs_up(Peer.UPSTREAM)
    assert talk.outcome.facts["ports"] == [5432]
    assert talk.outcome.status is Status.LOST


@pytest.mark.parametrize(
    ("agreed", "needed", "passes"),
    [
        (Approve(("dba",)), Approve(("dba",)), True),
        (Approve(("dba",)), Approve(), True),
        (Approve(("dba",)), Approve(("dba", "platform")), True),
        (Approve(("dba", "platform")), Approve(("dba",)), False),
        (Approve(("platform",)), Approve(("dba",)), False),
        (Approve(), Approve(("dba",)), False),
        (Approve(("dba",), count=1), Approve(("dba",), count=2), False),
        (Approve(("dba",), count=3), Approve(("dba",), count=2), True),
    ],
)
def test_a_port_passes_where_its_own_people_have_agreed(agreed: Approve, needed: Approve, *, passes: bool) -> None:
    talk = Dialogue(agreed)
    talk.previewed, talk.needed = Effect.REQUIRE_APPROVAL, needed
    talk.opened(FORWARD, pairs=TUNNEL)
    talk.client(WebSocket(Side.CLIENT).send(connection(5432)))
    assert bool(talk.to_upstream()) is passes
    assert (b"port 5432 is not allowed" in talk.to_client()) is not passes
    talk.hangs_up(Peer.UPSTREAM)


def connection(port: int) -> bytes:
    """The frames that open a connection to a port."""
    frames = FrameWriter()
    return b"".join(
        frames.encode(SynStream(number, {"streamtype": kind, "port": str(port), "requestid": "0"}))
        for number, kind in ((1, "error"), (3, "data"))
    )


def refused_forward() -> Dialogue:
    talk = Dialogue()
    talk.previewed = Effect.REQUIRE_APPROVAL
    assert talk.request(FORWARD, TUNNEL)
    talk.denied()
    assert talk.to_client().startswith(b"HTTP/1.1 101 ")
    assert not talk.play.ended
    return talk


def test_a_forward_that_people_refused_tells_each_connection_so() -> None:
    talk = refused_forward()
    talk.client(WebSocket(Side.CLIENT).send(connection(5432)))
    assert b"hoop: denied by no-exec; ask first" in talk.to_client()
    assert talk.to_upstream() == b""
    talk.client(WebSocket(Side.CLIENT).close(1000, ""))
    assert talk.play.ended


def test_a_forward_that_people_refused_does_not_stand_for_ever() -> None:
    talk = refused_forward()
    talk.passes(60)
    assert talk.play.ended
    with pytest.raises(ProtocolError):
        refused_forward().client(WebSocket(Side.CLIENT).send(b"no frame at all, of any kind"))


def test_a_refused_forward_over_spdy_is_an_ordinary_answer() -> None:
    talk = Dialogue()
    talk.previewed = Effect.REQUIRE_APPROVAL
    talk.request(FORWARD, (*SPDY[:-1], ("X-Stream-Protocol-Version", "portforward.k8s.io")), "POST")
    talk.denied()
    assert talk.to_client().startswith(b"HTTP/1.1 403 ")


def test_forwarded_bytes_are_counted_and_digested() -> None:
    talk = Dialogue()
    pairs = (*WEBSOCKET[:-1], ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"))
    talk.opened(f"{FORWARD}?ports=5432", pairs=pairs)
    user, pod = WebSocket(Side.CLIENT), WebSocket(Side.SERVER)
    greeting = (5432).to_bytes(2, "little")
    talk.upstream(pod.send(b"\0" + greeting) + pod.send(b"\1" + greeting) + pod.send(b"\0hello"))
    talk.client(user.send(b"\0question"))
    talk.hangs_up(Peer.CLIENT)
    outcome = talk.outcome
    assert (outcome.status, outcome.size, outcome.kept, outcome.kept_all) == (Status.COMPLETED, 5, b"", False)
    assert outcome.facts["ports"] == [5432]


@pytest.mark.parametrize("ports", ["", "x", "0", "70000", "80,,81", "%2B80", "080"])
def test_ports_that_are_none_end_a_port_forward_before_it_begins(ports: str) -> None:
    talk = Dialogue()
    pairs = (*WEBSOCKET[:-1], ("Sec-WebSocket-Protocol", "v4.channel.k8s.io"))
    with pytest.raises(ProtocolError):
        talk.request(f"{FORWARD}?ports={ports}", pairs)
    assert not only(talk.play.log, Authorize)
