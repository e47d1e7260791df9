from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given

from connectors.kubectl.asciicast import CastHeader, CastRecorder, read_cast
from connectors.kubectl.cast_text import Commands
from connectors.kubectl.streams.echo import EchoMasker, MaskedBytes
from connectors.kubectl.streams.events import (
    Aborted,
    Channel,
    Closed,
    Data,
    ErrorStatus,
    ExecEvent,
    HalfClosed,
    Opened,
    Reply,
    Resize,
    Side,
)
from connectors.kubectl.streams.exec_stream import RELEASE_AFTER, ExecStream
from connectors.kubectl.streams.moved import Moved
from connectors.kubectl.streams.record import ExecRecord
from connectors.kubectl.tarlist import TarList
from hoopcli.masking.masker import DETECTORS, Masking
from hoopcli.masking.scan import Watch
from hoopcli.model.decision import Mask
from tests.kubectl.streams.cuts import CUTS, joined, pieces
from tests.kubectl.streams.exec_events import FROM_SERVER, MAKERS, MakeCodec, spdy, v4, v5
from tests.kubectl.test_tarlist import FILES, archive

MASK = Mask("shapes", detectors=tuple(detector.name for detector in DETECTORS))
WATCHES = [Watch(detector, MASK) for detector in DETECTORS]
CARD = b"4111111111111111"


class Session:
    """A client and an upstream with the bridge between them."""

    def __init__(
        self, make: MakeCodec, *, masked: bool = True, tty: bool = False, typed: bool = False, same_length: bool = False
    ) -> None:
        self.client, self.upstream = make(Side.CLIENT), make(Side.SERVER)
        self.record = ExecRecord(
            CastRecorder(CastHeader(80, 24, 0), 1_000_000),
            Commands() if tty else None,
            MaskedBytes(EchoMasker(WATCHES, b"")) if typed else None,
            {Channel.STDIN: TarList(), Channel.STDOUT: TarList()} if same_length else {},
        )
        outputs = (Channel.STDOUT, Channel.STDERR)
        self.stream = ExecStream(
            make(Side.SERVER),
            make(Side.CLIENT),
            self.record,
            lambda: 1.5,
            maskers={c: MaskedBytes(EchoMasker(WATCHES, b"", same_length=same_length)) for c in outputs}
            if masked
            else {},
            detect=Masking([MASK], b"").detect if masked else None,
            tty=tty,
        )
        for channel in Channel:
            self.ask(Opened(channel))

    def ask(self, *events: ExecEvent) -> list[ExecEvent]:
        """What reaches the upstream of what a client sends."""
        return self.upstream_hears(self.stream.from_client(b"".join(map(self.client.send, events))))

    def answer(self, *events: ExecEvent) -> list[ExecEvent]:
        """What reaches the client of what the upstream sends."""
        return self.client_hears(self.stream.from_upstream(b"".join(map(self.upstream.send, events))))

    def upstream_hears(self, moved: Moved) -> list[ExecEvent]:
        assert moved.error is None
        return [event for data in moved.to_upstream for event in self.upstream.feed(data)]

    def client_hears(self, moved: Moved) -> list[ExecEvent]:
        assert moved.error is None
        return [event for data in moved.to_client for event in self.client.feed(data)]

    def cast(self) -> list[tuple[str, str]]:
        return [(event.code, event.data) for event in read_cast(self.record.cast.kept)[1]]


ALL = pytest.mark.parametrize("make", [v5, v4, spdy])


@ALL
def test_a_whole_dialogue(make: MakeCodec) -> None:
    session = Session(make)
    assert session.ask(Data(Channel.STDIN, b"cat\n"), Resize(100, 30)) == [
        Data(Channel.STDIN, b"cat\n"),
        Resize(100, 30),
    ]
    assert session.answer(Data(Channel.STDOUT, b"card 4111 1111 "), Data(Channel.STDOUT, b"1111 1111\n")) == []
    assert session.answer(Data(Channel.STDERR, b"oops\n")) == []
    heard = joined(session.answer(ErrorStatus(b'{"status":"Success"}'), HalfClosed(Channel.ERROR)))
    assert heard[:2] == [Data(Channel.STDOUT, b"card [redacted]\n"), Data(Channel.STDERR, b"oops\n")]
    session.answer(Closed())
    assert session.stream.status is not None
    assert session.stream.status.exit_code == 0
    assert session.stream.masked == {"shapes": 1}
    session.stream.end()
    assert session.cast() == [("r", "100x30"), ("o", "card [redacted]\n"), ("o", "oops\n")]
    delivered = b"card [redacted]\noops\n"
    assert (session.record.size, session.record.digest) == (len(delivered), hashlib.sha256(delivered).hexdigest())


@given(MAKERS, FROM_SERVER, CUTS)
def test_output_without_secrets_passes_whole(make: MakeCodec, events: list[Data], cuts: list[int]) -> None:
    session = Session(make, masked=False)
    sent = b"".join(map(session.upstream.send, events))
    heard = [e for piece in pieces(sent, cuts) for e in session.client_hears(session.stream.from_upstream(piece))]
    assert joined(heard) == joined(events)


@given(MAKERS, CUTS)
def test_no_cut_and_no_release_lets_a_secret_through(make: MakeCodec, cuts: list[int]) -> None:
    session = Session(make)
    sent = session.upstream.send(Data(Channel.STDOUT, b"password=hunter2hunter2 and " + CARD + b".\n"))
    sent += session.upstream.send(Data(Channel.STDOUT, b"done\n"))
    heard: list[ExecEvent] = []
    for piece in pieces(sent, cuts):
        heard += session.client_hears(session.stream.from_upstream(piece))
        heard += session.client_hears(session.stream.release())
    heard += session.client_hears(session.stream.end())
    shown = b"".join(event.data for event in heard if isinstance(event, Data))
    assert b"hunter" not in shown
    assert CARD[6:] not in shown
    assert shown.endswith(b".\ndone\n")


@ALL
def test_output_waits_for_one_timer_only(make: MakeCodec) -> None:
    session = Session(make)
    prompt = session.upstream.send(Data(Channel.STDOUT, b"Name? "))
    moved = session.stream.from_upstream(prompt)
    assert (moved.to_client, moved.release_in) == ([], RELEASE_AFTER)
    again = session.stream.from_upstream(session.upstream.send(Data(Channel.STDOUT, b"Your name? ")))
    assert again.release_in is None, "the first one still runs"
    assert session.client_hears(session.stream.release()) == [Data(Channel.STDOUT, b"Name? Your name? ")]
    assert session.stream.from_upstream(session.upstream.send(Data(Channel.STDOUT, b"x"))).release_in == RELEASE_AFTER


@ALL
def test_the_echo_of_a_key_does_not_wait_on_a_terminal(make: MakeCodec) -> None:
    session = Session(make, tty=True)
    assert session.answer(Data(Channel.STDOUT, b"l")) == [Data(Channel.STDOUT, b"l")]
    assert session.answer(Data(Channel.STDOUT, b"x" * 100)) == []


@ALL
def test_a_terminal_records_its_commands(make: MakeCodec) -> None:
    session = Session(make, masked=False, tty=True)
    session.answer(Data(Channel.STDOUT, b"$ "))
    session.ask(Resize(0, 0), Resize(120, 40), Data(Channel.STDIN, b"id\r"))
    session.answer(Data(Channel.STDOUT, b"id\r\nuid=0\r\n"))
    assert ("m", "$ id") in session.cast()
    assert all(code != "i" for code, _ in session.cast()), "what is typed is kept only if it is asked for"


@ALL
def test_what_is_typed_is_kept_masked_if_it_is_asked_for(make: MakeCodec) -> None:
    session = Session(make, typed=True)
    session.ask(Data(Channel.STDIN, b"echo password=hunter2 4111"))
    session.stream.end()
    assert "".join(data for code, data in session.cast() if code == "i") == "echo password=******* 4111"


@ALL
def test_a_copied_archive_stays_whole_and_is_listed(make: MakeCodec) -> None:
    session = Session(make, same_length=True)
    data = archive(*FILES).replace(b"127.0.0.1 localhost\n", b"pwd=127.0.0.1 local\n")
    session.answer(Data(Channel.STDOUT, data), HalfClosed(Channel.STDOUT))
    session.stream.end()
    listed = session.record.archives[Channel.STDOUT].manifest()
    assert [entry.name for entry in listed.entries] == [
        info.name.removesuffix("/") + "/" * info.isdir() for info, _ in FILES
    ]
    assert listed.problem == ""
    assert listed.size == len(data)
    masked = hashlib.sha256(b"pwd=**********local\n").hexdigest()
    assert listed.entries[0].digest != hashlib.sha256(b"pwd=127.0.0.1 local\n").hexdigest() != masked
    session.ask(Data(Channel.STDIN, archive(*FILES)))
    assert len(session.record.archives[Channel.STDIN].manifest().entries) == len(FILES)


@ALL
def test_the_status_is_masked_wherever_it_has_text(make: MakeCodec) -> None:
    session = Session(make)
    status = {"status": "Failure", "message": "no ann@example.com", "details": {"causes": [{"message": "x"}], "n": 1}}
    heard = session.answer(ErrorStatus(json.dumps(status).encode()), HalfClosed(Channel.ERROR))
    (masked,) = [event for event in heard if isinstance(event, ErrorStatus)]
    assert masked.status == {**status, "message": "no [redacted]"}
    assert session.stream.masked == {"shapes": 1}


def test_a_status_that_is_none_is_masked_as_text() -> None:
    session = Session(v5)
    assert ErrorStatus(b"no [redacted]") in session.answer(ErrorStatus(b"no ann@example.com"))
    assert ErrorStatus(b"plain") in Session(v5, masked=False).answer(ErrorStatus(b"plain"))


def test_resets_and_ends_pass_in_both_directions() -> None:
    session = Session(spdy)
    assert session.ask(HalfClosed(Channel.STDIN)) == [HalfClosed(Channel.STDIN)]
    assert session.answer(Aborted(Channel.STDERR)) == [Aborted(Channel.STDERR)]
    assert session.ask(Closed()) == [Closed()]


def test_replies_go_back_to_where_they_are_due() -> None:
    session = Session(v5)
    ping = b"\x89\x00"
    assert session.stream.from_upstream(ping).to_upstream[0][0] == 0x8A
    assert session.stream.from_client(b"\x89\x80\0\0\0\0").to_client[0] == b"\x8a\x00"
    assert all(not isinstance(event, Reply) for event in session.answer(Data(Channel.STDOUT, b"x" * 2000)))


@ALL
def test_what_came_before_an_error_is_delivered_and_recorded(make: MakeCodec) -> None:
    session = Session(make, masked=False)
    good = session.upstream.send(Data(Channel.STDOUT, b"so far"))
    moved = session.stream.from_upstream(good + b"\xff" * 40)
    assert moved.error is not None
    assert [e for data in moved.to_client for e in session.client.feed(data)] == [Data(Channel.STDOUT, b"so far")]
    assert session.cast() == [("o", "so far")]
    assert session.stream.from_client(b"\xff" * 40).error is not None


@ALL
def test_a_stream_that_is_cut_tells_both_ends(make: MakeCodec) -> None:
    session = Session(make)
    session.answer(Data(Channel.STDOUT, b"held back"))
    moved = session.stream.end("ended by a supervisor", denied=True)
    heard = session.client_hears(moved)
    assert heard[0] == Data(Channel.STDOUT, b"held back")
    assert isinstance(told := heard[1], ErrorStatus)
    assert told.status is not None
    assert told.status["message"] == "ended by a supervisor"
    rest = [event for event in heard[2:] if not isinstance(event, Reply)]
    assert rest[-1:] == [Closed(1008, "ended by a supervisor")] or make is spdy
    assert any(isinstance(event, Closed) for event in session.upstream_hears(moved))


@ALL
def test_input_that_was_not_asked_for_is_refused(make: MakeCodec) -> None:
    session = Session(make)
    session.stream._stdin = False
    moved = session.stream.from_client(session.client.send(Data(Channel.STDIN, b"rm -rf /\n")))
    assert moved.error is not None
    assert moved.to_upstream == []


@ALL
def test_a_stream_that_a_peer_ends_is_over(make: MakeCodec) -> None:
    session = Session(make)
    assert session.stream.from_client(session.client.send(Closed())).over
    session = Session(make)
    assert session.stream.from_upstream(session.upstream.send(Closed())).over


def test_an_end_with_output_that_nobody_takes() -> None:
    session = Session(spdy)
    session.answer(Data(Channel.STDERR, b"held back"))
    session.stream._client = spdy(Side.SERVER)  # a client that opened nothing
    assert session.stream.end().error is not None


def test_a_text_after_the_end_is_a_new_one() -> None:
    masked = MaskedBytes(EchoMasker(WATCHES, b""))
    assert masked.feed(b"password=hunter2 ") + masked.flush() == b"password=******* "
    assert masked.feed(b"hunter2 " + CARD) + masked.flush() == b"hunter2 [redacted]"
    assert masked.counts == {"shapes": 2}
